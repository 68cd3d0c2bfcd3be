// What the last action did, for readers of the screen.

import { h } from './dom.js';

export function createLiveRegion(store) {
  const node = h('div', { class: 'psr-live', role: 'status', 'aria-live': 'polite' });
  let turn = false;
  store.on(['said'], () => {
    turn = !turn;
    // The same words twice are read out twice only when the text differs.
    node.textContent = store.data.said + (turn ? '\u00a0' : '');
  });
  return node;
}
