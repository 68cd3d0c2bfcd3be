// Where the points of a map lie densely: lines around given shares of them, from a smoothed count on a raster.

/** @import { Box, ContourKind, Floats, Lines, Ready } from '../core/types' */
/** @typedef {{ values: Float32Array, width: number, height: number, x0: number, y0: number, cell: number }} Raster */

/** Shares of the points that the lines go around. @type {Record<'all' | 'class', number[]>} */
export const SHARES = { all: [0.1, 0.3, 0.5, 0.7, 0.9], class: [0.5, 0.9] };
export const MOST_CLASSES = 40; // that have lines of their own, the largest; more could not be told apart
const FEWEST = 8; // points that have lines
const CELLS = 100; // along the longer side of the map
const SIGMA = 2; // of the Gaussian, in cells: 2 % of the map
const KERNEL = Array.from({ length: 6 * SIGMA + 1 }, (_, k) => Math.exp(-0.5 * (k / SIGMA - 3) ** 2));
const PAD = 3 * SIGMA + 2; // cells without a count around the points, so that every line closes

/**
 * The lines of a map: around all of its points, or around each class.
 * @param {Pick<Ready, 'layout' | 'sprites' | 'solo'>} data
 * @param {Box} box around all points
 * @param {ContourKind} kind
 * @returns {Lines | null} null for none
 */
export function mapLines({ layout: { xy }, sprites: { starts }, solo }, box, kind) {
  if (kind === 'none') return null;
  const side = Math.max(box.x1 - box.x0, box.y1 - box.y0);
  const groups = kind === 'all' && solo === null ? [ALL] : largest(starts, solo);
  const found = groups.map((c) => {
    const own = c === ALL ? xy : xy.subarray(2 * starts[c], 2 * starts[c + 1]);
    return { c, ends: contours(own, side, SHARES[c === ALL ? 'all' : 'class']) };
  });
  const n = found.reduce((sum, { ends }) => sum + ends.length, 0);
  const [ends, classes] = [new Float32Array(n), new Float32Array(n / 4)];
  let at = 0;
  for (const group of found) {
    ends.set(group.ends, at);
    classes.fill(group.c, at / 4, (at + group.ends.length) / 4);
    at += group.ends.length;
  }
  return { ends, classes };
}

/** The choices, in the order in which a key goes through them. @type {{ kind: ContourKind, label: string, hint: string }[]} */
export const CONTOURS = [
  { kind: 'none', label: 'none', hint: 'No lines' },
  { kind: 'all', label: 'all', hint: 'Lines around the densest 10, 30, 50, 70 and 90 % of all candidates' },
  {
    kind: 'class',
    label: 'by class',
    hint: `Lines around the densest 50 and 90 % of each class, of the ${MOST_CLASSES} largest`,
  },
];

/** @param {ContourKind} kind */
export const nextContours = (kind) =>
  CONTOURS[(CONTOURS.findIndex((row) => row.kind === kind) + 1) % CONTOURS.length].kind;

const ALL = -1;

/** @param {ArrayLike<number>} starts first position of each class, and the end @param {number | null} solo */
function largest(starts, solo) {
  if (solo !== null) return [solo];
  const sizes = Array.from({ length: starts.length - 1 }, (_, c) => ({ c, n: starts[c + 1] - starts[c] }));
  return sizes
    .sort((a, b) => b.n - a.n)
    .slice(0, MOST_CLASSES)
    .map(({ c }) => c);
}

/**
 * Lines around shares of some points, where these lie the densest.
 * @param {Floats} xy two values per point
 * @param {number} side of the map, in the same unit
 * @param {number[]} shares
 * @returns {Floats} x and y of both ends of each piece
 */
export function contours(xy, side, shares) {
  if (xy.length < 2 * FEWEST || side <= 0) return new Float32Array();
  const raster = density(xy, side / CELLS);
  const at = pointDensities(raster, xy).sort().reverse();
  const levels = new Set(shares.map((share) => at[Math.ceil(share * at.length) - 1]));
  return Float32Array.from([...levels].flatMap((level) => pieces(raster, level)));
}

