// The island's one shared state. Panes never talk to each other: they set keys here and listen to keys.

/**
 * @param {object} initial
 * @returns {{data: object, set: function(object), on: function(string[], function): function}}
 */
export function createStore(initial) {
  const data = { ...initial };
  const listeners = new Set();
  return {
    data,
    /** Set several keys at once; each listener is called once, after all of them are in place. */
    set(patch) {
      const changed = Object.keys(patch).filter((key) => data[key] !== patch[key]);
      if (!changed.length) return;
      Object.assign(data, patch);
      for (const listener of [...listeners]) {
        if (listener.keys.some((key) => changed.includes(key))) listener.fn(data, changed);
      }
    },
    on(keys, fn) {
      const listener = { keys, fn };
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export const INITIAL = {
  phase: 'loading', // loading | empty | ready
  message: null, // why there is nothing to show: {problem, fix}
  info: null, // answer of psr/curate/state
  points: null, // per-candidate arrays of points.bin, plus diversity
  layout: null, // {kind, xy}
  picks: null, // see model.buildPicks
  pinned: new Set(),
  vetoed: new Set(),
  weights: { alpha: 1, beta: 1, gamma: 1 },
  ipc: 10,
  temperature: 1.5,
  follow: true, // weights follow the IPC preset
  settings: null, // selector, its parameters and the allocation, as the server named them last
  budgets: null, // images each class gets
  ownBudgets: {}, // class id -> budget set by hand
  locked: new Set(), // classes that keep their picks
  substituted: [], // DGS bins served by a neighbour: [{class_id, bin, wanted, taken_from, count}]
  near: null, // relative distance of each candidate to its nearest neighbour: {values, threshold}
  sufficiency: null, // {rows: per class, revision, loading}
  labShown: '', // open sections of the sidebar, by comma
  sizeBy: 'even', // even | a signal
  selection: null, // see selection.makeSelection
  focus: null,
  hover: null,
  colorBy: 'total',
  ramp: 'viridis',
  show: 'highlight', // all | highlight | filter
  solo: null, // class id shown alone
  tool: 'pan',
  gridMode: 'picks', // picks | selection | pool | a | b | both (the last three while comparing)
  candidate: null, // answer of psr/curate/candidate for the focused point
  mapSettled: false, // no newer map is expected
  diff: null, // {added, dropped, before, after}
  timing: null, // {drawn, server} in ms
  notice: null, // {problem, fix, retry?}
  news: null, // {text, tab?, label?}: something was done that the picks do not show
  busy: false,
  undo: null, // what undo would take back, in words
  redo: null,
  saved: [], // named selections
  compare: null, // see compare.js
  dock: null, // id of the open panel
  sort: 'order', // order of the grid inside a class, see grid_sort.js
  sortTurned: false,
  said: '', // for the live region: what the last action did
};
