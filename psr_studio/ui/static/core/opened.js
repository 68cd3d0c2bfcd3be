// A folded part of a tab that is opened comes into view: as much of it as there is room for, from its top.

import { drawn } from './dom.js';

/** @param {Document} page */
export function showOpened(page) {
  page.addEventListener('click', ({ target }) => {
    const head = target instanceof Element ? target.closest('.psr-step .gr-accordion > .label-wrap') : null;
    if (head) drawn(() => intoView(head));
  });
}

/** @param {Element} head once it has been drawn open or folded */
function intoView(head) {
  if (head.classList.contains('open')) head.parentElement?.scrollIntoView({ block: 'nearest' });
}
