// One slider with its number box and reset. While dragging `onInput` is called; at its end, once, `onChange`.

import { button, h } from '../core/dom.js';
import { clamp } from '../core/numbers.js';

/**
 * @typedef {object} Spec
 * @property {string} key
 * @property {string} symbol
 * @property {string} label
 * @property {string} hint
 * @property {number} min
 * @property {number} max
 * @property {number} step of the slider; a typed number is taken as it is, to the digits shown
 * @property {number} digits
 * @property {string} resetTitle
 * @property {string} [limits] why a number beyond the ends cannot be
 * @property {(value: number) => void} [onInput]
 * @property {(value: number) => void} onChange
 * @property {() => void} onReset
 */

/** @param {Spec} spec */
export function createSlider(spec) {
  let { max } = spec;
  const common = { min: spec.min, max, step: spec.step };
  const range = h('input', {
    type: 'range',
    class: 'psr-range',
    ...common,
    'aria-label': `${spec.label} (${spec.symbol})`,
    on: {
      input: () => {
        dragged = true;
        take(range, spec.onInput);
      },
      change: release,
      pointerdown: () => {
        for (const end of ['pointerup', 'pointercancel'])
          window.addEventListener(end, afterChange, { once: true });
      },
    },
  });
  let dragged = false;
  const box = h('input', {
    type: 'number',
    class: 'psr-input psr-number',
    ...common,
    'aria-label': `${spec.label} (${spec.symbol}), exact value`,
    on: {
      change: () => {
        take(box, spec.onChange);
      },
      blur: format,
      keydown: (event) => {
        if (event.key === 'Escape') box.blur();
      },
    },
  });
  const reset = button({
    label: `Reset ${spec.label}`,
    iconName: 'revert',
    className: 'psr-ghost psr-tiny',
    title: spec.resetTitle,
    onClick: spec.onReset,
  });
  const words = h('span', { role: 'status' }, spec.label);
  const name = h('span', { class: 'psr-slider-name' }, h('b', {}, spec.symbol), ' ', words);
  const node = h(
    'div',
    { class: 'psr-slider', title: spec.hint, 'data-key': spec.key },
    h('div', { class: 'psr-slider-head' }, name, box, reset),
    range,
  );

  function release() {
    dragged = false;
    take(range, spec.onChange);
  }

  /** The browser says nothing of a drag that ends where it began. */
  function afterChange() {
    setTimeout(() => dragged && release());
  }

  /** @type {number | null} */
  let shown = null;

  /** @param {number} value */
  function show(value) {
    if (value !== shown && !dragged) write(value);
  }

  /** @param {number} value */
  function write(value) {
    if (value !== shown) sayCut(value);
    shown = value;
    range.value = String(value);
    if (box.value === '' || Number(box.value) !== value) format(); // a rewritten field forgets what Ctrl+Z undoes
    range.style.setProperty('--fill', `${(100 * (value - spec.min)) / Math.max(max - spec.min, 1e-9)}%`);
  }

  function format() {
    if (shown !== null) box.value = shown.toFixed(spec.digits);
  }

  /** A typed number beyond an end is cut to it, in sight: the name gives its place until the next value. @param {number} typed */
  function sayCut(typed) {
    const cut = typed > max ? `${max} is the most` : typed < spec.min ? `${spec.min} is the least` : '';
    words.textContent = cut || spec.label;
    name.classList.toggle('psr-warn-text', Boolean(cut));
    name.title = cut && (spec.limits ?? '');
  }

  /** @param {HTMLInputElement} source @param {((value: number) => void)} [then] */
  function take(source, then) {
    const typed = source.value === '' ? Number.NaN : Number(source.value);
    if (!Number.isFinite(typed)) {
      if (shown !== null) write(shown); // emptied, or no number
      return;
    }
    const step = source === box ? 10 ** -spec.digits : spec.step;
    const stepped = Math.round(clamp(typed, spec.min, max) / step) * step;
    const value = Number(stepped.toFixed(4));
    write(value);
    sayCut(typed);
    then?.(value);
  }

  return {
    node,
    show,
    /** @param {number} value */
    setMax(value) {
      max = value;
      range.max = String(value);
      box.max = String(value);
      if (shown !== null) write(shown);
    },
  };
}
