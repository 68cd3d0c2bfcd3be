// The legend of a signal: a histogram over its ramp, and rows of equal ranges with counts that can be clicked.

import { rampBytes, toCss } from './color.js';
import { count, fixed, h } from '../core/dom.js';
import { inSolo } from './flags.js';

const BINS = 44;
const ROWS = 5;
const [WIDTH, HEIGHT, RAMP_PX] = [176, 40, 9];

/**
 * @param {function(number[], MouseEvent)} onPick called with the positions of a clicked range
 * @returns {{node: HTMLElement, show: function(object)}}
 */
export function createRampLegend(store, onPick) {
  const canvas = h('canvas', { class: 'psr-legend-canvas', role: 'img' });
  const note = h('p', { class: 'psr-fine psr-muted' });
  const ramp = h(
    'select',
    {
      class: 'psr-select psr-small',
      'aria-label': 'Colour ramp',
      on: { change: () => store.set({ ramp: ramp.value }) },
    },
    ['viridis', 'cividis'].map((name) => h('option', { value: name }, name)),
  );
  let ranges = [];
  let values = [];
  const rows = Array.from({ length: ROWS }, (_, k) => row(k));
  const node = h(
    'div',
    { class: 'psr-legend-ramp' },
    canvas,
    rows.map((r) => r.node),
    note,
  );

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

  /** The outer ranges are open: values beyond the ramp's ends belong to them. */
  const rowOf = (value, [low, high]) =>
    Math.max(0, Math.min(ROWS - 1, Math.floor(((value - low) / (high - low || 1)) * ROWS)));

  function within(k) {
    const found = [];
    values.forEach((value, i) => rowOf(value, ranges) === k && found.push(i));
    return found;
  }

  /** Runs on every frame of a slider drag: texts and pixels change, no element is made. */
  function show({ label, domain, clipped, shown, ink, hint }) {
    const { selection, picks } = store.data;
    ranges = domain;
    values = shown;
    const counted = (i) => inSolo(store.data, i);
    const [low, high] = domain;
    ramp.value = store.data.ramp;
    canvas.setAttribute('aria-label', `${label} from ${fixed(low, 2)} to ${fixed(high, 2)}`);
    drawHistogram(
      canvas,
      shown,
      domain,
      store.data.ramp,
      selection.count ? selection.list : (picks?.order ?? []),
      counted,
      ink,
    );
    const all = new Uint32Array(ROWS);
    const chosen = new Uint32Array(ROWS);
    for (let i = 0; i < shown.length; i += 1) {
      if (!counted(i)) continue;
      const k = rowOf(shown[i], domain);
      all[k] += 1;
      chosen[k] += selection.mask[i];
    }
    const colors = rampBytes(store.data.ramp, 2 * ROWS + 1);
    rows.forEach((item, k) => {
      const edge = (at) => fixed(low + ((high - low) * at) / ROWS, 2);
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

/** Grey bars: all candidates. Dark bars: the selection, or the picks. Of both those `counted`. Below: the ramp. */
function drawHistogram(canvas, values, [low, high], ramp, chosen, counted, ink) {
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(WIDTH * scale))
    Object.assign(canvas, { width: Math.round(WIDTH * scale), height: Math.round(HEIGHT * scale) });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, WIDTH, HEIGHT);
  const binOf = (value) =>
    Math.max(0, Math.min(BINS - 1, Math.floor(((value - low) / (high - low || 1)) * BINS)));
  const all = new Uint32Array(BINS);
  for (let i = 0; i < values.length; i += 1) if (counted(i)) all[binOf(values[i])] += 1;
  const some = new Uint32Array(BINS);
  chosen.forEach((position) => {
    if (counted(position)) some[binOf(values[position])] += 1;
  });
  const room = HEIGHT - RAMP_PX - 2;
  const step = WIDTH / BINS;
  const bars = (bins, alpha) => {
    const top = Math.max(...bins, 1);
    context.globalAlpha = alpha;
    context.fillStyle = toCss(ink);
    // Square roots, so that a lone tail candidate is still seen beside a full bin.
    bins.forEach((n, b) => {
      const tall = Math.sqrt(n / top) * room;
      context.fillRect(b * step, room - tall, step - 0.6, tall);
    });
    context.globalAlpha = 1;
  };
  bars(all, 0.22);
  bars(some, 0.62);
  const bytes = rampBytes(ramp, 64);
  for (let i = 0; i < 64; i += 1) {
    context.fillStyle = toCss(Array.from(bytes.slice(4 * i, 4 * i + 3)));
    context.fillRect((i * WIDTH) / 64, HEIGHT - RAMP_PX, WIDTH / 64 + 0.5, RAMP_PX);
  }
}
