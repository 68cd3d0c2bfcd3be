// The panel of named selections: what was kept, when, with which selector, and why.

import { button, fill, h, plural } from '../core/dom.js';

/** @returns {object} a row for dock.js; `compareWith` is told the name of a selection */
export function createSavedPanel(store, library, compareWith) {
  const list = h('ul', { class: 'psr-cards' });
  const node = h('div', { class: 'psr-saved' }, saveForm(store, library), list);

  function refresh() {
    const { saved } = store.data;
    const byTime = [...saved].sort((a, b) => b.created - a.created);
    if (!byTime.length)
      return fill(
        list,
        h(
          'li',
          { class: 'psr-note' },
          'Nothing saved yet. A saved selection can be refined, compared, restored.',
        ),
      );
    return fill(list, byTime.map(card));
  }

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
        small('Edit the note', 'edit', `Edit the note of "${name}"`, () => library.editNote(record), true),
        small('Delete', 'trash', `Delete "${name}"`, () => library.remove(record), true),
      ),
      h('div', { class: 'psr-fine' }, `${plural(images, 'image')} · ${selector} · ${day(created)}`),
      note && h('p', { class: 'psr-saved-note' }, note),
      h(
        'div',
        { class: 'psr-card-buttons' },
        small('Restore', 'revert', `Put "${name}" back on the screen, with its settings and marks`, () =>
          library.restore(name),
        ),
        small('Compare', 'compare', `Compare "${name}" with what is on screen`, () => compareWith(name)),
      ),
    );
  }

  store.on(['saved'], refresh);
  refresh();
  const head = { id: 'saved', label: 'Saved', title: 'Saved selections', iconName: 'saved', key: 'S' };
  return { ...head, node, shown: () => store.data.phase === 'ready' && library.refresh() };
}

function small(label, iconName, title, onClick, iconOnly = false) {
  const item = button({
    label,
    iconName,
    title,
    onClick,
    className: iconOnly ? 'psr-ghost psr-icon-only' : '',
  });
  item.setAttribute('aria-label', title);
  return item;
}

function saveForm(store, library) {
  const name = h('input', {
    class: 'psr-input',
    type: 'text',
    maxlength: '60',
    required: true,
    placeholder: 'Name',
    'aria-label': 'Name of the selection',
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
  name.setAttribute('aria-describedby', rule.id);
  name.addEventListener('input', () => {
    const given = name.value.trim();
    rule.textContent = !given || canBeName(given) ? '' : NAME_RULE;
    name.setAttribute('aria-invalid', String(Boolean(rule.textContent)));
  });
  const form = h('form', { class: 'psr-form', 'aria-label': 'Save the selection' }, name, rule, note, submit);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (!name.value.trim()) return name.focus();
    submit.disabled = true;
    if (await library.save(name.value.trim(), note.value.trim())) form.reset();
    submit.disabled = false;
    return undefined;
  });
  return form;
}

// The server's rule (fields.NAME_RULE), said before it has to refuse.
const NAME_RULE = 'Take up to 80 letters, digits, spaces and . @ + - _; a letter or digit first, no dot at the end.';
const canBeName = (text) =>
  /^[\p{L}\p{N}_](?:[\p{L}\p{N}_ .@+-]{0,78}[\p{L}\p{N}_@+-])?$/u.test(text) && text !== 'live';

/** "12 Nov, 14:02"; the year where it is another one. */
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
