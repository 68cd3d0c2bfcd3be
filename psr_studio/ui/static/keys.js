// The keyboard: one table drives both the handler and the cheat sheet, so they cannot drift apart.

import { button, h } from './dom.js';
import { COLOR_MODES } from './model.js';

/** @returns {{keys: string, label: string, match: function(KeyboardEvent): boolean, run: function}[]} */
export function keyTable({ store, actions, scatter, grid, openHelp, escape }) {
  const key = (name, label, run) => ({
    keys: name,
    label,
    run,
    match: (e) => !e.ctrlKey && !e.metaKey && !e.altKey && e.key.toLowerCase() === name.toLowerCase(),
  });
  const ctrl = (e) => e.ctrlKey || e.metaKey;
  return [
    key('P', 'Pin the selection or the focused candidate', () => actions.mark('pin')),
    key('X', 'Veto it', () => actions.mark('veto')),
    key('U', 'Clear its mark', () => actions.mark('clear')),
    key('V', 'Pan tool', () => store.set({ tool: 'pan' })),
    key('B', 'Box tool', () => store.set({ tool: 'box' })),
    key('L', 'Lasso tool', () => store.set({ tool: 'lasso' })),
    key('Z', 'Zoom to the selection', () => scatter.zoomToSelection()),
    key('0', 'Reset the view', () => scatter.resetView()),
    key('+', 'Zoom in', () => scatter.zoomBy(1.4)),
    key('-', 'Zoom out', () => scatter.zoomBy(1 / 1.4)),
    ...COLOR_MODES.map((mode, k) =>
      key(String(k + 1), `Colour by ${mode.label.toLowerCase()}`, () => store.set({ colorBy: mode.key })),
    ),
    key('[', 'Previous class in the grid', () => grid.jumpClass(-1)),
    key(']', 'Next class in the grid', () => grid.jumpClass(1)),
    {
      keys: 'Ctrl+Z',
      label: 'Undo',
      run: () => actions.undo(),
      match: (e) => ctrl(e) && !e.shiftKey && e.key.toLowerCase() === 'z',
    },
    {
      keys: 'Ctrl+Shift+Z',
      label: 'Redo',
      run: () => actions.redo(),
      match: (e) => ctrl(e) && ((e.shiftKey && e.key.toLowerCase() === 'z') || e.key.toLowerCase() === 'y'),
    },
    key('Escape', 'Clear the selection, then the focus', escape),
    key('?', 'This list', openHelp),
  ];
}

// Handled by the panes themselves; listed so that the cheat sheet is whole.
const MORE = [
  ['Arrows', 'Move through the grid (Shift extends the selection), or pan the map'],
  ['Space', 'Select the focused picture in the grid'],
  ['Ctrl+A', 'Select all pictures the grid lists'],
  ['Shift / Alt + drag', 'Add to or remove from the selection on the map'],
  ['Ctrl / Shift + click', 'Toggle one picture, or select a range, in the grid'],
  ['Wheel, double click', 'Zoom at the pointer'],
];

const TEXT_TYPES = ['text', 'number', 'search', 'email', 'url', 'password', 'tel', ''];

function inTextField(target) {
  if (!(target instanceof Element)) return false;
  if (target.closest('textarea, select, [contenteditable=""], [contenteditable="true"]')) return true;
  return target.tagName === 'INPUT' && TEXT_TYPES.includes(target.getAttribute('type') || '');
}

const dialogOpen = () => Boolean(document.querySelector('dialog[open], [aria-modal="true"]'));

/** Listens on the whole page, but only acts while the workbench is on screen. */
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

/** @returns {{node: HTMLDialogElement, open: function}} */
export function createHelp(getTable) {
  const list = h('dl', { class: 'psr-keys' });
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
      on: { click: (event) => event.target === node && node.close() },
    },
    h('header', {}, h('h3', {}, 'Keyboard and mouse'), close),
    list,
  );
  return {
    node,
    open() {
      const rows = [
        ...getTable().map(({ keys, label }) => [keys === 'Escape' ? 'Esc' : keys, label]),
        ...MORE,
      ];
      list.replaceChildren(
        ...rows.map(([keys, label]) => h('div', {}, h('dt', {}, h('kbd', {}, keys)), h('dd', {}, label))),
      );
      node.showModal();
    },
  };
}
