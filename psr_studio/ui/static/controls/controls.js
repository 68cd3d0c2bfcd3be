// The control strip's upper row: weights, budget, temperature, the IPC preset, undo and redo.

import { button, fill, h } from '../core/dom.js';
import { presetFor, readsWeights, sameWeights, selectorOf, withSumKept } from '../core/settings.js';
import { createSlider } from './slider.js';

/** @import { Actions, Store, WeightKey, Weights } from '../core/types' */

/** @type {{ key: WeightKey, symbol: string, label: string, hint: string }[]} */
const WEIGHTS = [
  {
    key: 'alpha',
    symbol: 'α',
    label: 'Reliability',
    hint: 'Weight of reliability: probability of the own class in the soft label',
  },
  {
    key: 'beta',
    symbol: 'β',
    label: 'Entropy',
    hint: 'Weight of entropy, subtracted: how undecided the soft label is',
  },
  {
    key: 'gamma',
    symbol: 'γ',
    label: 'Diversity',
    hint: 'Weight of diversity: distance to what is already picked in the class',
  },
];
const MAX_WEIGHT = 5; // until the server says where the sliders end

/** @param {Store} store @param {Actions} actions @param {() => void} openHelp */
export function createControls(store, actions, openHelp) {
  let start = { ipc: 10, temperature: 1.5 }; // what "Reset" brings back
  const note = h('p', { class: 'psr-controls-note', hidden: true });
  const weights = createWeightControls(store, actions);
  const ipc = createSlider({
    key: 'ipc',
    symbol: 'K',
    label: 'Images per class',
    hint: 'K: images per class in the distilled set',
    min: 1,
    max: 50,
    step: 1,
    digits: 0,
    resetTitle: 'Reset K to its value when the page opened',
    limits: 'No class has more candidates. A larger "Pool size" on the Pool tab makes more.',
    onInput: (value) => {
      weights.setIpc(value);
      actions.drag();
    },
    onChange: takeIpc,
    onReset: () => takeIpc(start.ipc),
  });
  const temperature = createSlider({
    key: 'temperature',
    symbol: 'τ',
    label: 'Temperature',
    hint: 'Temperature of the soft labels: higher is softer',
    min: 0.5,
    max: 5,
    step: 0.05,
    digits: 2,
    resetTitle: 'Reset tau to its value when the page opened',
    onInput: (value) => {
      store.set({ temperature: value });
      actions.drag();
    },
    onChange: takeTemperature,
    onReset: () => takeTemperature(start.temperature),
  });
  const undo = button({
    label: 'Undo',
    iconName: 'undo',
    className: 'psr-icon-only',
    onClick: () => actions.undo(),
  });
  const redo = button({
    label: 'Redo',
    iconName: 'redo',
    className: 'psr-icon-only',
    onClick: () => actions.redo(),
  });
  const help = h(
    'button',
    {
      type: 'button',
      class: 'psr-btn psr-icon-only',
      title: 'Keyboard shortcuts (?)',
      'aria-label': 'Keyboard shortcuts',
      on: { click: openHelp },
    },
    h('b', {}, '?'),
  );
  const buttons = h(
    'div',
    { class: 'psr-control-buttons' },
    h('div', { class: 'psr-row' }, weights.presetButton, undo, redo, help),
    weights.options,
  );
  const node = h(
    'div',
    { class: 'psr-controls', role: 'group', 'aria-label': 'Selection controls' },
    note,
    weights.sliders,
    ipc.node,
    temperature.node,
    buttons,
  );

  /** @param {number} value */
  function takeIpc(value) {
    weights.setIpc(value);
    actions.select();
  }

  /** @param {number} value */
  function takeTemperature(value) {
    store.set({ temperature: value });
    actions.select();
  }

  function refresh() {
    ipc.show(store.data.ipc);
    temperature.show(store.data.temperature);
  }

  /** Weights that the selector does not read give their room to what it does. */
  function refreshSelector() {
    const reads = readsWeights(store.data);
    weights.hide(!reads);
    buttons.classList.toggle('is-weightless', !reads);
    note.hidden = reads;
    const selector = selectorOf(store.data);
    if (!reads && selector) fill(note, h('strong', {}, selector.title), ` ${selector.help}`);
  }

  function refreshPool() {
    const { info } = store.data;
    if (!info) return;
    start = { ipc: info.ipc, temperature: info.temperature };
    ipc.setMax(Math.max(1, ...info.counts));
    refresh();
  }

  function refreshHistory() {
    const { undo: last, redo: next } = store.data;
    undo.disabled = !last;
    redo.disabled = !next;
    undo.title = last ? `Undo: ${last} (Ctrl+Z)` : 'Nothing to undo';
    redo.title = next ? `Redo: ${next} (Ctrl+Shift+Z)` : 'Nothing to redo';
  }

  store.on(['ipc', 'temperature'], refresh);
  store.on(['undo', 'redo', 'busy'], refreshHistory);
  store.on(['info'], refreshPool);
  store.on(['info', 'settings'], refreshSelector);
  refresh();
  refreshHistory();
  return { node };
}

