// The dock: a rail of panels at the left edge of the workbench. One panel is open at a time, or none.

import { button, clamp, h, icon, prefersStill } from '../core/dom.js';
import { recall, remember } from '../core/kept.js';
import { createSplitter } from '../core/splitter.js';

const WIDTHS_PX = [220, 520];
// Accordions of the page that stand below the window's edge.
const BELOW = [
  { id: 'psr-difficulty', label: 'Figures', title: 'Difficulty figures, below', iconName: 'bars' },
  { id: 'psr-tune-panel', label: 'Tune', title: 'Tune: search selector and weights, below', iconName: 'gauge' },
];
const UNFOLD_MS = 200; // an accordion has no height before
const WIDE_PX = 1700; // from this width on the first panel is open when the page is new to the browser

/**
 * @param {object} store its key `dock` is the id of the open panel, or null
 * @param {{id, label, title, iconName, key?, node, shown?: function, passing?: boolean}[]} panels in the order of
 * the rail; `shown` is called whenever the panel comes into view; a passing one is not opened again by a reload
 */
export function createDock(store, panels) {
  const rail = h('div', { class: 'psr-rail', role: 'toolbar', 'aria-label': 'Panels' });
  const body = h('div', { class: 'psr-dock-body psr-pane' });
  const splitter = createSplitter({
    label: 'Width of the panel',
    start: () => body.getBoundingClientRect().width,
    move: (width, by) => setWidth(Math.round(clamp(width + by, ...WIDTHS_PX))),
    reset: () => setWidth(null),
  });
  const node = h('div', { class: 'psr-dock' }, rail, body, splitter);
  const parts = panels.map(build);
  const ids = panels.map((panel) => panel.id);

  function build(panel) {
    const toggle = railButton(panel, () => open(store.data.dock === panel.id ? null : panel.id));
    const section = h(
      'section',
      { class: 'psr-dock-panel', id: `psr-dock-${panel.id}`, 'aria-label': panel.title },
      h(
        'header',
        { class: 'psr-bar' },
        h('h3', {}, panel.title),
        h('span', { class: 'psr-grow' }),
        button({
          label: `Fold ${panel.title}`,
          iconName: 'clear',
          className: 'psr-ghost psr-icon-only',
          onClick: () => {
            open(null);
            toggle.focus();
          },
        }),
      ),
      h('div', { class: 'psr-dock-content' }, panel.node),
    );
    rail.append(toggle);
    body.append(section);
    return { panel, toggle, section };
  }

  /** null: as wide as the window suggests. */
  function setWidth(px) {
    if (px) node.style.setProperty('--psr-dock-width', `${px}px`);
    else node.style.removeProperty('--psr-dock-width');
    remember('dock-width', px);
  }

  function open(id) {
    store.set({ dock: ids.includes(id) ? id : null });
  }

  function refresh() {
    const { dock } = store.data;
    body.hidden = dock === null;
    splitter.hidden = dock === null;
    node.classList.toggle('is-open', dock !== null);
    for (const { panel, toggle, section } of parts) {
      const shown = panel.id === dock;
      toggle.setAttribute('aria-expanded', String(shown));
      const appears = shown && section.hidden;
      section.hidden = !shown;
      if (appears) panel.shown?.();
    }
    if (!panels.find(({ id, passing }) => passing && id === dock)) remember('dock', dock);
  }

  rail.append(h('span', { class: 'psr-grow' }), ...BELOW.map(belowButton));
  setWidth(recall('dock-width'));
  parts.forEach(({ section }) => (section.hidden = true));
  store.on(['dock'], refresh);
  open(recall('dock', window.innerWidth >= WIDE_PX ? ids[0] : null));
  refresh();
  return { node, open, toggle: (id) => open(store.data.dock === id ? null : id) };
}

/** Opens an accordion of the page below the workbench and brings it into view. */
function belowButton({ id, label, title, iconName }) {
  const onClick = () => {
    const section = document.getElementById(id);
    const head = section?.querySelector('button');
    if (head && !head.classList.contains('open')) head.click();
    head?.focus({ preventScroll: true });
    const show = () => section?.scrollIntoView({ behavior: prefersStill() ? 'auto' : 'smooth', block: 'start' });
    setTimeout(show, UNFOLD_MS);
  };
  return h(
    'button',
    { type: 'button', class: 'psr-rail-button', title, on: { click: onClick } },
    icon(iconName),
    h('span', {}, label),
  );
}

function railButton({ id, label, title, iconName, key }, onClick) {
  return h(
    'button',
    {
      type: 'button',
      class: 'psr-rail-button',
      title: key ? `${title} (${key})` : title,
      'aria-controls': `psr-dock-${id}`,
      'aria-expanded': 'false',
      on: { click: onClick },
    },
    icon(iconName),
    h('span', {}, label),
  );
}
