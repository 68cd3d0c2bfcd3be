// The part of the address behind "#": what a reload or a shared link brings back. `?` is left alone.
//   #tab=curate&selection=<name>&focus=<position>&class=<id>&view=x,y,scale&marked=3-9,20&find=<query>&map=pca
//     &colour=entropy&scale=log&size=entropy&contours=class&show=filter&compare=<a>,<b>,split
// A named view is the middle of it, from the class to what is shown, whole.

import { CONTOURS } from '../map/density.js';
import { SCALES } from '../map/scale.js';
import { lassoPatch } from './lasso.js';
import { chooseLayout } from './layouts.js';
import { fromRanges, linkText, readAddress, toRanges, writeAddress } from './link.js';
import { COLOR_MODES, SIZE_MODES } from './model.js';
import { makeSelection } from './selection.js';
import { INITIAL, ready } from './store.js';

/** @import { Actions, Api, Comparison, MapKind, Saved, Search, Store } from './types' */
/** @import { Scatter } from '../map/scatter.js' */
/** @typedef {ReturnType<typeof createAddress>} Address */

const WRITE_MS = 300;
const WORDS = { class: 'class', focus: 'candidate' };
/** How the points are drawn: the word in the address, where it stands in the store, and what it can be. */
const DRAWN = /** @type {const} */ ([
  ['colour', 'colorBy', COLOR_MODES.map(({ key }) => key)],
  ['scale', 'rampScale', SCALES],
  ['size', 'sizeBy', SIZE_MODES],
  ['contours', 'contours', CONTOURS.map(({ kind }) => kind)],
  ['show', 'show', ['all', 'highlight', 'filter']],
]);

/**
 * @param {object} parts
 * @param {Store} parts.store
 * @param {Api} parts.api
 * @param {Scatter} parts.map
 * @param {Actions} parts.actions
 * @param {Comparison} parts.compare
 * @param {Search} parts.search
 * @param {HTMLElement} parts.root
 * @param {AbortSignal} parts.signal
 */
