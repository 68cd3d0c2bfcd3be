// How the picks of two selections are marked on the compare map. What only one has stands above what both have and is
// larger; the square of B is so small that the tips of a triangle of A below it are seen.

import { SIDES } from '../core/compare.js';

/** @import { SideKey } from '../core/types' */
/** @typedef {{ key: SideKey, shape: string, r: number, opacity: number }} Mark `r` as `addShape` takes it, in pixels */

const MANY = 4000;
const SMALLER = 0.65;
/** From the lowest to the topmost. @type {Omit<Mark, 'shape'>[]} */
const LAYERS = [
  { key: 'both', r: 2.6, opacity: 0.6 },
  { key: 'a', r: 6.4, opacity: 1 },
  { key: 'b', r: 3.8, opacity: 1 },
];

/**
 * The marks of a view, from the lowest to the topmost.
 * @param {'a' | 'b' | null} side that it shows, null for both
 * @param {number} n picks that are marked
 * @returns {Mark[]}
 */
export const marksOf = (side, n) =>
  LAYERS.filter(({ key }) => side === null || key === 'both' || key === side).map((layer) => ({
    ...layer,
    r: n > MANY ? layer.r * SMALLER : layer.r,
    shape: SIDES[layer.key].shape,
  }));
