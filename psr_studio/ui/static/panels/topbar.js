// The bar above the tabs: names, chips, the running job, the theme; and the status dots in the tab names. It stands
// in an HTML component of Gradio's. Every word from the server is set as text, never as markup.

import { createRequest } from '../core/api.js';
import { h, svg } from '../core/dom.js';
import { recall, remember } from '../core/kept.js';
import { readAddress, writeTab } from '../core/link.js';
import { createQueue } from './queue.js';
import { createWorkspaces, watchOpening } from './workspaces.js';

/** @typedef {{ tab: string, state: string, fraction: number, text: string, title: string }} Job */
/**
 * @typedef {object} Value
 * @property {string} project
 * @property {string} root
 * @property {string} token
 * @property {string[]} tabs ids, in the order of the page
 * @property {[string, string][]} chips
 * @property {Job | null} [job]
 * @property {import('./queue.js').Entry[]} [jobs]
 * @property {Record<string, { state: string, reason: string, running: boolean }>} [stages] by tab
 */
/**
 * What Gradio gives to the script of an HTML component.
 * @typedef {object} Host
 * @property {HTMLElement} element
 * @property {{ value: Value }} props
 * @property {(name: string, listener: () => void) => void} watch
 */

const MOON = 'M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z';
/** The sign of the studio: a few picks among candidates. @type {[x: number, y: number, isPick: boolean][]} */
const SIGN = [
  [4, 5, false],
  [9, 3.5, false],
  [15.5, 6, false],
  [6.5, 10.5, true],
  [13.5, 11.5, true],
  [3.5, 15.5, false],
  [10, 16, true],
  [16.5, 16.5, false],
];
const AGAIN_MS = 300; // the tab buttons may be drawn after this bar
const TAB_TRIES = 40;
const TAB_MS = 250;

/** @param {Host} host */
export function createTopbar({ element, props, watch }) {
  const node = element.querySelector('.psr-top') ?? element;
  const request = createRequest(props.value.token, new URL('.', document.baseURI));
  const queue = createQueue({ request, openTab: (tab) => tabButton(tab)?.click() });
  const workspaces = createWorkspaces({ request });
  const project = h('button', {
    type: 'button',
    class: 'psr-top-project',
    'aria-haspopup': 'dialog',
    on: { click: workspaces.toggle },
  });
  const [chips, jobPlace] = [h('div', { class: 'psr-top-row' }), h('div', { class: 'psr-top-row' })];
  let pressed = ''; // the button that was pressed to start a job, until the studio has answered

  function draw() {
    const { root, jobs = [], stages = {} } = props.value;
    const job = pressed ? asked(pressed) : props.value.job;
    project.textContent = props.value.project;
    project.title = `${root}\nOpen another workspace`;
    chips.replaceChildren(...props.value.chips.map(chip));
    const focused = jobPlace.contains(document.activeElement);
    jobPlace.replaceChildren(...(job ? [pill(job, queue.toggle)] : []));
    if (focused) jobPlace.querySelector('button')?.focus();
    queue.show(jobs, job);
    for (const [id, stage] of Object.entries(stages)) dot(id, stage);
  }

  restoreTheme();
  node.replaceChildren(
    h('span', { class: 'psr-top-name' }, sign(), 'PSR Studio'),
    project,
    chips,
    h('span', { class: 'psr-top-grow' }),
    jobPlace,
    themeButton(),
    queue.node,
    workspaces.node,
  );
  watchOpening(request);
  draw();
  openTab(props.value.tabs);
  setTimeout(draw, AGAIN_MS);
  watch('value', draw);
  document.addEventListener('psr-pressed', (event) => {
    const { job } = /** @type {CustomEvent<{ job: string | null }>} */ (event).detail;
    if (job === null) return;
    pressed = job;
    dropErrors();
    draw();
  });
  document.addEventListener('psr-answered', () => {
    pressed = '';
    draw();
  });
  return { node };
}

const sign = () =>
  svg(
    'svg',
    { viewBox: '0 0 20 20', fill: 'currentColor', 'aria-hidden': 'true' },
    ...SIGN.map(([cx, cy, isPick]) =>
      svg('circle', isPick ? { cx, cy, r: 2.4 } : { cx, cy, r: 1.6, opacity: 0.35 }),
    ),
  );

/** @param {[string, string]} chip */
const chip = ([label, text]) =>
  h('span', { class: 'psr-chip', title: `${label}: ${text}` }, h('b', {}, label), text);

/** @param {string} name of the button @returns {Job} */
const asked = (name) => ({
  tab: namedTab() ?? '',
  state: 'queued',
  fraction: 0,
  text: `${name} …`,
  title: 'Asked for',
});

