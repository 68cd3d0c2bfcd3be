// The Curate workbench: one island with one store, three panes and a control strip. Only assembled here.

import { createActions, loadPoints } from './actions.js';
import { createApi } from './api.js';
import { Controls } from './controls.js';
import { createDock } from './dock.js';
import { button, fill, h } from './dom.js';
import { Grid } from './grid.js';
import { Inspector } from './inspector.js';
import { attachKeys, createHelp, keyTable } from './keys.js';
import { labPanel } from './lab.js';
import { labState } from './lab_model.js';
import { followMap } from './map_follow.js';
import { followsPreset, poolKey, sameSignals, sameWeights } from './model.js';
import { ResultStrip } from './result_strip.js';
import { Scatter } from './scatter.js';
import { makeSelection } from './selection.js';
import { createSprites } from './sprites.js';
import { INITIAL, createStore } from './store.js';

const STYLES = ['curate.css', 'curate_controls.css', 'curate_map.css', 'curate_panes.css', 'lab_panels.css'];
let current = null; // Gradio may build the island again: the old one must stop listening

/**
 * @param {HTMLElement} element where to build
 * @param {{token: string, base?: string}} value
 * @param {{onAnswer?: function(object)}} hooks `onAnswer` is told the header of every new selection
 */
export async function mount(element, value, hooks = {}) {
  current?.destroy();
  await loadStyles();
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
      drawn: () => this.scatter.drawn(),
      onAnswer,
    });
    this.build(element, getSprites);
    this.watchSize();
    this.watchTheme();
    this.expose();
  }

  build(element, getSprites) {
    const { store, api, actions } = this;
    this.scatter = new Scatter(store, getSprites, actions);
    this.grid = new Grid(store, getSprites, actions);
    const help = createHelp(() => this.keys);
    this.empty = h('div', { class: 'psr-empty' });
    this.root = h(
      'div',
      { class: 'psr', 'data-phase': 'loading', 'data-renderer': this.scatter.renderer.kind },
      h(
        'div',
        { class: 'psr-strip' },
        new Controls(store, actions, help.open).node,
        new ResultStrip(store, getSprites, actions).node,
      ),
      h(
        'div',
        { class: 'psr-panes' },
        this.scatter.node,
        this.grid.node,
        new Inspector(store, api, getSprites, actions).node,
      ),
      this.empty,
      help.node,
    );
    element.replaceChildren(this.root);
    this.keys = keyTable({
      store,
      actions,
      scatter: this.scatter,
      grid: this.grid,
      openHelp: help.open,
      escape: () => this.escape(),
    });
    attachKeys(this.root, this.keys, this.stop.signal);
    store.on(['phase', 'message'], () => this.showPhase());
    this.showPhase();
  }

  /** The dock's panels, in the order of its rail: one row each, see dock.js. */
  panels() {
    return [labPanel(this.store, this.api, this.actions)];
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
      this.showEmpty([error.problem || String(error), error.fix].filter(Boolean).join(' '));
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
      ...labState(info, store.data),
    });
    this.resize();
    this.scatter.loadColors();
    this.actions.select();
    this.stopMap = followMap(this.store, this.api, this.root);
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
        h('p', {}, message),
        button({ label: 'Look again', onClick: () => this.load() }),
      ),
    );
  }

  /**
   * Something outside may have changed: the tab is shown again, or the page says so. Another pool or other
   * scores are loaded afresh, other settings are taken over; nothing new leaves focus and selection alone.
   */
  async sync() {
    const { store, actions, api } = this;
    if (store.data.phase === 'loading' || !actions.idle || this.syncing) return;
    this.syncing = true;
    try {
      const info = await api.state();
      const samePool = store.data.phase === 'ready' && poolKey(info) === this.poolKey;
      const samePoints = samePool && sameSignals(await loadPoints(api, info.temperature), store.data.points);
      if (!samePoints) await this.load();
      else if (actions.idle) this.takeSettings(info);
    } catch {
      // The next action will say what is wrong; a look at the state alone should not raise an alarm.
    }
    this.syncing = false;
  }

  takeSettings(info) {
    const { weights, ipc, temperature } = this.store.data;
    const marks = [info.pinned, info.vetoed].map((list) => [...list].sort().join());
    const shown = [this.store.data.pinned, this.store.data.vetoed].map((set) => [...set].sort().join());
    const same = sameWeights(weights, info.weights) && ipc === info.ipc && temperature === info.temperature;
    if (same && marks.join('|') === shown.join('|')) return;
    const { weights: w, ipc: k, temperature: tau } = info;
    this.store.set({ weights: w, ipc: k, temperature: tau, follow: followsPreset(info) });
    this.actions.select();
  }

  escape() {
    const { selection, info } = this.store.data;
    if (this.scatter.pointer.cancel()) return;
    if (selection?.count) this.store.set({ selection: makeSelection(info.n, []) });
    else this.actions.focus(null);
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
    window.addEventListener('resize', () => this.resize(), { signal: this.stop.signal });
  }

  /** The workbench fills the window below what the page puts above it. */
  resize() {
    if (!this.root.getClientRects().length) return;
    const top = Math.round(this.root.getBoundingClientRect().top + window.scrollY);
    this.root.style.setProperty('--psr-top', `${top}px`);
    this.scatter.resize();
    this.grid.resize();
  }

  watchTheme() {
    this.theme = new MutationObserver(() => this.scatter.loadColors());
    for (const node of [document.body, document.documentElement]) {
      this.theme.observe(node, { attributes: true, attributeFilter: ['class', 'style'] });
    }
  }

  /** A handle for tests, timing and the browser's console. */
  expose() {
    const { store, actions, scatter } = this;
    window.psrCurate = {
      get state() {
        return store.data;
      },
      get lastDrawMs() {
        return scatter.timing.lastDrawMs;
      },
      get lastHitMs() {
        return scatter.timing.lastHitMs;
      },
      get lastShape() {
        return scatter.timing.lastShape;
      },
      get lastReleaseToDrawMs() {
        return actions.timing.lastReleaseToDrawMs;
      },
      get idle() {
        return actions.idle;
      },
      select: (positions) => store.set({ selection: makeSelection(store.data.info.n, positions) }),
      focus: (position) => actions.focus(position),
      set: (patch) => store.set(patch),
      drawn: () => scatter.drawn(),
      sync: () => this.sync(),
      screenOf: (position) => scatter.camera.toScreen(...scatter.data.at(position)),
      renderer: scatter.renderer.kind,
    };
  }

  destroy() {
    this.stop.abort();
    this.sizes.disconnect();
    this.theme.disconnect();
    this.stopMap?.();
  }
}

function loadStyles() {
  return Promise.all(
    STYLES.map((name) => {
      const href = new URL(name, import.meta.url).href;
      if (document.querySelector(`link[href="${href}"]`)) return undefined;
      const link = h('link', { rel: 'stylesheet', href });
      // A missing sheet must not keep the workbench from opening.
      const done = new Promise((resolve) => {
        link.onload = resolve;
        link.onerror = resolve;
      });
      document.head.append(link);
      return done;
    }),
  );
}
