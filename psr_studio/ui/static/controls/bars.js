// A distribution drawn by hand: ten bars that always sum to 1, moved with the mouse or the arrow keys.

import { binName, normalised, withBar } from '../core/bins.js';
import { button, h } from '../core/dom.js';
import { clamp } from '../core/numbers.js';

/** @import { Parameter } from '../core/types' */
/** @typedef {{ label: string, title: string, shape: () => number[] | null }} Start a shape to begin from */

const HEADROOM = 1.15; // the tallest bar leaves room to be pulled up
/** @type {Record<string, number>} */
const SIDEWAYS = { ArrowLeft: -1, ArrowRight: 1 };
/** @type {Record<string, number>} */
const KEYS = { ArrowUp: 0.01, ArrowDown: -0.01, PageUp: 0.1, PageDown: -0.1 };
const WAIT_MS = 250; // after the last key press

/**
 * @param {Parameter} parameter
 * @param {(shares: number[]) => void} onChange called on release
 * @param {number[]} edges of the bins
 * @param {Start[]} starts
 */
export function createBars(parameter, onChange, edges, starts) {
  const nBins = edges.length - 1;
  let bars = normalised(new Array(nBins).fill(1));
  let top = 0.2;
  let dragged = false;
  let timer = 0;
  const fills = bars.map(() => h('i', {}));
  const columns = fills.map(column);
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

  /** @param {HTMLElement} bar @param {number} k */
  function column(bar, k) {
    return h(
      'div',
      {
        class: 'psr-bars-column',
        role: 'slider',
        tabindex: k === 0 ? '0' : '-1',
        'aria-orientation': 'vertical',
        'aria-valuemin': '0',
        'aria-valuemax': '100',
        'aria-label': `Difficulty ${binName(edges, k)}`,
        on: {
          keydown: (event) => {
            key(event, k);
          },
          focus: () => {
            rove(k);
          },
        },
      },
      bar,
    );
  }

  /** @param {number} k */
  function rove(k) {
    columns.forEach((item, i) => {
      item.setAttribute('tabindex', i === k ? '0' : '-1');
    });
  }

  function draw() {
    columns.forEach((item, k) => {
      const percent = Math.round(1000 * bars[k]) / 10;
      fills[k].style.height = `${100 * clamp(bars[k] / top, 0, 1)}%`;
      item.setAttribute('aria-valuenow', String(percent));
      item.setAttribute('aria-valuetext', `${percent} % of the images`);
      item.title = `${binName(edges, k)}: ${percent} %`;
    });
  }

  const fit = () => {
    top = Math.max(0.12, HEADROOM * Math.max(...bars));
  };
  const release = () => onChange(bars.map((value) => Math.round(value * 1e4) / 1e4));

  /** @param {number[] | null} shape */
  function start(shape) {
    if (!shape) return;
    bars = normalised(shape);
    fit();
    draw();
    release();
  }

  /** @param {KeyboardEvent} event @param {number} k */
  function key(event, k) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const side = SIDEWAYS[event.key];
    const to = heightBy(event.key, k);
    if (side === undefined && to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (to === undefined) return columns[clamp(k + side, 0, nBins - 1)].focus();
    bars = withBar(bars, k, clamp(to, 0, 1));
    fit();
    draw();
    clearTimeout(timer);
    timer = setTimeout(release, WAIT_MS);
  }

  /** @param {string} pressed @param {number} k */
  function heightBy(pressed, k) {
    if (pressed === 'Home') return 0;
    if (pressed === 'End') return top / HEADROOM;
    return pressed in KEYS ? bars[k] + KEYS[pressed] : undefined;
  }

  // --- mouse, pen and touch: a stroke over several columns sets them all -------------------------------------------
  /** @param {PointerEvent} event */
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

  /** @param {PointerEvent} event */
  function move(event) {
    const box = plot.getBoundingClientRect();
    const k = clamp(Math.floor(((event.clientX - box.left) / box.width) * nBins), 0, nBins - 1);
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
    /** @param {number[]} value */
    show(value) {
      if (dragged || value?.length !== nBins) return;
      const wanted = normalised(value);
      if (wanted.every((share, k) => Math.abs(share - bars[k]) < 1e-3)) return draw();
      bars = wanted;
      fit();
      draw();
    },
  };
}
