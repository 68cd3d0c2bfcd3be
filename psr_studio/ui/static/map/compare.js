// The map while two selections are compared: the pool as a pale cloud, the picks of both in two colours and three
// shapes. It lies over the usual map and moves with the same camera.

import { SIDES, isPending, sideOf } from '../core/compare.js';
import { parseHex, toCss } from './color.js';
import { h } from '../core/dom.js';
import { nearest } from './hit.js';
import { attachPointer } from './pointer.js';
import { modeOf } from '../core/selection.js';
import { addShape } from './shapes.js';

const HIT_PX = 10;
const INSET = 52;
const MAX_RINGS = 5000;

export class CompareMap {
  constructor(store, scatter, actions) {
    Object.assign(this, { store, scatter, actions, key: '' });
    this.canvas = h('canvas', {
      class: 'psr-overlay',
      tabindex: '0',
      role: 'application',
      'aria-label': 'Map of both selections. The grid lists them by keyboard.',
    });
    this.titles = h('div', { class: 'psr-compare-titles', 'aria-hidden': 'true' });
    this.node = h('div', { class: 'psr-compare-map', hidden: true }, this.canvas, this.titles);
    this.context = this.canvas.getContext('2d', { willReadFrequently: true });
    this.pointer = attachPointer(this.canvas, this.gestures());
    this.canvas.addEventListener('keydown', (event) => scatter.panByKey(event));
    store.on(['compare'], () => this.show());
    store.on(['selection', 'focus', 'hover', 'layout', 'solo'], () => (this.key = ''));
    store.on(['tool'], () => (this.node.dataset.tool = store.data.tool));
  }

  get on() {
    return Boolean(this.store.data.compare?.lists);
  }

  show() {
    this.key = '';
    const wasHidden = this.node.hidden;
    this.node.hidden = !this.on;
    if (!this.on) return;
    this.order = Uint32Array.from(Object.values(this.store.data.compare.lists).flat());
    this.writeTitles();
    if (wasHidden) this.follow();
  }

  writeTitles() {
    const { view, ...now } = this.store.data.compare;
    const more = isPending(now) ? ' …' : ''; // the points are still those of before
    const title = (side) =>
      h('span', {}, h('b', { class: `psr-side is-${side}` }, side.toUpperCase()), ` ${now[side]}${more}`);
    this.titles.classList.toggle('is-split', view === 'split');
    this.titles.replaceChildren(title('a'), title('b'));
  }

  /** The camera tells nobody that it moved, so each frame looks; nothing is drawn while all stands still. */
  follow() {
    if (!this.on) return;
    const { cx, cy, k, width, height } = this.scatter.camera;
    const key = [cx, cy, k, width, height, this.scatter.colors.ink, window.devicePixelRatio].join();
    if (key !== this.key && width) this.draw();
    this.key = key;
    requestAnimationFrame(() => this.follow());
  }

  // --- the one or two views over the one camera --------------------------------------------------------------
  views() {
    const { width, height, home, zoom, k, cx, cy } = this.scatter.camera;
    const { x0, x1, y0, y1 } = this.scatter.data.box;
    const sides = this.store.data.compare.view === 'split' ? ['a', 'b'] : [null];
    const w = width / sides.length;
    const fit = Math.min((w - INSET) / Math.max(x1 - x0, 1e-3), (height - INSET) / Math.max(y1 - y0, 1e-3));
    // The usual map stands aside for its legend; here there is none.
    const aside = (home.cx - (x0 + x1) / 2) / zoom;
    const scale = (k / home.k) * fit;
    return sides.map((side, i) => ({ side, left: i * w, w, h: height, cx: cx - aside, cy, k: scale }));
  }

  viewAt(x) {
    const views = this.views();
    return views.find((view) => x < view.left + view.w) ?? views[views.length - 1];
  }

  // --- drawing --------------------------------------------------------------------------------------------------
  draw() {
    const { camera } = this.scatter;
    const dpr = window.devicePixelRatio || 1;
    const [w, height] = [Math.round(camera.width * dpr), Math.round(camera.height * dpr)];
    if (this.canvas.width !== w || this.canvas.height !== height)
      Object.assign(this.canvas, { width: w, height });
    const views = this.views();
    this.drawCloud(views, dpr);
    this.context.setTransform(dpr, 0, 0, dpr, 0, 0);
    for (const view of views) this.drawView(view);
    if (this.sketch) this.drawSketch();
  }

  /** Plain pixels: a hundred thousand points cost a few milliseconds, without a second graphics context. */
  drawCloud(views, dpr) {
    const { width, height } = this.canvas;
    const { ink, background } = this.scatter.colors;
    const { layout, info, points, solo } = this.store.data;
    const image = this.context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const word = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;
    const dot = word(background.map((value, i) => Math.round(value + 0.3 * (ink[i] - value))));
    pixels.fill(word(background));
    const size = Math.max(1, Math.round((info.n > 20000 ? 1 : 2) * dpr));
    for (const view of views) {
      const [from, to] = [view.left * dpr, (view.left + view.w) * dpr - size];
      for (let i = 0; i < info.n; i += 1) {
        if (solo !== null && points.label[i] !== solo) continue;
        const x = Math.round((view.left + view.w / 2 + (layout.xy[2 * i] - view.cx) * view.k) * dpr);
        const y = Math.round((view.h / 2 - (layout.xy[2 * i + 1] - view.cy) * view.k) * dpr);
        if (x < from || x > to || y < 0 || y >= height - size) continue;
        for (let row = 0; row < size; row += 1)
          pixels.fill(dot, (y + row) * width + x, (y + row) * width + x + size);
      }
    }
    this.context.putImageData(image, 0, 0);
  }

