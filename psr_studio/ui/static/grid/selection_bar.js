// What can be done to the lassoed, with their number beside it.

import { button, count, fitRow, h } from '../core/dom.js';
import { makeSelection } from '../core/selection.js';

/** @param {{mark: function, exportSelection: function}} actions */
export function createSelectionBar(store, actions) {
  const number = h('span', { class: 'psr-selbar-count' });
  const act = (label, iconName, title, onClick) =>
    button({ label, iconName, title, className: `psr-shy psr-mark is-${iconName}`, onClick });
  const buttons = [
    act('Pin', 'pin', 'Pin the lassoed: always in, they count against K (P)', () => actions.mark('pin')),
    act('Veto', 'veto', 'Veto the lassoed: never in (X)', () => actions.mark('veto')),
    act('Unmark', 'clear', 'Take pins and vetoes of the lassoed away (U)', () => actions.mark('clear')),
    act('Export', 'export', 'Save the lassoed as a selection of its own, to export it (E)', () =>
      actions.exportSelection(),
    ),
  ];
  const drop = button({
    label: 'Deselect',
    className: 'psr-ghost psr-underlined',
    title: 'Select nothing (Esc)',
    onClick: () => store.set({ selection: makeSelection(store.data.info.n, []) }),
  });
  const node = h(
    'div',
    { class: 'psr-bar psr-selbar', role: 'group', 'aria-label': 'Lassoed candidates' },
    number,
    drop,
    h('span', { class: 'psr-grow' }),
    buttons,
  );

  function refresh() {
    const n = store.data.selection?.count ?? 0;
    const words = n ? h('span', { class: 'psr-shy-text' }, ' lassoed') : 'None lassoed';
    number.replaceChildren(n ? h('b', {}, count(n)) : '', words);
    for (const item of buttons) {
      item.disabled = !n;
      const name = item.querySelector('.psr-btn-text').textContent;
      item.setAttribute(
        'aria-label',
        n ? `${name} the ${count(n)} lassoed candidates` : `${name} the lassoed`,
      );
    }
    drop.hidden = !n;
    fitRow(node);
  }

  store.on(['selection', 'phase'], refresh);
  refresh();
  return { node, fit: () => fitRow(node) };
}
