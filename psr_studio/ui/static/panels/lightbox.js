// The focused candidate as large as the panes, with its soft label beside it. The arrow keys go through what the grid
// lists; marks and all other keys act as usual.

import { button, fill, h } from '../core/dom.js';
import { describe } from '../core/model.js';
import { clamp, count } from '../core/numbers.js';
import { signalsOf } from '../core/quantities.js';
import { ready } from '../core/store.js';
import { steadyWalk } from '../core/walk.js';
import { FITTED, fitScale, kept, zoomed } from '../core/zoom.js';
import { softLabels } from './soft_labels.js';

/** @import { Actions, Api, Candidate, Key, Point, Ready, Store } from '../core/types' */
/** @typedef {ReturnType<typeof createLightbox>} Lightbox */

const SMALL_PX = 64; // pictures up to this width are shown pixel by pixel
const STEP = 1.4;
/** @type {Record<string, (at: number, n: number) => number>} */
const WAYS = {
  ArrowLeft: (at) => at - 1,
  ArrowUp: (at) => at - 1,
  ArrowRight: (at) => at + 1,
  ArrowDown: (at) => at + 1,
  Home: () => 0,
  End: (_, n) => n - 1,
};

/** Changes of these keys change the list, but not what the user goes through. @type {Key[]} */
const MARKED = ['picks', 'pinned', 'vetoed'];

