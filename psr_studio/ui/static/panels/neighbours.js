// The nearest candidates of the same class, each with a way to take it instead.

import { button, h } from '../core/dom.js';
import { describe } from '../map/hover.js';

const PICTURE = 46;

/** @returns {function(object): HTMLElement} builds the row for a candidate that the server has described */
export function createNeighbours(store, getSprites, actions) {
  function neighbour(focus, position) {
    const { points, info, picks, vetoed, pinned } = store.data;
    const label = points.label[position];
    const words = `${info.class_names[label]} · ${describe(store.data, position, picks, label)}`;
    const picture = h('span', { class: 'psr-tile-picture' });
    getSprites().paint(picture, position, label, PICTURE);
    const rank = picks?.index[position] >= 0 ? picks.rank[picks.index[position]] + 1 : null;
    return h(
      'div',
      { class: `psr-neighbour${vetoed.has(position) ? ' is-vetoed' : ''}` },
      h(
        'button',
        {
          type: 'button',
          class: 'psr-neighbour-picture',
          title: `${words}. Show it`,
          'aria-label': `Show neighbour: ${words}`,
          'data-position': position,
          on: { click: () => actions.focus(position) },
        },
        picture,
        pinned.has(position) &&
          h('span', { class: 'psr-badges' }, h('span', { class: 'psr-badge is-pin' }, 'P')),
        rank && h('span', { class: 'psr-rank' }, rank),
      ),
      swapButton(focus, position, words),
    );
  }

  /** Of the two just one must be a pick: it leaves, the other comes. */
  function swapButton(focus, position, words) {
    const { picks } = store.data;
    const [mine, theirs] = [focus, position].map((p) => picks?.index[p] >= 0);
    const can = mine !== theirs;
    const title = mine
      ? `Swap: take this one instead of the candidate above (${words})`
      : `Swap: take the candidate above instead of this one (${words})`;
    const item = button({
      label: 'Swap',
      iconName: 'swap',
      className: 'psr-tiny psr-swap',
      title: can ? title : mine ? 'Both are picks: nothing to swap' : 'Neither is a pick: nothing to swap',
      onClick: () => (mine ? actions.swap(focus, position) : actions.swap(position, focus)),
    });
    item.setAttribute('aria-label', item.title);
    item.disabled = !can;
    return item;
  }

  return ({ position, neighbours }) => {
    const node = h('div', { class: 'psr-neighbours' });
    node.append(...neighbours.slice(0, 8).map((near) => neighbour(position, near)));
    return node;
  };
}
