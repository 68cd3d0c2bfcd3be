// The part of the address behind "#": what a reload or a shared link brings back. `?` is left alone.
//   #tab=curate&selection=<name>&focus=<position>&class=<id>&view=x,y,scale&marked=3-9,20&compare=<a>,<b>

import { LIVE } from './compare.js';
import { makeSelection } from './selection.js';

const WRITE_MS = 300;
const MAX_RANGES = 200; // a link must stay a link
const EMPTY = [null, undefined, ''];
const WORDS = { class: 'class', focus: 'candidate' };
const OWN = ['selection', 'focus', 'class', 'view', 'marked', 'compare'];

export const readAddress = () => new URLSearchParams(location.hash.slice(1));

/** @param {{store, scatter, actions, compare, root: HTMLElement, signal: AbortSignal}} parts */
export function createAddress({ store, scatter, actions, compare, root, signal }) {
  let timer = 0;
  let ready = false; // nothing is written before what stands there was read

  function later() {
    clearTimeout(timer);
    if (ready) timer = setTimeout(write, WRITE_MS);
  }

  function write() {
    const { phase, saved, focus, solo, selection, compare: sides } = store.data;
    if (phase !== 'ready' || signal.aborted || !root.isConnected) return;
    const { camera } = scatter;
    const current = saved.find((record) => record.current);
    const values = {
      selection: current?.name,
      focus,
      class: solo,
      view: camera.isHome
        ? null
        : [camera.cx, camera.cy, camera.zoom].map((v) => Number(v.toFixed(4))).join(),
      marked: toRanges(selection.list),
      compare: sides && [sides.a, sides.b].map(encodeURIComponent).join(),
    };
    const params = readAddress();
    OWN.forEach((key) => params.delete(key)); // and set again, so that the same state has the same address
    for (const key of OWN) if (!EMPTY.includes(values[key])) params.set(key, values[key]);
    // Commas and dashes are plain in the address, or it would be hard to read.
    const text = params.toString().replaceAll('%2C', ',');
    if (`#${text}` !== location.hash)
      history.replaceState(history.state, '', text ? `#${text}` : location.pathname + location.search);
  }

  /** The saved selection that the address names, when the screen shows another one; null otherwise. */
  function wantedSelection(saved) {
    const name = readAddress().get('selection');
    const record = saved.find((s) => s.name === name);
    return record && !record.current ? name : null;
  }

  /** Bring back everything but the picks. */
  function restore() {
    const params = readAddress();
    const { info } = store.data;
    const lost = []; // what a link from elsewhere, or from before, names in vain
    const whole = (key, below) => {
      if (!params.has(key)) return null;
      const value = Number(params.get(key));
      if (Number.isInteger(value) && value >= 0 && value < below) return value;
      lost.push(`${WORDS[key]} ${params.get(key)}`);
      return null;
    };
    const marked = fromRanges(params.get('marked'));
    store.set({ solo: whole('class', info.n_classes), selection: makeSelection(info.n, marked) });
    const focus = whole('focus', info.n);
    if (focus !== null) actions.focus(focus);
    const view = (params.get('view') ?? '').split(',').map(Number);
    if (view.length === 3 && view.every(Number.isFinite) && view[2] > 0) setView(view);
    const sides = params.has('compare') ? params.get('compare').split(',').map(decoded) : [];
    if (sides.length === 2 && sides.every(isSide)) compare.open({ a: sides[0], b: sides[1] });
    const names = [...new Set([params.get('selection') ?? LIVE, ...sides])].filter((name) => !isSide(name));
    lost.push(...names.map((name) => `the selection "${name}"`));
    ready = true;
    later();
    const text = `Not in this workspace: ${lost.join(', ')}.`;
    if (lost.length) whenSelected(() => store.set({ news: { text } }));
  }

  /** Now, or when the answer under way is there, which would take words away again. */
  function whenSelected(then) {
    if (store.data.picks && actions.idle) return then();
    const stop = store.on(['picks'], () => {
      stop();
      then();
    });
    return stop;
  }

  const isSide = (name) => name === LIVE || store.data.saved.some((record) => record.name === name);

  function setView([cx, cy, zoom]) {
    scatter.camera.set({ cx, cy, k: zoom * scatter.camera.home.k });
    scatter.invalidate();
  }

  // Another link opened in the same page.
  window.addEventListener('hashchange', () => ready && store.data.phase === 'ready' && follow(), { signal });

  function follow() {
    const wanted = wantedSelection(store.data.saved);
    if (wanted) actions.restore(wanted);
    restore();
  }

  store.on(['saved', 'focus', 'solo', 'selection', 'compare', 'picks'], later);
  window.addEventListener('pagehide', () => ready && write(), { signal });
  for (const name of ['pointerup', 'wheel', 'keyup', 'click'])
    root.addEventListener(name, later, { passive: true, signal });
  return { restore, wantedSelection };
}

/** A name may hold a comma, so each is encoded by itself; what is no such text names nothing. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** "3-9,20" of ascending positions; '' when there are none or too many. */
export function toRanges(list) {
  const ranges = [];
  for (const position of list) {
    const last = ranges[ranges.length - 1];
    if (last && position === last[1] + 1) last[1] = position;
    else ranges.push([position, position]);
    if (ranges.length > MAX_RANGES) return '';
  }
  return ranges.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join();
}

export function fromRanges(text) {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text ?? '')) return [];
  const positions = [];
  for (const range of text.split(',')) {
    const [from, to = from] = range.split('-').map(Number);
    for (let p = from; p <= to && positions.length < 1e6; p += 1) positions.push(p);
  }
  return positions;
}
