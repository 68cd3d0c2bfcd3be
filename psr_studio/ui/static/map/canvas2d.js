// The same points on a plain 2D canvas, for browsers without WebGL2. Same interface as gl.js.

import { PINNED, STRONG, VETOED, statusOf } from './flags.js';
import { toCss } from './color.js';
import { clamp } from '../core/dom.js';

export class CanvasRenderer {
  constructor(canvas) {
    this.kind = 'canvas2d';
    this.canvas = canvas;
    this.context = canvas.getContext('2d', { alpha: false });
    this.floats = {};
  }

  setFloats(name, data) {
    this.floats[name] = data;
  }

  setSizes(sizes) {
    this.sizes = sizes;
  }

  setLabels(labels) {
    this.labels = labels;
  }

  setFlags(flags, order) {
    Object.assign(this, { flags, order });
  }

  setRamp(bytes) {
    this.ramp = Array.from({ length: bytes.length / 4 }, (_, i) =>
      toCss(Array.from(bytes.slice(4 * i, 4 * i + 3))),
    );
  }

  setClasses(colors) {
    this.classes = colors.map(toCss);
  }

  colorOf(i, view, status) {
    if (view.mode === 'class') return this.classes[this.labels[i]];
    if (view.mode === 'picked') return status[statusOf(this.flags[i])];
    const { alpha, beta, gamma } = view.weights;
    const { rel, ent, div, value } = this.floats;
    const score = view.mode === 'total' ? alpha * rel[i] - beta * ent[i] + gamma * div[i] : value[i];
    const t = clamp((score - view.domain[0]) / Math.max(view.domain[1] - view.domain[0], 1e-9), 0, 1);
    return this.ramp[Math.round(t * (this.ramp.length - 1))];
  }

  draw(view) {
    const { context, canvas, flags, order } = this;
    context.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
    context.globalAlpha = 1;
    context.fillStyle = toCss(view.background);
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!order) return;
    const status = view.status.map(toCss);
    const { from, to } = this.floats;
    const mix = (j) => from[j] + (to[j] - from[j]) * view.morph;
    for (let k = 0; k < order.length; k += 1) {
      const i = order[k];
      const [x, y] = view.camera.toScreen(mix(2 * i), mix(2 * i + 1));
      if (x < -20 || y < -20 || x > view.camera.width + 20 || y > view.camera.height + 20) continue;
      const share = this.sizes ? 0.55 + 1.35 * this.sizes[i] : 1;
      this.point(x, y, flags[i], this.colorOf(i, view, status), { ...view, size: view.size * share });
    }
  }

  point(x, y, flag, color, view) {
    const context = this.context;
    const strong = (flag & STRONG) !== 0;
    const radius = (view.size * (strong ? 1.35 : 1)) / 2;
    context.globalAlpha = strong ? 1 : view.dim;
    context.fillStyle = color;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    if (strong) this.outline(view.ink, 0.6);
    context.globalAlpha = 1;
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

  outline(rgb, width) {
    this.context.strokeStyle = toCss(rgb);
    this.context.lineWidth = width;
    this.context.stroke();
  }

  finished() {
    return Promise.resolve();
  }
}
