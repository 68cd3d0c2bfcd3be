// Which selector spends the budget, and its parameters. Everything is drawn from the server's descriptions.

import { fill, h } from './dom.js';
import { SHAPES, WEIGHT_KEYS, isIdle, readsWeights, selectorOf } from './lab_model.js';
import { createParameter } from './parameters.js';

// The ablations of the PSR paper's equation 8, as weights.
const STARTS = [
  ['K up to 10', [3, 1, 0.5]],
  ['K from 11 to 49', [1, 1, 1]],
  ['K from 50', [0.5, 1, 3]],
  ['Reliability alone', [1, 0, 0]],
  ['Entropy alone', [0, 1, 0]],
  ['Diversity alone', [0, 0, 1]],
  ['Without diversity', [1, 1, 0]],
  ['Without entropy', [1, 0, 1]],
];

/** @param {function(): object|null} lastDistributions what the difficulty chart has fetched last */
export function createSelectorPanel(store, actions, lastDistributions) {
  const pick = h('select', {
    class: 'psr-select',
    'aria-label': 'Selector',
    on: { change: () => actions.select({ selector: pick.value }) },
  });
  const help = h('p', { class: 'psr-fine' });
  const source = h('p', { class: 'psr-fine psr-muted' });
  const weights = weightPresets(store, actions);
  const list = h('div', { class: 'psr-lab-parameters', role: 'group', 'aria-label': 'Parameters' });
  const node = h('div', { class: 'psr-lab-selector' }, pick, help, source, weights, list);
  let drawnFor = null;
  let controls = [];

  function refresh() {
    const { info, settings } = store.data;
    const selector = selectorOf(store.data);
    node.hidden = !selector;
    if (!selector) return;
    if (pick.options.length !== info.selectors.length || drawnFor?.info !== info) {
      fill(
        pick,
        info.selectors.map(({ name, title }) => h('option', { value: name }, title)),
      );
    }
    pick.value = selector.name;
    if (drawnFor?.selector !== selector) build(selector);
    drawnFor = { selector, info };
    for (const { parameter, control } of controls) {
      control.show(settings[parameter.name]);
      control.node.hidden = isIdle(parameter, settings);
    }
    weights.hidden = !readsWeights(store.data);
  }

  function build(selector) {
    help.textContent = selector.help;
    source.textContent = selector.source ? `Source: ${selector.source}` : '';
    controls = selector.parameters
      .filter(({ name }) => !WEIGHT_KEYS.includes(name)) // these have the sliders above the map
      .map((parameter) => ({
        parameter,
        control: createParameter(parameter, (value) => actions.select({ [`${selector.name}.${parameter.name}`]: value }), {
          starts: starts(),
        }),
      }));
    fill(
      list,
      controls.map(({ control }) => control.node),
    );
  }

  function starts() {
    return [
      {
        label: 'scale',
        title: 'Scale: the smoothed distribution of the original images',
        shape: () => lastDistributions()?.smoothed?.original ?? null,
      },
      ...Object.entries(SHAPES).map(([label, shape]) => ({
        label,
        title: `Start from "${label}"`,
        shape: () => shape,
      })),
    ];
  }

  // A refused change leaves the settings as they were: the fields must say so again.
  store.on(['info', 'settings', 'notice'], refresh);
  refresh();
  return node;
}

function weightPresets(store, actions) {
  const pick = h(
    'select',
    {
      class: 'psr-select psr-grow',
      'aria-label': 'Set the weights to',
      on: {
        change: () => {
          const found = STARTS.find(([name]) => name === pick.value);
          pick.value = '';
          if (!found) return;
          const [alpha, beta, gamma] = found[1];
          store.set({ weights: { alpha, beta, gamma }, follow: false });
          actions.select();
        },
      },
    },
    h('option', { value: '' }, 'choose …'),
    STARTS.map(([name, [a, b, c]]) => h('option', { value: name }, `${name} (${a}, ${b}, ${c})`)),
  );
  return h(
    'label',
    { class: 'psr-lab-choice', title: 'Sets alpha, beta and gamma; the sliders stand above the map' },
    h('span', { class: 'psr-lab-name' }, 'Weights'),
    pick,
  );
}
