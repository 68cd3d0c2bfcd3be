// A|B compare: two selections side by side. Each side is a saved selection by name, or the one on screen.

import { refusalOf } from './api.js';

/** @import { Api, Bytes, Compare, ComparedHeader, GridMode, SideKey, Store } from './types' */

// Okabe and Ito's blue and orange keep apart for all kinds of colour blindness; the shapes say it again.
/** @type {Record<SideKey, { label: string, shape: string, light: string, dark: string }>} */
export const SIDES = {
  a: { label: 'only A', shape: 'triangle', light: '#0072b2', dark: '#56b4e9' },
  b: { label: 'only B', shape: 'square', light: '#a34a00', dark: '#e69f00' },
  both: { label: 'both', shape: 'circle', light: '#1f2937', dark: '#f3f4f6' },
};
export const LISTS = /** @type {SideKey[]} */ (Object.keys(SIDES));

/** @param {GridMode} mode @returns {mode is SideKey} */
const isList = (mode) => mode in SIDES;

/** @param {Store} store whose key `compare` it keeps @param {Api} api */
export function createCompare(store, api) {
  let asked = 0;
  const live = () => store.data.info?.names.live ?? '';

  async function load() {
    const { compare } = store.data;
    if (!compare) return;
    asked += 1;
    const mine = asked;
    try {
      const { header, arrays } = await api.compare(compare.a, compare.b);
      if (mine === asked) take(header, arrays.in_a, arrays.in_b);
    } catch (error) {
      if (mine !== asked) return;
      store.set({ notice: refusalOf(error) });
      const now = store.data.compare;
      if (!now?.header) leave();
      else store.set({ compare: { ...now, a: now.header.a.name, b: now.header.b.name } }); // what is still shown
    }
  }

  /** @param {ComparedHeader} header @param {Bytes} inA @param {Bytes} inB */
  function take(header, inA, inB) {
    const { compare, gridMode } = store.data;
    if (!compare) return;
    const lists = split(inA, inB);
    store.set({
      compare: { ...compare, header, inA, inB, lists },
      gridMode: isList(gridMode) ? gridMode : firstFull(lists),
    });
    const n = LISTS.map((key) => `${SIDES[key].label} ${lists[key].length}`).join(', ');
    store.set({ said: `Comparing ${header.a.name} with ${header.b.name}: ${n}.` });
  }

  /** @param {Partial<Pick<Compare, 'a' | 'b' | 'view'>>} change */
  function open(change = {}) {
    const { compare, saved, dock } = store.data;
    const other = saved.find((record) => !record.current) ?? saved[0];
    /** @type {Compare} */
    const start = compare ?? { a: other?.name ?? live(), b: live(), view: 'overlay', dockBefore: dock };
    store.set({ compare: { ...start, ...change }, dock: 'compare' });
    return load();
  }

  /** @returns {boolean} whether there was something to leave */
  function leave() {
    const { compare, gridMode, dock } = store.data;
    if (!compare) return false;
    asked += 1;
    store.set({
      compare: null,
      gridMode: isList(gridMode) ? store.data.listBefore : gridMode,
      dock: dock === 'compare' ? compare.dockBefore : dock,
      said: 'Compare is left.',
    });
    return true;
  }

  /** @param {string} name */
  const isGone = (name) => name !== live() && !store.data.saved.some((record) => record.name === name);

  store.on(['picks', 'saved'], ({ compare }, changed) => {
    if (!compare) return;
    const sides = [compare.a, compare.b];
    if (!(changed.includes('picks') ? sides.includes(live()) : sides.some(isGone))) return;
    const [a, b] = sides.map((name) => (isGone(name) ? live() : name));
    store.set({ compare: { ...compare, a, b } });
    load();
  });

  // Closing the panel leaves the map alone with two colours and no words: it ends the comparison.
  store.on(['dock'], ({ dock, compare, phase }) => {
    if (dock === 'compare' && !compare && phase === 'ready') open();
    else if (dock !== 'compare' && compare) leave();
  });

  return {
    open,
    leave,
    toggle: () => (store.data.compare ? leave() : open()),
    turn: () => {
      const { compare } = store.data;
      if (compare) open({ a: compare.b, b: compare.a });
    },
  };
}

/** Whether the answer for these two sides is still on its way. @param {Compare} compare */
export const isPending = ({ a, b, header }) => !header || header.a.name !== a || header.b.name !== b;

/** @param {Record<SideKey, number[]>} lists */
const firstFull = (lists) => LISTS.find((key) => lists[key].length) ?? 'both';

/**
 * Positions that only A, only B, or both have.
 * @param {Uint8Array} inA
 * @param {Uint8Array} inB
 */
export function split(inA, inB) {
  /** @type {Record<SideKey, number[]>} */
  const lists = { a: [], b: [], both: [] };
  for (let i = 0; i < inA.length; i += 1) {
    if (inA[i] && inB[i]) lists.both.push(i);
    else if (inA[i]) lists.a.push(i);
    else if (inB[i]) lists.b.push(i);
  }
  return lists;
}

/**
 * Which of the two has the candidate.
 * @param {Compare | null} compare
 * @param {number} position
 * @returns {SideKey | null}
 */
export function sideOf(compare, position) {
  if (!compare?.inA || !compare.inB) return null;
  if (compare.inA[position]) return compare.inB[position] ? 'both' : 'a';
  return compare.inB[position] ? 'b' : null;
}
