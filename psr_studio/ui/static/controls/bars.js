// A distribution drawn by hand: ten bars that always sum to 1, moved with the mouse or the arrow keys.

import { button, clamp, h } from '../core/dom.js';
import { N_BINS, binName, normalised, withBar } from '../core/lab_model.js';

const HEADROOM = 1.15; // the tallest bar leaves room to be pulled up
const KEYS = { ArrowUp: 0.01, ArrowDown: -0.01, PageUp: 0.1, PageDown: -0.1 };
const WAIT_MS = 250; // after the last key press

/**
 * @param {{name, help}} parameter
 * @param {function(number[])} onChange called on release with ten shares
 * @param {{label: string, shape: function(): number[]|null}[]} starts shapes to begin from
 */
export function createBars(parameter, onChange, starts) {
  let bars = normalised(new Array(N_BINS).fill(1));
  let top = 0.2;
  let dragged = false;
  let timer = 0;
  const columns = bars.map((_, k) => column(k));
  const plot = h('div', { class: 'psr-bars-plot', on: { pointerdown: grab } }, columns);
  const node = h(
    'div',
    {
      class: 'psr-bars',
      role: 'group',
      'aria-label': 'Drawn target',
      title: parameter.help,
      'data-key': parameter.name,
    },
    plot,
    h(
      'div',
      { class: 'psr-bars-axis', 'aria-hidden': 'true' },
      h('span', {}, 'easy'),
      h('span', {}, 'difficulty'),
      h('span', {}, 'hard'),
    ),
    h(
      'div',
      { class: 'psr-bars-starts', role: 'group', 'aria-label': 'Copy a shape as a start' },
      h('span', { class: 'psr-muted' }, 'Copy'),
      starts.map(({ label, title, shape }) =>
        button({ label, title, className: 'psr-small', onClick: () => start(shape()) }),
      ),
    ),
  );

  function column(k) {
    const bar = h('i', {});
    return h(
      'div',
      {
        class: 'psr-bars-column',
        role: 'slider',
        tabindex: k === 0 ? '0' : '-1',
        'aria-orientation': 'vertical',
        'aria-valuemin': '0',
        'aria-valuemax': '100',
        'aria-label': `Difficulty ${binName(k)}`,
        on: { keydown: (event) => key(event, k), focus: () => rove(k) },
      },
      bar,
    );
  }

  function rove(k) {
    columns.forEach((item, i) => item.setAttribute('tabindex', i === k ? '0' : '-1'));
  }

  function draw() {
    columns.forEach((item, k) => {
      const percent = Math.round(1000 * bars[k]) / 10;
      item.firstChild.style.height = `${100 * clamp(bars[k] / top, 0, 1)}%`;
      item.setAttribute('aria-valuenow', percent);
      item.setAttribute('aria-valuetext', `${percent} % of the images`);
      item.title = `${binName(k)}: ${percent} %`;
    });
  }

  const fit = () => {
    top = Math.max(0.12, HEADROOM * Math.max(...bars));
  };
  const release = () => onChange(bars.map((value) => Math.round(value * 1e4) / 1e4));

  function start(shape) {
    if (!shape) return;
    bars = normalised(shape);
    fit();
    draw();
    release();
  }

  function key(event, k) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const to = { Home: 0, End: top / HEADROOM }[event.key] ?? (KEYS[event.key] && bars[k] + KEYS[event.key]);
    if (side === undefined && to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (side) return columns[clamp(k + side, 0, N_BINS - 1)].focus();
    bars = withBar(bars, k, clamp(to, 0, 1));
    fit();
    draw();
    clearTimeout(timer);
    timer = setTimeout(release, WAIT_MS);
    return undefined;
  }

  // --- mouse, pen and touch: a stroke over several columns sets them all ------------------
  function grab(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    dragged = true;
    plot.setPointerCapture(event.pointerId);
    plot.addEventListener('pointermove', move);
    plot.addEventListener('pointerup', drop, { once: true });
    plot.addEventListener('pointercancel', drop, { once: true });
    move(event);
  }

  function move(event) {
    const box = plot.getBoundingClientRect();
    const k = clamp(Math.floor(((event.clientX - box.left) / box.width) * N_BINS), 0, N_BINS - 1);
    // While dragging only this bar moves; the sum is put right on release, or the others would flee the hand.
    bars = bars.map((value, i) =>
      i === k ? top * clamp(1 - (event.clientY - box.top) / box.height, 0, 1) : value,
    );
    columns[k].focus({ preventScroll: true });
    draw();
  }

  function drop() {
    dragged = false;
    plot.removeEventListener('pointermove', move);
    bars = normalised(bars);
    fit();
    draw();
    release();
  }

  return {
    node,
    show(value) {
      if (dragged || !value?.length || value.length !== N_BINS) return;
      const wanted = normalised(value);
      if (wanted.every((share, k) => Math.abs(share - bars[k]) < 1e-3)) return draw();
      bars = wanted;
      fit();
      draw();
    },
  };
}