/** @param {Store} store @param {Api} api @param {Actions} actions @param {() => number[]} listed what the grid lists */
export function createLightbox(store, api, actions, listed) {
  let placed = FITTED;
  const picks = () => Array.from(store.data.picks?.order ?? []);
  let source = listed; // the list that is gone through
  /** What the arrow keys go through. @type {number[]} */
  let walk = [];
  /** @type {Element | null} */
  let before = null;
  const title = h('strong', {});
  const place = h('span', { class: 'psr-num psr-muted' });
  const image = h('img', { class: 'psr-lightbox-picture', alt: '', draggable: 'false' });
  const box = h(
    'div',
    {
      class: 'psr-lightbox-box',
      title: 'Wheel zooms, drag moves, double click fits',
      on: { wheel, pointerdown: drag, dblclick: fit },
    },
    image,
  );
  const words = h('div', { class: 'psr-lightbox-words' });
  const tool = (
    /** @type {string} */ label,
    /** @type {string} */ iconName,
    /** @type {() => void} */ onClick,
  ) => button({ label, iconName, className: 'psr-ghost psr-icon-only', onClick });
  const node = h(
    'section',
    {
      class: 'psr-lightbox psr-pane',
      role: 'dialog',
      'aria-label': 'Picture at large',
      tabindex: '-1',
      hidden: true,
      on: { keydown: key },
    },
    h(
      'div',
      { class: 'psr-bar' },
      title,
      place,
      h('span', { class: 'psr-grow' }),
      tool('Previous (←)', 'previous', () => go('ArrowLeft')),
      tool('Next (→)', 'fold', () => go('ArrowRight')),
      tool('Close (Esc)', 'clear', leave),
    ),
    h('div', { class: 'psr-lightbox-body' }, box, words),
  );

  /** Show the focused candidate; nothing where there is none. */
  function open() {
    if (store.data.phase !== 'ready' || store.data.focus === null) return;
    before = document.activeElement;
    node.hidden = false;
    walk = [];
    refresh();
    node.focus({ preventScroll: true });
  }

  /** @returns {boolean} whether there was something to leave */
  function leave() {
    if (node.hidden) return false;
    node.hidden = true;
    if (before instanceof HTMLElement) before.focus({ preventScroll: true });
    return true;
  }

  function refresh() {
    const { data } = store;
    if (node.hidden) return;
    if (data.phase !== 'ready' || data.focus === null) return void leave();
    const { info, points, focus, candidate } = data;
    const name = info.class_names[points.label[focus]];
    if (!walk.includes(focus)) begin(focus);
    title.textContent = name;
    place.textContent = `${count(walk.indexOf(focus) + 1)} of ${count(walk.length)}`;
    const src = api.imageUrl(focus, info.sprite.version);
    if (image.src !== src) {
      image.src = src;
      image.alt = `Candidate of class ${name}`;
      image.style.imageRendering = info.image.width <= SMALL_PX ? 'pixelated' : 'auto';
      placed = FITTED;
    }
    const known = candidate?.position === focus ? candidate : null;
    fill(words, facts(data, focus), known && [h('p', { class: 'psr-why' }, known.why), label(data, known)]);
    draw();
  }

  /** Go through the list that the candidate is in: that of the grid, or else the picks. @param {number} focus */
  function begin(focus) {
    source = [listed, picks].find((list) => list().includes(focus)) ?? (() => [focus]);
    walk = source();
  }

  /** @param {string} pressed */
  function go(pressed) {
    const { focus } = store.data;
    if (focus === null) return;
    const to = clamp(WAYS[pressed](walk.indexOf(focus), walk.length), 0, walk.length - 1);
    if (walk[to] !== focus) actions.focus(walk[to]);
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const centre = /** @type {Point} */ ([0, 0]);
    if (event.key in WAYS) go(event.key);
    else if (event.key === '+') zoom(STEP, centre);
    else if (event.key === '-') zoom(1 / STEP, centre);
    else if (event.key === '0') fit();
    else if (event.key === ' ' || event.key === 'Enter') {
      if (event.target !== node) return; // a button of its own
      leave();
    } else return;
    event.preventDefault();
  }

  // --- zoom and pan ------------------------------------------------------------------------------------------------
  const sizes = () => {
    const { width, height } = ready(store).info.image;
    return { picture: { width, height }, room: { width: box.clientWidth, height: box.clientHeight } };
  };

  /** @param {number} factor @param {Point} at from the centre of the box */
  function zoom(factor, at) {
    const { picture, room } = sizes();
    placed = zoomed(placed, factor, at, picture, room);
    draw();
  }

  function fit() {
    placed = FITTED;
    draw();
  }

  /** @param {WheelEvent} event */
  function wheel(event) {
    event.preventDefault();
    const { left, top, width, height } = box.getBoundingClientRect();
    const at = /** @type {Point} */ ([event.clientX - left - width / 2, event.clientY - top - height / 2]);
    zoom(Math.exp(-clamp(event.deltaY, -240, 240) * 0.0022), at);
  }

  /** @param {PointerEvent} event */
  function drag(event) {
    const from = placed;
    box.setPointerCapture(event.pointerId);
    const follow = (/** @type {PointerEvent} */ e) => {
      const { picture, room } = sizes();
      const to = { ...from, x: from.x + e.clientX - event.clientX, y: from.y + e.clientY - event.clientY };
      placed = kept(to, picture, room);
      draw();
    };
    box.addEventListener('pointermove', follow);
    box.addEventListener('lostpointercapture', () => box.removeEventListener('pointermove', follow), {
      once: true,
    });
  }

  function draw() {
    if (node.hidden || store.data.phase !== 'ready') return;
    const { picture, room } = sizes();
    placed = kept(placed, picture, room);
    const k = fitScale(picture, room) * placed.zoom;
    image.style.width = `${picture.width * k}px`;
    image.style.height = `${picture.height * k}px`;
    image.style.transform = `translate(-50%, -50%) translate(${placed.x}px, ${placed.y}px)`;
    box.classList.toggle('is-zoomed', placed.zoom > 1);
  }

  store.on([...MARKED, 'focus', 'candidate', 'phase', 'gridMode', 'sort'], ({ focus }, changed) => {
    if (node.hidden) return;
    const another = changed.includes('phase') || changed.includes('gridMode') || changed.includes('sort');
    if (another || focus === null) walk = [];
    else if (changed.some((key) => MARKED.includes(key))) walk = steadyWalk(walk, source(), focus);
    refresh();
  });
  new ResizeObserver(draw).observe(box);
  return { node, open, leave };
}

/** @param {Ready} data @param {number} focus */
function facts(data, focus) {
  return [
    h('p', {}, describe(data, focus)),
    h(
      'dl',
      { class: 'psr-facts' },
      signalsOf(data, focus).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]),
    ),
  ];
}

/** @param {Ready} data @param {Candidate} known */
const label = (data, known) =>
  h('div', { class: 'psr-section' }, h('h4', {}, 'Soft label'), softLabels(data, known));
