// How the total budget is spread over the classes: evenly, or where the next image adds most.

import { button, fill, h, segmented } from '../core/dom.js';
import { count, plural } from '../core/numbers.js';

/** @import { Actions, Store } from '../core/types' */

/** @param {Store} store @param {Actions} actions */
export function createAllocation(store, actions) {
  const how = segmented(
    'Allocation',
    [
      { value: 'even', label: 'Even', title: 'Even: K images for every class' },
      {
        value: 'gain',
        label: 'By gain',
        title: 'By gain: the same total, spent where the next image adds most to the score',
      },
    ],
    (allocation) => actions.select({ allocation }),
  );
  const total = h('span', { class: 'psr-num' });
  const floor = bound('floor', 'At least', 'Fewest images of a class; empty: half of K', (value) =>
    actions.select({ floor: value }),
  );
  const ceiling = bound('ceiling', 'at most', 'Most images of a class; empty: as many as it has', (value) =>
    actions.select({ ceiling: value }),
  );
  const bounds = h(
    'div',
    { class: 'psr-lab-line' },
    floor.node,
    ceiling.node,
    h('span', { class: 'psr-fine psr-muted' }, 'a class'),
  );
  const own = h('div', { class: 'psr-lab-line psr-fine' });
  const thin = h('p', { class: 'psr-fine psr-warn-text', role: 'status' });
  const node = h(
    'div',
    { class: 'psr-allocation' },
    h('div', { class: 'psr-lab-line' }, how.node, h('span', { class: 'psr-grow' }), total),
    bounds,
    thin,
    own,
  );

  function refresh() {
    const { phase, settings, budgets, least, spread, ownBudgets, locked, picks } = store.data;
    if (phase !== 'ready') return;
    how.show(settings.allocation);
    bounds.hidden = settings.allocation !== 'gain';
    floor.show(settings.floor, String(least));
    ceiling.show(settings.ceiling);
    thin.textContent = spread;
    thin.hidden = !spread;
    const sum = (budgets ?? []).reduce((all, n) => all + n, 0);
    total.textContent = budgets ? plural(sum, 'image') : '';
    total.title = picks ? `${count(picks.total)} picked of a budget of ${count(sum)}` : '';
    const set = Object.keys(ownBudgets).length;
    fill(own, set > 0 && byHand(set), locked.size > 0 && lockedWords(locked.size));
    own.hidden = !set && !locked.size;
  }

  /** @param {number} n */
  function byHand(n) {
    const clear = () =>
      actions.select({
        own_budgets: Object.fromEntries(Object.keys(store.data.ownBudgets).map((c) => [c, null])),
      });
    return [
      h('span', {}, `${plural(n, 'budget')} by hand`),
      button({
        label: 'Reset all',
        className: 'psr-small psr-ghost',
        title: 'Take all budgets set by hand back',
        onClick: clear,
      }),
    ];
  }

  /** @param {number} n */
  function lockedWords(n) {
    return [
      h('span', {}, `${plural(n, 'class', 'classes')} locked`),
      button({
        label: 'Unlock all',
        className: 'psr-small psr-ghost',
        onClick: () => actions.select({ locked: [] }),
      }),
    ];
  }

  store.on(['phase', 'settings', 'budgets', 'ownBudgets', 'locked', 'picks', 'notice'], refresh);
  refresh();
  return { node };
}

/**
 * @param {string} key
 * @param {string} label
 * @param {string} hint
 * @param {(value: number | null) => void} onChange told null when emptied
 */
function bound(key, label, hint, onChange) {
  const box = h('input', {
    type: 'number',
    class: 'psr-input psr-number psr-budget',
    min: '1',
    step: '1',
    'data-key': key,
    'aria-label': hint,
    title: hint,
    on: {
      change: () => {
        onChange(box.value === '' ? null : Math.round(Number(box.value)));
      },
    },
  });
  return {
    node: h('label', { class: 'psr-inline' }, label, box),
    /** @param {number | null} value @param {string} usual what an empty field stands for */
    show(value, usual = '') {
      box.value = String(value ?? '');
      box.placeholder = usual;
    },
  };
}
