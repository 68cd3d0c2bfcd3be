// The names of the classes on the map: each above the middle of its class, as many as stand apart.

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
const LIFT = 30; // px from the middle of a wide class; the name of a small one stands above its points
const CLEAR = 8; // px from the highest point of a class to its name
const FONT = '600 12px system-ui, sans-serif';

/** @param {Float32Array} values sorted here */
const median = (values) => values.sort()[values.length >> 1];

/**
 * By class the candidate nearest to the median, and the highest of the half that lies nearest to that one; null for a
 * class without any. A class in two clusters has its name at one of them, not between.
 * @param {Float32Array} xy
 * @param {ArrayLike<number>} starts first position of each class, and the end
 */
export function anchors(xy, starts) {
  return Array.from({ length: starts.length - 1 }, (_, c) => {
    const [from, to] = [starts[c], starts[c + 1]];
    if (from === to) return null;
    const own = (/** @type {0 | 1} */ axis) =>
      Float32Array.from({ length: to - from }, (_, k) => xy[2 * (from + k) + axis]);
    const middle = from + nearest(distances(xy, from, to, median(own(0)), median(own(1))));
    const away = distances(xy, from, to, xy[2 * middle], xy[2 * middle + 1]);
    const half = median(away.slice());
    let top = middle;
    for (let i = from; i < to; i += 1) {
      if (away[i - from] <= half && xy[2 * i + 1] > xy[2 * top + 1]) top = i;
    }
    return { middle, top };
  });
}

/** Squared, of positions from..to. @param {Float32Array} xy @param {number} from @param {number} to @param {number} x @param {number} y */
const distances = (xy, from, to, x, y) =>
  Float32Array.from(
    { length: to - from },
    (_, k) => (xy[2 * (from + k)] - x) ** 2 + (xy[2 * (from + k) + 1] - y) ** 2,
  );

/** @param {Float32Array} values */
const nearest = (values) => values.reduce((best, value, k) => (value < values[best] ? k : best), 0);

/**
 * Above the points of a small class, and not far from the middle of a wide one.
 * @param {Point} middle
 * @param {Point} top
 * @returns {Point} of the middle of its name
 */
export function above([x, y], [, top]) {
  return [x, Math.max(top, y - LIFT) - HEIGHT / 2 - CLEAR];
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
  let named = new Float32Array(); // the map of `found`
  /** @type {ReturnType<typeof anchors>} */
  let found = [];

  /**
   * @param {Named} of
   * @param {(position: number) => Point} place of a candidate in the room
   * @param {{ width: number, height: number }} room in pixels, from the origin of the context
   * @param {{ ink: Rgb, background: Rgb }} colors
   */
  return ({ layout, info, sprites, solo }, place, room, { ink, background }) => {
    if (named !== layout.xy) [named, found] = [layout.xy, anchors(layout.xy, sprites.starts)];
    context.font = FONT;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    const shown = found
      .flatMap((anchor, c) => (anchor && (solo === null || c === solo) ? { ...anchor, c } : []))
      .sort((a, b) => info.counts[b.c] - info.counts[a.c])
      .map(({ middle, top, c }) => ({
        text: info.class_names[c],
        at: above(place(middle), place(top)),
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
