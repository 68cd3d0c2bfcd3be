// The keyboard: one table drives both the handler and the cheat sheet, so they cannot drift apart.

import { nextContours } from '../map/density.js';
import { button, h } from './dom.js';
import { COLOR_MODES } from './model.js';

/** @import { Actions, Comparison, Library, Store } from './types' */
/** @import { Grid } from '../grid/grid.js' */
/** @import { Scatter } from '../map/scatter.js' */
/** @import { Dock } from '../panels/dock.js' */
/** @import { Panes } from '../panels/panes.js' */
/**
 * @typedef {object} Entry
 * @property {string} keys as the cheat sheet shows them
 * @property {string} label
 * @property {(event: KeyboardEvent) => boolean} match
 * @property {() => unknown} run
 * @property {string} [group]
 * @property {boolean} [alias] left out of the cheat sheet
 */
/**
 * @typedef {object} Parts
 * @property {Store} store
 * @property {Actions} actions
 * @property {Library} library
 * @property {Comparison} compare
 * @property {Scatter} map
 * @property {Grid} grid
 * @property {Dock} dock
 * @property {Panes} panes
 * @property {() => void} save
 * @property {() => void} tag
 * @property {() => void} openHelp
 * @property {() => void} leaveInnermost
 */

/** @param {Parts} parts @returns {Entry[]} */
export const keyTable = (parts) => [
  ...group('Marks', markKeys(parts)),
  ...group('History and panels', panelKeys(parts)),
  ...group('Map', mapKeys(parts)),
  ...group('Grid and selection', gridKeys(parts)),
];

/** @param {string} name @param {Entry[]} keys */
const group = (name, keys) => keys.map((entry) => ({ ...entry, group: name }));

/** @param {KeyboardEvent} event @param {string} name */
const isKey = (event, name) => event.key.toLowerCase() === name.toLowerCase();

/** @param {string} name @param {string} label @param {() => unknown} run @returns {Entry} */
const key = (name, label, run) => ({
  keys: name,
  label,
  run,
  match: (e) => !e.ctrlKey && !e.metaKey && !e.altKey && isKey(e, name),
});

/** @param {string} name @param {string} label @param {() => unknown} run @returns {Entry} */
const ctrl = (name, label, run, shift = false) => ({
  keys: `Ctrl+${shift ? 'Shift+' : ''}${name}`,
  label,
  run,
  match: (e) => (e.ctrlKey || e.metaKey) && !e.altKey && e.shiftKey === shift && isKey(e, name),
});

/** @param {Parts} parts */
const markKeys = ({ actions, library, tag }) => [
  key('P', 'Pin the lassoed, or the focused candidate', () => actions.mark('pin')),
  key('X', 'Veto it', () => actions.mark('veto')),
  key('U', 'Clear its mark', () => actions.mark('clear')),
  key('T', 'Tag it', tag),
  key('E', 'Export the lassoed: save them under a name', library.exportSelection),
];

/** @param {Parts} parts */
const mapKeys = ({ store, map }) => [
  key('V', 'Pan tool', () => store.set({ tool: 'pan' })),
  key('B', 'Box tool', () => store.set({ tool: 'box' })),
  key('L', 'Lasso tool', () => store.set({ tool: 'lasso' })),
  key('Z', 'Zoom to the selection', map.zoomToSelection),
  key('0', 'Reset the view', map.resetView),
  key('+', 'Zoom in', () => map.zoomBy(1.4)),
  key('-', 'Zoom out', () => map.zoomBy(1 / 1.4)),
  key('D', 'Density contours: none, of all, by class', () =>
    store.set({ contours: nextContours(store.data.contours) }),
  ),
  ...COLOR_MODES.map((mode, k) =>
    key(String(k + 1), `Colour by ${mode.label.toLowerCase()}`, () => store.set({ colorBy: mode.key })),
  ),
];

/** @param {Parts} parts */
const gridKeys = ({ grid, leaveInnermost }) => [
  key('[', 'Previous class in the grid', () => grid.jumpClass(-1)),
  key(']', 'Next class in the grid', () => grid.jumpClass(1)),
  key('/', 'Filter: find candidates by a query', grid.filter),
  key('A', 'Select the listed candidates of the class', grid.selectClass),
  ctrl('A', 'Lasso all candidates the grid lists', () => grid.selectAll()),
  key('Escape', 'Leave: picture at large, full view, selection, compare, focus', leaveInnermost),
];

