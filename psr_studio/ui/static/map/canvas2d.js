// The same points on a plain 2D canvas, for browsers without WebGL2.

import { clamp } from '../core/numbers.js';
import { toCss } from './color.js';
import { PINNED, RINGED, STRONG, statusOf, VETOED } from './flags.js';

/** @import { Bytes, Floats, Lines, MapView, Renderer, Rgb, Shorts, Words } from '../core/types' */

/** @implements {Renderer} */
export class CanvasRenderer {
  kind = 'canvas2d';
  /** @type {Record<string, Floats>} */
  floats = {};
  /** @type {Floats | null} */
  sizes = null;
  labels = new Uint16Array();
  flags = new Uint8Array();
  order = new Uint32Array();
  /** @type {string[]} */
  ramp = [];
  /** @type {string[]} */
  classes = [];
  /** @type {Lines | null} */
  lines = null;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { alpha: false }));
  }

  /** @param {string} name @param {Floats} data */
  setFloats(name, data) {
    this.floats[name] = data;
  }

  /** @param {Floats | null} sizes */
  setSizes(sizes) {
    this.sizes = sizes;
  }

  /** @param {Shorts} labels */
  setLabels(labels) {
    this.labels = labels;
  }

  /** @param {Bytes} flags @param {Words} order */
  setFlags(flags, order) {
    this.flags = flags;
    this.order = order;
  }

  /** @param {Bytes} bytes */
  setRamp(bytes) {
    this.ramp = Array.from({ length: bytes.length / 4 }, (_, i) =>
      toCss(Array.from(bytes.slice(4 * i, 4 * i + 3))),
    );
  }

  /** @param {Rgb[]} colors */
  setClasses(colors) {
    this.classes = colors.map(toCss);
  }

  /** @param {Lines | null} lines */
  setLines(lines) {
    this.lines = lines;
  }

  /** @param {MapView} view */
  drawLines({ camera, ink }) {
    const { context } = this;
    const { ends, classes } = /** @type {Lines} */ (this.lines);
    context.lineWidth = 1.4;
    for (let i = 0; i < classes.length; i += 1) {
      if (i === 0 || classes[i] !== classes[i - 1]) {
        if (i > 0) context.stroke();
        context.beginPath();
        context.strokeStyle = classes[i] < 0 ? toCss(ink) : this.classes[classes[i]];
        context.globalAlpha = classes[i] < 0 ? 0.45 : 0.9;
      }
      context.moveTo(...camera.toScreen(ends[4 * i], ends[4 * i + 1]));
      context.lineTo(...camera.toScreen(ends[4 * i + 2], ends[4 * i + 3]));
    }
    if (classes.length) context.stroke();
    context.globalAlpha = 1;
  }

  /** @param {number} i @param {MapView} view @param {string[]} status */
  colorOf(i, view, status) {
    if (view.mode === 'class') return this.classes[this.labels[i]];
    if (view.mode === 'picked') return status[statusOf(this.flags[i])];
    const { alpha, beta, gamma } = view.weights;
    const { rel, ent, div, value } = this.floats;
    const score = view.mode === 'total' ? alpha * rel[i] - beta * ent[i] + gamma * div[i] : value[i];
    const t = clamp((score - view.domain[0]) / Math.max(view.domain[1] - view.domain[0], 1e-9), 0, 1);
    return this.ramp[Math.round(t * (this.ramp.length - 1))];
  }

  /** @param {MapView} view */
  draw(view) {
    const { context, canvas, flags, order } = this;
    context.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
    context.globalAlpha = 1;
    context.fillStyle = toCss(view.background);
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (this.lines && view.morph >= 1) this.drawLines(view);
    const status = view.status.map(toCss);
    const { from, to } = this.floats;
    const mix = (/** @type {number} */ j) => from[j] + (to[j] - from[j]) * view.morph;
    for (let k = 0; k < order.length; k += 1) {
      const i = order[k];
      const [x, y] = view.camera.toScreen(mix(2 * i), mix(2 * i + 1));
      if (x < -20 || y < -20 || x > view.camera.width + 20 || y > view.camera.height + 20) continue;
      const share = this.sizes ? 0.55 + 1.35 * this.sizes[i] : 1;
      this.point(x, y, flags[i], this.colorOf(i, view, status), { ...view, size: view.size * share });
    }
  }

  /** @param {number} x @param {number} y @param {number} flag @param {string} color @param {MapView} view */
  point(x, y, flag, color, view) {
    const { context } = this;
    const strong = (flag & STRONG) !== 0;
    const radius = (view.size * (strong ? 1.35 : 1)) / 2;
    context.globalAlpha = strong ? 1 : view.dim;
    context.fillStyle = color;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    if (strong) this.outline(view.ink, 0.6);
    context.globalAlpha = 1;
    if (flag & RINGED) {
      context.beginPath();
      context.arc(x, y, radius + 1.2, 0, 2 * Math.PI);
      this.outline(view.ink, 1.4);
    }
    if (flag & PINNED) {
      context.beginPath();
      context.arc(x, y, Math.max(radius * 2, radius + 4) - 1.5, 0, 2 * Math.PI);
      this.outline(view.pin, 2);
    }
    if (flag & VETOED) {
      const d = Math.max(radius * 1.3, radius + 2);
      context.beginPath();
      context.moveTo(x - d, y - d);
      context.lineTo(x + d, y + d);
      context.moveTo(x + d, y - d);
      context.lineTo(x - d, y + d);
      this.outline(view.veto, 2);
    }
  }

  /** @param {Rgb} rgb @param {number} width */
  outline(rgb, width) {
    this.context.strokeStyle = toCss(rgb);
    this.context.lineWidth = width;
    this.context.stroke();
  }

  finished() {
    return Promise.resolve();
  }
}
