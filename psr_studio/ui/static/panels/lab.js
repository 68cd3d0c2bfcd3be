// The lab's panel in the dock: selector, difficulty and classes. Only assembled here.

import { createAccordion } from '../core/accordion.js';
import { createAllocation } from './allocation.js';
import { ClassList } from './class_list.js';
import { createDistribution } from './distribution.js';
import { h } from '../core/dom.js';
import { createSelectorPanel } from './selector.js';
import { createSufficiency } from './sufficiency.js';

/** @returns {{id, label, title, iconName, node, shown: function}} a row for dock.js */
export function labPanel(store, api, actions) {
  const difficulty = createDistribution(store, api);
  const classes = new ClassList(store, actions);
  const accordion = createAccordion('lab', [
    { key: 'selector', title: 'Selector', node: createSelectorPanel(store, actions, difficulty.last) },
    { key: 'difficulty', title: 'Difficulty', node: difficulty.node, shown: () => difficulty.shown() },
    {
      key: 'classes',
      title: 'Classes and budgets',
      node: h('div', { class: 'psr-lab-classes' }, createAllocation(store, actions), createSufficiency(store, api), classes.node),
      shown: () => classes.render(),
    },
  ]);
  return {
    id: 'lab',
    label: 'Lab',
    title: 'Selection lab',
    iconName: 'selector',
    node: accordion.node,
    shown: accordion.shown,
  };
}
