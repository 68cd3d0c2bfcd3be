// The classes: search, show alone, lock, own budget, and whether the pool is large enough. Only the rows in
// view are elements, so that a thousand classes scroll like ten.

import { button, h } from '../core/dom.js';
import { listedClasses } from '../core/model.js';
import { clamp, count, plural } from '../core/numbers.js';
import { ready } from '../core/store.js';
import { VERDICTS } from './sufficiency.js';

/** @import { Actions, Ready, Store } from '../core/types' */
/** @typedef {ReturnType<typeof buildRow>} Row */

const ROW_PX = 44;
const OVERSCAN = 4;
/** @type {[string, string, (data: Ready, classId: number) => boolean][]} */
const FILTERS = [
  ['all', 'All classes', () => true],
  ['short', 'Short of images', (d, c) => (d.picks?.shortfall[c] ?? 0) > 0],
  ['own', 'Own budget', (d, c) => c in d.ownBudgets],
  ['locked', 'Locked', (d, c) => d.locked.has(c)],
  ['more', 'More would pay', (d, c) => (d.sufficiency?.rows.get(c)?.verdict ?? 'enough') !== 'enough'],
];

/** @param {Store} store @param {Actions} actions */
export function createClassList(store, actions) {
  /** Built rows by class id. @type {Map<number, Row>} */
  const rows = new Map();
  /** @type {number[]} */
  let shown = [];
  const search = h('input', {
    type: 'search',
    class: 'psr-input psr-grow',
    placeholder: 'Find a class',
    'aria-label': 'Find a class in the list',
    on: { input: refilter },
  });
  const filter = h(
    'select',
    { class: 'psr-select', 'aria-label': 'Classes listed', on: { change: refilter } },
    FILTERS.map(([value, label]) => h('option', { value }, label)),
  );
  const spacer = h('div', { class: 'psr-class-spacer', role: 'presentation' });
  const scroller = h(
    'div',
    { class: 'psr-class-scroll', role: 'list', 'aria-label': 'Classes', on: { scroll: render } },
    spacer,
  );
  const none = h('p', { class: 'psr-fine psr-muted', hidden: true }, 'No class is like this.');
  const detail = h('p', { class: 'psr-fine psr-class-detail', role: 'status' });
  const node = h(
    'div',
    { class: 'psr-class-list' },
    h('div', { class: 'psr-lab-line' }, search, filter),
    none,
    scroller,
    detail,
  );

  function refilter() {
    const { data } = store;
    if (data.phase !== 'ready') return;
    const names = data.info.class_names;
    const wanted = search.value.trim().toLowerCase();
    const fits = FILTERS.find(([value]) => value === filter.value)?.[2] ?? FILTERS[0][2];
    const old = shown.join();
    shown = listedClasses(data).filter((c) => fits(data, c) && names[c].toLowerCase().includes(wanted));
    if (shown.join() !== old) {
      rows.clear();
      spacer.replaceChildren();
    }
    none.hidden = shown.length > 0;
    spacer.style.height = `${shown.length * ROW_PX}px`;
    render();
    restyle();
  }

  function render() {
    const { data } = store;
    if (data.phase !== 'ready') return;
    const { scrollTop, clientHeight } = scroller;
    const first = clamp(Math.floor(scrollTop / ROW_PX) - OVERSCAN, 0, shown.length);
    const last = clamp(Math.ceil((scrollTop + clientHeight) / ROW_PX) + OVERSCAN, 0, shown.length);
    const wanted = new Set(shown.slice(first, last));
    for (const [c, row] of rows) {
      if (wanted.has(c) || row.node.contains(document.activeElement)) continue;
      row.node.remove();
      rows.delete(c);
    }
    for (let i = first; i < last; i += 1) {
      const c = shown[i];
      if (rows.has(c)) continue;
      const row = buildRow(data, c, i, shown.length, { explain, setBudget, toggleLock, toggleSolo });
      rows.set(c, row);
      spacer.append(row.node);
      styleRow(row, c, data);
    }
  }

  function restyle() {
    const { data } = store;
    if (data.phase === 'ready') for (const [c, row] of rows) styleRow(row, c, data);
  }

  /** @param {number} c */
  function explain(c) {
    detail.textContent = store.data.sufficiency?.rows.get(c)?.sentence ?? '';
  }

  /** @param {number} c @param {string} text of the field; '' gives the budget back */
  function setBudget(c, text) {
    const typed = text === '' ? null : Math.round(Number(text));
    if (typed === null || Number.isFinite(typed)) actions.select({ own_budgets: { [c]: typed } });
  }

  /** @param {number} c */
  function toggleLock(c) {
    const locked = new Set(store.data.locked);
    if (!locked.delete(c)) locked.add(c);
    actions.select({ locked: [...locked].sort((a, b) => a - b) });
  }

  /** @param {number} c */
  function toggleSolo(c) {
    store.set({ solo: ready(store).solo === c ? null : c });
  }

  store.on(['info', 'phase', 'picks', 'budgets', 'ownBudgets', 'locked', 'sufficiency'], refilter);
  store.on(['solo', 'notice', 'settings'], restyle);
  new ResizeObserver(render).observe(scroller);
  return { node, render };
}