/** What the last press was refused with is over. */
function dropErrors() {
  /** @type {NodeListOf<HTMLElement>} */
  const closers = document.querySelectorAll('.toast-body.error .toast-close');
  for (const closer of closers) closer.click();
}

/** @param {Job} job @param {() => void} openQueue */
function pill({ state, fraction, text, title }, openQueue) {
  const bar = h('i', { style: { width: `${Math.round(100 * fraction)}%` } });
  return h(
    'button',
    {
      type: 'button',
      class: 'psr-pill',
      'data-state': state,
      title,
      'aria-haspopup': 'dialog',
      on: { click: openQueue },
    },
    h('span', {}, text),
    state === 'running' && h('span', { class: 'psr-pill-bar' }, bar),
  );
}

// --- theme ---------------------------------------------------------------------------------------------------------
function themeButton() {
  const moon = svg(
    'svg',
    {
      viewBox: '0 0 16 16',
      fill: 'none',
      stroke: 'currentColor',
      'stroke-width': 1.5,
      'aria-hidden': 'true',
    },
    svg('path', { d: MOON }),
  );
  const toggle = () => remember('theme', document.body.classList.toggle('dark') ? 'dark' : 'light');
  return h(
    'button',
    {
      type: 'button',
      class: 'psr-icon-button',
      title: 'Light or dark',
      'aria-label': 'Light or dark',
      on: { click: toggle },
    },
    moon,
  );
}

function restoreTheme() {
  if (new URLSearchParams(location.search).has('__theme')) return;
  const kept = recall('theme', '');
  if (kept) document.body.classList.toggle('dark', kept === 'dark');
}

// --- tabs ----------------------------------------------------------------------------------------------------------
/** @param {string | null} id */
const tabButton = (id) => document.getElementById(`psr-tab-${id}-button`);
const namedTab = () => readAddress().get('tab');
/** @param {Element | null} button */
const isOpen = (button) => button?.getAttribute('aria-selected') === 'true';

/** @param {string} id @param {{ state: string, reason: string, running: boolean }} stage */
function dot(id, { state, reason, running }) {
  const tab = tabButton(id);
  if (!tab) return;
  tab.dataset.psrState = state;
  tab.title = reason;
  tab.toggleAttribute('data-psr-running', running);
}

/**
 * Open the tab that the address names, unless another was pressed meanwhile, and write there from then on which one is
 * open. The tabs are drawn after this bar, and answer to clicks later still.
 * @param {string[]} tabs
 */
function openTab(tabs) {
  let wanted = tabs.find((id) => id === namedTab());
  let tries = TAB_TRIES;
  /** @param {Event} event */
  const press = ({ target }) => {
    wanted = tabs.find((id) => tabButton(id)?.contains(/** @type {Node} */ (target))) ?? wanted;
  };
  document.addEventListener('click', press, true);
  const look = () => {
    const list = tabButton(tabs[0])?.closest('[role="tablist"]');
    const button = wanted ? tabButton(wanted) : null;
    if (tries > 0 && !(list && (!button || isOpen(button)))) {
      tries -= 1;
      button?.click();
      setTimeout(look, TAB_MS);
      return;
    }
    document.removeEventListener('click', press, true);
    if (!list) return;
    keepNamed(tabs, list);
    walkTabs(tabs, list);
  };
  look();
}

/** Arrow keys, Home and End go through the names of the tabs; Enter opens one. @param {string[]} tabs @param {Element} list */
function walkTabs(tabs, list) {
  list.addEventListener('keydown', (event) => {
    const { key, target, ctrlKey, altKey, metaKey } = /** @type {KeyboardEvent} */ (event);
    const at = tabs.findIndex((id) => tabButton(id) === target);
    /** @type {Record<string, number>} */
    const ways = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: -1 };
    if (at < 0 || !(key in ways) || ctrlKey || altKey || metaKey) return;
    event.preventDefault();
    tabButton(tabs.at(ways[key] % tabs.length) ?? null)?.focus();
  });
}

/** Write into the address which tab is open, and follow the address. @param {string[]} tabs @param {Element} list */
function keepNamed(tabs, list) {
  const keep = () => {
    const open = tabs.find((id) => isOpen(tabButton(id)));
    if (open && open !== namedTab()) writeTab(open);
    // A chart that was out of sight while the window changed has its old width still.
    requestAnimationFrame(() => window.dispatchEvent(new Event('resize')));
  };
  new MutationObserver(keep).observe(list, { subtree: true, attributeFilter: ['aria-selected'] });
  window.addEventListener('hashchange', () => tabButton(namedTab())?.click());
  keep();
}
