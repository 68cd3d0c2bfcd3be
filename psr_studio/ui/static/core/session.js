// What is on the screen comes from the server: loaded at the start, and compared again when something may have changed.

import { loadPoints } from './actions.js';
import { messageOf } from './api.js';
import { followMap } from './follow.js';
import { recall } from './kept.js';
import { lassoPatch } from './lasso.js';
import { chooseLayout } from './layouts.js';
import { makeSelection } from './selection.js';
import { followsPreset, rulesOf } from './settings.js';
import { createSprites } from './sprites.js';
import { INITIAL } from './store.js';

/** @import { Actions, Api, Info, NoInfo, Points, Search, Store } from './types' */
/** @import { Scatter } from '../map/scatter.js' */
/** @typedef {ReturnType<typeof import('./address.js').createAddress>} Address */

const NO_POOL = 'No scored pool yet. Generate and score a pool first.';

/**
 * @param {object} parts
 * @param {Store} parts.store
 * @param {Api} parts.api
 * @param {Actions} parts.actions
 * @param {Search} parts.search
 * @param {Address} parts.address
 * @param {Scatter} parts.map
 * @param {HTMLElement} parts.root
 * @param {() => void} parts.resize called when there is something to give room to
 */
export function createSession({ store, api, actions, search, address, map, root, resize }) {
  let key = ''; // names the pool on the screen
  let seenAddress = false;
  let syncing = false;
  let stopMap = () => {};

  async function load() {
    stopMap();
    try {
      const info = await api.state();
      if (isEmpty(info)) return showEmpty(info.message || NO_POOL, info);
      start(info, await loadPoints(api));
    } catch (error) {
      showEmpty(messageOf(error));
    }
  }

  /** @param {Info} info @param {Points} points */
  function start(info, points) {
    const { weights, ipc, temperature } = info;
    const sought = search.text; // in the pool before, by other positions
    const grown = info.before?.pool === key ? info.before : null;
    const { candidate, focus } = store.data;
    const held = grown && candidate?.position === focus ? candidate : null; // at another position now
    actions.sees(info.shown, grown);
    key = info.pool;
    store.set({
      phase: 'ready',
      message: null,
      info,
      points,
      sprites: createSprites(api, info),
      layout: { kind: info.map.kind, xy: points.xy },
      layouts: { [info.map.kind]: points.xy },
      picks: null,
      diff: null,
      timing: null,
      focus: null,
      hover: null,
      candidate: null,
      solo: null,
      shown: info.shown,
      waiting: info.waiting,
      trouble: info.trouble,
      mapSettled: info.map.settled,
      ...lassoPatch(store.data, makeSelection(info.n, []), true),
      weights,
      ipc,
      temperature,
      follow: followsPreset(info),
      notice: null,
      near: null,
      saved: info.selections,
      compare: null,
      ...rulesOf(info, store.data),
    });
    resize();
    map.loadColors();
    begin();
    if (held) focusAgain(held.candidate_id);
    if (sought) search.ask(sought);
    const wanted = recall('map', INITIAL.mapWanted);
    store.set({ mapWanted: wanted });
    if (wanted === 'pca' && info.map.kind !== wanted) chooseLayout(store, api, wanted);
    stopMap = followMap(store, api, root);
  }

  /** The first selection, or the saved one that the address names; then the rest of what the address says. */
  function begin() {
    const wanted = seenAddress ? null : address.wantedSelection(store.data.saved);
    if (wanted) actions.restore(wanted);
    else actions.select();
    if (!seenAddress) address.restore();
    seenAddress = true;
    loadDuplicates(key);
  }

  /** Show the candidate of that number, unless the user looks at another one by then. @param {number} id */
  async function focusAgain(id) {
    const wanted = key;
    const found = await api.where(`candidate ${id}`).catch(() => null);
    if (found && wanted === key && store.data.focus === null) actions.focus(found.positions[0]);
  }

  /**
   * A luxury: without it the near-duplicate badge and colour are missing, nothing else.
   * @param {string} wanted names the pool
   */
  async function loadDuplicates(wanted) {
    await map.painter.drawn();
    const found = await api.duplicates().catch(() => null);
    if (found && wanted === key)
      store.set({ near: { values: found.arrays.near, threshold: found.header.threshold } });
  }

  /** @param {string} message @param {Partial<NoInfo>} known */
  function showEmpty(message, { unscored = 0, trouble = '', mend = '' } = {}) {
    store.set({
      phase: 'empty',
      message,
      unscored,
      trouble,
      mend,
      info: null,
      points: null,
      sprites: null,
      picks: null,
      layout: null,
      selection: null,
      found: null,
      apart: null,
    });
  }

  /**
   * Something outside may have changed: the tab is shown again, or the page says so. Another pool or other
   * scores are loaded afresh, another selection is taken over; nothing new leaves focus and lasso alone.
   * `quick`: the pool is known to be the same; at most another page has selected.
   */
  async function sync(quick = false) {
    if (store.data.phase === 'loading' || !actions.idle || syncing) return;
    syncing = true;
    const { seen } = actions;
    try {
      const info = await api.state();
      if (actions.seen !== seen) return; // answered meanwhile: what came is older
      if (quick && !isEmpty(info) && info.shown === actions.seen) return;
      if (isEmpty(info) || info.pool !== key || store.data.phase !== 'ready') await load();
      else if (actions.idle && info.shown !== actions.seen) await actions.follow(info.shown);
    } catch {
      // The next action will say what is wrong; a look at the state alone should not raise an alarm.
    } finally {
      syncing = false;
    }
  }

  /** What the server has now. @param {{ pool?: string, shown?: string, waiting?: string, trouble?: string }} now */
  async function follow({ pool = '', shown = '', waiting = '', trouble = '' }) {
    store.set({ waiting, trouble });
    const same = pool === key;
    if (!same || shown !== actions.seen) await sync(same);
  }

  return { load, sync, follow, stop: () => stopMap() };
}

/** @param {Info | NoInfo} info @returns {info is NoInfo} */
const isEmpty = (info) => info.n === 0;