/**
 * @param {Ready} data
 * @param {number} c
 * @param {number} place from 0
 * @param {number} total
 * @param {object} on
 * @param {(c: number) => void} on.explain
 * @param {(c: number, text: string) => void} on.setBudget
 * @param {(c: number) => void} on.toggleLock
 * @param {(c: number) => void} on.toggleSolo
 */
function buildRow({ info }, c, place, total, on) {
  const name = info.class_names[c];
  const small = { className: 'psr-ghost psr-tiny' };
  const solo = button({
    ...small,
    label: `Show ${name} alone`,
    iconName: 'eye',
    pressed: false,
    onClick: () => on.toggleSolo(c),
  });
  const lock = button({
    ...small,
    label: `Lock ${name}`,
    iconName: 'unlock',
    pressed: false,
    onClick: () => on.toggleLock(c),
  });
  const budget = h('input', {
    type: 'number',
    class: 'psr-input psr-number psr-budget',
    min: '0',
    max: info.counts[c],
    step: '1',
    'aria-label': `Images of ${name}`,
    on: {
      change: () => {
        on.setBudget(c, budget.value);
      },
      keydown: (event) => {
        if (event.key === 'Escape') budget.blur();
      },
    },
  });
  const clear = button({
    ...small,
    label: `Take back the budget of ${name}`,
    iconName: 'revert',
    onClick: () => on.setBudget(c, ''),
  });
  const counts = h('span', { class: 'psr-num' });
  const verdict = h('span', { class: 'psr-verdict' });
  const node = h(
    'div',
    {
      class: 'psr-class-row',
      role: 'listitem',
      'aria-posinset': place + 1,
      'aria-setsize': total,
      'data-class': c,
      style: { top: `${place * ROW_PX}px` },
      on: { focusin: () => on.explain(c), pointerenter: () => on.explain(c) },
    },
    h('div', { class: 'psr-class-line' }, h('strong', { title: name }, name), budget, clear, lock, solo),
    h('div', { class: 'psr-class-line psr-fine' }, counts, verdict),
  );
  return { node, solo, lock, budget, clear, counts, verdict };
}

/** @param {Row} row @param {number} c @param {Ready} data */
function styleRow({ node, solo, lock, budget, clear, counts, verdict }, c, data) {
  const { info, picks, budgets, ownBudgets, locked, settings, sufficiency, ipc } = data;
  const name = info.class_names[c];
  const [isAlone, isLocked, isOwn] = [data.solo === c, locked.has(c), c in ownBudgets];
  node.classList.toggle('is-solo', isAlone);
  solo.setAttribute('aria-pressed', String(isAlone));
  solo.title = isAlone ? 'Show all classes' : `Show ${name} alone, on map, grid and chart`;
  lock.setAttribute('aria-pressed', String(isLocked));
  lock.title = isLocked ? `Unlock ${name}` : `Lock: ${name} keeps exactly these picks`;
  lock.querySelector('.psr-icon')?.classList.toggle('is-shut', isLocked);
  budget.disabled = isLocked;
  budget.classList.toggle('is-own', isOwn);
  const source = settings.allocation === 'gain' ? 'From the gains' : 'K';
  budget.title = isOwn
    ? 'Set by hand; empty it to take it back'
    : `${source}; type to set it, 0 for no image`;
  budget.value = String(ownBudgets[c] ?? '');
  budget.placeholder = String(budgets?.[c] ?? ipc);
  clear.hidden = !isOwn;
  const [short, moved] = [picks?.shortfall[c] ?? 0, picks?.substitutes[c] ?? 0];
  counts.textContent = `${count(picks?.byClass[c].length ?? 0)} / ${count(info.counts[c])} picked`;
  counts.classList.toggle('psr-warn-text', short > 0);
  const reasons = [
    picks && short > 0 && `${plural(short, 'pick')} short: ${picks.shortBecause}`,
    moved > 0 && `${plural(moved, 'pick')} from a neighbouring bin`,
  ];
  counts.title = reasons.filter(Boolean).join('; ');
  const found = sufficiency?.rows.get(c);
  const look = found && VERDICTS[found.verdict];
  verdict.textContent = look ? `${look.mark} ${look.short}` : '';
  verdict.className = `psr-verdict ${look ? `is-${look.kind}` : ''}`;
  verdict.title = found?.sentence ?? '';
}
