// The part of the address behind "#": what a reload or a shared link brings back. `?` is left alone.
//   #tab=curate&selection=<name>&focus=<position>&class=<id>&view=x,y,scale&marked=3-9,20&find=<query>&compare=<a>,<b>,split

import { lassoPatch } from './lasso.js';
import { fromRanges, readAddress, toRanges, writeAddress } from './link.js';
import { makeSelection } from './selection.js';
import { ready } from './store.js';

/** @import { Actions, Comparison, Saved, Search, Store } from './types' */
/** @import { Scatter } from '../map/scatter.js' */

const WRITE_MS = 300;
const WORDS = { class: 'class', focus: 'candidate' };

/**
 * @param {object} parts
 * @param {Store} parts.store
 * @param {Scatter} parts.map
 * @param {Actions} parts.actions
 * @param {Comparison} parts.compare
 * @param {Search} parts.search
 * @param {HTMLElement} parts.root
 * @param {AbortSignal} parts.signal
 */
export function createAddress({ store, map, actions, compare, search, root, signal }) {
  let timer = 0;
  let started = false; // nothing is written before what stands there was read

  function later() {
    clearTimeout(timer);
    if (started) timer = setTimeout(write, WRITE_MS);
  }

  function write() {
    const { phase, saved, focus, solo, selection, compare: sides } = store.data;
    if (phase !== 'ready' || signal.aborted || !root.isConnected) return;
    writeAddress({
      selection: saved.find((record) => record.current)?.name,
      focus,
      class: solo,
      view: map.viewInWords(),
      marked: search.text ? '' : toRanges(selection.list),
      find: search.text,
      compare:
        sides &&
        [...[sides.a, sides.b].map(encodeURIComponent), ...(sides.view === 'split' ? ['split'] : [])].join(),
    });
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
    /** @type {string[]} */
    const lost = []; // what a link from elsewhere, or from before, names in vain
    /** @param {'class' | 'focus'} key @param {number} below */
    const whole = (key, below) => {
      if (!params.has(key)) return null;
      const value = Number(params.get(key));
      if (Number.isInteger(value) && value >= 0 && value < below) return value;
      lost.push(`${WORDS[key]} ${params.get(key)}`);
      return null;
    };
    const marked = fromRanges(params.get('marked'));
    const selection = makeSelection(info.n, marked);
    store.set({ solo: whole('class', info.n_classes), ...lassoPatch(store.data, selection, true) });
    if (params.get('find') || search.text) search.ask(params.get('find') ?? '');
    const focus = whole('focus', info.n);
    if (focus !== null) actions.focus(focus);
    const view = (params.get('view') ?? '').split(',').map(Number);
    if (view.length === 3 && view.every(Number.isFinite) && view[2] > 0) map.setView(view);
    const [a = '', b = '', form] = params.get('compare')?.split(',').map(decoded) ?? [];
    const sides = [a, b].filter(Boolean);
    if (sides.length === 2 && sides.every(isSide))
      compare.open({ a, b, view: form === 'split' ? form : 'overlay' });
    const named = [params.get('selection') ?? info.names.live, ...sides];
    const unknown = [...new Set(named)].filter((name) => !isSide(name));
    lost.push(...unknown.map((name) => `the selection "${name}"`));
    started = true;
    later();
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
  store.on(['saved', 'focus', 'solo', 'selection', 'found', 'compare', 'picks'], later);
  for (const name of ['pointerup', 'wheel', 'keyup', 'click'])
    root.addEventListener(name, later, { passive: true, signal });
  return { restore, wantedSelection };
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
