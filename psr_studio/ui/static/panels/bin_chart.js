// A small chart of shares over the ten difficulty bins. Plain SVG: four series need no library.

import { binName } from '../core/bins.js';
import { h, svg } from '../core/dom.js';
import { count } from '../core/numbers.js';

/**
 * @typedef {object} Series
 * @property {'original' | 'pool' | 'picked' | 'target'} key
 * @property {string} label
 * @property {'line' | 'wide' | 'narrow' | 'tick'} mark how it is drawn
 */
/** @typedef {Series & { counts: number[] }} Counted */
/** @typedef {Counted & { shares: number[] }} Line */
/** @typedef {{ x: (k: number) => number, y: (share: number) => number, bin: number }} Scale */

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [264, 132, 31, 16, 6];
const PLOT = { width: WIDTH - LEFT - 4, height: HEIGHT - BOTTOM - TOP };

/** @type {Series[]} */
export const SERIES = [
  { key: 'original', label: 'Original', mark: 'line' },
  { key: 'pool', label: 'Pool', mark: 'wide' },
  { key: 'picked', label: 'Picked', mark: 'narrow' },
  { key: 'target', label: 'Target', mark: 'tick' },
];
/** From the lowest to the topmost. @type {Series['mark'][]} */
const LAYERS = ['wide', 'narrow', 'line', 'tick'];

/**
 * The drawing, and the same numbers as a hidden table.
 * @param {Counted[]} series those that are shown
 * @param {number[]} edges of the bins
 * @param {string} title what the chart shows, for screen readers
 */
export function drawBinChart(series, edges, title) {
  const lines = series.map((item) => ({ ...item, shares: shares(item.counts) }));
  const top = ceiling(Math.max(0.05, ...lines.flatMap((item) => item.shares)));
  const scale = scaleOf(edges.length - 1, top);
  const layered = LAYERS.flatMap((mark) => lines.filter((line) => line.mark === mark));
  const drawing = svg(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'psr-chart', 'aria-hidden': 'true' },
    ...axes(top, edges, scale),
    ...layered.flatMap((line) => MARKS[line.mark](line, scale)),
    ...hovers(lines, edges, scale),
  );
  return h('div', { class: 'psr-chart-box' }, drawing, table(lines, edges, title));
}

/** @param {number} nBins @param {number} top the largest share @returns {Scale} */
const scaleOf = (nBins, top) => ({
  bin: PLOT.width / nBins,
  x: (k) => LEFT + (k / nBins) * PLOT.width,
  y: (share) => TOP + PLOT.height * (1 - share / top),
});

/** @param {number[]} counts */
const shares = (counts) => {
  const sum = counts.reduce((total, value) => total + value, 0);
  return counts.map((value) => (sum > 0 ? value / sum : 0));
};

/** A round number at or above the largest share: 0.2, 0.5, 1. @param {number} value */
const ceiling = (value) => [0.1, 0.2, 0.3, 0.4, 0.5, 0.75].find((step) => value <= step) ?? 1;

/** @type {Record<Series['mark'], (line: Line, scale: Scale) => SVGElement[]>} */
const MARKS = {
  wide: (line, scale) => columns(line, scale, 0.06, 0.88),
  narrow: (line, scale) => columns(line, scale, 0.28, 0.44),
  tick: (line, { x, y, bin }) =>
    line.shares.map((share, k) =>
      svg('path', { class: `psr-chart-${line.key}`, d: `M${x(k) + 0.08 * bin} ${y(share)}h${0.84 * bin}` }),
    ),
  line: (line, { x, y }) => {
    const steps = line.shares.map((share, k) => `${k ? 'L' : 'M'}${x(k)} ${y(share)}H${x(k + 1)}`);
    return [svg('path', { class: `psr-chart-${line.key}`, d: steps.join('') })];
  },
};

/**
 * @param {Line} line
 * @param {Scale} scale
 * @param {number} from share of a bin
 * @param {number} width the same
 */
const columns = (line, { x, y, bin }, from, width) =>
  line.shares.map((share, k) =>
    svg('rect', {
      class: `psr-chart-${line.key}`,
      x: x(k) + from * bin,
      width: width * bin,
      y: y(share),
      height: Math.max(0, y(0) - y(share)),
    }),
  );

/** @param {number} top @param {number[]} edges @param {Scale} scale @returns {SVGElement[]} */
function axes(top, edges, { x, y }) {
  const last = edges.length - 1;
  const marks = [
    { k: 0, anchor: 'start', words: `${edges[0]} easy` },
    { k: last / 2, anchor: 'middle', words: `${edges[last / 2]}` },
    { k: last, anchor: 'end', words: `hard ${edges[last]}` },
  ];
  return [
    svg('path', { class: 'psr-chart-axis', d: `M${LEFT} ${y(0)}H${WIDTH - 4}` }),
    ...[top / 2, top].flatMap((share) => [
      svg('path', { class: 'psr-chart-grid', d: `M${LEFT} ${y(share)}H${WIDTH - 4}` }),
      svg('text', { x: LEFT - 4, y: y(share) + 3.5, 'text-anchor': 'end' }, `${Math.round(100 * share)}%`),
    ]),
    ...marks.map(({ k, anchor, words }) =>
      svg('text', { x: x(k), y: HEIGHT - 4, 'text-anchor': anchor }, words),
    ),
  ];
}

/**
 * An invisible column over each bin that tells its numbers on hover.
 * @param {Line[]} lines
 * @param {number[]} edges
 * @param {Scale} scale
 */
const hovers = (lines, edges, { x, bin }) =>
  edges.slice(0, -1).map((_, k) => {
    const words = lines.map((line) => `${line.label}: ${count(line.counts[k])} (${percent(line.shares[k])})`);
    return svg(
      'rect',
      { x: x(k), y: 0, width: bin, height: HEIGHT - BOTTOM, fill: 'transparent' },
      svg('title', {}, [`Difficulty ${binName(edges, k)}`, ...words].join('\n')),
    );
  });

/** @param {number} share */
const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** @param {Line[]} lines @param {number[]} edges @param {string} title */
function table(lines, edges, title) {
  return h(
    'table',
    { class: 'psr-unseen' },
    h('caption', {}, title),
    h(
      'tr',
      {},
      h('th', {}, 'Difficulty'),
      lines.map((line) => h('th', {}, line.label)),
    ),
    edges.slice(0, -1).map((_, k) =>
      h(
        'tr',
        {},
        h('th', {}, binName(edges, k)),
        lines.map((line) => h('td', {}, count(line.counts[k]))),
      ),
    ),
  );
}

/** The legend's mark of one series. @param {Series} item */
export function swatchOf({ key, mark }) {
  const shapes = {
    wide: () => svg('rect', { class: `psr-chart-${key}`, x: 1, y: 2, width: 12, height: 8 }),
    narrow: () => svg('rect', { class: `psr-chart-${key}`, x: 4, y: 2, width: 6, height: 8 }),
    line: () => svg('path', { class: `psr-chart-${key}`, d: 'M1 9V4H13V9' }),
    tick: () => svg('path', { class: `psr-chart-${key}`, d: 'M1 6H13' }),
  };
  return svg(
    'svg',
    { viewBox: '0 0 14 12', class: 'psr-chart-swatch', 'aria-hidden': 'true' },
    shapes[mark](),
  );
}
