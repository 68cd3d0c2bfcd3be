// The lab's panels, as rows for the dock. Only listed here.

import { h } from './dom.js';

/** @returns {{id, label, title, iconName, node, shown: function}[]} see dock.js */
export function labPanels(store, api, actions) {
  return [
    { id: 'selector', label: 'Selector', title: 'Selector', iconName: 'selector', node: h('div') },
    { id: 'classes', label: 'Classes', title: 'Classes', iconName: 'classes', node: h('div') },
  ];
}
