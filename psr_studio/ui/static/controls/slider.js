// One slider with its number box and reset. While dragging only `onInput` is called; on release `onChange`.

import { button, clamp, h } from '../core/dom.js';

/** @param {{key, symbol, label, hint, min, max, step, digits, onInput, onChange, onReset}} spec */
export function createSlider(spec) {
  let { max } = spec;
  const common = { min: spec.min, max, step: spec.step };
  const range = h('input', {
    type: 'range',
    class: 'psr-range',
    ...common,
    'aria-label': `${spec.label} (${spec.symbol})`,
    on: { input: () => take(range, spec.onInput), change: () => take(range, spec.onChange) },
  });
  const box = h('input', {
    type: 'number',
    class: 'psr-input psr-number',
    ...common,
    'aria-label': `${spec.label} (${spec.symbol}), exact value`,
    on: { change: () => take(box, spec.onChange), keydown: (event) => event.key === 'Escape' && box.blur() },
  });
  const reset = button({
    label: `Reset ${spec.label}`,
    iconName: 'revert',
    className: 'psr-ghost psr-tiny',
    title: spec.resetTitle,
    onClick: spec.onReset,
  });
  const node = h(
    'div',
    { class: 'psr-slider', title: spec.hint, 'data-key': spec.key },
    h(
      'div',
      { class: 'psr-slider-head' },
      h('span', { class: 'psr-slider-name' }, h('b', {}, spec.symbol), ` ${spec.label}`),
      box,
      reset,
    ),
    range,
  );

  let shown = null;
  function show(value, force = false) {
    if (value === shown && !force) return;
    shown = value;
    range.value = value;
    box.value = Number(value).toFixed(spec.digits);
    range.style.setProperty('--fill', `${(100 * (value - spec.min)) / Math.max(max - spec.min, 1e-9)}%`);
  }

  function take(source, then) {
    const typed = source.value === '' ? NaN : Number(source.value);
    if (!Number.isFinite(typed)) return void (shown !== null && show(shown, true)); // emptied, or no number
    // The slider moves in steps; a typed number is taken as it is, to the digits shown.
    const step = source === box ? 10 ** -spec.digits : spec.step;
    const stepped = Math.round(clamp(typed, spec.min, max) / step) * step;
    const value = Number(stepped.toFixed(4));
    show(value, true);
    then(value);
  }

  return {
    node,
    show,
    setMax(value) {
      max = value;
      range.max = value;
      box.max = value;
      if (shown !== null) show(shown, true);
    },
  };
}
