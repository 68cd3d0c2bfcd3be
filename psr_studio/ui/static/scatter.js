// The map pane: owns the canvases, the camera and the draw loop, and turns store changes into draws.

import { Camera } from './camera.js';
import { CanvasRenderer } from './canvas2d.js';
import { STATUS, classColors, parseHex, rampBytes, resolveColor } from './color.js';
import { clamp, h, prefersStill } from './dom.js';
import { STRONG, buildFlags } from './flags.js';
import { createGlRenderer } from './gl.js';
import { inBox, inPolygon, nearest } from './hit.js';
import { createHoverCard } from './hover.js';
import { createLegend } from './legend.js';
import { createMapStatus } from './map_status.js';
import { createMapTools } from './map_tools.js';
import { bounds, minMax, robustRange, totalScores } from './model.js';
import { createOverlay } from './overlay.js';
import { attachPointer } from './pointer.js';
import { combine, modeOf } from './selection.js';

const MORPH_MS = 600;
const HIT_PX = 10;
const RAW = ['reliability', 'entropy', 'difficulty'];
const THEME = { background: '--psr-map-bg', ink: '--psr-ink', accent: '--psr-accent', pin: '--psr-pin', veto: '--psr-bad' };

export class Scatter {
  constructor(store, getSprites, actions) {
    Object.assign(this, { store, getSprites, actions });
    this.camera = new Camera();
    this.colors = {};
    this.cache = { flags: null, totals: null, domain: [0, 1], box: { x0: -1, x1: 1, y0: -1, y1: 1 } };
    this.morph = { t: 1, start: 0, from: null };
    this.timing = { lastDrawMs: 0, lastHitMs: 0, lastShape: null };
    this.frame = 0;
    this.waiters = [];
    this.sketch = null;
    this.buildDom();
    this.listen();
  }

  // --- DOM and wiring ------------------------------------------------------------------------------------------
  buildDom() {
    const { store } = this;
    this.pointCanvas = h('canvas', { class: 'psr-points' });
    this.topCanvas = h('canvas', { class: 'psr-overlay', tabindex: '0', role: 'application',
      'aria-label': 'Map of candidates. The picks grid offers the same candidates by keyboard.' });
    this.renderer = createGlRenderer(this.pointCanvas) || new CanvasRenderer(this.pointCanvas);
    this.renderer.onRestore = () => this.invalidate();
    this.overlay = createOverlay(this.topCanvas);
    this.card = createHoverCard(store, this.getSprites, () => this.cache.totals);
    this.legend = createLegend(store, this.legendSource());
    this.surface = h('div', { class: 'psr-surface', 'data-tool': store.data.tool }, this.pointCanvas, this.topCanvas,
      this.legend.node, this.card.node);
    this.node = h('section', { class: 'psr-pane psr-map', 'aria-label': 'Map' },
      createMapTools(store, { resetView: () => this.resetView(), zoomToSelection: () => this.zoomToSelection() }),
      this.surface, createMapStatus(store, this.renderer.kind));
    this.pointer = attachPointer(this.topCanvas, this.gestures());
  }

  legendSource() {
    const { store, cache } = this;
    const isRaw = () => RAW.includes(store.data.colorBy);
    return { domain: () => cache.domain, flags: () => cache.flags, clipped: isRaw, ink: () => this.colors.ink || [0, 0, 0],
      values: () => (isRaw() ? store.data.points[store.data.colorBy] : cache.totals) };
  }

  gestures() {
    return {
      tool: () => this.store.data.tool,
      pan: (dx, dy) => { this.camera.pan(dx, dy); this.invalidate(); },
      zoom: (x, y, factor) => { this.camera.zoomAt(x, y, factor); this.hover(null); this.invalidate(); },
      busy: (on) => { this.topCanvas.classList.toggle('is-dragging', on); if (on) this.hover(null); },
      sketch: (shape) => { this.sketch = shape; this.invalidate(); },
      region: (shape, event) => this.cache.flags && this.selectShape(this.toMapShape(shape), modeOf(event)),
      hover: (at) => this.hover(at),
      click: (at, event) => this.click(at, event),
    };
  }

