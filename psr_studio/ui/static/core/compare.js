// A|B compare: two selections side by side. Each side is a saved selection by name, or LIVE.

export const LIVE = 'live';
// Okabe and Ito's blue and orange keep apart for all kinds of colour blindness; the shapes say it again.
export const SIDES = {
  a: { label: 'only A', shape: 'triangle', light: '#0072b2', dark: '#56b4e9' },
  b: { label: 'only B', shape: 'square', light: '#a34a00', dark: '#e69f00' },
  both: { label: 'both', shape: 'circle', light: '#1f2937', dark: '#f3f4f6' },
};
const LISTS = Object.keys(SIDES);

/**
 * Store key `compare`: null, or {a, b, view: 'overlay'|'split', header, inA, inB, lists: {a, b, both}}; the last
 * four are missing until the server has answered.
 */
export function createCompare(store, api) {
  let asked = 0;

  async function load() {
    const { compare } = store.data;
    if (!compare) return;
    asked += 1;
    const mine = asked;
    try {
      const { header, arrays } = await api.compare(compare.a, compare.b);
      if (mine === asked && store.data.compare) take(header, arrays.in_a, arrays.in_b);
    } catch (error) {
      if (mine !== asked) return;
      store.set({ notice: { problem: error.problem || String(error), fix: error.fix || '' } });
      const now = store.data.compare;
      if (!now?.inA) leave();
      else store.set({ compare: { ...now, a: now.header.a.name, b: now.header.b.name } }); // what is still shown
    }
  }

  function take(header, inA, inB) {
    const lists = split(inA, inB);
    const gridMode = LISTS.includes(store.data.gridMode) ? store.data.gridMode : firstFull(lists);
    store.set({ compare: { ...store.data.compare, header, inA, inB, lists }, gridMode });
    const n = LISTS.map((key) => `${SIDES[key].label} ${lists[key].length}`).join(', ');
    store.set({ said: `Comparing ${header.a.name} with ${header.b.name}: ${n}.` });
  }

  /** @param {{a?: string, b?: string, view?: string}} change */
  function open(change = {}) {
    const { compare, saved, dock } = store.data;
    const other = saved.find((record) => !record.current) ?? saved[0];
    const start = compare ?? { a: other?.name ?? LIVE, b: LIVE, view: 'overlay', dockBefore: dock };
    store.set({ compare: { ...start, ...change }, dock: 'compare' });
    return load();
  }

  function leave() {
    const { compare, gridMode, dock } = store.data;
    if (!compare) return false;
    asked += 1;
    store.set({
      compare: null,
      gridMode: LISTS.includes(gridMode) ? 'picks' : gridMode,
      dock: dock === 'compare' ? (compare.dockBefore ?? null) : dock,
      said: 'Compare is left.',
    });
    return true;
  }

  store.on(['picks', 'saved'], (data, changed) => {
    const sides = [data.compare?.a, data.compare?.b];
    if (changed.includes('picks') ? sides.includes(LIVE) : gone(sides, data.saved)) refresh(sides);
  });

  function refresh(sides) {
    const kept = sides.map((name) => (gone([name], store.data.saved) ? LIVE : name));
    if (store.data.compare) store.set({ compare: { ...store.data.compare, a: kept[0], b: kept[1] } });
    return load();
  }

  // Closing the panel leaves the map alone with two colours and no words: it ends the comparison.
  store.on(['dock'], ({ dock, compare, phase }) => {
    if (dock === 'compare' && !compare && phase === 'ready') open();
    else if (dock !== 'compare' && compare) leave();
  });

  return {
    open,
    leave,
    toggle: () => (store.data.compare ? leave() : open()),
    turn: () => open({ a: store.data.compare.b, b: store.data.compare.a }),
  };
}

const gone = (names, saved) =>
  names.some((name) => name && name !== LIVE && !saved.some((s) => s.name === name));

/** Whether the answer for these two sides is still on its way. */
export const isPending = ({ a, b, header }) => !header || header.a.name !== a || header.b.name !== b;

const firstFull = (lists) => LISTS.find((key) => lists[key].length) ?? 'both';

/** Positions that only A, only B, or both have. */
export function split(inA, inB) {
  const lists = { a: [], b: [], both: [] };
  for (let i = 0; i < inA.length; i += 1) {
    if (inA[i] && inB[i]) lists.both.push(i);
    else if (inA[i]) lists.a.push(i);
    else if (inB[i]) lists.b.push(i);
  }
  return lists;
}

/** 'a', 'b', 'both' or null: which of the two has the candidate. */
export function sideOf(compare, position) {
  if (!compare?.inA) return null;
  if (compare.inA[position]) return compare.inB[position] ? 'both' : 'a';
  return compare.inB[position] ? 'b' : null;
}