/**
 * The three sliders of the weights, and what moves them together: the preset, and the sum.
 * @param {Store} store
 * @param {Actions} actions
 */
function createWeightControls(store, actions) {
  let keepsSum = false;
  let most = MAX_WEIGHT;
  const sliders = WEIGHTS.map(({ key, ...words }) => ({
    key,
    slider: createSlider({
      key,
      ...words,
      min: 0,
      max: MAX_WEIGHT,
      step: 0.05,
      digits: 2,
      resetTitle: `Reset ${words.label} to the preset for K`,
      onInput: (value) => {
        setWeight(key, value);
        actions.drag();
      },
      onChange: (value) => {
        setWeight(key, value);
        actions.select();
      },
      onReset: () => {
        takeWeights({ ...store.data.weights, [key]: preset()[key] });
        actions.select();
      },
    }),
  }));
  const presetButton = button({
    label: 'Preset for K',
    title: 'Set the weights to the preset for this K, and follow it',
    onClick: () => followPreset(true),
  });
  const follow = h('input', {
    type: 'checkbox',
    on: {
      change: () => {
        followPreset(follow.checked);
      },
    },
  });
  const sum = button({
    label: 'Keep the sum of the weights',
    iconName: 'unlock',
    className: 'psr-icon-only',
    title: 'Keep the sum: moving one weight scales the two others against it',
    pressed: false,
    onClick: () => {
      keepsSum = !keepsSum;
      sum.setAttribute('aria-pressed', String(keepsSum));
      sum.querySelector('.psr-icon')?.classList.toggle('is-shut', keepsSum);
    },
  });
  const options = h(
    'div',
    { class: 'psr-row psr-weight-row' },
    h(
      'label',
      { class: 'psr-check', title: 'Weights change with K by the preset, until you move one' },
      follow,
      'Follow the IPC preset',
    ),
    sum,
  );

  /** @param {number} k */
  function preset(k = store.data.ipc) {
    const { info, weights } = store.data;
    return info ? presetFor(info.ipc_presets, k) : weights;
  }

  /** @param {WeightKey} key @param {number} value */
  function setWeight(key, value) {
    const { weights } = store.data;
    takeWeights(keepsSum ? withSumKept(weights, key, value, most) : { ...weights, [key]: value });
  }

  /** Touching a weight ends the following, unless it lands on the preset anyway. @param {Weights} weights */
  function takeWeights(weights) {
    store.set({ weights, follow: store.data.follow && sameWeights(weights, preset()) });
  }

  /** @param {number} k images per class */
  function setIpc(k) {
    const { follow: follows, weights } = store.data;
    store.set({ ipc: k, weights: follows ? preset(k) : weights });
  }

  /** @param {boolean} follows */
  function followPreset(follows) {
    if (!follows) return store.set({ follow: false });
    const changed = !sameWeights(store.data.weights, preset());
    store.set({ follow: true, weights: { ...preset() } });
    if (changed) actions.select();
  }

  function refresh() {
    const { weights, follow: follows } = store.data;
    for (const { key, slider } of sliders) slider.show(weights[key]);
    follow.checked = follows;
    presetButton.disabled = follows;
  }

  function refreshPool() {
    const parameters = store.data.info?.selectors.flatMap((selector) => selector.parameters) ?? [];
    most = parameters.find(({ name }) => name === WEIGHTS[0].key)?.slider ?? MAX_WEIGHT;
    for (const { slider } of sliders) slider.setMax(most);
  }

  store.on(['info'], refreshPool);
  store.on(['weights', 'ipc', 'follow', 'info'], refresh);
  refresh();
  return {
    sliders: sliders.map(({ slider }) => slider.node),
    presetButton,
    options,
    setIpc,
    /** @param {boolean} hidden */
    hide(hidden) {
      for (const { slider } of sliders) slider.node.hidden = hidden;
      presetButton.hidden = hidden;
    },
  };
}