  drawView(view) {
    const { context } = this;
    const { compare, focus, hover, selection } = this.store.data;
    context.save();
    context.beginPath();
    context.rect(view.left, 0, view.w, view.h);
    context.clip();
    for (const key of ['both', 'a', 'b']) {
      if (view.side === null || key === 'both' || key === view.side)
        this.drawShapes(view, key, compare.lists[key]);
    }
    if (selection.count && selection.count < MAX_RINGS) this.drawRings(view, selection.list, 'accent', 9, 2);
    if (hover !== null) this.drawRings(view, [hover], 'ink', 10, 1.5);
    if (focus !== null) this.drawRings(view, [focus], 'accent', 12, 3);
    context.restore();
    if (view.left > 0) {
      context.fillStyle = toCss(this.scatter.colors.ink);
      context.fillRect(view.left - 0.5, 0, 1, view.h);
    }
  }

  place(view, i) {
    const { xy } = this.store.data.layout;
    return [
      view.left + view.w / 2 + (xy[2 * i] - view.cx) * view.k,
      view.h / 2 - (xy[2 * i + 1] - view.cy) * view.k,
    ];
  }

  isHidden(i) {
    const { solo, points } = this.store.data;
    return solo !== null && points.label[i] !== solo;
  }

  drawShapes(view, key, list) {
    const { context } = this;
    const { ink, background } = this.scatter.colors;
    const r = list.length > 4000 ? 3 : 4.6;
    context.beginPath();
    for (const i of list)
      if (!this.isHidden(i)) addShape(context, SIDES[key].shape, ...this.place(view, i), r);
    context.lineWidth = 2.4;
    context.strokeStyle = toCss(background);
    context.stroke();
    const onDark = background[0] < ink[0];
    context.fillStyle = toCss(parseHex(SIDES[key][onDark ? 'dark' : 'light']));
    context.fill();
  }

  drawRings(view, list, color, r, width) {
    const { context } = this;
    context.beginPath();
    for (const i of list) {
      const [x, y] = this.place(view, i);
      context.moveTo(x + r, y);
      context.arc(x, y, r, 0, 2 * Math.PI);
    }
    context.lineWidth = width;
    context.strokeStyle = toCss(this.scatter.colors[color]);
    context.stroke();
  }

  drawSketch() {
    const { context, sketch } = this;
    context.beginPath();
    if (sketch.kind === 'box')
      context.rect(sketch.x0, sketch.y0, sketch.x1 - sketch.x0, sketch.y1 - sketch.y0);
    else for (let k = 0; k < sketch.path.length; k += 2) context.lineTo(sketch.path[k], sketch.path[k + 1]);
    if (sketch.kind === 'lasso') context.closePath();
    context.setLineDash([5, 3]);
    context.lineWidth = 1.5;
    context.strokeStyle = toCss(this.scatter.colors.accent);
    context.stroke();
    context.setLineDash([]);
  }

  // --- mouse ------------------------------------------------------------------------------------------------------
  gestures() {
    const { store, scatter } = this;
    return {
      tool: () => store.data.tool,
      pan: (dx, dy) => {
        const ratio = scatter.camera.k / this.views()[0].k;
        scatter.camera.pan(dx * ratio, dy * ratio);
        scatter.invalidate();
      },
      zoom: (x, y, factor) => this.zoom(x, y, factor),
      busy: (on) => this.canvas.classList.toggle('is-dragging', on),
      sketch: (shape) => {
        this.sketch = shape;
        this.key = '';
      },
      region: (shape, event) => scatter.selectShape(this.toMap(shape), modeOf(event)),
      hover: (at) => this.hover(at),
      click: (at, event) => {
        const position = this.pointAt(at);
        if (position >= 0) this.actions.pointed(position, modeOf(event));
      },
    };
  }

  /** Zoom about the place of the map under the pointer, in the view it is in. */
  zoom(x, y, factor) {
    const { camera } = this.scatter;
    const [before] = this.mapOf(x, y);
    camera.zoomAt(camera.width / 2, camera.height / 2, factor);
    const [after] = this.mapOf(x, y);
    camera.cx += before[0] - after[0];
    camera.cy += before[1] - after[1];
    this.scatter.invalidate();
  }

  mapOf(x, y, view = this.viewAt(x)) {
    return [[view.cx + (x - view.left - view.w / 2) / view.k, view.cy - (y - view.h / 2) / view.k], view];
  }

  toMap(shape) {
    const view = this.viewAt(shape.kind === 'box' ? shape.x0 : shape.path[0]);
    const at = (x, y) => this.mapOf(x, y, view)[0];
    if (shape.kind === 'lasso') {
      const polygon = [];
      for (let k = 0; k < shape.path.length; k += 2) polygon.push(...at(shape.path[k], shape.path[k + 1]));
      return { kind: 'lasso', polygon };
    }
    const [[x0, y1], [x1, y0]] = [at(shape.x0, shape.y0), at(shape.x1, shape.y1)];
    return { kind: 'box', x0, x1, y0, y1 };
  }

  /** Picks of the view's sides can be pointed at, not the pale cloud. */
  pointAt([sx, sy]) {
    const { compare, layout } = this.store.data;
    const [[x, y], view] = this.mapOf(sx, sy);
    const seen = (i) => {
      const side = sideOf(compare, i);
      return !this.isHidden(i) && (view.side === null || side === 'both' || side === view.side);
    };
    return nearest(layout.xy, this.order.filter(seen), () => false, x, y, HIT_PX / view.k);
  }

  hover(at) {
    const position = at ? this.pointAt(at) : -1;
    const { card, camera } = this.scatter;
    this.store.set({ hover: position < 0 ? null : position });
    this.canvas.classList.toggle('is-over', position >= 0);
    if (position < 0) card.hide();
    else card.show(position, at, camera);
  }
}
