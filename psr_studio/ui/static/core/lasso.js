// The lassoed and the list in the grid: what is marked out on the map stands in the grid at once; when nothing is
// marked out any more, the grid goes back to what it listed before.

import { combine } from './selection.js';
import { ready } from './store.js';

/** @import { GridMode, How, Marked, State, Store } from './types' */

/**
 * @param {Pick<State, 'gridMode' | 'listBefore' | 'compare'>} data
 * @param {Marked} selection the lassoed from now on
 * @param {boolean} shows whether the grid lists them; what is marked out in the grid itself is in view there already
 * @returns {{ selection: Marked, gridMode?: GridMode }}
 */
export function lassoPatch({ gridMode, listBefore, compare }, selection, shows) {
  if (compare) return { selection }; // the grid lists A and B
  if (!selection.count) return { selection, gridMode: gridMode === 'selection' ? listBefore : gridMode };
  return { selection, gridMode: shows ? 'selection' : gridMode };
}

/**
 * Mark candidates out on the map, or wherever else the grid is not.
 * @param {Store} store
 * @param {Iterable<number>} positions
 * @param {How} how
 */
export const lasso = (store, positions, how = 'replace') => mark(store, positions, how, true);

/**
 * Mark candidates out in the grid, which goes on listing what it lists.
 * @param {Store} store
 * @param {Iterable<number>} positions
 * @param {How} how
 */
export const markListed = (store, positions, how) => mark(store, positions, how, false);

/** Nothing is lassoed any more. @param {Store} store */
export const unlasso = (store) => lasso(store, []);

/** @param {Store} store @param {Iterable<number>} positions @param {How} how @param {boolean} shows */
function mark(store, positions, how, shows) {
  const data = ready(store);
  store.set(lassoPatch(data, combine(data.selection, positions, how), shows));
}

/**
 * How many of the lassoed are picks.
 * @param {Pick<State, 'picks'>} data
 * @param {Marked} selection
 */
export function pickedOf({ picks }, { list }) {
  return picks ? list.reduce((sum, position) => sum + (picks.index[position] >= 0 ? 1 : 0), 0) : 0;
}
