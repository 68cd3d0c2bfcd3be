// What the colours mean: a ramp with its value range and a histogram, or one swatch per group with counts
// that follow the selection ("47 / 412").

import { STATUS, classColors, rampBytes, toCss } from './color.js';
import { button, count, fill, fixed, h, oncePerFrame } from './dom.js';
import { statusOf } from './flags.js';
import { COLOR_MODES } from './model.js';

const BINS = 44;
const SEARCH_FROM = 14; // with more classes than this the legend gets a search field

export function createLegend(store, source) {
  const title = h('strong', { class: 'psr-legend-title' });
  const body = h('div', { class: 'psr-legend-body' });
  const toggle = button({
    label: 'Fold legend',
    iconName: 'chevron',
    className: 'psr-ghost psr-legend-fold',
    onClick: () => node.classList.toggle('is-folded'),
  });
  const node = h(
    'section',
    { class: 'psr-legend', 'aria-label': 'Legend' },
    h('header', {}, title, toggle),
    body,
  );
  const range = rampParts(store);
  let search = '';

  const refresh = oncePerFrame(() => {
    const { points, selection, colorBy, phase } = store.data;
    node.hidden = phase !== 'ready';
    if (phase !== 'ready' || !points || !selection) return;
    const mode = COLOR_MODES.find((m) => m.key === colorBy);
    title.textContent = mode.label;
    title.title = mode.hint;
    if (colorBy === 'class') classLegend();
    else if (colorBy === 'picked') fill(body, groupRows(statusGroups(), null));
    else rampLegend();
  });

  /** Built once and then only redrawn: this runs on every frame of a slider drag. */
  function rampLegend() {
    const { ramp, colorBy } = store.data;
    const [low, high] = source.domain();
    if (!range.canvas.isConnected) fill(body, range.canvas, range.row);
    const clipped = source.clipped();
    range.low.textContent = `${clipped ? '≤ ' : ''}${fixed(low, 2)}`;
    range.high.textContent = `${clipped ? '≥ ' : ''}${fixed(high, 2)}`;
    range.pick.value = ramp;
    range.canvas.setAttribute('aria-label', `${colorBy} from ${fixed(low, 2)} to ${fixed(high, 2)}`);
    drawHistogram(range.canvas, source.values(), [low, high], ramp, store.data, source.ink());
  }

  /** Only the list is rebuilt while the user types in the search field, or the field would lose the caret. */
  function classLegend() {
    const { info } = store.data;
    let list = body.querySelector('.psr-legend-list');
    if (!list) {
      list = h('div', { class: 'psr-legend-list' });
      const field =
        info.n_classes > SEARCH_FROM &&
        h('input', {
          type: 'search',
          class: 'psr-input',
          value: search,
          placeholder: 'Find a class',
          'aria-label': 'Find a class',
          on: {
            input: (event) => {
              search = event.target.value;
              refresh();
            },
          },
        });
      fill(body, field, list);
    }
    const wanted = search.trim().toLowerCase();
    const groups = classGroups().filter((group) => group.label.toLowerCase().includes(wanted));
    fill(
      list,
      groupRows(groups, (id) => store.set({ solo: store.data.solo === id ? null : id })),
    );
  }

  function classGroups() {
    const { info, points, selection } = store.data;
    const chosen = new Uint32Array(info.n_classes);
    selection.list.forEach((position) => {
      chosen[points.label[position]] += 1;
    });
    return classColors(info.n_classes).map((rgb, c) => ({
      id: c,
      label: info.class_names[c],
      color: toCss(rgb),
      total: info.counts[c],
      chosen: chosen[c],
    }));
  }

  function statusGroups() {
    const groups = STATUS.map((status, id) => ({ ...status, id, total: 0, chosen: 0 }));
    const { flags } = source.flags();
    flags.forEach((flag, i) => {
      const group = groups[statusOf(flag)];
      group.total += 1;
      group.chosen += store.data.selection.mask[i];
    });
    return groups.filter((group) => group.total);
  }

  function groupRows(groups, onPick) {
    const { selection, solo } = store.data;
    return groups.map(({ id, label, color, total, chosen }) =>
      h(
        onPick ? 'button' : 'div',
        {
          class: 'psr-legend-row',
          type: onPick && 'button',
          title: onPick ? `${label}: show this class alone` : label,
          'aria-pressed': onPick ? String(solo === id) : undefined,
          on: onPick ? { click: () => onPick(id) } : {},
        },
        h('span', { class: 'psr-swatch', style: { background: color } }),
        h('span', { class: 'psr-legend-name' }, label),
        h(
          'span',
          { class: 'psr-num' },
          selection.count ? `${count(chosen)} / ${count(total)}` : count(total),
        ),
      ),
    );
  }

  store.on(['colorBy', 'info'], () => {
    fill(body);
    refresh();
  });
  store.on(['phase', 'points', 'selection', 'picks', 'pinned', 'vetoed', 'weights', 'ramp', 'solo'], refresh);
  return { node, refresh };
}

function rampParts(store) {
  const canvas = h('canvas', { class: 'psr-legend-canvas', role: 'img' });
  const [low, high] = [h('span'), h('span')];
  const pick = h(
    'select',
    {
      class: 'psr-select psr-small',
      'aria-label': 'Colour ramp',
      on: { change: () => store.set({ ramp: pick.value }) },
    },
    ['viridis', 'cividis'].map((name) => h('option', { value: name }, name)),
  );
  return { canvas, low, high, pick, row: h('div', { class: 'psr-legend-range' }, low, pick, high) };
}

/** Grey bars: all candidates. Dark bars: the selection, or the picks. Below them the ramp itself. */
function drawHistogram(canvas, values, [low, high], ramp, { selection, picks }, ink) {
  const [width, height, barHeight] = [176, 46, 10];
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale))
    Object.assign(canvas, { width: width * scale, height: height * scale });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  const binOf = (value) =>
    Math.max(0, Math.min(BINS - 1, Math.floor(((value - low) / (high - low || 1)) * BINS)));
  const all = new Uint32Array(BINS);
  for (let i = 0; i < values.length; i += 1) all[binOf(values[i])] += 1;
  const some = new Uint32Array(BINS);
  const chosen = selection.count ? selection.list : picks ? picks.order : [];
  chosen.forEach((position) => {
    some[binOf(values[position])] += 1;
  });
  const room = height - barHeight - 2;
  const step = width / BINS;
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
    context.fillRect((i * width) / 64, height - barHeight, width / 64 + 0.5, barHeight);
  }
}
