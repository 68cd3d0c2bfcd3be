// Which selector spends the budget, and its parameters. Everything is drawn from the server's descriptions.

import { createParameter } from '../controls/parameters.js';
import { fill, h } from '../core/dom.js';
import { isIdle, presetName, readsWeights, selectorOf, WEIGHT_KEYS } from '../core/settings.js';

/** @import { Actions, Distributions, Info, Parameter, Selector, Store, Weights } from '../core/types' */
/** @import { Start } from '../controls/bars.js' */
/** @import { Control } from '../controls/parameters.js' */

/** The ablations of the PSR paper's equation 8. @type {[string, Weights][]} */
const ABLATIONS = [
  ['Reliability alone', { alpha: 1, beta: 0, gamma: 0 }],
  ['Entropy alone', { alpha: 0, beta: 1, gamma: 0 }],
  ['Diversity alone', { alpha: 0, beta: 0, gamma: 1 }],
  ['Without diversity', { alpha: 1, beta: 1, gamma: 0 }],
  ['Without entropy', { alpha: 1, beta: 0, gamma: 1 }],
];

/**
 * @param {Store} store
 * @param {Actions} actions
 * @param {() => Distributions | null} lastDistributions what the difficulty chart has fetched last
 */
export function createSelectorPanel(store, actions, lastDistributions) {
  const pick = h('select', {
    class: 'psr-select',
    'aria-label': 'Selector',
    on: {
      change: () => {
        actions.select({ selector: pick.value });
      },
    },
  });
  const help = h('p', { class: 'psr-fine' });
  const source = h('p', { class: 'psr-fine psr-muted' });
  const weights = createWeightStarts(store, actions);
  const list = h('div', { class: 'psr-lab-parameters', role: 'group', 'aria-label': 'Parameters' });
  const node = h('div', { class: 'psr-lab-selector' }, pick, help, source, weights.node, list);
  /** @type {Info | null} */
  let listed = null; // whose selectors the choice names
  /** @type {Selector | null} */
  let drawn = null; // whose parameters are there
  /** @type {{ parameter: Parameter, control: Control }[]} */
  let controls = [];

  function refresh() {
    const { phase, info, settings } = store.data;
    const selector = selectorOf(store.data);
    node.hidden = !selector;
    if (!selector || phase !== 'ready') return;
    if (listed !== info) {
      const options = info.selectors.map(({ name, title }) => h('option', { value: name }, title));
      fill(pick, options);
    }
    listed = info;
    pick.value = selector.name;
    if (drawn !== selector) build(selector, info);
    drawn = selector;
    for (const { parameter, control } of controls) {
      control.show(settings[parameter.name]);
      control.node.hidden = isIdle(parameter, settings);
    }
    weights.node.hidden = !readsWeights(store.data);
  }

  /** @param {Selector} selector @param {Info} info */
  function build(selector, info) {
    help.textContent = selector.help;
    source.textContent = selector.source ? `Source: ${selector.source}` : '';
    const bars = { edges: info.bin_edges, starts: starts(info) };
    const sliders = /** @type {string[]} */ (WEIGHT_KEYS); // these stand above the map
    controls = selector.parameters
      .filter(({ name }) => !sliders.includes(name))
      .map((parameter) => {
        const change = (/** @type {any} */ value) => ({ [`${selector.name}.${parameter.name}`]: value });
        const choose = (/** @type {any} */ value) => actions.select(change(value));
        const drag = (/** @type {number} */ value) => actions.drag(change(value));
        return { parameter, control: createParameter(parameter, choose, drag, bars) };
      });
    fill(
      list,
      controls.map(({ control }) => control.node),
    );
  }

  /** Shapes that a drawn target can begin from. @param {Info} info @returns {Start[]} */
  const starts = ({ target_shapes: shapes }) => [
    {
      label: 'scale',
      title: 'Scale: the smoothed distribution of the original images',
      shape: () => lastDistributions()?.smoothed.original ?? null,
    },
    ...Object.entries(shapes).map(([label, shape]) => ({
      label,
      title: `Start from "${label}"`,
      shape: () => shape,
    })),
  ];

  // A refused change leaves the settings as they were: the fields must say so again.
  store.on(['info', 'settings', 'notice'], refresh);
  refresh();
  return { node };
}

/** A choice that sets all three weights at once. @param {Store} store @param {Actions} actions */
function createWeightStarts(store, actions) {
  /** @type {[string, Weights][]} */
  let starts = [];
  const pick = h('select', {
    class: 'psr-select psr-grow',
    'aria-label': 'Set the weights to',
    on: {
      change: () => {
        const [, weights] = starts.find(([name]) => name === pick.value) ?? [];
        pick.value = '';
        if (!weights) return;
        store.set({ weights: { ...weights }, follow: false });
        actions.select();
      },
    },
  });
  const about = h('div', { class: 'psr-lab-about' });
  const choice = h(
    'label',
    { class: 'psr-lab-choice', title: 'Sets alpha, beta and gamma; the sliders stand above the map' },
    h('span', { class: 'psr-lab-name' }, 'Weights'),
    pick,
  );
  const node = h('div', {}, choice, about);

  /** The presets by budget, and the ablations. */
  function refresh() {
    const presets = store.data.info?.ipc_presets ?? [];
    about.textContent = store.data.info?.weights_about ?? '';
    const named = presets.map(
      ({ weights }, k) => /** @type {[string, Weights]} */ ([presetName(presets, k), weights]),
    );
    starts = [...named, ...ABLATIONS];
    fill(
      pick,
      h('option', { value: '' }, 'choose …'),
      starts.map(([name, { alpha, beta, gamma }]) =>
        h('option', { value: name }, `${name} (${alpha}, ${beta}, ${gamma})`),
      ),
    );
  }

  store.on(['info'], refresh);
  refresh();
  return { node };
}