  listen() {
    const { store } = this;
    store.on(['points'], () => this.loadPoints());
    store.on(['layout'], () => this.loadLayout());
    store.on(['colorBy'], () => this.loadValue());
    store.on(['weights'], () => this.measureTotals());
    store.on(['ramp'], () => { this.renderer.setRamp(rampBytes(store.data.ramp)); this.invalidate(); });
    store.on(['picks', 'pinned', 'vetoed', 'selection', 'show', 'solo'], () => this.loadFlags());
    store.on(['focus'], () => { this.overlay.pulse(); this.invalidate(); });
    store.on(['hover'], () => this.invalidate());
    store.on(['tool'], () => { this.surface.dataset.tool = store.data.tool; });
  }

  // --- drawing -------------------------------------------------------------------------------------------------
  view() {
    const { camera, cache, colors, morph } = this;
    const { data } = this.store;
    const n = data.points.label.length;
    const base = clamp(8.6 - 2.6 * Math.log10(Math.max(n, 1) / 600), 2.4, 8.6);
    const t = morph.t * morph.t * (3 - 2 * morph.t);
    const { xy } = data.layout;
    const at = (i) => [0, 1].map((a) => (t >= 1 ? xy[2 * i + a] : morph.from[2 * i + a] * (1 - t) + xy[2 * i + a] * t));
    return { camera, at, morph: t, size: base * clamp(camera.zoom, 0.6, 30) ** 0.3, weights: data.weights,
      domain: cache.domain, mode: data.colorBy, dim: data.colorBy === 'picked' ? 0.5 : 0.3,
      dpr: window.devicePixelRatio || 1, status: STATUS.map((s) => parseHex(s.color)), ...colors };
  }

  invalidate() { this.frame ||= requestAnimationFrame((now) => this.draw(now)); }

  draw(now) {
    const { data } = this.store;
    this.frame = 0;
    if (!this.camera.width || !data.layout || !this.cache.flags || !this.colors.ink) return;
    const begin = performance.now();
    const moving = this.camera.step(now);
    if (this.morph.t < 1) this.morph.t = clamp((now - this.morph.start) / MORPH_MS, 0, 1);
    const view = this.view();
    this.renderer.draw(view);
    const scene = { sketch: this.sketch, picks: data.picks, points: data.points, hover: data.hover, focus: data.focus,
      sprites: this.getSprites(), onLoad: () => { this.overlay.forget(); this.invalidate(); } };
    const pulsing = this.overlay.draw(view, scene, now);
    this.timing.lastDrawMs = performance.now() - begin;
    this.release();
    if (moving || this.morph.t < 1 || pulsing) this.invalidate();
  }

  release() {
    const done = this.waiters;
    this.waiters = [];
    if (done.length) this.renderer.finished().then(() => done.forEach((resolve) => resolve(performance.now())));
  }

  /** Time stamp at which the next draw has been finished by the graphics device. */
  drawn() {
    return new Promise((resolve) => {
      this.waiters.push(resolve);
      this.invalidate();
    });
  }

  // --- what the renderer holds ---------------------------------------------------------------------------------
  loadColors() {
    for (const [name, variable] of Object.entries(THEME)) this.colors[name] = resolveColor(this.surface, `var(${variable})`);
    this.legend.refresh();
    this.invalidate();
  }

  loadPoints() {
    const { points, info, ramp } = this.store.data;
    if (!points) return;
    const sameSignals = this.loaded && this.loaded.rel_n === points.rel_n;
    this.loaded = points;
    if (sameSignals) { // a new selection of the same pool moves diversity alone
      this.renderer.setFloats('div', points.diversity);
      this.measureTotals();
      return;
    }
    for (const [name, key] of [['rel', 'rel_n'], ['ent', 'ent_n'], ['div', 'diversity']]) {
      this.renderer.setFloats(name, points[key]);
    }
    this.renderer.setLabels(points.label);
    this.renderer.setClasses(classColors(info.n_classes));
    this.renderer.setRamp(rampBytes(ramp));
    this.measureTotals();
    this.loadValue();
    this.loadFlags();
  }

