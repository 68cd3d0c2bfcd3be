// The Curate workbench: one island with one store, three panes and a control strip. Only assembled here.

import { createActions, loadPoints } from './core/actions.js';
import { createAddress } from './core/address.js';
import { createApi } from './core/api.js';
import { createCompare } from './core/compare.js';
import { CompareMap } from './map/compare.js';
import { createComparePanel } from './panels/compare.js';
import { Controls } from './controls/controls.js';
import { createDock } from './panels/dock.js';
import { button, fill, h, messageOf, said } from './core/dom.js';
import { Grid } from './grid/grid.js';
import { exposeHandle } from './core/handle.js';
import { createHistoryPanel } from './panels/history.js';
import { Inspector } from './panels/inspector.js';
import { attachKeys, createHelp, keyTable } from './core/keys.js';
import { labPanel } from './panels/lab.js';
import { labState } from './core/lab_model.js';
import { createLibrary } from './core/library.js';
import { createLiveRegion } from './core/live_region.js';
import { followMap } from './map/follow.js';
import { followsPreset, poolKey, sameSignals, sameWeights } from './core/model.js';
import { Panes } from './panels/panes.js';
import { ResultStrip } from './controls/result_strip.js';
import { createSavedPanel } from './panels/saved.js';
import { Scatter } from './map/scatter.js';
import { makeSelection } from './core/selection.js';
import { createSprites } from './core/sprites.js';
import { INITIAL, createStore } from './core/store.js';
import { loadStyles } from './core/styles.js';
let current = null; // Gradio may build the island again: the old one must stop listening

/**
 * @param {HTMLElement} element where to build
 * @param {{token: string, base?: string}} value
 * @param {{onAnswer?: function(object)}} hooks `onAnswer` is told the header of every new selection
 */
export async function mount(element, value, hooks = {}) {
  current?.destroy();
  await loadStyles('workbench.css');
  current = new Workbench(element, value, hooks);
  await current.load();
  return current;
}

class Workbench {
  constructor(element, value, { onAnswer = () => {} }) {
    this.stop = new AbortController();
    this.store = createStore(INITIAL);
    this.api = createApi(value);
    const getSprites = () => this.sprites;
    this.actions = createActions({
      store: this.store,
      api: this.api,
      hold: () => this.scatter.hold(),
      drawn: () => this.scatter.settled(),
      onAnswer,
    });
    const { store, api, actions } = this;
    this.library = createLibrary({ store, api, actions, signal: this.stop.signal });
    actions.exportSelection = this.library.exportSelection;
    actions.copyCommand = this.library.copyCommand;
    this.compare = createCompare(store, api);
    this.build(element, getSprites);
    this.address = createAddress({ ...this, signal: this.stop.signal });
    this.watchSize();
    this.watchTheme();
    exposeHandle(this);
  }

  build(element, getSprites) {
    const { store, actions } = this;
    this.help = createHelp(() => this.keys);
    this.panes = this.buildPanes(getSprites);
    this.dock = createDock(store, this.panels());
    this.results = new ResultStrip(store, getSprites, actions);
    this.empty = h('div', { class: 'psr-empty' });
    this.root = h(
      'div',
      { class: 'psr', 'data-phase': 'loading', 'data-renderer': this.scatter.renderer.kind },
      h('div', { class: 'psr-strip' }, new Controls(store, actions, this.help.open).node, this.results.node),
      h('div', { class: 'psr-body' }, this.dock.node, this.panes.node),
      this.empty,
      createLiveRegion(store),
      this.help.node,
    );
    element.replaceChildren(this.root);
    this.keys = keyTable({
      ...this,
      openHelp: this.help.open,
      escape: () => this.escape(),
      save: () => document.getElementById('psr-save')?.click(),
    });
    attachKeys(this.root, this.keys, this.stop.signal);
    store.on(['phase', 'message'], () => this.showPhase());
    store.on(['picks'], () => this.library.refreshSoon());
    this.showPhase();
  }

