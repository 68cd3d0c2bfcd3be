// Which points lie under the mouse, in a box, in a lasso. All over map coordinates in plain arrays, so that a
// test can repeat them elsewhere.

/** @import { Box } from '../core/types' */

/**
 * Nearest drawn point within `radius`, -1 for none; strong points win over dim ones at up to 1.4 times the distance.
 * @param {Float32Array} xy
 * @param {ArrayLike<number>} order of drawing; of equally near ones the topmost is taken
 * @param {(position: number) => boolean} isStrong
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 */
export function nearest(xy, order, isStrong, x, y, radius) {
  let best = -1;
  let bestScore = radius * radius;
  for (let k = 0; k < order.length; k += 1) {
    const i = order[k];
    const dx = xy[2 * i] - x;
    const dy = xy[2 * i + 1] - y;
    const d2 = dx * dx + dy * dy;
    if (d2 > radius * radius) continue;
    const score = isStrong(i) ? d2 / 2 : d2;
    if (score <= bestScore) {
      bestScore = score;
      best = i;
    }
  }
  return best;
}

/** @param {Float32Array} xy @param {ArrayLike<number>} order @param {Box} box edges included */
export function inBox(xy, order, { x0, x1, y0, y1 }) {
  /** @type {number[]} */
  const hits = [];
  for (let k = 0; k < order.length; k += 1) {
    const i = order[k];
    const x = xy[2 * i];
    const y = xy[2 * i + 1];
    if (x >= x0 && x <= x1 && y >= y0 && y <= y1) hits.push(i);
  }
  return hits;
}

/**
 * Even-odd rule.
 * @param {Float32Array} xy
 * @param {ArrayLike<number>} order
 * @param {number[]} polygon a flat list x0, y0, x1, y1, ...
 */
export function inPolygon(xy, order, polygon) {
  const px = polygon.filter((_, k) => k % 2 === 0);
  const py = polygon.filter((_, k) => k % 2 === 1);
  const box = { x0: Math.min(...px), x1: Math.max(...px), y0: Math.min(...py), y1: Math.max(...py) };
  return inBox(xy, order, box).filter((i) => contains(px, py, xy[2 * i], xy[2 * i + 1]));
}

/** @param {number[]} px @param {number[]} py @param {number} x @param {number} y */
function contains(px, py, x, y) {
  let inside = false;
  for (let a = 0, b = px.length - 1; a < px.length; b = a, a += 1) {
    if (py[a] > y !== py[b] > y && x < ((px[b] - px[a]) * (y - py[a])) / (py[b] - py[a]) + px[a])
      inside = !inside;
  }
  return inside;
}