  loadValue() {
    const { points, colorBy } = this.store.data;
    if (!points) return;
    const values = RAW.includes(colorBy) ? points[colorBy] : points.reliability;
    this.renderer.setFloats('value', values);
    this.cache.domain = RAW.includes(colorBy) ? robustRange(values) : minMax(this.cache.totals);
    this.invalidate();
  }

  measureTotals() {
    const { points, weights, colorBy } = this.store.data;
    if (!points) return;
    this.cache.totals = totalScores(points, weights, this.cache.totals);
    if (!RAW.includes(colorBy)) this.cache.domain = minMax(this.cache.totals);
    this.invalidate();
  }

  loadFlags() {
    if (!this.store.data.points || !this.store.data.selection) return;
    this.cache.flags = buildFlags(this.store.data);
    this.renderer.setFlags(this.cache.flags.flags, this.cache.flags.order);
    this.invalidate();
  }

  /** The first layout is shown at once; every later one is reached by a glide from the one before. */
  loadLayout() {
    const { layout } = this.store.data;
    if (!layout) return;
    const before = this.layoutBefore;
    const glide = before?.length === layout.xy.length && !prefersStill();
    const from = glide ? before : layout.xy;
    const wasHome = Math.abs(this.camera.zoom - 1) < 1e-3;
    this.renderer.setFloats('from', from);
    this.renderer.setFloats('to', layout.xy);
    this.cache.box = bounds(layout.xy);
    this.camera.setHome(this.cache.box);
    if (!glide) this.camera.set(this.camera.home);
    else if (wasHome) this.camera.goTo(this.camera.home);
    this.morph = { t: glide ? 0 : 1, start: performance.now(), from };
    this.layoutBefore = layout.xy;
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
    this.camera.resize(width, height, this.cache.box);
    this.overlay.forget();
    cancelAnimationFrame(this.frame);
    this.draw(performance.now()); // at once: a resized canvas is blank until drawn
  }

  // --- commands ------------------------------------------------------------------------------------------------
  resetView() { this.camera.goTo(this.camera.home); this.invalidate(); }

  zoomBy(factor) {
    this.camera.zoomAt(this.camera.width / 2, this.camera.height / 2, factor);
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
    const { order } = this.cache.flags;
    const { xy } = this.store.data.layout;
    const begin = performance.now();
    const hits = shape.kind === 'box' ? inBox(xy, order, shape) : inPolygon(xy, order, shape.polygon);
    this.timing.lastHitMs = performance.now() - begin;
    this.timing.lastShape = shape;
    this.store.set({ selection: combine(this.store.data.selection, hits, how) });
  }

  toMapShape(shape) {
    const { camera } = this;
    if (shape.kind === 'box') {
      const [x0, y1] = camera.toMap(shape.x0, shape.y0);
      const [x1, y0] = camera.toMap(shape.x1, shape.y1);
      return { kind: 'box', x0, x1, y0, y1 };
    }
    const polygon = [];
    for (let k = 0; k < shape.path.length; k += 2) polygon.push(...camera.toMap(shape.path[k], shape.path[k + 1]));
    return { kind: 'lasso', polygon };
  }

  pointAt([sx, sy]) {
    if (!this.cache.flags || !this.store.data.layout) return -1;
    const [x, y] = this.camera.toMap(sx, sy);
    const { flags, order } = this.cache.flags;
    return nearest(this.store.data.layout.xy, order, (i) => (flags[i] & STRONG) !== 0, x, y, HIT_PX / this.camera.k);
  }

  click(at, event) {
    const position = this.pointAt(at);
    if (position < 0) return;
    const how = modeOf(event);
    if (how === 'replace') this.actions.focus(position);
    else this.store.set({ selection: combine(this.store.data.selection, [position], how) });
  }

  hover(at) {
    const position = at ? this.pointAt(at) : -1;
    this.store.set({ hover: position < 0 ? null : position });
    this.topCanvas.classList.toggle('is-over', position >= 0);
    if (position < 0) this.card.hide();
    else this.card.show(position, at, this.camera);
  }
}
