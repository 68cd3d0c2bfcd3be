// The Curate workbench: one island with one store, three panes and a control strip. Only assembled here.

import { createControls } from './controls/controls.js';
import { createResultStrip } from './controls/result_strip.js';
import { createActions } from './core/actions.js';
import { createAddress } from './core/address.js';
import { createApi } from './core/api.js';
import { createCompare } from './core/compare.js';
import { button, fill, h, said } from './core/dom.js';
import { attachKeys, createHelp, keyTable } from './core/keys.js';
import { unlasso } from './core/lasso.js';
import { chooseLayout } from './core/layouts.js';
import { createLibrary } from './core/library.js';
import { createLiveRegion } from './core/live_region.js';
import { createSearch } from './core/search.js';
import { createSession } from './core/session.js';
import { createStore, INITIAL } from './core/store.js';
import { loadStyles } from './core/styles.js';
import { askForTag } from './core/tagging.js';
import { createGrid } from './grid/grid.js';
import { createCompareMap } from './map/compare.js';
import { createScatter } from './map/scatter.js';
import { createComparePanel } from './panels/compare.js';
import { createDock } from './panels/dock.js';
import { createHistoryPanel } from './panels/history.js';
import { createInspector } from './panels/inspector.js';
import { createLabPanel } from './panels/lab.js';
import { createLightbox } from './panels/lightbox.js';
import { createPanes } from './panels/panes.js';
import { createSavedPanel } from './panels/saved.js';
import { createViews } from './panels/views.js';
import { createWaiting, scoreButton } from './panels/waiting.js';

/** @import { AnswerHeader } from './core/types' */
/** @import { Entry } from './core/keys.js' */
/** @typedef {ReturnType<typeof createWorkbench>} Workbench */

/** Said on the document by the tabs of the page after they have saved a selection. */
const SAVED = 'psr-saved';
/** Asked on the document by the tabs of the page: `detail.shown` becomes the promise of what the workbench shows. */
const SHOWN = 'psr-shown';
/** Said on the element once the workbench stands in it; `detail` is the workbench. */
const MOUNTED = 'psr-mounted';

/** @type {Workbench | null} */
let current = null; // Gradio may build the island again: the old one must stop listening

/**
 * @param {HTMLElement} element where to build
 * @param {{ token: string, base?: string }} value
 * @param {{ onAnswer?: (header: AnswerHeader) => void }} hooks `onAnswer` is told the header of every new selection
 */
export async function mount(element, value, { onAnswer = () => {} } = {}) {
  current?.destroy();
  await loadStyles(new URL('workbench.css', import.meta.url).href);
  current = createWorkbench(element, value, onAnswer);
  element.dispatchEvent(new CustomEvent(MOUNTED, { bubbles: true, detail: current }));
  await current.load();
  return current;
}

/**
 * @param {HTMLElement} element
 * @param {{ token: string, base?: string }} value
 * @param {(header: AnswerHeader) => void} onAnswer
 */
