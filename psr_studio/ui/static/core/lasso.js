// The lassoed and the list in the grid: what is marked out on the map, or found by a query, stands in the grid at once;
// when nothing is marked out any more, the grid goes back to what it listed before.

import { combine } from './selection.js';
import { ready } from './store.js';

/** @import { GridMode, How, Marked, State, Store } from './types' */

/**
 * @param {Pick<State, 'gridMode' | 'listBefore' | 'compare'>} data
 * @param {Marked} selection the lassoed from now on
 * @param {boolean} shows whether the grid lists them; what is marked out in the grid itself is in view there already
 * @returns {{ selection: Marked, found: null, apart: null, gridMode?: GridMode }}
 */
export function lassoPatch({ gridMode, listBefore, compare }, selection, shows) {
  const lassoed = { selection, found: null, apart: null };
  if (compare) return lassoed; // the grid lists A and B
  if (!selection.count) return { ...lassoed, gridMode: gridMode === 'selection' ? listBefore : gridMode };
  return { ...lassoed, gridMode: shows ? 'selection' : gridMode };
}

/**
 * What a query has found is lassoed until something else is; none found is an empty list, and stays one.
 * @param {Pick<State, 'gridMode' | 'listBefore' | 'compare'>} data
 * @param {string} found the query
 * @param {Marked} selection what it names
 * @param {boolean} shows whether the grid lists them from now on
 * @param {Map<number, number> | null} apart how far each lies from what the query looks near to
 * @returns {{ selection: Marked, found: string, apart: Map<number, number> | null, gridMode?: GridMode }}
 */
export function foundPatch(data, found, selection, shows, apart = null) {
  const listed = data.compare ? {} : { gridMode: shows ? /** @type {const} */ ('selection') : data.gridMode };
  return { selection, ...listed, found, apart };
}

/** What the lassoed are called. @param {Pick<State, 'found'>} data */
export const lassoWord = ({ found }) => (found === null ? 'lassoed' : 'found');

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
