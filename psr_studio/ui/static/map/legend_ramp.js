// The legend of a signal: a histogram over its ramp, and rows of equal ranges with counts that can be clicked.

import { h } from '../core/dom.js';
import { inSolo } from '../core/model.js';
import { count, fixed } from '../core/numbers.js';
import { ready } from '../core/store.js';
import { rampBytes, toCss } from './color.js';

/** @import { Floats, Modifiers, Rgb, Store } from '../core/types' */

const BINS = 44;
const ROWS = 5;
const [WIDTH, HEIGHT, RAMP_PX] = [176, 40, 9];

/**
 * @param {Store} store
 * @param {(positions: number[], keys: Modifiers) => void} onPick called with the positions of a clicked range
 */
export function createRampLegend(store, onPick) {
  const canvas = h('canvas', { class: 'psr-legend-canvas', role: 'img' });
  const note = h('p', { class: 'psr-fine psr-muted' });
  const ramp = h(
    'select',
    {
      class: 'psr-select psr-small',
      'aria-label': 'Colour ramp',
      on: {
        change: () => {
          store.set({ ramp: ramp.value });
        },
      },
    },
    ['viridis', 'cividis'].map((name) => h('option', { value: name }, name)),
  );
  /** @type {[number, number]} */
  let ranges = [0, 1];
  let values = new Float32Array();
  const rows = Array.from({ length: ROWS }, (_, k) => row(k));
  const node = h(
    'div',
    { class: 'psr-legend-ramp' },
    canvas,
    rows.map((r) => r.node),
    note,
  );

  /** @param {number} k */
  function row(k) {
    const swatch = h('span', { class: 'psr-swatch' });
    const name = h('span', { class: 'psr-legend-name psr-num' });
    const counts = h('span', { class: 'psr-num' });
    const button = h(
      'button',
      {
        type: 'button',
        class: 'psr-legend-row',
        title: 'Select the candidates in this range. Shift adds to the selection, Alt removes from it',
        on: { click: (event) => onPick(within(k), event) },
      },
      swatch,
      name,
      counts,
    );
    return { node: button, swatch, name, counts };
  }

  /** @param {number} k */
  function within(k) {
    /** @type {number[]} */
    const found = [];
    values.forEach((value, i) => {
      if (binOf(value, ranges, ROWS) === k) found.push(i);
    });
    return found;
  }

  /**
   * Runs on every frame of a slider drag: texts and pixels change, no element is made.
   * @param {{ label: string, domain: [number, number], clipped: boolean, shown: Floats, ink: Rgb, hint: string,
   *   valueAt: (share: number) => number }} now
   */
  function show({ label, domain, clipped, shown, ink, hint, valueAt }) {
    const data = ready(store);
    const { selection, picks } = data;
    ranges = domain;
    values = shown;
    const counted = (/** @type {number} */ i) => inSolo(data, i);
    ramp.value = data.ramp;
    canvas.setAttribute('aria-label', `${label} from ${short(valueAt(0))} to ${short(valueAt(1))}`);
    drawHistogram(
      canvas,
      shown,
      domain,
      data.ramp,
      selection.count ? selection.list : (picks?.order ?? new Uint32Array()),
      counted,
      ink,
    );
    const all = new Uint32Array(ROWS);
    const chosen = new Uint32Array(ROWS);
    for (let i = 0; i < shown.length; i += 1) {
      if (!counted(i)) continue;
      const k = binOf(shown[i], domain, ROWS);
      all[k] += 1;
      chosen[k] += selection.mask[i];
    }
    const colors = rampBytes(data.ramp, 2 * ROWS + 1);
    rows.forEach((item, k) => {
      const edge = (/** @type {number} */ at) => short(valueAt(at / ROWS));
      const [open, shut] = [clipped && k === 0, clipped && k === ROWS - 1];
      item.name.textContent = open
        ? `≤ ${edge(1)}`
        : shut
          ? `≥ ${edge(ROWS - 1)}`
          : `${edge(k)} – ${edge(k + 1)}`;
      item.counts.textContent = selection.count ? `${count(chosen[k])} / ${count(all[k])}` : count(all[k]);
      item.swatch.style.background = toCss(Array.from(colors.slice(4 * (2 * k + 1), 4 * (2 * k + 1) + 3)));
    });
    note.textContent = hint || '';
    note.hidden = !hint;
  }

  return { node, ramp, show };
}

/** Small values keep two digits that matter. @param {number} value */
const short = (value) =>
  fixed(value, Math.abs(value) >= 0.1 || value === 0 ? 2 : Math.abs(value) >= 0.01 ? 3 : 4);

/**
 * Which of `n` equal parts of a range holds a value; the outer ones are open.
 * @param {number} value
 * @param {[number, number]} range
 * @param {number} n
 */
const binOf = (value, [low, high], n) =>
  Math.max(0, Math.min(n - 1, Math.floor(((value - low) / (high - low || 1)) * n)));

/**
 * Grey bars: all candidates. Dark bars: the selection, or the picks. Of both those `counted`. Below: the ramp.
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} values
 * @param {[number, number]} domain
 * @param {string} ramp
 * @param {Uint32Array} chosen
 * @param {(position: number) => boolean} counted
 * @param {Rgb} ink
 */
function drawHistogram(canvas, values, domain, ramp, chosen, counted, ink) {
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(WIDTH * scale)) {
    canvas.width = Math.round(WIDTH * scale);
    canvas.height = Math.round(HEIGHT * scale);
  }
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) return;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, WIDTH, HEIGHT);
  const all = new Uint32Array(BINS);
  for (let i = 0; i < values.length; i += 1) if (counted(i)) all[binOf(values[i], domain, BINS)] += 1;
  const some = new Uint32Array(BINS);
  for (const position of chosen) if (counted(position)) some[binOf(values[position], domain, BINS)] += 1;
  context.fillStyle = toCss(ink);
  drawBars(context, all, 0.22);
  drawBars(context, some, 0.62);
  context.globalAlpha = 1;
  const bytes = rampBytes(ramp, 64);
  for (let i = 0; i < 64; i += 1) {
    context.fillStyle = toCss(Array.from(bytes.slice(4 * i, 4 * i + 3)));
    context.fillRect((i * WIDTH) / 64, HEIGHT - RAMP_PX, WIDTH / 64 + 0.5, RAMP_PX);
  }
}

/**
 * Square roots, so that a lone tail candidate is still seen beside a full bin.
 * @param {CanvasRenderingContext2D} context
 * @param {Uint32Array} bins
 * @param {number} alpha
 */
function drawBars(context, bins, alpha) {
  const room = HEIGHT - RAMP_PX - 2;
  const step = WIDTH / BINS;
  const top = Math.max(...bins, 1);
  context.globalAlpha = alpha;
  bins.forEach((n, b) => {
    const tall = Math.sqrt(n / top) * room;
    context.fillRect(b * step, room - tall, step - 0.6, tall);
  });
}
