// One control per parameter, drawn from its description alone: a slider, a choice or ten bars.

import { createBars } from './bars.js';
import { h } from './dom.js';
import { createSlider } from './slider.js';

const SYMBOLS = { alpha: 'α', beta: 'β', gamma: 'γ', lam: 'λ' };
// Where a description names no range.
const OPEN_RANGE = { float: [0, 5], int: [1, 100] };

/** "within_bin" as "Within bin". */
export const titleOf = (name) => {
  const words = name.replaceAll('_', ' ');
  return words[0].toUpperCase() + words.slice(1);
};

/**
 * @param {{name, kind, default, low, high, choices, help}} parameter
 * @param {function(*)} onChange called with a new value on release
 * @param {{starts?: object[]}} extra for bars: shapes to start from
 * @returns {{node: HTMLElement, show: function(*)}}
 */
export function createParameter(parameter, onChange, extra = {}) {
  if (parameter.kind === 'choice') return choice(parameter, onChange);
  if (parameter.kind === 'bars') return createBars(parameter, onChange, extra.starts || []);
  return number(parameter, onChange);
}

function number(parameter, onChange) {
  const [low, high] = OPEN_RANGE[parameter.kind] || OPEN_RANGE.float;
  const min = parameter.low ?? low;
  const max = parameter.slider ?? parameter.high ?? high;
  const whole = parameter.kind === 'int';
  const slider = createSlider({
    key: parameter.name,
    symbol: SYMBOLS[parameter.name] || '',
    label: parameter.label || titleOf(parameter.name),
    hint: parameter.help,
    min,
    max,
    step: whole ? 1 : stepOf(max - min),
    digits: whole ? 0 : 2,
    resetTitle: `Reset to ${parameter.default ?? 'the preset'}`,
    onInput: () => {},
    onChange,
    onReset: () => onChange(parameter.default),
  });
  return { node: slider.node, show: (value) => slider.show(value ?? parameter.default ?? min) };
}

/** About a hundred steps over the range: 0.01, 0.05, 0.1, ... */
function stepOf(span) {
  const raw = span / 100;
  const power = 10 ** Math.floor(Math.log10(Math.max(raw, 1e-6)));
  return Number((raw / power > 2 ? 5 * power : power).toPrecision(1));
}

function choice(parameter, onChange) {
  const pick = h(
    'select',
    {
      class: 'psr-select psr-grow',
      'aria-label': titleOf(parameter.name),
      on: { change: () => onChange(pick.value) },
    },
    parameter.choices.map((value) => h('option', { value }, value)),
  );
  const node = h(
    'label',
    { class: 'psr-lab-choice', title: parameter.help, 'data-key': parameter.name },
    h('span', { class: 'psr-lab-name' }, titleOf(parameter.name)),
    pick,
  );
  return {
    node,
    show(value) {
      pick.value = value ?? parameter.default;
    },
  };
}