  buildPanes(getSprites) {
    const { store, api, actions } = this;
    this.scatter = new Scatter(store, getSprites, actions);
    this.scatter.surface.append(new CompareMap(store, this.scatter, actions).node);
    this.grid = new Grid(store, getSprites, actions);
    const inspector = new Inspector(store, api, getSprites, actions);
    return new Panes([
      { key: 'map', title: 'Map', node: this.scatter.node, bar: this.scatter.node.querySelector('.psr-bar') },
      { key: 'grid', title: 'Grid', node: this.grid.node, bar: this.grid.bar.top, folds: true },
      { key: 'inspector', title: 'Candidate', node: inspector.node, bar: inspector.bar, folds: true },
    ]);
  }

  /** The dock's panels, in the order of its rail: one row each, see dock.js. */
  panels() {
    const { store, api, actions, library, compare } = this;
    return [
      labPanel(store, api, actions),
      createComparePanel(store, compare),
      createSavedPanel(store, library, (name) => compare.open({ a: name, b: 'live' })),
      createHistoryPanel(store, api, actions),
    ];
  }

  // --- data ------------------------------------------------------------------
  async load() {
    this.stopMap?.();
    try {
      const info = await this.api.state();
      if (!info.n)
        return this.showEmpty(info.message || 'No scored pool yet. Generate and score a pool first.');
      const points = await loadPoints(this.api, info.temperature);
      this.start(info, points);
    } catch (error) {
      this.showEmpty(messageOf(error));
    }
    return undefined;
  }

  start(info, points) {
    const { store } = this;
    this.poolKey = poolKey(info);
    this.sprites = createSprites(this.api, info);
    const { weights, ipc, temperature } = info;
    store.set({
      phase: 'ready',
      message: null,
      info,
      points,
      layout: { kind: info.map.kind, xy: points.xy },
      picks: null,
      diff: null,
      timing: null,
      focus: null,
      hover: null,
      candidate: null,
      solo: null,
      mapSettled: info.map.kind !== 'pca',
      selection: makeSelection(info.n, []),
      pinned: new Set(info.pinned),
      vetoed: new Set(info.vetoed),
      weights,
      ipc,
      temperature,
      undo: info.undo ?? null,
      redo: info.redo ?? null,
      follow: followsPreset(info),
      notice: info.message ? { problem: info.message, fix: '' } : null,
      near: null,
      saved: info.selections ?? [],
      compare: null,
      ...labState(info, store.data),
    });
    this.resize();
    this.scatter.loadColors();
    this.begin();
    this.stopMap = followMap(this.store, this.api, this.root);
  }

  /** The first selection, or the saved one that the address names; then the rest of what the address says. */
  begin() {
    const wanted = this.seenAddress ? null : this.address.wantedSelection(this.store.data.saved);
    if (wanted) this.actions.restore(wanted);
    else this.actions.select();
    if (!this.seenAddress) this.address.restore();
    this.seenAddress = true;
    this.loadDuplicates(this.poolKey);
  }

  /** A luxury: without it the near-duplicate badge and colour are missing, nothing else. */
  async loadDuplicates(key) {
    await this.scatter.drawn();
    const { header, arrays } = await this.api.duplicates().catch(() => ({}));
    if (arrays && key === this.poolKey)
      this.store.set({ near: { values: arrays.near, threshold: header.threshold } });
  }

  showEmpty(message) {
    this.store.set({ phase: 'empty', message, info: null, points: null, picks: null, layout: null });
  }

  showPhase() {
    const { phase, message } = this.store.data;
    this.root.dataset.phase = phase;
    if (phase === 'ready') return fill(this.empty);
    if (phase === 'loading') return fill(this.empty, h('p', {}, 'Loading the pool …'));
    return fill(
      this.empty,
      h(
        'div',
        { class: 'psr-empty-card' },
        h('p', {}, said(message)),
        button({ label: 'Look again', onClick: () => this.load() }),
      ),
    );
  }

