// The grid's two rows of controls: what it lists, in which order, how large.

import { SIDES } from '../core/compare.js';
import { button, count, fitRow, h, segmented } from '../core/dom.js';
import { SORTS } from './sort.js';

export const TILES = { S: 40, M: 56, L: 84 };
const USUAL = [
  { value: 'picks', label: 'Picks', title: 'The current selection' },
  { value: 'pool', label: 'All', title: 'All candidates' },
  { value: 'selection', label: 'Lassoed', title: 'What you lassoed, boxed or Ctrl-clicked, on the map or here' },
];
const COMPARED = Object.entries(SIDES).map(([value, { label }]) => ({
  value,
  label: label[0].toUpperCase() + label.slice(1),
  title: `What ${label} has`,
}));

/** @returns {{top: HTMLElement, node: HTMLElement, setCount: function(number)}} `top` takes the pane's own buttons */
export function createGridBar(store, onSize) {
  const pick = (gridMode) => store.set({ gridMode });
  const usual = segmented('Candidates listed', USUAL, pick);
  const compared = segmented('Candidates listed, of A and B', COMPARED, pick);
  const sizes = segmented(
    'Picture size',
    Object.entries(TILES).map(([value, px]) => ({
      value,
      label: value,
      title: `Pictures of about ${px} px`,
    })),
    (value) => {
      sizes.show(value);
      onSize(TILES[value]);
    },
  );
  sizes.show('M');
  const sort = h(
    'select',
    {
      class: 'psr-select',
      'aria-label': 'Order inside a class',
      on: { change: () => store.set({ sort: sort.value }) },
    },
    SORTS.map(({ key, label, hint }) => h('option', { value: key, title: hint }, label)),
  );
  const turn = button({
    label: 'Turn the order round',
    iconName: 'chevron',
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
    sizes.node,
  );

  function refresh() {
    const { gridMode, compare, sort: key, sortTurned } = store.data;
    usual.show(gridMode);
    compared.show(gridMode);
    usual.node.hidden = Boolean(compare);
    compared.node.hidden = !compare;
    sort.value = key;
    sort.title = `Order inside a class: ${SORTS.find((row) => row.key === key).hint}`;
    turn.setAttribute('aria-pressed', String(sortTurned));
  }

  store.on(['gridMode', 'compare', 'sort', 'sortTurned'], refresh);
  refresh();
  return {
    top,
    node: h('div', {}, top, second),
    setCount(n) {
      const out = vetoedAmongPicks(store.data);
      listed.textContent = out ? `${count(n - out)} picked, ${count(out)} vetoed` : `${count(n)} listed`;
      fitRow(second);
    },
  };
}

/** Vetoed candidates stand with the picks, to be taken back there, but are none. */
function vetoedAmongPicks({ gridMode, vetoed, picks, points, solo }) {
  if (gridMode !== 'picks' || !points) return 0;
  const listed = (p) => !(picks?.index[p] >= 0) && (solo === null || points.label[p] === solo);
  return [...vetoed].filter(listed).length;
}
