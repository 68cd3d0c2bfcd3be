// A small chart of shares over the ten difficulty bins. Plain SVG: four series need no library.

import { count, h } from '../core/dom.js';
import { N_BINS, binName } from '../core/lab_model.js';

const SVG_NS = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [264, 132, 31, 16, 6];
const PLOT = { width: WIDTH - LEFT - 4, height: HEIGHT - BOTTOM - TOP };

export const SERIES = [
  { key: 'original', label: 'Original', mark: 'line' },
  { key: 'pool', label: 'Pool', mark: 'wide' },
  { key: 'picked', label: 'Picked', mark: 'narrow' },
  { key: 'target', label: 'Target', mark: 'tick' },
];

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG_NS, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const shares = (counts) => {
  const sum = counts.reduce((total, value) => total + value, 0);
  return counts.map((value) => (sum > 0 ? value / sum : 0));
};

/** A round number at or above the largest share: 0.2, 0.5, 1. */
const ceiling = (value) => [0.1, 0.2, 0.3, 0.4, 0.5, 0.75].find((step) => value <= step) ?? 1;

const x = (k) => LEFT + (k / N_BINS) * PLOT.width;
const bin = PLOT.width / N_BINS;

/**
 * @param {{key: string, label: string, mark: string, counts: number[]}[]} series those that are shown
 * @param {string} title what the chart shows, for screen readers
 * @returns {HTMLElement} the drawing and the same numbers as a hidden table
 */
export function drawBinChart(series, title) {
  const lines = series.map((item) => ({ ...item, shares: shares(item.counts) }));
  const top = ceiling(Math.max(0.05, ...lines.flatMap((item) => item.shares)));
  const y = (share) => TOP + PLOT.height * (1 - share / top);
  const drawing = svg('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    class: 'psr-chart',
    'aria-hidden': 'true',
  });
  drawing.append(...axes(top, y));
  for (const item of ['wide', 'narrow', 'line', 'tick'].flatMap((mark) =>
    lines.filter((l) => l.mark === mark),
  ))
    drawing.append(...MARKS[item.mark](item, y));
  drawing.append(...hovers(lines));
  return h('div', { class: 'psr-chart-box' }, drawing, table(lines, title));
}

const MARKS = {
  wide: (item, y) => columns(item, y, 0.06, 0.88),
  narrow: (item, y) => columns(item, y, 0.28, 0.44),
  tick: (item, y) =>
    item.shares.map((share, k) =>
      svg('path', { class: `psr-chart-${item.key}`, d: `M${x(k) + 0.08 * bin} ${y(share)}h${0.84 * bin}` }),
    ),
  line: (item, y) => {
    const steps = item.shares.map((share, k) => `${k ? 'L' : 'M'}${x(k)} ${y(share)}H${x(k + 1)}`);
    return [svg('path', { class: `psr-chart-${item.key}`, d: steps.join('') })];
  },
};

function columns(item, y, from, width) {
  return item.shares.map((share, k) =>
    svg('rect', {
      class: `psr-chart-${item.key}`,
      x: x(k) + from * bin,
      width: width * bin,
      y: y(share),
      height: Math.max(0, y(0) - y(share)),
    }),
  );
}

function axes(top, y) {
  const parts = [svg('path', { class: 'psr-chart-axis', d: `M${LEFT} ${y(0)}H${WIDTH - 4}` })];
  for (const share of [top / 2, top]) {
    parts.push(svg('path', { class: 'psr-chart-grid', d: `M${LEFT} ${y(share)}H${WIDTH - 4}` }));
    const label = svg('text', { x: LEFT - 4, y: y(share) + 3.5, 'text-anchor': 'end' });
    label.textContent = `${Math.round(100 * share)}%`;
    parts.push(label);
  }
  for (const k of [0, 5, 10]) {
    const label = svg('text', {
      x: x(k),
      y: HEIGHT - 4,
      'text-anchor': k === 10 ? 'end' : k ? 'middle' : 'start',
    });
    label.textContent = k === 0 ? '0 easy' : k === 10 ? 'hard 1' : '0.5';
    parts.push(label);
  }
  return parts;
}

/** An invisible column over each bin that tells its numbers on hover. */
function hovers(lines) {
  return Array.from({ length: N_BINS }, (_, k) => {
    const area = svg('rect', { x: x(k), y: 0, width: bin, height: HEIGHT - BOTTOM, fill: 'transparent' });
    const words = lines.map((item) => `${item.label}: ${count(item.counts[k])} (${percent(item.shares[k])})`);
    const title = svg('title', {});
    title.textContent = [`Difficulty ${binName(k)}`, ...words].join('\n');
    area.append(title);
    return area;
  });
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function table(lines, title) {
  const cell = (tag, text) => h(tag, {}, text);
  return h(
    'table',
    { class: 'psr-unseen' },
    h('caption', {}, title),
    h(
      'tr',
      {},
      cell('th', 'Difficulty'),
      lines.map((item) => cell('th', item.label)),
    ),
    Array.from({ length: N_BINS }, (_, k) =>
      h(
        'tr',
        {},
        cell('th', binName(k)),
        lines.map((item) => cell('td', count(item.counts[k]))),
      ),
    ),
  );
}

/** The legend's mark of one series. */
export function swatchOf(item) {
  const inner = {
    wide: svg('rect', { class: `psr-chart-${item.key}`, x: 1, y: 2, width: 12, height: 8 }),
    narrow: svg('rect', { class: `psr-chart-${item.key}`, x: 4, y: 2, width: 6, height: 8 }),
    line: svg('path', { class: `psr-chart-${item.key}`, d: 'M1 9V4H13V9' }),
    tick: svg('path', { class: `psr-chart-${item.key}`, d: 'M1 6H13' }),
  }[item.mark];
  return svg('svg', { viewBox: '0 0 14 12', class: 'psr-chart-swatch', 'aria-hidden': 'true' }, inner);
}
