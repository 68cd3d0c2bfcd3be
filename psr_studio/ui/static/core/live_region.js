// What the last action did, for readers of the screen.

import { h } from './dom.js';

/** @import { Store } from './types' */

/** @param {Store} store */
export function createLiveRegion(store) {
  const node = h('div', { class: 'psr-live psr-unseen', role: 'status', 'aria-live': 'polite' });
  let turn = false;
  store.on(['said'], ({ said }) => {
    turn = !turn;
    // The same words twice are read out twice only when the text differs.
    node.textContent = said + (turn ? '\u00a0' : '');
  });
  return { node };
}
