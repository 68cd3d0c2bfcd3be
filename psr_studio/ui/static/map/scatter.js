// The map pane: owns the canvases, the camera and the draw loop, and turns store changes into draws.

import { Camera } from './camera.js';
import { CanvasRenderer } from './canvas2d.js';
import { STATUS, dimAlpha, parseHex, resolveColor } from './color.js';
import { clamp, fitRow, h } from '../core/dom.js';
import { STRONG } from './flags.js';
import { createGlRenderer } from './gl.js';
import { inBox, inPolygon, nearest } from './hit.js';
import { createHoverCard } from './hover.js';
import { createLegend } from './legend.js';
import { MapData } from './data.js';
import { createMapStatus } from './status.js';
import { createMapTools } from './tools.js';
import { bounds } from '../core/model.js';
import { createOverlay } from './overlay.js';
import { attachPointer } from './pointer.js';
import { combine, modeOf } from '../core/selection.js';

const MORPH_MS = 600;
const STATUS_RGB = STATUS.map((status) => parseHex(status.color));
const HIT_PX = 10;
const KEY_PAN_PX = 40;
const HOLD_MS = 80;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const THEME = {
  background: '--psr-map-bg',
  ink: '--psr-ink',
  accent: '--psr-accent',
  pin: '--psr-pin',
  veto: '--psr-bad',
};

export class Scatter {
  constructor(store, getSprites, actions) {
    Object.assign(this, { store, getSprites, actions });
    this.camera = new Camera();
    this.colors = {};
    this.timing = { lastDrawMs: 0, lastHitMs: 0, lastShape: null };
    this.frame = 0;
    this.held = 0; // the timer of `hold`
    this.missed = false;
    this.waiters = [];
    this.sketch = null;
    this.buildDom();
    this.listen();
  }

  // --- DOM and wiring ---------------------------------------------------------------------------
  buildDom() {
    const { store } = this;
    this.pointCanvas = h('canvas', { class: 'psr-points' });
    this.topCanvas = h('canvas', {
      class: 'psr-overlay',
      tabindex: '0',
      role: 'application',
      'aria-label': 'Map of candidates. The picks grid offers the same candidates by keyboard.',
    });
    this.renderer = createGlRenderer(this.pointCanvas) || new CanvasRenderer(this.pointCanvas);
    this.renderer.onRestore = () => this.invalidate();
    this.data = new MapData(store, this.renderer, this.camera, () => this.invalidate());
    this.overlay = createOverlay(this.topCanvas);
    this.card = createHoverCard(store, this.getSprites, () => this.data.totals);
    this.legend = createLegend(store, this.legendSource());
    this.surface = h(
      'div',
      { class: 'psr-surface', 'data-tool': store.data.tool },
      this.pointCanvas,
      this.topCanvas,
      this.legend.node,
      this.card.node,
    );
    this.tools = createMapTools(store, {
      resetView: () => this.resetView(),
      zoomToSelection: () => this.zoomToSelection(),
    });
    this.status = createMapStatus(store, this.renderer.kind);
    this.node = h(
      'section',
      { class: 'psr-pane psr-map', 'aria-label': 'Map' },
      this.tools,
      this.surface,
      this.status,
    );
    this.pointer = attachPointer(this.topCanvas, this.gestures());
    this.topCanvas.addEventListener('keydown', (event) => this.panByKey(event));
  }

  legendSource() {
    const { data, colors } = this;
    return {
      domain: () => data.domain,
      flags: () => data.flags,
      clipped: () => data.clipped,
      values: () => data.values,
      ink: () => colors.ink || [0, 0, 0],
    };
  }

  gestures() {
    return {
      tool: () => this.store.data.tool,
      pan: (dx, dy) => {
        this.camera.pan(dx, dy);
        this.invalidate();
      },
      zoom: (x, y, factor) => {
        this.camera.zoomAt(x, y, factor);
        this.hover(null);
        this.invalidate();
      },
      busy: (on) => {
        this.topCanvas.classList.toggle('is-dragging', on);
        if (on) this.hover(null);
      },
      sketch: (shape) => {
        this.sketch = shape;
        this.invalidate();
      },
      region: (shape, event) =>
        this.data.flags && this.selectShape(this.camera.shapeToMap(shape), modeOf(event)),
      hover: (at) => this.hover(at),
      click: (at, event) => this.click(at, event),
    };
  }

  listen() {
    const { store } = this;
    store.on(['focus'], () => {
      this.overlay.pulse();
      this.invalidate();
    });
    store.on(['hover'], () => this.invalidate());
    // At once, and before other panes hear of it: the device draws while the page is rebuilt around the map.
    store.on(['picks'], () => this.drawNow());
    store.on(['picks', 'pinned', 'vetoed'], () => this.hoverAt && this.hover(this.hoverAt));
    store.on(['tool'], () => {
      this.surface.dataset.tool = store.data.tool;
    });
  }

  // --- drawing ------------------------------------------------------------------
  view() {
    const { camera, colors } = this;
    const { points, weights, colorBy } = this.store.data;
    // Smaller points in larger pools: 7 px at 2,000, 3.6 px at 50,000.
    const base = clamp(8.6 - 2.6 * Math.log10(Math.max(points.label.length, 1) / 600), 2.4, 8.6);
    return {
      camera,
      at: (position) => this.data.at(position),
      morph: this.data.eased,
      size: base * clamp(camera.zoom, 0.6, 16) ** 0.25,
      weights,
      domain: this.data.domain,
      mode: colorBy,
      dim: dimAlpha(colorBy, colors.background),
      dpr: window.devicePixelRatio || 1,
      status: STATUS_RGB,
      ...colors,
    };
  }

