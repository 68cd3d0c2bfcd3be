// `window.psrCurate`: a handle for tests, timing and the browser's console.

import { makeSelection } from './selection.js';

/** @param {object} workbench see curate.js */
export function exposeHandle(workbench) {
  const { store, actions, scatter, compare, library } = workbench;
  window.psrCurate = {
    get state() {
      return store.data;
    },
    get lastDrawMs() {
      return scatter.timing.lastDrawMs;
    },
    get lastHitMs() {
      return scatter.timing.lastHitMs;
    },
    get lastShape() {
      return scatter.timing.lastShape;
    },
    get lastReleaseToDrawMs() {
      return actions.timing.lastReleaseToDrawMs;
    },
    get idle() {
      return actions.idle;
    },
    select: (positions) => store.set({ selection: makeSelection(store.data.info.n, positions) }),
    focus: (position) => actions.focus(position),
    set: (patch) => store.set(patch),
    drawn: () => scatter.drawn(),
    sync: () => workbench.sync(),
    refreshSaved: () => store.data.phase === 'ready' && library.refresh(),
    compare: (sides) => compare.open(sides),
    screenOf: (position) => scatter.camera.toScreen(...scatter.data.at(position)),
    renderer: scatter.renderer.kind,
  };
}
