// The island's one shared state. Panes never talk to each other: they set keys here and listen to keys.

/** @import { Key, Ready, State, Store, Waiting } from './types' */

/**
 * @param {State} initial
 * @returns {Store}
 */
export function createStore(initial) {
  const data = { ...initial };
  /** @type {Set<{ keys: Key[], listener: (data: State, changed: Key[]) => void, follows: boolean }>} */
  const listeners = new Set();
  /** Passing changes of which only those who follow have heard. @type {Set<Key>} */
  const owed = new Set();

  /** @param {Key[]} followed what those who follow hear of @param {Key[]} settled and all others */
  function tell(followed, settled) {
    for (const { keys, listener, follows } of [...listeners]) {
      const changed = follows ? followed : settled;
      if (keys.some((key) => changed.includes(key))) listener(data, changed);
    }
  }

  return {
    data,
    /**
     * Set several keys at once; each listener is called once, after all of them are in place. Of a `passing` change,
     * such as the picks on the way of a drag, only those hear at once who follow; the others when it has settled.
     */
    set(patch, { passing = false } = {}) {
      const keys = /** @type {Key[]} */ (Object.keys(patch));
      const changed = keys.filter((key) => data[key] !== patch[key]);
      if (!changed.length) return;
      Object.assign(data, patch);
      if (passing) for (const key of changed) owed.add(key);
      const settles = !passing && changed.some((key) => owed.has(key));
      const settled = passing ? [] : settles ? [...new Set([...changed, ...owed])] : changed;
      if (settles) owed.clear();
      tell(changed, settled);
    },
    /** What was passing stays for now: tell the others. */
    settle() {
      const settled = [...owed];
      owed.clear();
      tell([], settled);
    },
    /** @returns a function that ends the listening */
    on(keys, listener, { follows = false } = {}) {
      const entry = { keys, listener, follows };
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
  tagged: {}, // their positions
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
  trouble: '', // why the last scoring stopped
  unscored: 0, // candidates without scores, where there is nothing else
  mend: '', // the tab where that is mended first
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
