// The names of the classes on the map: each at the candidate in the middle of its class, as many as stand apart.

import { toCss } from './color.js';

/** @import { Floats, Point, Rgb } from '../core/types' */
/**
 * @typedef {object} Named
 * @property {{ xy: Floats }} layout
 * @property {{ class_names: string[], counts: number[] }} info
 * @property {{ starts: ArrayLike<number> }} sprites
 * @property {number | null} solo
 */
/** @typedef {{ text: string, at: Point, width: number }} Name in pixels; `at` is the middle */

const HEIGHT = 16;
const GAP = 3;
const MOST = 80;
const FONT = '600 12px system-ui, sans-serif';

/** @param {Float32Array} values sorted here */
const median = (values) => values.sort()[values.length >> 1];

/**
 * The candidate nearest to the median of each class, -1 for a class without any: a class in two clusters has its name
 * in one of them, not between.
 * @param {Float32Array} xy
 * @param {ArrayLike<number>} starts first position of each class, and the end
 */
export function anchors(xy, starts) {
  return Array.from({ length: starts.length - 1 }, (_, c) => {
    const [from, to] = [starts[c], starts[c + 1]];
    if (from === to) return -1;
    const own = (/** @type {0 | 1} */ axis) =>
      Float32Array.from({ length: to - from }, (_, k) => xy[2 * (from + k) + axis]);
    const [x, y] = [median(own(0)), median(own(1))];
    let best = from;
    let nearest = Infinity;
    for (let i = from; i < to; i += 1) {
      const d2 = (xy[2 * i] - x) ** 2 + (xy[2 * i + 1] - y) ** 2;
      if (d2 < nearest) [best, nearest] = [i, d2];
    }
    return best;
  });
}

/**
 * Those that neither leave the map nor touch one named before them.
 * @param {Name[]} names the important ones first
 * @param {{ width: number, height: number }} room
 */
export function thinned(names, { width, height }) {
  /** @type {Name[]} */
  const kept = [];
  for (const name of names) {
    if (kept.length === MOST) break;
    const [x, y] = name.at;
    const half = name.width / 2;
    if (x < half || x > width - half || y < HEIGHT / 2 || y > height - HEIGHT / 2) continue;
    const touches = (/** @type {Name} */ other) =>
      Math.abs(other.at[0] - x) < (other.width + name.width) / 2 + GAP &&
      Math.abs(other.at[1] - y) < HEIGHT + GAP;
    if (!kept.some(touches)) kept.push(name);
  }
  return kept;
}

/** Draws the names on a context, the larger classes first. @param {CanvasRenderingContext2D} context */
export function namesOn(context) {
  let named = new Float32Array(); // the map that `middles` are of
  /** @type {number[]} */
  let middles = [];

  /**
   * @param {Named} of
   * @param {(position: number) => Point} place of a candidate in the room
   * @param {{ width: number, height: number }} room in pixels, from the origin of the context
   * @param {{ ink: Rgb, background: Rgb }} colors
   */
  return ({ layout, info, sprites, solo }, place, room, { ink, background }) => {
    if (named !== layout.xy) [named, middles] = [layout.xy, anchors(layout.xy, sprites.starts)];
    context.font = FONT;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    const shown = middles
      .map((position, c) => ({ position, c }))
      .filter(({ position, c }) => position >= 0 && (solo === null || c === solo))
      .sort((a, b) => info.counts[b.c] - info.counts[a.c])
      .map(({ position, c }) => ({
        text: info.class_names[c],
        at: place(position),
        width: context.measureText(info.class_names[c]).width,
      }));
    context.lineJoin = 'round';
    context.lineWidth = 4;
    context.strokeStyle = toCss(background);
    context.fillStyle = toCss(ink);
    for (const { text, at } of thinned(shown, room)) {
      context.globalAlpha = 0.85;
      context.strokeText(text, ...at);
      context.globalAlpha = 1;
      context.fillText(text, ...at);
    }
  };
}
