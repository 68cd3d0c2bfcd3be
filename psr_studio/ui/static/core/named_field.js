// The field that an error names comes into view, out of a folded part too; else the one that has the focus: what is said
// may take its room.

import { drawn } from './dom.js';

/** @param {Document} page */
export function showNamed(page) {
  page.addEventListener('psr-refused', () => drawn(show));

  function show() {
    const errors = page.querySelectorAll('[data-field]:not([data-field=""])');
    const name = [...errors].filter(isSeen).pop()?.getAttribute('data-field');
    const labels = [...page.querySelectorAll('.psr-side [data-testid="block-info"]')];
    const named = labels.filter((node) => node.textContent?.trim() === name);
    const folded = named.some(isSeen) ? undefined : named.map(foldOf).find(isFolded);
    if (folded instanceof HTMLElement) folded.click();
    drawn(() => {
      const field = named.find(isSeen) ?? page.activeElement;
      field?.closest('.psr-side-body .block')?.scrollIntoView({ block: 'nearest' });
    });
  }
}

/** @param {Element} node */
const foldOf = (node) => node.closest('.gr-accordion')?.querySelector(':scope > .label-wrap');

/** @param {Element | null | undefined} head */
const isFolded = (head) => head && isSeen(head) && !head.classList.contains('open');

/** @param {Element} node */
const isSeen = (node) => node.checkVisibility();
