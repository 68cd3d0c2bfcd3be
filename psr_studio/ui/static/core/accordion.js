// Foldable sections under each other; which ones are folded is remembered in this browser.

import { h, icon } from './dom.js';
import { recall, remember } from './kept.js';

/**
 * @param {string} name under which the folding is remembered
 * @param {{key: string, title: string, node: HTMLElement, shown?: function}[]} sections `shown` is called when
 * a section is unfolded
 * @returns {{node: HTMLElement, shown: function}} `shown`: the whole came into view
 */
export function createAccordion(name, sections) {
  const folded = new Set(recall(name, []));
  const heads = sections.map(head);
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

  function head({ key, title }) {
    return h(
      'button',
      {
        type: 'button',
        class: 'psr-accordion-head',
        'aria-controls': `psr-${name}-${key}`,
        on: { click: () => toggle(key) },
      },
      icon('chevron'),
      title,
    );
  }

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
  return { node, shown: refresh };
}
