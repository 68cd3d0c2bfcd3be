// The control strip's upper row: weights, budget, temperature, the IPC preset, undo and redo.

import { button, fill, h } from './dom.js';
import { readsWeights, selectorOf, withSumKept } from './lab_model.js';
import { presetFor, sameWeights } from './model.js';
import { createSlider } from './slider.js';

const WEIGHTS = [
  ['alpha', 'α', 'Reliability', 'Weight of reliability: how sure the teacher is of the own class'],
  ['beta', 'β', 'Entropy', 'Weight of entropy, subtracted: how undecided the teacher is'],
  ['gamma', 'γ', 'Diversity', 'Weight of diversity: distance to what is already picked in the class'],
];
const MAX_WEIGHT = 5; // until the server says where a slider ends

export class Controls {
  constructor(store, actions, openHelp) {
    Object.assign(this, { store, actions });
    this.start = { ipc: 10, temperature: 1.5 };
    this.keepSum = false;
    this.sliders = {};
    this.note = h('p', { class: 'psr-controls-note', hidden: true });
    for (const spec of this.specs()) this.sliders[spec.key] = createSlider(spec);
    this.buildButtons(openHelp);
    this.node = h(
      'div',
      { class: 'psr-controls', role: 'group', 'aria-label': 'Selection controls' },
      this.note,
      Object.values(this.sliders).map((slider) => slider.node),
      this.buttons,
    );
    store.on(['weights', 'ipc', 'temperature', 'follow'], () => this.refresh());
    store.on(['undo', 'redo', 'busy'], () => this.refreshHistory());
    store.on(['info'], () => this.refreshPool());
    store.on(['info', 'settings'], () => this.refreshSelector());
    this.refresh();
    this.refreshHistory();
  }

  specs() {
    const weights = WEIGHTS.map(([key, symbol, label, hint]) => ({
      key,
      symbol,
      label,
      hint,
      min: 0,
      max: MAX_WEIGHT,
      step: 0.05,
      digits: 2,
      resetTitle: `Reset ${label} to the preset for K`,
      onInput: (value) => this.setWeight(key, value),
      onChange: (value) => {
        this.setWeight(key, value);
        this.actions.select();
      },
      onReset: () => {
        this.takeWeights({ ...this.store.data.weights, [key]: this.preset()[key] });
        this.actions.select();
      },
    }));
    return [
      ...weights,
      {
        key: 'ipc',
        symbol: 'K',
        label: 'Images per class',
        hint: 'K: images per class in the distilled set',
        min: 1,
        max: 50,
        step: 1,
        digits: 0,
        resetTitle: 'Reset K to its value when the page opened',
        onInput: (value) => this.setIpc(value),
        onChange: (value) => {
          this.setIpc(value);
          this.actions.select();
        },
        onReset: () => {
          this.setIpc(this.start.ipc);
          this.actions.select();
        },
      },
      {
        key: 'temperature',
        symbol: 'τ',
        label: 'Temperature',
        min: 0.5,
        max: 5,
        step: 0.05,
        digits: 2,
        hint: 'Temperature of the soft labels: higher is softer',
        resetTitle: 'Reset tau to its value when the page opened',
        onInput: () => {},
        onChange: (temperature) => {
          this.store.set({ temperature });
          this.actions.select();
        },
        onReset: () => {
          this.store.set({ temperature: this.start.temperature });
          this.actions.select();
        },
      },
    ];
  }