/** Smoothed counts at the nodes of a raster around the points. @param {Floats} xy @param {number} cell @returns {Raster} */
export function density(xy, cell) {
  const [[x0, x1], [y0, y1]] = [0, 1].map((axis) => range(xy, axis));
  const width = Math.round((x1 - x0) / cell) + 2 * PAD + 1;
  const height = Math.round((y1 - y0) / cell) + 2 * PAD + 1;
  const raster = { values: new Float32Array(width * height), width, height, x0, y0, cell };
  for (let i = 0; i < xy.length; i += 2) raster.values[nodeOf(raster, xy[i], xy[i + 1])] += 1;
  raster.values = blurred(blurred(raster.values, width, height), height, width);
  return raster;
}

/** @param {Floats} xy @param {number} axis */
function range(xy, axis) {
  let [low, high] = [Infinity, -Infinity];
  for (let i = axis; i < xy.length; i += 2) [low, high] = [Math.min(low, xy[i]), Math.max(high, xy[i])];
  return [low, high];
}

/** @param {Raster} raster @param {number} x @param {number} y */
const nodeOf = ({ width, x0, y0, cell }, x, y) =>
  (Math.round((y - y0) / cell) + PAD) * width + Math.round((x - x0) / cell) + PAD;

/** The density where each point lies. @param {Raster} raster @param {Floats} xy */
export const pointDensities = (raster, xy) =>
  Float32Array.from(
    { length: xy.length / 2 },
    (_, i) => raster.values[nodeOf(raster, xy[2 * i], xy[2 * i + 1])],
  );

/**
 * Rows smoothed, and turned into columns.
 * @param {Float32Array} values
 * @param {number} width
 * @param {number} height
 */
function blurred(values, width, height) {
  const out = new Float32Array(values.length);
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const value = values[y * width + x];
      if (!value) continue;
      for (let k = 0; k < KERNEL.length; k += 1) {
        const to = x + k - 3 * SIGMA;
        if (to >= 0 && to < width) out[to * height + y] += value * KERNEL[k];
      }
    }
  return out;
}

/**
 * The pieces of the line at a level, by marching squares; x and y of both ends of each.
 * @param {Raster} raster
 * @param {number} level
 */
function pieces({ values, width, height, x0, y0, cell }, level) {
  /** @type {number[]} */
  const found = [];
  const place = (/** @type {number} */ x, /** @type {number} */ y) => [
    x0 + (x - PAD) * cell,
    y0 + (y - PAD) * cell,
  ];
  const value = (/** @type {number} */ x, /** @type {number} */ y) => values[y * width + x];
  const share = (/** @type {number} */ from, /** @type {number} */ to) => (level - from) / (to - from);
  // Where the line crosses an edge; both squares at an edge find the same place.
  const across = (/** @type {number} */ x, /** @type {number} */ y) =>
    place(x + share(value(x, y), value(x + 1, y)), y);
  const down = (/** @type {number} */ x, /** @type {number} */ y) =>
    place(x, y + share(value(x, y), value(x, y + 1)));
  for (let y = 0; y + 1 < height; y += 1)
    for (let x = 0; x + 1 < width; x += 1) {
      const corners = [value(x, y), value(x + 1, y), value(x + 1, y + 1), value(x, y + 1)];
      const inside = corners.map((v) => v >= level);
      if (inside.every((one) => one === inside[0])) continue;
      const sides = [across(x, y), down(x + 1, y), across(x, y + 1), down(x, y)];
      const crossed = sides.filter((_, k) => inside[k] !== inside[(k + 1) % 4]);
      // Two lines through one square: its middle says which corners they part from the others.
      const middle = corners.reduce((sum, v) => sum + v, 0) / 4 >= level;
      if (crossed.length === 4 && middle !== inside[0])
        crossed.unshift(/** @type {number[]} */ (crossed.pop()));
      for (const [px, py] of crossed) found.push(px, py);
    }
  return found;
}
