// What a setting means stands beside the column of settings, as high as the setting itself: there it covers none.

import { drawn } from './dom.js';

const GAP = 8;

/** @param {Document} page */
export function placeMeanings(page) {
  /** @type {Element | null} */
  let block = null;

  function place() {
    const meaning = block?.querySelector(':scope > .container .info-text');
    const side = block?.closest('.psr-side');
    if (!block || !side || !(meaning instanceof HTMLElement)) return;
    const lowest = innerHeight - meaning.offsetHeight - GAP;
    meaning.style.top = `${Math.max(GAP, Math.min(block.getBoundingClientRect().top, lowest))}px`;
    meaning.style.left = `${side.getBoundingClientRect().right + GAP}px`;
  }

  /** @param {Event} event */
  function touch({ target }) {
    if (!(target instanceof Element)) return;
    block = target.closest('.psr-side .block:has(> .container)');
    place();
  }

  for (const kind of ['pointerover', 'focusin']) page.addEventListener(kind, touch);
  page.addEventListener('scroll', place, true);
  page.addEventListener('psr-refused', () => drawn(place));
}
