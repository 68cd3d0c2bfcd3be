// Is the pool large enough? A verdict per class, and more candidates for the classes where they would pay.

import { messageOf } from '../core/api.js';
import { button, fill, h, said } from '../core/dom.js';
import { plural } from '../core/numbers.js';

/** @import { Api, Store, Verdict } from '../core/types' */

/**
 * How each verdict looks; "short" is for the narrow rows of the class list.
 * @type {Record<Verdict['verdict'], { mark: string, short: string, kind: string }>}
 */
export const VERDICTS = {
  enough: { mark: '✓', short: 'enough', kind: 'good' },
  'more would pay': { mark: '↗', short: 'more pays', kind: 'more' },
  'too small': { mark: '!', short: 'too small', kind: 'bad' },
};

/** @param {Store} store @param {Api} api */
export function createSufficiency(store, api) {
  const words = h('p', { class: 'psr-fine', role: 'status' });
  const check = button({
    label: 'Check the pool',
    className: 'psr-small',
    title: 'Say per class whether a larger pool would still pay at this budget',
    onClick: load,
  });
  const more = button({
    label: 'Generate more …',
    className: 'psr-small',
    title: 'Generate more candidates for the classes where they would pay',
    onClick: () => {
      form.hidden = !form.hidden;
      if (!form.hidden) size.focus();
    },
  });
  const size = h('input', {
    type: 'number',
    class: 'psr-input psr-number',
    min: '1',
    step: '1',
    'aria-label': 'Candidates per class after generating',
  });
  const start = button({ label: 'Start', className: 'psr-small', onClick: generate });
  const listed = h('p', { class: 'psr-fine psr-muted' });
  const form = h(
    'div',
    { class: 'psr-lab-form', hidden: true },
    h(
      'label',
      { class: 'psr-lab-line' },
      h('span', { class: 'psr-grow' }, 'Candidates per class'),
      size,
      start,
    ),
    listed,
  );
  const node = h(
    'div',
    { class: 'psr-sufficiency', role: 'group', 'aria-label': 'Pool sufficiency' },
    h('h4', {}, 'Is the pool large enough?'),
    h('div', { class: 'psr-lab-line' }, check, more),
    words,
    form,
  );

  async function load() {
    check.disabled = true;
    fill(words, 'Reading the gain curves …');
    try {
      const rows = await api.sufficiency();
      store.set({
        sufficiency: { rows: new Map(rows.map((row) => [row.class_id, row])), picks: store.data.picks },
      });
    } catch (error) {
      fill(words, said(messageOf(error)));
    }
    check.disabled = false;
  }

  const wanting = () => {
    const { sufficiency } = store.data;
    return sufficiency ? [...sufficiency.rows.values()].filter((row) => row.verdict !== 'enough') : [];
  };

  function refresh() {
    const { phase, sufficiency, picks, info } = store.data;
    const classes = wanting();
    more.hidden = !classes.length;
    if (!classes.length) form.hidden = true;
    if (!sufficiency || phase !== 'ready') return void fill(words);
    const rows = [...sufficiency.rows.values()];
    const counted = Object.entries(VERDICTS)
      .map(([verdict, { short }]) => ({ n: rows.filter((row) => row.verdict === verdict).length, short }))
      .filter(({ n }) => n)
      .map(({ n, short }) => `${n} ${short}`);
    const stale = sufficiency.picks !== picks;
    fill(words, counted.join(' · '), stale && ' (before the last change)');
    fill(
      listed,
      `For ${classes.map((row) => info.class_names[row.class_id]).join(', ')}. The others keep their pool.`,
    );
    size.value = String(Math.max(...classes.map((row) => row.suggested), 1));
  }

  async function generate() {
    start.disabled = true;
    try {
      const classes = wanting().map((row) => row.class_id);
      const { job } = await api.generateMore(classes, Number(size.value));
      form.hidden = true;
      fill(
        words,
        `Job ${job} generates more for ${plural(classes.length, 'class', 'classes')}; the Pool tab shows how far it is.`,
      );
    } catch (error) {
      fill(words, said(messageOf(error)));
    }
    start.disabled = false;
  }

  store.on(['sufficiency', 'picks'], refresh);
  store.on(['info'], () => store.set({ sufficiency: null }));
  refresh();
  return { node };
}
