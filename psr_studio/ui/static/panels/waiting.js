// Candidates that wait for their scores: said above the workbench, which shows the others, with the way to score them.

import { refusalOf } from '../core/api.js';
import { button, fill, h, said } from '../core/dom.js';

/** @import { Api, Store } from '../core/types' */

/** @param {Store} store @param {Api} api */
export const scoreButton = (store, api) =>
  button({
    label: 'Score now',
    onClick: () => api.score().catch((error) => store.set({ notice: refusalOf(error) })),
  });

/** @param {Store} store @param {Api} api */
export function createWaiting(store, api) {
  const words = h('span');
  const node = h(
    'div',
    { class: 'psr-waiting', role: 'status', hidden: true },
    words,
    scoreButton(store, api),
  );

  function refresh() {
    const { waiting, trouble } = store.data;
    node.hidden = !waiting;
    fill(words, said([waiting, trouble].filter(Boolean).join(' ')));
  }

  store.on(['waiting', 'trouble'], refresh);
  refresh();
  return { node };
}
