// The island's one shared state. Panes never talk to each other: they set keys here and listen to keys.

/** @import { Key, Ready, State, Store, Waiting } from './types' */

/**
 * @param {State} initial
 * @returns {Store}
 */
export function createStore(initial) {
  const data = { ...initial };
  /** @type {Set<{ keys: Key[], listener: (data: State, changed: Key[]) => void }>} */
  const listeners = new Set();
  return {
    data,
    /** Set several keys at once; each listener is called once, after all of them are in place. */
    set(patch) {
      const keys = /** @type {Key[]} */ (Object.keys(patch));
      const changed = keys.filter((key) => data[key] !== patch[key]);
      if (!changed.length) return;
      Object.assign(data, patch);
      for (const { keys: wanted, listener } of [...listeners])
        if (wanted.some((key) => changed.includes(key))) listener(data, changed);
    },
    /** @returns a function that ends the listening */
    on(keys, listener) {
      const entry = { keys, listener };
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
  };
}

/**
 * The state for whoever is at work only while a pool is on the screen.
 * @param {Store} store
 * @returns {Ready}
 */
export function ready({ data }) {
  if (data.phase !== 'ready') throw new Error('no pool is on the screen');
  return data;
}

/** @type {Waiting} what each key means stands in types.d.ts too */
export const INITIAL = {
  phase: 'loading',
  message: null, // why there is nothing to show
  info: null,
  points: null,
  layout: null,
  sprites: null,
  picks: null,
  pinned: new Set(),
  vetoed: new Set(),
  tags: {}, // candidates by tag
  weights: { alpha: 1, beta: 1, gamma: 1 },
  ipc: 10,
  temperature: 1.5,
  follow: true, // weights follow the IPC preset
  settings: null,
  budgets: null, // images each class gets
  least: 1, // images of a class by gain, where "At least" is empty
  spread: '', // which classes the budgets leave with one image or none
  ownBudgets: {}, // class id -> budget set by hand
  locked: new Set(), // classes that keep their picks
  near: null,
  sufficiency: null, // verdicts by class id, and the picks they were made for
  sizeBy: 'even', // even | a signal
  selection: null,
  focus: null,
  hover: null,
  colorBy: 'class',
  ramp: 'viridis',
  rampScale: 'linear',
  contours: 'none', // lines where the points of the map lie densely
  show: 'highlight',
  solo: null, // class id shown alone
  tool: 'pan',
  gridMode: 'picks', // the last three only while comparing
  listBefore: 'picks', // what the grid listed before it listed the lassoed
  found: null, // the query by which what is lassoed was found
  apart: null, // how far what was found lies from what its query looks near to
  refused: null, // the last query, where it was none
  candidate: null, // the focused one as the server describes it
  waiting: '', // what is not scored yet, in words
  unscored: 0, // candidates without scores, where there is nothing else
  shown: '', // fingerprint of the selection on screen
  mapSettled: false, // no newer map is expected
  mapWanted: 'umap', // shown as soon as it is there
  layouts: {}, // the maps that are here
  diff: null,
  timing: null, // in ms
  notice: null,
  news: null, // something was done that the picks do not show
  busy: false,
  undo: null, // what undo would take back, in words
  redo: null,
  saved: [], // named selections
  compare: null,
  dock: null, // id of the open panel
  sort: 'order', // order of the grid inside a class, see grid/sort.js
  sortTurned: false,
  said: '', // for the live region: what the last action did
};