  /** An answer is about to change the picture: one drawn now would keep the device busy when it arrives. */
  hold() {
    this.missed ||= Boolean(this.frame); // it is drawn if the answer takes longer
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.held ||= setTimeout(() => this.letGo(), HOLD_MS);
  }

  letGo() {
    clearTimeout(this.held);
    this.held = 0;
    if (this.missed) this.invalidate();
  }

  invalidate() {
    if (this.held) {
      this.missed = true;
      return;
    }
    this.missed = false;
    this.frame ||= requestAnimationFrame((now) => this.draw(now));
  }

  drawNow() {
    clearTimeout(this.held);
    cancelAnimationFrame(this.frame);
    Object.assign(this, { held: 0, missed: false });
    this.draw(performance.now());
  }

  draw(now) {
    const { data } = this.store;
    this.frame = 0;
    if (!this.camera.width || !data.layout || !this.data.flags || !this.colors.ink) return;
    const begin = performance.now();
    const moving = this.camera.step(now);
    const { morph } = this.data;
    if (morph.t < 1) morph.t = clamp((now - morph.start) / MORPH_MS, 0, 1);
    const view = this.view();
    this.renderer.draw(view);
    const scene = {
      sketch: this.sketch,
      picks: data.picks,
      points: data.points,
      hover: data.hover,
      focus: data.focus,
      sprites: this.getSprites(),
      onLoad: () => {
        this.overlay.forget();
        this.invalidate();
      },
    };
    const pulsing = this.overlay.draw(view, scene, now);
    this.timing.lastDrawMs = performance.now() - begin;
    this.release();
    if (moving || morph.t < 1 || pulsing) this.invalidate();
  }

  release() {
    const done = this.waiters;
    this.waiters = [];
    if (done.length)
      this.renderer.finished().then(() => done.forEach((resolve) => resolve(performance.now())));
  }

  /** Time stamp at which the next draw has been finished by the graphics device. */
  drawn() {
    return new Promise((resolve) => {
      this.waiters.push(resolve);
      this.missed = true;
      this.letGo();
    });
  }

  /** The same for what has been drawn already, when nothing waits to be drawn. */
  settled() {
    return this.frame ? this.drawn() : this.renderer.finished().then(() => performance.now());
  }

  // --- what the renderer holds ------------------------------------------------------------------
  loadColors() {
    for (const [name, variable] of Object.entries(THEME))
      this.colors[name] = resolveColor(this.surface, `var(${variable})`);
    this.legend.refresh();
    this.invalidate();
  }

  resize() {
    const { width, height } = this.surface.getBoundingClientRect();
    if (!width || !height) return; // hidden tab: keep the last size
    const dpr = window.devicePixelRatio || 1;
    for (const canvas of [this.pointCanvas, this.topCanvas]) {
      canvas.width = Math.round(width * dpr);
      canvas.height = Math.round(height * dpr);
    }
    [this.tools, this.status].forEach(fitRow);
    this.camera.resize(width, height, this.data.box);
    this.overlay.forget();
    this.drawNow(); // a resized canvas is blank until drawn
  }

  // --- commands ------------------------------------------------------------------
  resetView() {
    this.camera.goTo(this.camera.home);
    this.invalidate();
  }

  zoomBy(factor) {
    this.camera.zoomAt(this.camera.width / 2, this.camera.height / 2, factor);
    this.invalidate();
  }

  panByKey(event) {
    const way = ARROWS[event.key];
    if (!way || event.ctrlKey || event.altKey) return;
    event.preventDefault();
    this.camera.pan(-way[0] * KEY_PAN_PX, -way[1] * KEY_PAN_PX);
    this.invalidate();
  }

  zoomToSelection() {
    const { selection, picks, layout } = this.store.data;
    const list = selection?.count ? selection.list : picks?.order;
    if (!list?.length) return;
    const target = this.camera.viewOf(bounds(layout.xy, list), 60);
    this.camera.goTo({ ...target, k: Math.min(target.k, this.camera.home.k * 40) });
    this.invalidate();
  }

  selectShape(shape, how) {
    const { order } = this.data.flags;
    const { xy } = this.store.data.layout;
    const begin = performance.now();
    const hits = shape.kind === 'box' ? inBox(xy, order, shape) : inPolygon(xy, order, shape.polygon);
    this.timing.lastHitMs = performance.now() - begin;
    this.timing.lastShape = shape;
    this.store.set({ selection: combine(this.store.data.selection, hits, how) });
  }

  pointAt([sx, sy]) {
    if (!this.data.flags || !this.store.data.layout) return -1;
    const [x, y] = this.camera.toMap(sx, sy);
    const { flags, order } = this.data.flags;
    return nearest(
      this.store.data.layout.xy,
      order,
      (i) => (flags[i] & STRONG) !== 0,
      x,
      y,
      HIT_PX / this.camera.k,
    );
  }

  click(at, event) {
    const position = this.pointAt(at);
    if (position < 0) return;
    const how = modeOf(event);
    if (how === 'replace') this.actions.focus(position);
    else this.store.set({ selection: combine(this.store.data.selection, [position], how) });
  }

  hover(at) {
    this.hoverAt = at;
    const position = at ? this.pointAt(at) : -1;
    this.store.set({ hover: position < 0 ? null : position });
    this.topCanvas.classList.toggle('is-over', position >= 0);
    if (position < 0) this.card.hide();
    else this.card.show(position, at, this.camera);
  }
}
