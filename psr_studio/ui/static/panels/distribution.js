// Original, pool, target and picks over the ten difficulty bins, and in words what a bin could not give.

import { SERIES, drawBinChart, swatchOf } from './bin_chart.js';
import { fill, h, messageOf, plural, said, segmented } from '../core/dom.js';
import { binName } from '../core/lab_model.js';

const MAX_SENTENCES = 4;

/** @returns {{node: HTMLElement, last: function(): object|null, shown: function}} */
export function createDistribution(store, api) {
  const hidden = new Set();
  let stage = 'smoothed';
  let answer = null;
  let stamp = 0;
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
    (value) => {
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
  const inView = () => node.getClientRects().length > 0;

  async function load() {
    const { phase, solo, info } = store.data;
    if (phase !== 'ready' || !info.selectors) return;
    if (!inView()) {
      stale = true;
      return;
    }
    stale = false;
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

  /** The series that this answer has, each as counts over the bins. */
  function series() {
    const part = answer[stage];
    // Targets are counted over smoothed difficulties: beside raw ones they would mislead.
    const target = stage === 'smoothed' ? answer.target : null;
    const counts = { original: part.original, pool: part.pool, picked: part.picked, target };
    return SERIES.map((item) => ({ ...item, counts: counts[item.key] })).filter((item) => item.counts);
  }

  function draw() {
    toggle.show(stage);
    if (!answer) return;
    const { info } = store.data;
    const name = answer.solo === null ? 'all classes' : info.class_names[answer.solo];
    scope.textContent = name;
    const found = series();
    fill(
      chart,
      drawBinChart(
        found.filter(({ key }) => !hidden.has(key)),
        `Images by difficulty, ${name}, ${stage}`,
      ),
    );
    fill(legend, found.map(entry));
    fill(words, thresholds(answer.thresholds), substitutions(answer.substituted || [], info));
  }

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
            legend.querySelector(`[data-key='${item.key}']`)?.focus();
          },
        },
        'data-key': item.key,
      },
      swatchOf(item),
      item.label,
    );
  }

  let timer = 0;
  /** After the picks are on the screen: the chart must not delay them. */
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(load, 60);
  };
  store.on(['picks', 'solo'], soon);
  store.on(['info'], () => {
    answer = null;
    node.hidden = !store.data.info?.selectors;
  });
  draw();
  return { node, last: () => answer, shown: () => stale && load() };
}

function thresholds(found) {
  const share = (value) => `${Math.round(100 * value)} %`;
  const part = (label, pair) =>
    pair && `the easiest ${share(pair[0])} and the hardest ${share(pair[1])} of the ${label}`;
  const parts = [part('pool', found?.pool), part('real images', found?.original)].filter(Boolean);
  if (!parts.length) return null;
  return h(
    'p',
    {
      title:
        'They count as difficult as the first one that stays: the thresholds b and t of DGS eq. 8 and 9',
    },
    `Smoothing moved ${parts.join(', and ')}.`,
  );
}

/** "Shirt: 2 of 3 wanted at 0.8 – 0.9 came from 0.7 – 0.8." */
function substitutions(rows, info) {
  if (!rows.length) return null;
  const total = rows.reduce((sum, row) => sum + row.count, 0);
  const sentence = (row) => {
    const name = info.class_names[row.class_id];
    return `${name}: ${row.count} of ${row.wanted} wanted at ${binName(row.bin)} came from ${binName(row.taken_from)}.`;
  };
  return [
    h(
      'p',
      { class: 'psr-warn-text' },
      `${plural(total, 'pick')} came from a neighbouring bin, whose own had run out.`,
    ),
    h(
      'ul',
      {},
      rows.slice(0, MAX_SENTENCES).map((row) => h('li', {}, sentence(row))),
    ),
    rows.length > MAX_SENTENCES &&
      h(
        'details',
        {},
        h('summary', {}, `${rows.length - MAX_SENTENCES} more`),
        h(
          'ul',
          {},
          rows.slice(MAX_SENTENCES).map((row) => h('li', {}, sentence(row))),
        ),
      ),
  ];
}
