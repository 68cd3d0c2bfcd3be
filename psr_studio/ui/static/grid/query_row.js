// The field above the grid: a query, what it may go on with, and what was wrong with it.

import { messageOf } from '../core/api.js';
import { completions } from '../core/completions.js';
import { button, h, suggest, suggestions } from '../core/dom.js';

/** @import { Api, Search, Store } from '../core/types' */

const OFFERED = 'psr-clauses';
const REFUSAL = 'psr-query-refusal';

/** @param {Store} store @param {Pick<Api, 'clauses' | 'addPicture'>} api @param {Search} search */
export function createQueryRow(store, api, search) {
  const offered = suggestions(OFFERED);
  /** @type {string[]} */
  let clauses = [];
  const field = h('input', {
    type: 'text',
    class: 'psr-input psr-query',
    placeholder: 'difficulty > 0.5, not picked',
    title: 'Clauses with commas between them; Enter finds what all of them hold for (/)',
    'aria-label': 'Filter candidates by a query',
    list: OFFERED,
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-describedby': REFUSAL,
    on: { focus: learn, input: offer, keydown: key },
  });
  const file = h('input', { type: 'file', accept: 'image/*', hidden: true, on: { change: lookNear } });
  const picture = button({
    label: 'Near a picture…',
    iconName: 'picture',
    className: 'psr-icon-only psr-look-near',
    title: 'Choose a picture: the candidates nearest to it in the features of the teacher are found',
    onClick: () => file.click(),
  });
  const refusal = h('p', { class: 'psr-query-refusal', id: REFUSAL, role: 'alert' });
  const node = h(
    'div',
    { class: 'psr-query-row' },
    h('label', { class: 'psr-inline' }, h('span', {}, 'Filter'), field),
    picture,
    file,
    refusal,
    offered,
  );

  /** Tags come and go, so the server is asked anew; without an answer nothing new is offered. */
  async function learn() {
    clauses = await api.clauses().catch(() => clauses);
    offer();
  }

  async function lookNear() {
    const chosen = file.files?.[0];
    file.value = ''; // the same one may be chosen again
    if (!chosen) return;
    picture.disabled = true;
    try {
      search.ask(`near ${(await api.addPicture(chosen)).name}`);
    } catch (error) {
      store.set({ refused: { text: field.value, message: messageOf(error) } });
    }
    picture.disabled = false;
  }

  function offer() {
    suggest(offered, completions(field.value, clauses));
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    if (event.key === 'Enter') search.ask(field.value);
    else if (event.key === 'Escape') field.blur();
  }

  function refresh() {
    const { found, refused } = store.data;
    field.value = refused?.text ?? found ?? '';
    field.setAttribute('aria-invalid', String(refused !== null));
    refusal.textContent = refused?.message ?? '';
    refusal.hidden = refused === null;
  }

  store.on(['found', 'refused'], refresh);
  refresh();
  return {
    node,
    focus() {
      field.focus();
      field.select();
    },
  };
}