/** @param {Parts} parts */
const panelKeys = ({ actions, library, dock, compare, panes, save, openHelp }) => [
  ctrl('Z', 'Undo', () => actions.undo()),
  ctrl('Z', 'Redo', () => actions.redo(), true),
  { ...ctrl('Y', 'Redo', () => actions.redo()), alias: true },
  ctrl('Enter', 'Save the selection under the name above', save),
  key('C', 'Compare A and B', compare.toggle),
  key('S', 'Saved selections', () => dock.toggle('saved')),
  key('H', 'History', () => dock.toggle('history')),
  key('K', 'Copy as command', library.copyCommand),
  key('F', 'The pane in full, or all panes', panes.toggleFull),
  key('?', 'This list', openHelp),
];

/**
 * Handled by the panes themselves; listed so that the cheat sheet is whole.
 * @type {Record<string, string[][]>}
 */
const MORE = {
  Map: [
    ['Arrows', 'Pan the map when it has the focus'],
    ['Shift+drag, Alt+drag', 'Add to the selection, or remove from it'],
    ['Wheel, double click', 'Zoom at the pointer'],
    ['Click', 'Show the candidate in the inspector and the grid'],
  ],
  'Grid and selection': [
    ['Arrows, Page, Home, End', 'Move through the grid; with Shift extend the selection'],
    ['Click again, Enter, Space', 'Show the picture at large; arrows go on, the wheel zooms'],
    ['Ctrl+Space', 'Lasso the focused picture, or take it out'],
    ['Ctrl+click, Shift+click', 'Toggle one picture, or select a range'],
  ],
};

const TEXT_TYPES = ['text', 'number', 'search', 'email', 'url', 'password', 'tel', ''];

/** @param {EventTarget | null} target */
function inTextField(target) {
  if (!(target instanceof Element)) return false;
  if (target.closest('textarea, select, [contenteditable=""], [contenteditable="true"]')) return true;
  return target.tagName === 'INPUT' && TEXT_TYPES.includes(target.getAttribute('type') || '');
}

/** An open menu counts: Escape is to close it. */
const dialogOpen = () => Boolean(document.querySelector('dialog[open], [aria-modal="true"], :popover-open'));

/**
 * Listens on the whole page, but only acts while the workbench is on screen.
 * @param {HTMLElement} root
 * @param {Entry[]} table
 * @param {AbortSignal} signal
 */
export function attachKeys(root, table, signal) {
  document.addEventListener(
    'keydown',
    (event) => {
      const hidden = !root.isConnected || !root.getClientRects().length;
      if (event.defaultPrevented || hidden || inTextField(event.target) || dialogOpen()) return;
      const entry = table.find((item) => item.match(event));
      if (!entry) return;
      event.preventDefault();
      entry.run();
    },
    { signal },
  );
}

/** @param {() => Entry[]} getTable asked when the sheet is opened */
export function createHelp(getTable) {
  const list = h('div', { class: 'psr-keys' });
  const close = button({
    label: 'Close',
    iconName: 'clear',
    className: 'psr-ghost psr-icon-only',
    onClick: () => node.close(),
  });
  const node = h(
    'dialog',
    {
      class: 'psr-dialog',
      'aria-label': 'Keyboard shortcuts',
      on: {
        click: (event) => {
          if (event.target === node) node.close();
        },
      },
    },
    h('header', {}, h('h3', {}, 'Keyboard and mouse'), close),
    list,
  );
  return {
    node,
    open() {
      list.replaceChildren(...sheet(getTable()));
      node.showModal();
    },
  };
}

/** @param {Entry[]} table */
function sheet(table) {
  const names = [...new Set(table.map((entry) => entry.group ?? ''))];
  return names.map((name) => {
    const own = table.filter((entry) => entry.group === name && !entry.alias);
    const rows = own.map(({ keys, label }) => [keys === 'Escape' ? 'Esc' : keys, label]);
    return h(
      'section',
      {},
      h('h4', {}, name),
      h(
        'dl',
        {},
        [...rows, ...(MORE[name] ?? [])].map(([keys, label]) =>
          h(
            'div',
            {},
            h(
              'dt',
              {},
              keys.split(', ').map((key) => h('kbd', {}, key)),
            ),
            h('dd', {}, label),
          ),
        ),
      ),
    );
  });
}
