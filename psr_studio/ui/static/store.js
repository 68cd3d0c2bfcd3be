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
  selection: null, // see selection.makeSelection
  focus: null,
  hover: null,
  colorBy: 'total',
  ramp: 'viridis',
  show: 'highlight', // all | highlight | filter
  solo: null, // class id shown alone
  tool: 'pan',
  gridMode: 'picks', // picks | selection | pool
  candidate: null, // answer of psr/curate/candidate for the focused point
  mapSettled: false, // no newer map is expected
  diff: null, // {added, dropped, before, after}
  timing: null, // {drawn, server} in ms
  notice: null, // {problem, fix, retry?}
  busy: false,
  undo: null,
  redo: null,
};