function createWorkbench(element, value, onAnswer) {
  const stop = new AbortController();
  const { signal } = stop;
  const store = createStore(INITIAL);
  const api = createApi(value);
  const actions = createActions({
    store,
    api,
    hold: () => map.painter.hold(),
    drawn: () => map.painter.settled(),
    onAnswer,
    onOvertaken: () => session.sync(),
  });
  const library = createLibrary({ store, api, actions, signal });
  const compare = createCompare(store, api);
  const search = createSearch({ store, api });
  const tag = () => askForTag(store, actions);
  /** @type {Entry[]} */
  const keys = [];
  const help = createHelp(() => keys);

  const map = createScatter(store, actions, (kind) => chooseLayout(store, api, kind));
  map.surface.append(createCompareMap(store, map, actions).node);
  const enlarge = () => lightbox.open();
  const grid = createGrid({ store, api, actions, library, search, tag, enlarge });
  const inspector = createInspector(store, api, actions, search, enlarge);
  const lightbox = createLightbox(store, api, actions, grid.listed);
  const panes = createPanes([
    { key: 'map', title: 'Map', node: map.node, bar: map.bar, folds: false },
    { key: 'grid', title: 'Grid', node: grid.node, bar: grid.bar, folds: true },
    { key: 'inspector', title: 'Candidate', node: inspector.node, bar: inspector.bar, folds: true },
  ]);
  panes.node.firstChild?.appendChild(lightbox.node);
  const dock = createDock(store, [
    createLabPanel(store, api, actions),
    createComparePanel(store, compare),
    createSavedPanel(store, library, (name) => compare.open({ a: name, b: store.data.info?.names.live })),
    createHistoryPanel(store, api, actions),
  ]);
  const results = createResultStrip(store, actions, library);
  const controls = createControls(store, actions, help.open);
  const empty = h('div', { class: 'psr-empty' });
  const root = h(
    'div',
    { class: 'psr', 'data-phase': 'loading', 'data-renderer': map.kind },
    createWaiting(store, api).node,
    h(
      'div',
      { class: 'psr-strip' },
      controls.node,
      results.node,
      h(
        'p',
        { class: 'psr-read-only' },
        'To look at only. A wider window has the sliders, the map and the marks.',
      ),
    ),
    h('div', { class: 'psr-body' }, dock.node, panes.node),
    empty,
    createLiveRegion(store).node,
    help.node,
  );
  element.replaceChildren(root);

  const address = createAddress({ store, api, map, actions, compare, search, root, signal });
  map.viewTools.append(createViews(store, api, address).node);
  const session = createSession({ store, api, actions, search, address, map, root, resize });
  keys.push(
    ...keyTable({
      store,
      actions,
      library,
      compare,
      map,
      grid,
      dock,
      panes,
      tag,
      openHelp: help.open,
      leaveInnermost,
      save: () => document.getElementById('psr-save')?.click(),
    }),
  );
  attachKeys(root, keys, signal);
  store.on(['phase', 'message', 'trouble'], showPhase);
  store.on(['picks'], library.refreshSoon);
  /** @param {CustomEvent<{ shown?: Promise<string> }>} event */
  const answerShown = ({ detail }) => {
    detail.shown = actions.settled().then(() => store.data.shown);
  };
  document.addEventListener(SHOWN, /** @type {EventListener} */ (answerShown), { signal });
  document.addEventListener(SAVED, () => store.data.phase === 'ready' && library.refresh(), { signal });
  showPhase();
  watchSize();
  watchTheme();

  function showPhase() {
    const { phase, message, unscored, trouble, mend } = store.data;
    root.dataset.phase = phase;
    if (phase === 'ready') fill(empty);
    else if (phase === 'loading') fill(empty, h('p', {}, 'Loading the pool …'));
    else {
      const again = button({ label: 'Look again', onClick: session.load });
      const score = unscored > 0 && scoreButton(store, api);
      const words = [
        h('p', {}, said(message)),
        trouble && h('p', { class: 'psr-trouble', role: 'alert' }, said(trouble)),
      ];
      const way = mend && h('a', { class: 'psr-btn', href: `#tab=${mend}` }, 'Go there');
      fill(empty, h('div', { class: 'psr-empty-card' }, words, way, score, again));
    }
  }

  /** From the innermost to the outermost; only one thing is left at a time. */
  function leaveInnermost() {
    if (lightbox.leave() || map.cancel() || panes.leaveFull()) return;
    const { selection, found, info } = store.data;
    if (found !== null) search.leave();
    else if (info && selection.count) unlasso(store);
    else if (!compare.leave()) actions.focus(null);
  }

  /** The workbench fills the window below what the page puts above it. */
  function resize() {
    if (!root.getClientRects().length) return;
    const top = Math.round(root.getBoundingClientRect().top + window.scrollY);
    root.style.setProperty('--psr-top', `${top}px`);
    map.resize();
    grid.resize();
    results.fit();
  }

  function watchSize() {
    let lastWidth = 0;
    let seen = false;
    const whole = new ResizeObserver(([entry]) => {
      const { width } = entry.contentRect;
      // Loaded out of sight, it may be of a pool that was replaced since.
      const shownAgain = width > 0 && lastWidth === 0 && (seen || store.data.picks !== null);
      seen ||= width > 0;
      lastWidth = width;
      if (width > 0) resize();
      if (shownAgain) session.sync();
    });
    whole.observe(root);
    // Splitters, folded panes and the dock change the panes without changing the whole.
    const parts = new ResizeObserver(resize);
    for (const node of [map.surface, grid.scroller]) parts.observe(node);
    window.addEventListener('resize', resize, { signal });
    window.addEventListener('focus', () => seen && session.sync(true), { signal });
    signal.addEventListener('abort', () => {
      whole.disconnect();
      parts.disconnect();
    });
  }

  function watchTheme() {
    const theme = new MutationObserver(map.loadColors);
    for (const node of [document.body, document.documentElement])
      theme.observe(node, { attributes: true, attributeFilter: ['class', 'style'] });
    signal.addEventListener('abort', () => theme.disconnect());
  }

  function destroy() {
    stop.abort();
    session.stop();
  }

  return { store, actions, library, compare, map, load: session.load, follow: session.follow, destroy };
}
