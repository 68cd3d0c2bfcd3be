// The map's view: which map coordinates stand where on the screen. Equal scale on both axes, y upwards.

import { prefersStill } from '../core/dom.js';
import { clamp } from '../core/numbers.js';

/** @import { Box, MapShape, Point, ScreenShape } from '../core/types' */
/**
 * @typedef {{ cx: number, cy: number, k: number }} View centre in map coordinates, CSS pixels per map unit
 */

const MOVE_MS = 260;
const LEGEND_PX = 206;
const LEAST_SHARE = 0.6; // of the scale that fills the pane: the most that is given up for the legend

export class Camera {
  constructor() {
    this.cx = 0;
    this.cy = 0;
    this.k = 200;
    this.width = 0;
    this.height = 0;
    /** @type {View} */
    this.home = { cx: 0, cy: 0, k: 200 };
    /** Whether the legend stands open at the right. */
    this.besideLegend = true;
    /** @type {{ from: View, to: View, start: number } | null} */
    this.move = null;
  }

  get isHome() {
    return Math.abs(this.zoom - 1) < 1e-3 && Math.abs(this.cx - this.home.cx) < 1e-6;
  }

  get zoom() {
    return this.k / this.home.k;
  }

  /** View that shows `bounds` whole; `inset` keeps points clear of the tool rows. @param {Box} bounds */
  viewOf({ x0, x1, y0, y1 }, inset = 26) {
    const roomX = Math.max(40, this.width - 2 * inset);
    const roomY = Math.max(40, this.height - 2 * inset);
    const k = Math.min(roomX / Math.max(x1 - x0, 1e-3), roomY / Math.max(y1 - y0, 1e-3));
    return { cx: (x0 + x1) / 2, cy: (y0 + y1) / 2, k };
  }

  /**
   * The whole map, a little smaller and moved aside where the legend would cover points.
   * @param {Box} bounds
   */
  setHome(bounds) {
    const full = this.viewOf(bounds);
    const wide = Math.max(bounds.x1 - bounds.x0, 1e-3);
    const legend = this.besideLegend ? LEGEND_PX : 0;
    const clear = (this.width - 52 - legend) / wide;
    const k = Math.min(full.k, Math.max(clear, LEAST_SHARE * full.k));
    const spare = this.width - 52 - k * wide;
    this.home = { ...full, k, cx: full.cx + clamp(spare / 2, 0, legend / 2) / k };
  }

  /** @param {View} view */
  set({ cx, cy, k }) {
    this.cx = cx;
    this.cy = cy;
    this.k = clamp(k, this.home.k * 0.3, this.home.k * 300);
  }

  /**
   * Keep the same centre and the same share of the home view when the pane changes its size; on the way home it is home.
   * @param {number} width
   * @param {number} height
   * @param {Box} bounds
   */
  resize(width, height, bounds) {
    const zoom = this.zoom;
    const wasEmpty = !this.width;
    const wasHome = this.move ? this.move.to === this.home : this.isHome; // a glide elsewhere goes on
    this.width = width;
    this.height = height;
    this.setHome(bounds);
    if (wasEmpty || wasHome) {
      this.move = null;
      this.set(this.home);
    } else this.k = this.home.k * zoom;
  }

  /** @param {number} x @param {number} y @returns {Point} */
  toScreen(x, y) {
    return [this.width / 2 + (x - this.cx) * this.k, this.height / 2 - (y - this.cy) * this.k];
  }

  /** @param {number} sx @param {number} sy @returns {Point} */
  toMap(sx, sy) {
    return [this.cx + (sx - this.width / 2) / this.k, this.cy - (sy - this.height / 2) / this.k];
  }

  /** A box or lasso of the screen in map coordinates. @param {ScreenShape} shape */
  shapeToMap(shape) {
    return shapeToMap(shape, (x, y) => this.toMap(x, y));
  }

  /** @param {number} dx @param {number} dy in pixels */
  pan(dx, dy) {
    this.move = null;
    this.cx -= dx / this.k;
    this.cy += dy / this.k;
  }

  /**
   * Zoom so that the map point under (sx, sy) stays there.
   * @param {number} sx
   * @param {number} sy
   * @param {number} factor
   */
  zoomAt(sx, sy, factor) {
    this.move = null;
    const [x, y] = this.toMap(sx, sy);
    this.set({ cx: this.cx, cy: this.cy, k: this.k * factor });
    this.cx = x - (sx - this.width / 2) / this.k;
    this.cy = y + (sy - this.height / 2) / this.k;
  }

  /** Glide to a view; `step(now)` must then be called on every frame. @param {View} view */
  goTo(view) {
    if (prefersStill()) this.set(view);
    else this.move = { from: { cx: this.cx, cy: this.cy, k: this.k }, to: view, start: performance.now() };
  }

  /** @param {number} now @returns {boolean} whether it still moved */
  step(now) {
    if (!this.move) return false;
    const { from, to, start } = this.move;
    const t = clamp((now - start) / MOVE_MS, 0, 1);
    const s = 1 - (1 - t) ** 3;
    // The scale moves in its logarithm, or a deep zoom would seem to jump at its start.
    const k = Math.exp(Math.log(from.k) + (Math.log(to.k) - Math.log(from.k)) * s);
    this.set({ cx: from.cx + (to.cx - from.cx) * s, cy: from.cy + (to.cy - from.cy) * s, k });
    if (t >= 1) this.move = null;
    return true;
  }
}

/**
 * A box or lasso of the screen in map coordinates. The vertical axis turns round on the way.
 * @param {ScreenShape} shape
 * @param {(x: number, y: number) => Point} toMap
 * @returns {MapShape}
 */
export function shapeToMap(shape, toMap) {
  if (shape.kind === 'box') {
    const [x0, y1] = toMap(shape.x0, shape.y0);
    const [x1, y0] = toMap(shape.x1, shape.y1);
    return { kind: 'box', x0, x1, y0, y1 };
  }
  /** @type {number[]} */
  const polygon = [];
  for (let k = 0; k < shape.path.length; k += 2) polygon.push(...toMap(shape.path[k], shape.path[k + 1]));
  return { kind: 'lasso', polygon };
}