export function createAddress({ store, api, map, actions, compare, search, root, signal }) {
  let timer = 0;
  let started = false; // nothing is written before what stands there was read

  function later() {
    clearTimeout(timer);
    if (started) timer = setTimeout(write, WRITE_MS);
  }

  function write() {
    const { phase, saved, focus, selection, mapWanted, compare: sides } = store.data;
    if (phase !== 'ready' || signal.aborted || !root.isConnected) return;
    writeAddress({
      selection: saved.find((record) => record.current)?.name,
      focus,
      ...looked(),
      marked: search.text ? '' : toRanges(selection.list),
      map: mapWanted === INITIAL.mapWanted ? '' : mapWanted,
      compare:
        sides &&
        [...[sides.a, sides.b].map(encodeURIComponent), ...(sides.view === 'split' ? ['split'] : [])].join(),
    });
  }

  /** How the pool is looked at, what is lassoed and the map aside; nothing of what is as it begins. */
  function looked() {
    const { data } = store;
    const drawn = DRAWN.map(([word, key]) => [word, data[key] === INITIAL[key] ? '' : data[key]]);
    return { class: data.solo, view: map.viewInWords(), find: search.text, ...Object.fromEntries(drawn) };
  }

  /** The same as a text that stands for itself, to be kept. */
  function look() {
    const { info, selection, mapWanted } = ready(store);
    const marked = search.text ? '' : toRanges(selection.list, Infinity);
    const pool = marked && info.pool; // by its positions
    return linkText(new URLSearchParams(), { ...looked(), marked, pool, map: mapWanted });
  }

  /** Look at the pool as a kept text says; picks, focus and marks stay. @param {string} text */
  function openLook(text) {
    compare.leave();
    const params = new URLSearchParams(text);
    if (!params.has('view')) map.resetView();
    sayLost(show(params, true));
  }

  /**
   * The saved selection that the address names, when the screen shows another one; null otherwise.
   * @param {Saved[]} saved
   */
  function wantedSelection(saved) {
    const name = readAddress().get('selection');
    const record = saved.find((s) => s.name === name);
    return record && !record.current ? record.name : null;
  }

  /** Bring back everything but the picks. */
  function restore() {
    const params = readAddress();
    const { info } = ready(store);
    const lost = show(params); // what a link from elsewhere, or from before, names in vain
    const focus = wholeNumber(params, 'focus', info.n, lost);
    if (focus !== null) actions.focus(focus);
    const [a = '', b = '', form] = params.get('compare')?.split(',').map(decoded) ?? [];
    const sides = [a, b].filter(Boolean);
    if (sides.length === 2 && sides.every(isSide))
      compare.open({ a, b, view: form === 'split' ? form : 'overlay' });
    const named = [params.get('selection') ?? info.names.live, ...sides];
    const unknown = [...new Set(named)].filter((name) => !isSide(name));
    lost.push(...unknown.map((name) => `the selection "${name}"`));
    started = true;
    later();
    sayLost(lost);
  }

  /**
   * Look at the pool as an address says.
   * @param {URLSearchParams} params
   * @param {boolean} whole how the points are drawn begins anew where the address does not say it
   * @returns {string[]} what it names in vain
   */
  function show(params, whole = false) {
    const { info, layout } = ready(store);
    /** @type {string[]} */
    const lost = [];
    const solo = wholeNumber(params, 'class', info.n_classes, lost);
    const ofThisPool = !params.has('pool') || params.get('pool') === info.pool;
    if (!ofThisPool) lost.push('what was lassoed, of another pool');
    const selection = makeSelection(info.n, ofThisPool ? fromRanges(params.get('marked')) : []);
    const said = DRAWN.filter(([word]) => whole || params.has(word));
    const drawn = said.map(([word, key, values]) => {
      const value = params.get(word) ?? '';
      return [key, /** @type {readonly string[]} */ (values).includes(value) ? value : INITIAL[key]];
    });
    store.set({ solo, ...Object.fromEntries(drawn), ...lassoPatch(store.data, selection, true) });
    if (params.get('find') || search.text) search.ask(params.get('find') ?? '');
    const view = (params.get('view') ?? '').split(',').map(Number);
    const place = () => {
      if (view.length === 3 && view.every(Number.isFinite) && view[2] > 0) map.setView(view);
    };
    const kind = /** @type {MapKind | null} */ (params.get('map'));
    if ((kind === 'pca' || kind === 'umap') && kind !== layout.kind)
      chooseLayout(store, api, kind).then(place);
    else place();
    return lost;
  }

  /** @param {string[]} lost */
  function sayLost(lost) {
    const text = `Not in this workspace: ${lost.join(', ')}.`;
    if (lost.length) whenSelected(() => store.set({ news: { text } }));
  }

  /**
   * Now, or when the answer under way is there, which would take words away again.
   * @param {() => void} then
   */
  function whenSelected(then) {
    if (store.data.picks && actions.idle) return then();
    const stop = store.on(['picks'], () => {
      stop();
      then();
    });
  }

  /** @param {string} name */
  const isSide = (name) =>
    name === store.data.info?.names.live || store.data.saved.some((record) => record.name === name);

  /** Another link opened in the same page. */
  function follow() {
    if (!started || store.data.phase !== 'ready') return;
    const wanted = wantedSelection(store.data.saved);
    if (wanted) actions.restore(wanted);
    restore();
  }

  window.addEventListener('hashchange', follow, { signal });
  window.addEventListener('pagehide', () => started && write(), { signal });
  store.on(['saved', 'focus', 'solo', 'selection', 'found', 'compare', 'picks', 'mapWanted'], later);
  store.on(
    DRAWN.map(([, key]) => key),
    later,
  );
  for (const name of ['pointerup', 'wheel', 'keyup', 'click'])
    root.addEventListener(name, later, { passive: true, signal });
  return { restore, wantedSelection, look, openLook };
}

/**
 * A number in the address; null where there is none, or one of what is not there, which goes to `lost`.
 * @param {URLSearchParams} params
 * @param {'class' | 'focus'} key
 * @param {number} below
 * @param {string[]} lost
 */
function wholeNumber(params, key, below, lost) {
  if (!params.has(key)) return null;
  const value = Number(params.get(key));
  if (Number.isInteger(value) && value >= 0 && value < below) return value;
  lost.push(`${WORDS[key]} ${params.get(key)}`);
  return null;
}

/**
 * A name may hold a comma, so each is encoded by itself; what is no such text names nothing.
 * @param {string} text
 */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
