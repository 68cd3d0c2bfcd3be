// The tags of the focused candidate: each with its way out, and a field for one more.

import { button, fill, h, suggest, suggestions } from '../core/dom.js';

/** @import { Actions, Store } from '../core/types' */

const KNOWN = 'psr-known-tags';

/** @param {Store} store @param {Actions} actions */
export function createTags(store, actions) {
  const chips = h('span', { class: 'psr-tag-list' });
  const known = suggestions(KNOWN);
  const field = h('input', {
    type: 'text',
    class: 'psr-input psr-tag-field',
    placeholder: 'Add a tag',
    'aria-label': 'Add a tag to this candidate',
    list: KNOWN,
    autocomplete: 'off',
    on: { keydown: (event) => event.key === 'Enter' && add() },
  });
  const node = h('div', { class: 'psr-tags', role: 'group', 'aria-label': 'Tags' }, chips, field, known);

  function add() {
    const { focus } = store.data;
    const name = field.value.trim();
    if (focus === null || !name) return;
    actions.tag(name, true, [focus]);
    field.value = '';
  }

  /** @param {string} name @param {number} position */
  function remove(name, position) {
    actions.tag(name, false, [position]);
    field.focus(); // the chip goes
  }

  function refresh() {
    const { candidate, focus, tags, info } = store.data;
    const own = candidate?.position === focus ? candidate : null;
    fill(
      chips,
      own?.tags.map((name) => chip(name, () => remove(name, own.position))),
    );
    suggest(
      known,
      Object.keys(tags).filter((name) => !own?.tags.includes(name)),
    );
    if (info) field.maxLength = info.names.longest_tag;
  }

  store.on(['candidate', 'focus', 'tags', 'info'], refresh);
  refresh();
  return { node };
}

/** @param {string} label @param {() => void} onClick */
function chip(label, onClick) {
  const title = `Take the tag "${label}" from this candidate`;
  const node = button({ label, title, iconName: 'clear', className: 'psr-filter psr-tag', onClick });
  node.setAttribute('aria-label', title);
  return node;
}
