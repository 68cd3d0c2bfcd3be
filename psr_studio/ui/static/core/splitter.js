// A bar between two parts of the screen: dragged, or moved by the arrow keys; a double click resets.

import { h } from './dom.js';

const KEY_PX = 32;
/** @type {Record<string, number>} */
const WAYS = { ArrowLeft: -1, ArrowRight: 1 };

/**
 * @template From
 * @param {object} spec
 * @param {string} spec.label
 * @param {() => From} spec.start asked once per drag or key
 * @param {(from: From, by: number) => void} spec.move told its answer and how many pixels to the right since
 * @param {() => void} spec.reset
 */
export function createSplitter({ label, start, move, reset }) {
  const node = h('div', {
    class: 'psr-splitter',
    role: 'separator',
    tabindex: '0',
    'aria-orientation': 'vertical',
    'aria-label': label,
    title: `${label}: drag, or arrow keys; double click resets`,
    on: { pointerdown: drag, dblclick: reset, keydown: key },
  });

  /** @param {PointerEvent} event */
  function drag(event) {
    const from = start();
    const follow = (/** @type {PointerEvent} */ e) => move(from, e.clientX - event.clientX);
    node.setPointerCapture(event.pointerId);
    event.preventDefault();
    node.addEventListener('pointermove', follow);
    const end = () => node.removeEventListener('pointermove', follow);
    node.addEventListener('lostpointercapture', end, { once: true });
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    const way = WAYS[event.key];
    if (!way) return;
    event.preventDefault();
    move(start(), way * KEY_PX);
  }

  return { node };
}
