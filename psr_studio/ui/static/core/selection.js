// The candidates the user has lassoed on the map or in the grid. Immutable: every change is a new object.

/** @import { Bytes, How, Marked, Modifiers } from './types' */

/**
 * @param {number} n
 * @param {Iterable<number>} positions those outside the pool are left out
 * @returns {Marked}
 */
export function makeSelection(n, positions) {
  const mask = new Uint8Array(n);
  for (const position of positions) if (position >= 0 && position < n) mask[position] = 1;
  return fromMask(mask);
}

/** @param {Bytes} mask @returns {Marked} */
function fromMask(mask) {
  let size = 0;
  for (let i = 0; i < mask.length; i += 1) size += mask[i];
  const list = new Uint32Array(size);
  for (let i = 0, k = 0; i < mask.length; i += 1) if (mask[i]) list[k++] = i;
  return { mask, list, count: size };
}

/**
 * @param {Marked} selection
 * @param {Iterable<number>} positions
 * @param {How} how
 */
export function combine(selection, positions, how) {
  if (how === 'replace') return makeSelection(selection.mask.length, positions);
  const mask = selection.mask.slice();
  for (const position of positions)
    mask[position] = how === 'add' ? 1 : how === 'remove' ? 0 : 1 - mask[position];
  return fromMask(mask);
}

/**
 * Add, remove or replace, as every tool of the map and the grid reads the modifier keys.
 * @param {Modifiers} keys
 * @returns {How}
 */
export const modeOf = ({ shiftKey, altKey }) => (shiftKey ? 'add' : altKey ? 'remove' : 'replace');
