// The panel of named selections: what was kept, when, with which selector, and why.

import { button, fill, h } from '../core/dom.js';
import { plural } from '../core/numbers.js';

/** @import { ButtonSpec, Library, Panel, Saved, Store } from '../core/types' */

/**
 * @param {Store} store
 * @param {Library} library
 * @param {(name: string) => void} compareWith told the name of a selection
 * @returns {Panel}
 */
export function createSavedPanel(store, library, compareWith) {
  const list = h('ul', { class: 'psr-cards' });
  const node = h('div', { class: 'psr-saved' }, saveForm(store, library), list);

  function refresh() {
    const byTime = [...store.data.saved].sort((a, b) => b.created - a.created);
    const none = 'Nothing saved yet. A saved selection can be refined, compared, restored.';
    fill(list, byTime.length ? byTime.map(card) : h('li', { class: 'psr-note' }, none));
  }

  /** @param {Saved} record */
  function card(record) {
    const { name, note, created, images, selector, current } = record;
    return h(
      'li',
      { class: `psr-card-row-box${current ? ' is-current' : ''}`, 'data-name': name },
      h(
        'div',
        { class: 'psr-card-head' },
        h('strong', { title: name }, name),
        current &&
          h('span', { class: 'psr-pillet', title: 'The screen shows just these picks' }, 'on screen'),
        h('span', { class: 'psr-grow' }),
        small({
          label: 'Edit the note',
          iconName: 'edit',
          title: `Edit the note of "${name}"`,
          className: 'psr-ghost psr-icon-only',
          onClick: () => library.editNote(record),
        }),
        small({
          label: 'Delete',
          iconName: 'trash',
          title: `Delete "${name}"`,
          className: 'psr-ghost psr-icon-only',
          onClick: () => library.remove(record),
        }),
      ),
      h('div', { class: 'psr-fine' }, `${plural(images, 'image')} · ${selector} · ${day(created)}`),
      note && h('p', { class: 'psr-saved-note' }, note),
      h(
        'div',
        { class: 'psr-card-buttons' },
        small({
          label: 'Restore',
          iconName: 'revert',
          title: `Put "${name}" back on the screen, with its settings and marks`,
          onClick: () => library.restore(name),
        }),
        small({
          label: 'Compare',
          iconName: 'compare',
          title: `Compare "${name}" with what is on screen`,
          onClick: () => compareWith(name),
        }),
      ),
    );
  }

  store.on(['saved'], refresh);
  refresh();
  return {
    id: 'saved',
    label: 'Saved',
    title: 'Saved selections',
    iconName: 'saved',
    key: 'S',
    node,
    shown: () => {
      if (store.data.phase === 'ready') library.refresh();
    },
  };
}

/**
 * A button whose title names what it is about, to readers of the screen too.
 * @param {ButtonSpec & { title: string }} spec
 */
function small(spec) {
  const item = button(spec);
  item.setAttribute('aria-label', spec.title);
  return item;
}

/** @param {Store} store @param {Library} library */
function saveForm(store, library) {
  const name = h('input', {
    class: 'psr-input',
    type: 'text',
    maxlength: '60',
    required: true,
    placeholder: 'Name',
    'aria-label': 'Name of the selection',
    'aria-describedby': 'psr-name-rule',
    on: {
      input: () => {
        rule.textContent = breach(name.value.trim());
        name.setAttribute('aria-invalid', String(Boolean(rule.textContent)));
      },
    },
  });
  const note = h('textarea', {
    class: 'psr-input',
    rows: '2',
    maxlength: '400',
    placeholder: 'Note (optional): what is it for?',
    'aria-label': 'Note (optional)',
  });
  const submit = button({ label: 'Save what is on screen', iconName: 'saved', className: 'psr-primary' });
  submit.type = 'submit';
  const rule = h('p', { class: 'psr-fine psr-warn-text', role: 'status', id: 'psr-name-rule' });

  /** The server's rule where a name breaks it, said before it has to refuse. @param {string} given */
  function breach(given) {
    const names = store.data.info?.names;
    if (!names || !given) return '';
    const fits = new RegExp(`^${names.pattern}$`, 'u').test(given) && given !== names.live;
    return fits ? '' : names.rule;
  }

  async function save(/** @type {SubmitEvent} */ event) {
    event.preventDefault();
    if (!name.value.trim()) return name.focus();
    submit.disabled = true;
    if (await library.save(name.value.trim(), note.value.trim())) form.reset();
    submit.disabled = false;
  }

  const form = h(
    'form',
    { class: 'psr-form', 'aria-label': 'Save the selection', on: { submit: save } },
    name,
    rule,
    note,
    submit,
  );
  return form;
}

/** "12 Nov, 14:02"; the year where it is another one. @param {number} seconds */
export function day(seconds) {
  const date = new Date(1000 * seconds);
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : 'numeric';
  return date.toLocaleString('en-GB', {
    day: 'numeric',
    month: 'short',
    year,
    hour: '2-digit',
    minute: '2-digit',
  });
}
