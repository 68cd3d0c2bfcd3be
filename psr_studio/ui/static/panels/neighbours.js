// The nearest candidates of the same class, each with its distance and a way to take it instead.

import { button, h } from '../core/dom.js';
import { describe } from '../core/model.js';
import { fixed } from '../core/numbers.js';
import { ready } from '../core/store.js';

/** @import { Actions, Candidate, Store } from '../core/types' */

const PICTURE = 46;
const UNIT = 'Distance in the features of the teacher; 1 is usual between two candidates of a class';

/** How far a neighbour lies. @param {number} distance */
export const distanceOf = (distance) =>
  h('span', { class: 'psr-fine psr-num psr-distance', title: UNIT }, fixed(distance, 2));

/**
 * Builds the row for a candidate that the server has described.
 * @param {Store} store
 * @param {Actions} actions
 */
export function neighboursOf(store, actions) {
  /** @param {number} focus @param {{ position: number, distance: number }} near */
  function neighbour(focus, { position, distance }) {
    const data = ready(store);
    const { points, info, picks, vetoed, pinned, sprites } = data;
    const label = points.label[position];
    const words = `${info.class_names[label]} · ${describe(data, position)}`;
    const picture = h('span', { class: 'psr-tile-picture' });
    sprites.paint(picture, position, label, PICTURE);
    const at = picks ? picks.index[position] : -1;
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
        picks && at >= 0 && h('span', { class: 'psr-rank' }, picks.rank[at] + 1),
      ),
      distanceOf(distance),
      swapButton(focus, position, words),
    );
  }

  /**
   * Of the two just one must be a pick: it leaves, the other comes.
   * @param {number} focus
   * @param {number} position
   * @param {string} words
   */
  function swapButton(focus, position, words) {
    const { picks } = store.data;
    const [mine, theirs] = [focus, position].map((p) => picks !== null && picks.index[p] >= 0);
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

  /** @param {Candidate} candidate */
  return ({ position, neighbours }) =>
    h(
      'div',
      { class: 'psr-neighbours' },
      neighbours.map((near) => neighbour(position, near)),
    );
}
