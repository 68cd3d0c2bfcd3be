// Original, pool, target and picks over the ten difficulty bins, and in words what a bin could not give.

import { messageOf } from '../core/api.js';
import { binName } from '../core/bins.js';
import { fill, h, said, segmented } from '../core/dom.js';
import { fixed, plural } from '../core/numbers.js';
import { ready } from '../core/store.js';
import { drawBinChart, SERIES, swatchOf } from './bin_chart.js';

/** @import { Api, Distributions, Info, Store, Substitution } from '../core/types' */
/** @import { Counted } from './bin_chart.js' */
/** @typedef {'raw' | 'smoothed'} Stage */

const MAX_SENTENCES = 4;
const AFTER_MS = 60; // after the picks are on the screen: the chart must not delay them

/** @param {Store} store @param {Api} api */
export function createDistribution(store, api) {
  /** @type {Set<string>} */
  const hidden = new Set();
  /** @type {Stage} */
  let stage = 'smoothed';
  /** @type {(Distributions & { solo: number | null }) | null} */
  let answer = null;
  let stamp = 0;
  let timer = 0;
  let stale = true;
  const toggle = segmented(
    'Difficulties',
    [
      { value: 'raw', label: 'As measured', title: 'Difficulty 1 − p(own class) as it is' },
      {
        value: 'smoothed',
        label: 'Smoothed',
        title: 'Winsorised and put on a logarithmic scale, as DGS compares them',
      },
    ],
    (/** @type {Stage} */ value) => {
      stage = value;
      draw();
    },
  );
  const scope = h('span', { class: 'psr-lab-name psr-grow' });
  const chart = h('div', {});
  const legend = h('div', { class: 'psr-chart-legend', role: 'group', 'aria-label': 'Series shown' });
  const words = h('div', { class: 'psr-fine psr-chart-words', role: 'status' });
  const node = h(
    'div',
    { class: 'psr-lab-difficulty' },
    h('div', { class: 'psr-lab-line' }, toggle.node, scope),
    chart,
    legend,
    words,
  );

  async function load() {
    const { phase, solo } = store.data;
    if (phase !== 'ready') return;
    stale = !node.getClientRects().length;
    if (stale) return; // out of view: when it comes into it
    stamp += 1;
    const mine = stamp;
    try {
      const found = await api.distributions(solo);
      if (mine !== stamp) return;
      answer = { ...found, solo };
      draw();
    } catch (error) {
      if (mine === stamp) fill(words, said(messageOf(error)));
    }
  }

  /**
   * The series that an answer has, each as counts over the bins.
   * @param {Distributions} found
   * @returns {Counted[]}
   */
  function series(found) {
    // Targets are counted over smoothed difficulties: beside raw ones they would mislead.
    const counts = { ...found[stage], target: stage === 'smoothed' ? found.target : null };
    return SERIES.flatMap((item) => {
      const own = counts[item.key];
      return own ? [{ ...item, counts: own }] : [];
    });
  }

  function draw() {
    toggle.show(stage);
    if (!answer) return;
    const { info } = ready(store);
    const name = answer.solo === null ? 'all classes' : info.class_names[answer.solo];
    scope.textContent = name;
    const found = series(answer);
    const drawn = found.filter(({ key }) => !hidden.has(key));
    fill(chart, drawBinChart(drawn, info.bin_edges, `Images by difficulty, ${name}, ${stage}`));
    fill(legend, found.map(entry));
    fill(words, distinct(answer), thresholds(answer.thresholds), substitutions(answer.substituted, info));
  }

  /** @param {Counted} item */
  function entry(item) {
    const sum = item.counts.reduce((total, value) => total + value, 0);
    return h(
      'button',
      {
        type: 'button',
        class: 'psr-chart-entry',
        title: `${item.label}: ${plural(Math.round(sum), 'image')}. Click to show or hide.`,
        'aria-pressed': String(!hidden.has(item.key)),
        on: {
          click: () => {
            if (!hidden.delete(item.key)) hidden.add(item.key);
            draw();
            const again = legend.querySelector(`[data-key='${item.key}']`);
            if (again instanceof HTMLElement) again.focus();
          },
        },
        'data-key': item.key,
      },
      swatchOf(item),
      item.label,
    );
  }

  store.on(['picks', 'solo'], () => {
    clearTimeout(timer);
    timer = setTimeout(load, AFTER_MS);
  });
  store.on(['info'], () => {
    answer = null;
  });
  draw();
  return {
    node,
    /** What was fetched last, null before that. */
    last: () => answer,
    /** It came into view. */
    shown: () => {
      if (stale) load();
    },
  };
}

/** @param {Distributions} found */
function distinct({ n, vendi }) {
  if (vendi === null || !n.picked) return null;
  return h(
    'p',
    { title: "Exp of the entropy of the eigenvalues of the cosines of the teacher's features, over n" },
    `Vendi score: as good as ${fixed(vendi)} distinct pictures in ${plural(n.picked, 'pick')}.`,
  );
}

/** @param {Distributions['thresholds']} found */
function thresholds({ pool, original }) {
  const share = (/** @type {number} */ value) => `${Math.round(100 * value)} %`;
  /** @param {string} label @param {[number, number] | null} pair */
  const part = (label, pair) =>
    pair && `the easiest ${share(pair[0])} and the hardest ${share(pair[1])} of the ${label}`;
  const parts = [part('pool', pool), part('real images', original)].filter(Boolean);
  if (!parts.length) return null;
  return h(
    'p',
    {
      title: 'They count as difficult as the first one that stays: the thresholds b and t of DGS eq. 8 and 9',
    },
    `Smoothing moved ${parts.join(', and ')}.`,
  );
}

/**
 * "Shirt: 2 of 3 wanted at 0.8 – 0.9 came from 0.7 – 0.8."
 * @param {Substitution[]} rows
 * @param {Info} info
 */
function substitutions(rows, { class_names: names, bin_edges: edges }) {
  if (!rows.length) return null;
  const total = rows.reduce((sum, row) => sum + row.count, 0);
  const sentences = rows.map(
    (row) =>
      `${names[row.class_id]}: ${row.count} of ${row.wanted} wanted at ${binName(edges, row.bin)} ` +
      `came from ${binName(edges, row.taken_from)}.`,
  );
  const list = (/** @type {string[]} */ texts) =>
    h(
      'ul',
      {},
      texts.map((text) => h('li', {}, text)),
    );
  const more = sentences.length - MAX_SENTENCES;
  return [
    h(
      'p',
      { class: 'psr-warn-text' },
      `${plural(total, 'pick')} came from a neighbouring bin, whose own had run out.`,
    ),
    list(sentences.slice(0, MAX_SENTENCES)),
    more > 0 && h('details', {}, h('summary', {}, `${more} more`), list(sentences.slice(MAX_SENTENCES))),
  ];
}
