// A bar between two parts of the screen: dragged, or moved by the arrow keys; a double click resets.

import { h } from './dom.js';

const KEY_PX = 32;

/**
 * @param {{label: string, start: function(): any, move: function(any, number), reset: function}} spec `start` is
 * asked once per drag or key, `move` is told its answer and how many pixels the bar has gone to the right since
 */
export function createSplitter({ label, start, move, reset }) {
  function drag(event) {
    const { target, clientX, pointerId } = event;
    const from = start();
    const follow = (e) => move(from, e.clientX - clientX);
    const end = () => target.removeEventListener('pointermove', follow);
    target.setPointerCapture(pointerId);
    event.preventDefault();
    target.addEventListener('pointermove', follow);
    target.addEventListener('lostpointercapture', end, { once: true });
  }

  return h('div', {
    class: 'psr-splitter',
    role: 'separator',
    tabindex: '0',
    'aria-orientation': 'vertical',
    'aria-label': label,
    title: `${label}: drag, or arrow keys; double click resets`,
    on: {
      pointerdown: drag,
      dblclick: reset,
      keydown: (event) => {
        const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!way) return;
        event.preventDefault();
        move(start(), way * KEY_PX);
      },
    },
  });
}
