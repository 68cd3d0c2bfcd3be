// The names of the classes on the map: each at the candidate in the middle of its class, as many as stand apart.

/** @import { Point } from '../core/types' */
/** @typedef {{ text: string, at: Point, width: number }} Name in pixels; `at` is the middle */

const HEIGHT = 16;
const GAP = 3;
const MOST = 80;

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
