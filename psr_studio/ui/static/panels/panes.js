// The three panes side by side: splitters between them, folding, and one pane alone in full.

import { button, clamp, h } from '../core/dom.js';
import { recall, remember } from '../core/kept.js';
import { createSplitter } from '../core/splitter.js';

const LEAST_PX = { map: 300, grid: 250, inspector: 206 };
const SHARES = { map: 55, grid: 27, inspector: 18 };

export class Panes {
  /** @param {{key: string, title: string, node: HTMLElement, bar: HTMLElement, folds: boolean}[]} panes */
  constructor(panes) {
    this.panes = panes;
    this.state = { shares: { ...SHARES }, folded: [], ...recall('panes', {}) };
    this.full = null;
    this.last = panes[0].key;
    this.splitters = panes.slice(1).map((_, k) => this.splitter(k));
    const parts = panes.flatMap((pane, k) => (k ? [this.splitters[k - 1], pane.node] : [pane.node]));
    this.node = h('div', { class: 'psr-panes' }, parts);
    panes.forEach((pane) => this.dress(pane));
    this.refresh();
  }

  dress(pane) {
    const { key, title, node, bar } = pane;
    const name = title.toLowerCase();
    pane.fullButton = button({
      label: `${title} in full`,
      iconName: 'full',
      className: 'psr-ghost psr-icon-only',
      title: `Give the ${name} all the room (F)`,
      onClick: () => this.setFull(this.full === key ? null : key),
    });
    bar.append(pane.fullButton);
    if (pane.folds) {
      const fold = button({
        label: `Fold the ${name}`,
        iconName: 'fold',
        className: 'psr-ghost psr-icon-only',
        onClick: () => this.fold(key, true),
      });
      pane.unfold = h(
        'button',
        {
          type: 'button',
          class: 'psr-unfold',
          title: `Unfold the ${name}`,
          'aria-label': `Unfold the ${name}`,
          on: { click: () => this.fold(key, false) },
        },
        h('span', {}, title),
      );
      bar.append(fold);
      node.append(pane.unfold);
    }
    node.addEventListener('pointerenter', () => (this.last = key));
    node.addEventListener('focusin', () => (this.last = key));
  }

  // --- widths -----------------------------------------------------------------------------------------------------
  splitter(k) {
    const names = [this.panes[k], this.panes[k + 1]].map(({ title }) => title.toLowerCase());
    return createSplitter({
      label: `Width of ${names[0]} and ${names[1]}`,
      start: () => [this.panes[k], this.panes[k + 1]].map(({ node }) => node.getBoundingClientRect().width),
      move: (widths, by) => this.move(k, widths, by),
      reset: () => this.reset(),
    });
  }

  move(k, [left, right], by) {
    const room = left + right;
    const [a, b] = [this.panes[k].key, this.panes[k + 1].key];
    if (room < LEAST_PX[a] + LEAST_PX[b]) return;
    const { shares } = this.state;
    const both = shares[a] + shares[b];
    shares[a] = (both * clamp(left + by, LEAST_PX[a], room - LEAST_PX[b])) / room;
    shares[b] = both - shares[a];
    this.refresh();
  }

  reset() {
    this.state.shares = { ...SHARES };
    this.refresh();
  }

  // --- folding and full -----------------------------------------------------------------------------------------
  fold(key, folded) {
    const rest = this.state.folded.filter((name) => name !== key);
    this.state.folded = folded ? [...rest, key] : rest;
    if (folded && this.full === key) this.full = null;
    this.refresh();
    const pane = this.panes.find((p) => p.key === key);
    (folded ? pane.unfold : pane.fullButton).focus();
  }

  setFull(key) {
    this.full = key;
    if (key) this.state.folded = this.state.folded.filter((name) => name !== key);
    this.refresh();
  }

  /** F: the pane that was used last in full, or all of them again. */
  toggleFull() {
    this.setFull(this.full ? null : this.last);
  }

  /** @returns {boolean} whether there was something to leave */
  leaveFull() {
    if (!this.full) return false;
    this.setFull(null);
    return true;
  }

  refresh() {
    const { shares, folded } = this.state;
    for (const { key, node, fullButton } of this.panes) {
      node.style.flexGrow = folded.includes(key) ? 0 : shares[key];
      node.hidden = this.full !== null && this.full !== key;
      node.classList.toggle('is-folded', folded.includes(key));
      fullButton?.setAttribute('aria-pressed', String(this.full === key));
    }
    this.splitters.forEach((node, k) => {
      const idle = [this.panes[k], this.panes[k + 1]].some(({ key }) => folded.includes(key));
      node.hidden = this.full !== null;
      node.classList.toggle('is-idle', idle);
      node.tabIndex = idle ? -1 : 0;
      const [a, b] = [this.panes[k].key, this.panes[k + 1].key];
      node.setAttribute('aria-valuenow', String(Math.round((100 * shares[a]) / (shares[a] + shares[b]))));
    });
    remember('panes', this.state);
  }
}
