// Foldable sections under each other; which ones are folded is remembered in this browser.

import { h, icon } from './dom.js';
import { recall, remember } from './kept.js';

/** @typedef {{ key: string, title: string, node: HTMLElement, shown?: () => void }} Section */

/**
 * @param {string} name under which the folding is remembered
 * @param {Section[]} sections `shown` is called when a section is unfolded
 */
export function createAccordion(name, sections) {
  const folded = new Set(recall(name, /** @type {string[]} */ ([])));
  const heads = sections.map(({ key, title }) =>
    h(
      'button',
      {
        type: 'button',
        class: 'psr-accordion-head',
        'aria-controls': `psr-${name}-${key}`,
        on: { click: () => toggle(key) },
      },
      icon('chevron'),
      title,
    ),
  );
  const bodies = sections.map(({ key, node: content }) =>
    h('div', { class: 'psr-accordion-body', id: `psr-${name}-${key}` }, content),
  );
  const node = h(
    'div',
    { class: 'psr-accordion' },
    sections.map(({ key, title }, i) =>
      h('section', { class: `psr-accordion-section is-${key}`, 'aria-label': title }, heads[i], bodies[i]),
    ),
  );

  /** @param {string} key */
  function toggle(key) {
    if (!folded.delete(key)) folded.add(key);
    remember(name, [...folded]);
    refresh();
  }

  function refresh() {
    sections.forEach(({ key, shown }, i) => {
      const open = !folded.has(key);
      heads[i].setAttribute('aria-expanded', String(open));
      bodies[i].hidden = !open;
      if (open) shown?.();
    });
  }

  refresh();
  /** `shown`: the whole came into view. */
  return { node, shown: refresh };
}
