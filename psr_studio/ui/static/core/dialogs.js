// Small dialogs of the workbench: a question, a few fields, a text to copy. Keys of the workbench rest meanwhile.

import { button, h, suggestions } from './dom.js';

/** @import { Child } from './types' */
/**
 * @typedef {{ name: string, label: string, value?: string, maxlength?: number, rows?: number, required?:
 *   boolean, list?: string[] }} Field `list`: values to choose from, others may be typed
 */

/**
 * @param {{ title: string, text?: string, confirmLabel: string, danger?: boolean, fields?: Field[] }} spec
 * @returns {Promise<Record<string, string> | null>} the fields' values, or null when the user went back
 */
export function ask({ title, text, confirmLabel, danger = false, fields = [] }) {
  const inputs = fields.map(makeField);
  const confirm = button({ label: confirmLabel, className: danger ? 'psr-danger' : 'psr-primary' });
  confirm.type = 'submit';
  const cancel = button({ label: 'Cancel', onClick: () => dialog.close() });
  const form = h(
    'form',
    { method: 'dialog', class: 'psr-form' },
    text && h('p', {}, text),
    inputs.map(({ node }) => node),
    h('div', { class: 'psr-form-buttons' }, cancel, confirm),
  );
  const dialog = open(title, form);
  return new Promise((resolve) => {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      resolve(Object.fromEntries(inputs.map(({ name, input }) => [name, input.value.trim()])));
      dialog.close();
    });
    dialog.addEventListener('close', () => resolve(null));
    (inputs[0]?.input ?? cancel).focus();
    inputs[0]?.input.select();
  });
}

/** Show a text that could not be put into the clipboard. @param {{ title: string, text: string }} spec */
export function showText({ title, text }) {
  const field = h('textarea', {
    class: 'psr-input psr-mono',
    readonly: true,
    rows: '5',
    'aria-label': title,
    value: text,
  });
  const hint = h('p', {}, 'The browser did not let the page copy. Press Ctrl+C now.');
  open(title, h('div', { class: 'psr-form' }, hint, field));
  field.focus();
  field.select();
}

/** @param {Field} field */
function makeField({ name, label, value = '', maxlength = 400, rows, required, list }) {
  const offered = list && suggestions(`psr-known-${name}`, list);
  const common = {
    class: 'psr-input',
    name,
    maxlength: String(maxlength),
    required,
    value,
    list: offered?.id,
  };
  const input = rows
    ? h('textarea', { ...common, rows: String(rows) })
    : h('input', { ...common, type: 'text' });
  return { name, input, node: h('label', { class: 'psr-field' }, h('span', {}, label), input, offered) };
}

/** @param {string} title @param {Child} content */
function open(title, content) {
  const close = button({
    label: 'Close',
    iconName: 'clear',
    className: 'psr-ghost psr-icon-only',
    onClick: () => dialog.close(),
  });
  const dialog = h(
    'dialog',
    { class: 'psr-dialog is-small', 'aria-label': title },
    h('header', {}, h('h3', {}, title), close),
    content,
  );
  const before = document.activeElement;
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  });
  document.querySelector('.psr')?.append(dialog);
  dialog.showModal();
  return dialog;
}
