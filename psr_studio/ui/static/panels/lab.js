// The lab's panel in the dock: selector, difficulty and classes. Only assembled here.

import { createAccordion } from '../core/accordion.js';
import { h } from '../core/dom.js';
import { createAllocation } from './allocation.js';
import { createClassList } from './class_list.js';
import { createDistribution } from './distribution.js';
import { createSelectorPanel } from './selector.js';
import { createSufficiency } from './sufficiency.js';

/** @import { Actions, Api, Panel, Store } from '../core/types' */

/** @param {Store} store @param {Api} api @param {Actions} actions @returns {Panel} */
export function createLabPanel(store, api, actions) {
  const difficulty = createDistribution(store, api);
  const selector = createSelectorPanel(store, actions, difficulty.last);
  const allocation = createAllocation(store, actions);
  const sufficiency = createSufficiency(store, api);
  const classes = createClassList(store, actions);
  const accordion = createAccordion('lab', [
    { key: 'selector', title: 'Selector', node: selector.node },
    { key: 'difficulty', title: 'Difficulty', node: difficulty.node, shown: difficulty.shown },
    {
      key: 'classes',
      title: 'Classes and budgets',
      node: h('div', { class: 'psr-lab-classes' }, allocation.node, sufficiency.node, classes.node),
      shown: classes.render,
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
