// What can be done to the lassoed, with their number beside it.

import { button, fitRow, h } from '../core/dom.js';
import { lassoWord, unlasso } from '../core/lasso.js';
import { count } from '../core/numbers.js';

/** @import { Actions, Library, Store } from '../core/types' */

/** @param {Store} store @param {Actions} actions @param {Library} library @param {() => void} tag ask for a tag of them */
export function createSelectionBar(store, actions, library, tag) {
  const number = h('span', { class: 'psr-selbar-count' });
  const choices = [
    {
      label: 'Pin',
      iconName: 'pin',
      title: 'Pin the lassoed: always in, they count against K (P)',
      onClick: () => actions.mark('pin'),
    },
    {
      label: 'Veto',
      iconName: 'veto',
      title: 'Veto the lassoed: never in (X)',
      onClick: () => actions.mark('veto'),
    },
    {
      label: 'Unmark',
      iconName: 'clear',
      title: 'Take pins and vetoes of the lassoed away (U)',
      onClick: () => actions.mark('clear'),
    },
    {
      label: 'Tag…',
      iconName: 'tag',
      title: 'Give the lassoed a tag (T)',
      onClick: tag,
    },
    {
      label: 'Export',
      iconName: 'export',
      title: 'Save the lassoed as a selection of its own, to export it (E)',
      onClick: library.exportSelection,
    },
  ];
  const buttons = choices.map((choice) =>
    button({ ...choice, className: `psr-shy psr-mark is-${choice.iconName}` }),
  );
  const drop = button({
    label: 'Deselect',
    className: 'psr-ghost psr-underlined',
    title: 'Select nothing (Esc)',
    onClick: () => unlasso(store),
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
    const words = n ? h('span', { class: 'psr-shy-text' }, ` ${lassoWord(store.data)}`) : 'None lassoed';
    number.replaceChildren(n ? h('b', {}, count(n)) : '', words);
    buttons.forEach((item, k) => {
      const { label } = choices[k];
      item.disabled = !n;
      item.setAttribute(
        'aria-label',
        n ? `${label} the ${count(n)} ${lassoWord(store.data)} candidates` : `${label} the lassoed`,
      );
    });
    drop.hidden = !n;
    fitRow(node);
  }

  store.on(['selection', 'found', 'phase'], refresh);
  refresh();
  return { node, fit: () => fitRow(node) };
}