  /**
   * Something outside may have changed: the tab is shown again, or the page says so. Another pool or other
   * scores are loaded afresh, other settings are taken over; nothing new leaves focus and selection alone.
   * `quick`: the window was elsewhere, where at most another page has selected.
   */
  async sync(quick = false) {
    const { store, actions, api } = this;
    if (store.data.phase === 'loading' || !actions.idle || this.syncing) return;
    this.syncing = true;
    try {
      const info = await api.state();
      if (quick && info.revision === actions.revision) return;
      const samePool = store.data.phase === 'ready' && poolKey(info) === this.poolKey;
      const samePoints = samePool && sameSignals(await loadPoints(api, info.temperature), store.data.points);
      if (!samePoints) await this.load();
      else if (actions.idle) this.takeSettings(info);
    } catch {
      // The next action will say what is wrong; a look at the state alone should not raise an alarm.
    } finally {
      this.syncing = false;
    }
  }

  takeSettings(info) {
    const { weights, ipc, temperature } = this.store.data;
    const marks = [info.pinned, info.vetoed].map((list) => [...list].sort().join());
    const shown = [this.store.data.pinned, this.store.data.vetoed].map((set) => [...set].sort().join());
    const same = sameWeights(weights, info.weights) && ipc === info.ipc && temperature === info.temperature;
    const sameRules = JSON.stringify(info.settings) === JSON.stringify(this.store.data.settings);
    if (same && sameRules && marks.join('|') === shown.join('|')) return;
    const { weights: w, ipc: k, temperature: tau } = info;
    const lab = labState(info, this.store.data);
    this.store.set({ weights: w, ipc: k, temperature: tau, follow: followsPreset(info), ...lab });
    this.actions.select();
  }

  /** From the innermost to the outermost; only one thing is left at a time. */
  escape() {
    const { selection, info } = this.store.data;
    if (this.scatter.pointer.cancel() || this.panes.leaveFull()) return;
    if (selection?.count) this.store.set({ selection: makeSelection(info.n, []) });
    else if (!this.compare.leave()) this.actions.focus(null);
  }

  // --- page ------------------------------------------------------------------
  watchSize() {
    this.lastWidth = 0;
    this.sizes = new ResizeObserver(([entry]) => {
      const { width } = entry.contentRect;
      const shownAgain = width > 0 && this.lastWidth === 0 && this.seen;
      this.seen ||= width > 0;
      this.lastWidth = width;
      if (width > 0) this.resize();
      if (shownAgain) this.sync();
    });
    this.sizes.observe(this.root);
    // Splitters, folded panes and the dock change the panes without changing the whole.
    this.paneSizes = new ResizeObserver(() => this.resize());
    for (const node of [this.scatter.surface, this.grid.scroller]) this.paneSizes.observe(node);
    window.addEventListener('resize', () => this.resize(), { signal: this.stop.signal });
    window.addEventListener('focus', () => this.seen && this.sync(true), { signal: this.stop.signal });
  }

  /** The workbench fills the window below what the page puts above it. */
  resize() {
    if (!this.root.getClientRects().length) return;
    const top = Math.round(this.root.getBoundingClientRect().top + window.scrollY);
    this.root.style.setProperty('--psr-top', `${top}px`);
    this.scatter.resize();
    this.grid.resize();
    this.results.fit();
  }

  watchTheme() {
    this.theme = new MutationObserver(() => this.scatter.loadColors());
    for (const node of [document.body, document.documentElement]) {
      this.theme.observe(node, { attributes: true, attributeFilter: ['class', 'style'] });
    }
  }

  destroy() {
    this.stop.abort();
    this.sizes.disconnect();
    this.paneSizes.disconnect();
    this.theme.disconnect();
    this.stopMap?.();
  }
}
