// One control per parameter, drawn from its description alone: a slider, a choice or ten bars.

import { h } from '../core/dom.js';
import { createBars } from './bars.js';
import { createSlider } from './slider.js';

/** @import { Parameter } from '../core/types' */
/** @import { Start } from './bars.js' */
/** @typedef {{ node: HTMLElement, show: (value: any) => void }} Control */

/** @type {Record<string, string>} */
const SYMBOLS = { alpha: 'α', beta: 'β', gamma: 'γ', lam: 'λ' };
/** Where a description names no range. @type {Record<string, [number, number]>} */
const OPEN_RANGE = { float: [0, 5], int: [1, 100] };

/**
 * @param {Parameter} parameter
 * @param {(value: any) => void} onChange called with a new value on release
 * @param {(value: number) => void} onInput called with each on the way there
 * @param {{ edges: number[], starts: Start[] }} bars the bins of difficulty, and shapes to start from
 * @returns {Control}
 */
export function createParameter(parameter, onChange, onInput, { edges, starts }) {
  if (parameter.kind === 'choice') return choice(parameter, onChange);
  if (parameter.kind === 'bars') return createBars(parameter, onChange, edges, starts);
  return number(parameter, onChange, onInput);
}

/**
 * @param {Parameter} parameter
 * @param {(value: number) => void} onChange
 * @param {(value: number) => void} onInput
 * @returns {Control}
 */
function number(parameter, onChange, onInput) {
  const [low, high] = OPEN_RANGE[parameter.kind];
  const min = parameter.low ?? low;
  const max = parameter.slider ?? parameter.high ?? high;
  const whole = parameter.kind === 'int';
  const slider = createSlider({
    key: parameter.name,
    symbol: SYMBOLS[parameter.name] ?? '',
    label: parameter.label,
    hint: parameter.help,
    min,
    max,
    step: whole ? 1 : stepOf(max - min),
    digits: whole ? 0 : 2,
    resetTitle: `Reset to ${parameter.default ?? 'the preset'}`,
    onInput,
    onChange,
    onReset: () => onChange(/** @type {number} */ (parameter.default)),
  });
  return { node: slider.node, show: (value) => slider.show(value ?? parameter.default ?? min) };
}

/** About a hundred steps over the range: 0.01, 0.05, 0.1, ... @param {number} span */
function stepOf(span) {
  const raw = span / 100;
  const power = 10 ** Math.floor(Math.log10(Math.max(raw, 1e-6)));
  return Number((raw / power > 2 ? 5 * power : power).toPrecision(1));
}

/** @param {Parameter} parameter @param {(value: string) => void} onChange @returns {Control} */
function choice(parameter, onChange) {
  const pick = h(
    'select',
    {
      class: 'psr-select psr-grow',
      'aria-label': parameter.label,
      on: {
        change: () => {
          onChange(pick.value);
        },
      },
    },
    parameter.choices.map((value) => h('option', { value }, value)),
  );
  const node = h(
    'label',
    { class: 'psr-lab-choice', title: parameter.help, 'data-key': parameter.name },
    h('span', { class: 'psr-lab-name' }, parameter.label),
    pick,
  );
  return {
    node,
    show(value) {
      pick.value = value ?? parameter.default;
    },
  };
}