  buildButtons(openHelp) {
    const run = (name) => () => this.actions[name]();
    this.undo = button({ label: 'Undo', iconName: 'undo', className: 'psr-icon-only', onClick: run('undo') });
    this.redo = button({ label: 'Redo', iconName: 'redo', className: 'psr-icon-only', onClick: run('redo') });
    this.presetButton = button({
      label: 'Preset for K',
      title: 'Set the weights to the preset for this K, and follow it',
      onClick: () => this.followPreset(true),
    });
    this.follow = h('input', {
      type: 'checkbox',
      on: { change: () => this.followPreset(this.follow.checked) },
    });
    this.sum = button({
      label: 'Keep the sum of the weights',
      iconName: 'unlock',
      className: 'psr-icon-only',
      title: 'Keep the sum: moving one weight scales the two others against it',
      pressed: false,
      onClick: () => {
        this.keepSum = !this.keepSum;
        this.sum.setAttribute('aria-pressed', String(this.keepSum));
        this.sum.firstChild.classList.toggle('is-shut', this.keepSum);
      },
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
    this.buttons = h(
      'div',
      { class: 'psr-control-buttons' },
      h('div', { class: 'psr-row' }, this.presetButton, this.undo, this.redo, help),
      h(
        'div',
        { class: 'psr-row psr-weight-row' },
        h(
          'label',
          { class: 'psr-check', title: "Weights change with K by the paper's table, until you move one" },
          this.follow,
          'Follow the IPC preset',
        ),
        this.sum,
      ),
    );
  }

  preset() {
    const { info, ipc, weights } = this.store.data;
    return info?.ipc_presets?.length ? presetFor(info.ipc_presets, ipc) : weights;
  }

  setWeight(key, value) {
    const { weights } = this.store.data;
    this.takeWeights(
      this.keepSum ? withSumKept(weights, key, value, this.maxWeight()) : { ...weights, [key]: value },
    );
  }

  /** Touching a weight ends the following, unless it lands on the preset anyway. */
  takeWeights(weights) {
    const follow = this.store.data.follow && sameWeights(weights, this.preset());
    this.store.set({ weights, follow });
  }

  setIpc(ipc) {
    const { info, follow } = this.store.data;
    const patch = { ipc };
    if (follow && info?.ipc_presets?.length) patch.weights = presetFor(info.ipc_presets, ipc);
    this.store.set(patch);
  }

  followPreset(follow) {
    if (!follow) return this.store.set({ follow });
    const changed = !sameWeights(this.store.data.weights, this.preset());
    this.store.set({ follow, weights: { ...this.preset() } });
    return changed && this.actions.select();
  }

  refresh() {
    const { weights, ipc, temperature, follow } = this.store.data;
    for (const [key] of WEIGHTS) this.sliders[key].show(weights[key]);
    this.sliders.ipc.show(ipc);
    this.sliders.temperature.show(temperature);
    this.follow.checked = follow;
    this.presetButton.disabled = follow;
  }

  /** Weights that the selector does not read give their room to what it does. */
  refreshSelector() {
    const reads = readsWeights(this.store.data);
    for (const [key] of WEIGHTS) this.sliders[key].node.hidden = !reads;
    this.buttons.classList.toggle('is-weightless', !reads);
    this.presetButton.hidden = !reads;
    this.note.hidden = reads;
    const selector = selectorOf(this.store.data);
    if (!reads) fill(this.note, h('strong', {}, selector.title), ` ${selector.help}`);
  }

  /** Where the slider of a weight ends, as the server declares it. */
  maxWeight() {
    const parameters = this.store.data.info?.selectors?.flatMap((selector) => selector.parameters);
    return parameters?.find(({ name }) => name === WEIGHTS[0][0])?.slider ?? MAX_WEIGHT;
  }

  refreshPool() {
    const { info } = this.store.data;
    if (!info?.counts?.length) return;
    const defaults = info.defaults || info;
    this.start = { ipc: defaults.ipc ?? info.ipc, temperature: defaults.temperature ?? info.temperature };
    for (const [key] of WEIGHTS) this.sliders[key].setMax(this.maxWeight());
    this.sliders.ipc.setMax(Math.max(1, ...info.counts));
    this.refresh();
  }

  refreshHistory() {
    const { undo, redo } = this.store.data;
    this.undo.disabled = !undo;
    this.redo.disabled = !redo;
    this.undo.title = undo ? `Undo: ${undo} (Ctrl+Z)` : 'Nothing to undo';
    this.redo.title = redo ? `Redo: ${redo} (Ctrl+Shift+Z)` : 'Nothing to redo';
  }
}
