// The grid's two rows of controls: what it lists, in which order, how large.

import { LISTS, SIDES } from '../core/compare.js';
import { button, fill, fitRow, h, segmented } from '../core/dom.js';
import { recall, remember } from '../core/kept.js';
import { pickedOf, unlasso } from '../core/lasso.js';
import { inSolo } from '../core/model.js';
import { clamp, count } from '../core/numbers.js';
import { foundWords, pictureOf } from '../core/search.js';
import { createQueryRow } from './query_row.js';
import { SORTS } from './sort.js';

/** @import { Api, ButtonSpec, GridMode, Search, State, Store } from '../core/types' */

const [LEAST_PX, USUAL_PX, STEP_PX] = [40, 56, 4];
/** @type {(ButtonSpec & { value: GridMode })[]} */
const USUAL = [
  { value: 'picks', label: 'Picks', title: 'The current selection' },
  { value: 'pool', label: 'All', title: 'All candidates' },
  {
    value: 'selection',
    label: 'Lassoed',
    title: 'What you lassoed, boxed or Ctrl-clicked, on the map or here, or found by the filter',
  },
];
const COMPARED = LISTS.map((value) => {
  const { label } = SIDES[value];
  return { value, label: label[0].toUpperCase() + label.slice(1), title: `What ${label} has` };
});

/** @param {Store} store @param {Api} api @param {Search} search @param {() => void} onSize called when the tiles get another width */
export function createGridBar(store, api, search, onSize) {
  const query = createQueryRow(store, api, search);
  const pick = (/** @type {GridMode} */ gridMode) =>
    store.set(
      gridMode === 'picks' || gridMode === 'pool' ? { gridMode, listBefore: gridMode } : { gridMode },
    );
  const usual = segmented('Candidates listed', USUAL, pick);
  const compared = segmented('Candidates listed, of A and B', COMPARED, pick);
  let wanted = recall('tile', USUAL_PX);
  const size = h('input', {
    type: 'range',
    class: 'psr-range psr-size',
    min: LEAST_PX,
    max: wanted,
    step: STEP_PX,
    value: wanted,
    'aria-label': 'Picture size',
    title: 'Picture size',
    on: {
      input: () => {
        wanted = Number(size.value);
        remember('tile', wanted);
        onSize();
      },
    },
  });
  const sort = h(
    'select',
    {
      class: 'psr-select',
      'aria-label': 'Order inside a class',
      on: { change: choose },
    },
    SORTS.map(({ key, label, hint }) => h('option', { value: key, title: hint }, label)),
  );
  function choose() {
    store.set({ sort: sort.value });
  }
  const turn = button({
    label: 'Turn the order round',
    iconName: 'order',
    className: 'psr-icon-only psr-turn',
    pressed: false,
    onClick: () => store.set({ sortTurned: !store.data.sortTurned }),
  });
  const listed = h('span', { class: 'psr-fine psr-num psr-shy-text' });
  const top = h('div', { class: 'psr-bar' }, usual.node, compared.node, h('span', { class: 'psr-grow' }));
  const second = h(
    'div',
    { class: 'psr-bar is-second' },
    h('label', { class: 'psr-inline' }, h('span', { class: 'psr-shy-text' }, 'Order'), sort),
    turn,
    h('span', { class: 'psr-grow' }),
    listed,
    size,
  );
  const filters = h('div', { class: 'psr-bar psr-filters', role: 'group', 'aria-label': 'Listed only' });

  function refresh() {
    const { gridMode, compare, sort: key, sortTurned } = store.data;
    usual.show(gridMode);
    compared.show(gridMode);
    usual.node.hidden = Boolean(compare);
    compared.node.hidden = !compare;
    sort.value = key;
    sort.title = `Order inside a class: ${SORTS.find((row) => row.key === key)?.hint}`;
    turn.setAttribute('aria-pressed', String(sortTurned));
  }

  /** What narrows the list, each with its way back. */
  function refreshFilters() {
    const { data } = store;
    const { phase, selection, solo, info, gridMode, found } = data;
    const marked = phase === 'ready' && gridMode === 'selection' ? selection : null;
    const sought = marked !== null && found !== null;
    const lassoed = marked !== null && marked.count > 0 && !sought;
    const alone = phase === 'ready' && solo !== null;
    filters.hidden = !lassoed && !sought && !alone;
    const near = sought ? pictureOf(found) : null;
    fill(
      filters,
      near &&
        h('img', { class: 'psr-near-picture', src: api.pictureUrl(near), alt: 'The picture looked near to' }),
      lassoed && chip(`Lassoed ${count(marked.count)}`, 'Lasso nothing (Esc)', () => unlasso(store)),
      sought && chip(foundWords(marked.count, marked.mask.length), 'Leave the filter (Esc)', search.leave),
      alone && chip(info?.class_names[solo] ?? '', 'Show all classes', () => store.set({ solo: null })),
      (lassoed || sought) &&
        h('span', { class: 'psr-fine psr-num' }, `${count(pickedOf(data, marked))} picked`),
    );
  }

  store.on(['gridMode', 'compare', 'sort', 'sortTurned'], refresh);
  store.on(['gridMode', 'selection', 'found', 'solo', 'picks', 'phase'], refreshFilters);
  refresh();
  refreshFilters();
  return {
    /** The row that takes the pane's own buttons. */
    top,
    node: h('div', {}, top, second, query.node, filters),
    /** Begin to write a query. */
    filter: query.focus,
    /** Least width of a tile. */
    least: () => wanted,
    /** One tile can take all of it. @param {number} px */
    setRoom(px) {
      const most = Math.max(LEAST_PX, Math.floor(px / STEP_PX) * STEP_PX);
      size.max = String(most);
      size.value = String(Math.min(wanted, most));
      const share = (Number(size.value) - LEAST_PX) / Math.max(most - LEAST_PX, 1);
      size.style.setProperty('--fill', `${100 * clamp(share, 0, 1)}%`);
    },
    /** @param {number} n of candidates listed */
    setCount(n) {
      const out = vetoedAmongPicks(store.data);
      listed.textContent = out ? `${count(n - out)} picked` : `${count(n)} listed`;
      listed.title = out ? `${count(n - out)} picked, ${count(out)} vetoed` : '';
      fitRow(second);
    },
  };
}

/** Something that narrows the list; a press takes it away. @param {string} label @param {string} title @param {() => void} onClick */
function chip(label, title, onClick) {
  const node = button({ label, title, iconName: 'clear', className: 'psr-filter', onClick });
  node.setAttribute('aria-label', `${label}: ${title}`);
  return node;
}

/** Vetoed candidates stand with the picks, to be taken back there, but are none. @param {State} data */
function vetoedAmongPicks(data) {
  if (data.phase !== 'ready' || data.gridMode !== 'picks') return 0;
  const isPick = (/** @type {number} */ p) => data.picks !== null && data.picks.index[p] >= 0;
  return [...data.vetoed].filter((p) => !isPick(p) && inSolo(data, p)).length;
}
