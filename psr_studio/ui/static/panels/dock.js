// The dock: a rail of panels at the left edge of the workbench. One panel is open at a time, or none.

import { button, h, icon } from '../core/dom.js';
import { recall, remember } from '../core/kept.js';
import { clamp } from '../core/numbers.js';
import { createSplitter } from '../core/splitter.js';

/** @import { Panel, Store } from '../core/types' */
/** @typedef {ReturnType<typeof createDock>} Dock */

const [LEAST_PX, MOST_PX] = [220, 520];
// Accordions of the page that open beside the workbench.
const BESIDE = [
  { id: 'psr-difficulty', label: 'Figures', title: 'Difficulty figures', iconName: 'bars' },
  {
    id: 'psr-tune-panel',
    label: 'Tune',
    title: 'Tune: search selector and weights',
    iconName: 'gauge',
  },
];
const WIDE_PX = 1700; // from this width on the first panel is open when the page is new to the browser

/**
 * @param {Store} store its key `dock` is the id of the open panel, or null
 * @param {Panel[]} panels in the order of the rail
 */
export function createDock(store, panels) {
  const rail = h('div', { class: 'psr-rail', role: 'toolbar', 'aria-label': 'Panels' });
  const body = h('div', { class: 'psr-dock-body psr-pane' });
  const splitter = createSplitter({
    label: 'Width of the panel',
    start: () => body.getBoundingClientRect().width,
    move: (width, by) => setWidth(Math.round(clamp(width + by, LEAST_PX, MOST_PX))),
    reset: () => setWidth(null),
  });
  const node = h('div', { class: 'psr-dock' }, rail, body, splitter.node);
  const parts = panels.map(build);
  rail.append(
    h('span', { class: 'psr-grow' }),
    ...besideButtons(() => window.innerWidth < WIDE_PX && open(null)),
  );

  /** @param {Panel} panel */
  function build(panel) {
    const tab = railButton(panel, `psr-dock-${panel.id}`, () => toggle(panel.id));
    const fold = button({
      label: `Fold ${panel.title}`,
      iconName: 'clear',
      className: 'psr-ghost psr-icon-only',
      onClick: () => {
        open(null);
        tab.focus();
      },
    });
    const section = h(
      'section',
      { class: 'psr-dock-panel', id: `psr-dock-${panel.id}`, 'aria-label': panel.title, hidden: true },
      h('header', { class: 'psr-bar' }, h('h3', {}, panel.title), h('span', { class: 'psr-grow' }), fold),
      h('div', { class: 'psr-dock-content' }, panel.node),
    );
    rail.append(tab);
    body.append(section);
    return { panel, toggle: tab, section };
  }

  /** @param {number | null} px null: as wide as the window suggests */
  function setWidth(px) {
    if (px) node.style.setProperty('--psr-dock-width', `${px}px`);
    else node.style.removeProperty('--psr-dock-width');
    remember('dock-width', px);
  }

  /** @param {string | null} id */
  function open(id) {
    store.set({ dock: panels.some((panel) => panel.id === id) ? id : null });
  }

  /** @param {string} id */
  const toggle = (id) => open(store.data.dock === id ? null : id);

  function refresh() {
    const { dock } = store.data;
    body.hidden = dock === null;
    splitter.node.hidden = dock === null;
    node.classList.toggle('is-open', dock !== null);
    for (const { panel, toggle: tab, section } of parts) {
      const shown = panel.id === dock;
      tab.setAttribute('aria-expanded', String(shown));
      const appears = shown && section.hidden;
      section.hidden = !shown;
      if (appears) panel.shown?.();
    }
    if (!panels.some(({ id, passing }) => passing && id === dock)) remember('dock', dock);
  }

  setWidth(recall('dock-width', /** @type {number | null} */ (null)));
  store.on(['dock'], refresh);
  open(recall('dock', window.innerWidth >= WIDE_PX ? panels[0].id : null));
  refresh();
  return { node, toggle };
}

/**
 * Buttons that open the accordions of the page beside the workbench, one at a time.
 * @param {() => void} makeRoom called before one is opened
 */
function besideButtons(makeRoom) {
  /** @param {string} id @returns {HTMLElement | null} */
  const headOf = (id) => document.querySelector(`#${id} > .label-wrap`);
  /** @param {string} id */
  const isOpen = (id) => headOf(id)?.classList.contains('open') ?? false;
  /** @param {string} id */
  const press = (id) => {
    if (!isOpen(id)) makeRoom();
    for (const other of BESIDE) if (other.id !== id && isOpen(other.id)) headOf(other.id)?.click();
    headOf(id)?.click();
  };
  const buttons = BESIDE.map((entry) => railButton(entry, entry.id, () => press(entry.id)));
  const refresh = () => {
    BESIDE.forEach(({ id }, i) => {
      buttons[i].setAttribute('aria-expanded', String(isOpen(id)));
    });
  };
  const column = document.getElementById(BESIDE[0].id)?.parentElement;
  if (column) new MutationObserver(refresh).observe(column, { subtree: true, attributeFilter: ['class'] });
  return buttons;
}

/**
 * @param {Pick<Panel, 'label' | 'title' | 'iconName' | 'key'>} entry
 * @param {string} controls id of what it opens
 * @param {() => void} onClick
 */
const railButton = ({ label, title, iconName, key }, controls, onClick) =>
  h(
    'button',
    {
      type: 'button',
      class: 'psr-rail-button',
      title: key ? `${title} (${key})` : title,
      'aria-controls': controls,
      'aria-expanded': 'false',
      on: { click: onClick },
    },
    icon(iconName),
    h('span', {}, label),
  );
