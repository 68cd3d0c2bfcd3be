// The three panes side by side: splitters between them, folding, and one pane alone in full.

import { button, h } from '../core/dom.js';
import { recall, remember } from '../core/kept.js';
import { clamp } from '../core/numbers.js';
import { createSplitter } from '../core/splitter.js';

/** @typedef {'map' | 'grid' | 'inspector'} PaneKey */
/**
 * @typedef {{ key: PaneKey, title: string, node: HTMLElement, bar: HTMLElement, folds: boolean }} Pane `bar`
 *   takes the buttons
 */
/** @typedef {Record<PaneKey, number>} Shares */
/** @typedef {ReturnType<typeof createPanes>} Panes */

/** @type {Shares} */
const LEAST_PX = { map: 300, grid: 250, inspector: 206 };
/** @type {Shares} */
const SHARES = { map: 55, grid: 27, inspector: 18 };
/** @type {{ shares: Shares, folded: PaneKey[] }} */
const NEW = { shares: SHARES, folded: [] };

/** @param {Pane[]} panes */
export function createPanes(panes) {
  const kept = { ...NEW, ...recall('panes', NEW) };
  const shares = { ...kept.shares };
  let folded = kept.folded;
  /** @type {PaneKey | null} */
  let full = null;
  let last = panes[0].key; // used last
  const parts = panes.map(dress);
  const splitters = panes.slice(1).map((pane, k) => split(panes[k], pane));
  const list = h(
    'div',
    { class: 'psr-panes' },
    panes.map((pane, k) => [k > 0 && splitters[k - 1].node, pane.node]),
  );
  const node = h('div', { class: 'psr-panes-room' }, list); // its width decides how they stand, see panes.css

  /** Give a pane its buttons. @param {Pane} pane */
  function dress(pane) {
    const { key, title, node: own, bar } = pane;
    const name = title.toLowerCase();
    const fullButton = button({
      label: `${title} in full`,
      iconName: 'full',
      className: 'psr-ghost psr-icon-only',
      title: `Give the ${name} all the room (F)`,
      onClick: () => setFull(full === key ? null : key),
    });
    const foldButton = button({
      label: `Fold the ${name}`,
      iconName: 'fold',
      className: 'psr-ghost psr-icon-only',
      onClick: () => fold(key, true),
    });
    const unfoldButton = h(
      'button',
      {
        type: 'button',
        class: 'psr-unfold',
        title: `Unfold the ${name}`,
        'aria-label': `Unfold the ${name}`,
        on: { click: () => fold(key, false) },
      },
      h('span', {}, title),
    );
    bar.append(fullButton);
    if (pane.folds) {
      bar.append(foldButton);
      own.append(unfoldButton);
    }
    const use = () => {
      last = key;
    };
    own.addEventListener('pointerenter', use);
    own.addEventListener('focusin', use);
    return { key, node: own, fullButton, unfoldButton };
  }

  // --- widths ------------------------------------------------------------------------------------------------------
  /** @param {Pane} left @param {Pane} right */
  function split(left, right) {
    const names = `${left.title.toLowerCase()} and ${right.title.toLowerCase()}`;
    const splitter = createSplitter({
      label: `Width of ${names}`,
      start: () => [left, right].map((pane) => pane.node.getBoundingClientRect().width),
      move: ([a, b], by) => move(left.key, right.key, a + by, a + b),
      reset,
    });
    return { node: splitter.node, left: left.key, right: right.key };
  }

  /**
   * @param {PaneKey} a
   * @param {PaneKey} b
   * @param {number} wanted width of the first
   * @param {number} room of both
   */
  function move(a, b, wanted, room) {
    if (room < LEAST_PX[a] + LEAST_PX[b]) return;
    const both = shares[a] + shares[b];
    shares[a] = (both * clamp(wanted, LEAST_PX[a], room - LEAST_PX[b])) / room;
    shares[b] = both - shares[a];
    refresh();
  }

  function reset() {
    Object.assign(shares, SHARES);
    refresh();
  }

  // --- folding and full --------------------------------------------------------------------------------------------
  /** @param {PaneKey} key @param {boolean} isFolded */
  function fold(key, isFolded) {
    const rest = folded.filter((name) => name !== key);
    folded = isFolded ? [...rest, key] : rest;
    if (isFolded && full === key) full = null;
    refresh();
    const part = parts.find((item) => item.key === key);
    (isFolded ? part?.unfoldButton : part?.fullButton)?.focus();
  }

  /** @param {PaneKey | null} key */
  function setFull(key) {
    full = key;
    folded = folded.filter((name) => name !== key);
    refresh();
  }

  /** F: the pane that was used last in full, or all of them again. */
  const toggleFull = () => setFull(full ? null : last);

  /** @returns {boolean} whether there was something to leave */
  function leaveFull() {
    if (!full) return false;
    setFull(null);
    return true;
  }

  function refresh() {
    for (const { key, node: own, fullButton } of parts) {
      own.style.flexGrow = String(folded.includes(key) ? 0 : shares[key]);
      own.hidden = full !== null && full !== key;
      own.classList.toggle('is-folded', folded.includes(key));
      fullButton.setAttribute('aria-pressed', String(full === key));
    }
    for (const { node: own, left, right } of splitters) {
      const idle = folded.includes(left) || folded.includes(right);
      own.hidden = full !== null;
      own.classList.toggle('is-idle', idle);
      own.tabIndex = idle ? -1 : 0;
      const share = shares[left] / (shares[left] + shares[right]);
      own.setAttribute('aria-valuenow', String(Math.round(100 * share)));
    }
    list.classList.toggle('is-full', full !== null);
    remember('panes', { shares, folded });
  }

  refresh();
  return { node, toggleFull, leaveFull };
}
