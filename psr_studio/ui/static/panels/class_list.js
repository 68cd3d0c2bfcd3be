// The classes: search, show alone, lock, own budget, and whether the pool is large enough. Only the rows in
// view are elements, so that a thousand classes scroll like ten.

import { button, clamp, count, h, plural } from '../core/dom.js';
import { shortReason } from '../core/model.js';
import { VERDICTS } from './sufficiency.js';

const ROW_PX = 44;
const OVERSCAN = 4;
const FILTERS = [
  ['all', 'All classes', () => true],
  ['short', 'Short of images', (d, c) => (d.picks?.shortfall[c] || 0) > 0],
  ['own', 'Own budget', (d, c) => c in d.ownBudgets],
  ['locked', 'Locked', (d, c) => d.locked.has(c)],
  [
    'more',
    'More would pay',
    (d, c) => ['more would pay', 'too small'].includes(d.sufficiency?.rows.get(c)?.verdict),
  ],
];

export class ClassList {
  constructor(store, actions) {
    Object.assign(this, { store, actions });
    this.rows = new Map(); // class id -> parts
    this.shown = [];
    this.build();
    store.on(['info', 'phase'], () => this.refilter());
    store.on(['picks', 'budgets', 'ownBudgets', 'locked', 'sufficiency'], () => this.refilter());
    store.on(['solo', 'notice', 'settings'], () => this.restyle());
    this.sizes = new ResizeObserver(() => this.render());
    this.sizes.observe(this.scroller);
  }

  build() {
    this.search = h('input', {
      type: 'search',
      class: 'psr-input psr-grow',
      placeholder: 'Find a class',
      'aria-label': 'Find a class in the list',
      on: { input: () => this.refilter() },
    });
    this.filter = h(
      'select',
      { class: 'psr-select', 'aria-label': 'Classes listed', on: { change: () => this.refilter() } },
      FILTERS.map(([value, label]) => h('option', { value }, label)),
    );
    this.spacer = h('div', { class: 'psr-class-spacer', role: 'presentation' });
    this.scroller = h(
      'div',
      {
        class: 'psr-class-scroll',
        role: 'list',
        'aria-label': 'Classes',
        on: { scroll: () => this.render() },
      },
      this.spacer,
    );
    this.none = h('p', { class: 'psr-fine psr-muted', hidden: true }, 'No class is like this.');
    this.detail = h('p', { class: 'psr-fine psr-class-detail', role: 'status' });
    this.node = h(
      'div',
      { class: 'psr-class-list' },
      h('div', { class: 'psr-lab-line' }, this.search, this.filter),
      this.none,
      this.scroller,
      this.detail,
    );
  }

  refilter() {
    const { data } = this.store;
    if (data.phase !== 'ready') return;
    const wanted = this.search.value.trim().toLowerCase();
    const [, , fits] = FILTERS.find(([value]) => value === this.filter.value);
    const old = this.shown.join();
    this.shown = data.info.class_names
      .map((_, c) => c)
      .filter((c) => fits(data, c) && data.info.class_names[c].toLowerCase().includes(wanted));
    if (this.shown.join() !== old) {
      this.rows.clear();
      this.spacer.replaceChildren();
    }
    this.none.hidden = this.shown.length > 0;
    this.spacer.style.height = `${this.shown.length * ROW_PX}px`;
    this.render();
    this.restyle();
  }

  render() {
    const { scrollTop, clientHeight } = this.scroller;
    const first = clamp(Math.floor(scrollTop / ROW_PX) - OVERSCAN, 0, this.shown.length);
    const last = clamp(Math.ceil((scrollTop + clientHeight) / ROW_PX) + OVERSCAN, 0, this.shown.length);
    const wanted = new Set(this.shown.slice(first, last));
    for (const [c, parts] of this.rows) {
      if (wanted.has(c) || parts.node.contains(document.activeElement)) continue;
      parts.node.remove();
      this.rows.delete(c);
    }
    for (let i = first; i < last; i += 1) {
      const c = this.shown[i];
      if (this.rows.has(c)) continue;
      const parts = this.row(c, i);
      this.rows.set(c, parts);
      this.spacer.append(parts.node);
      this.style(c, parts);
    }
  }

  row(c, i) {
    const name = this.store.data.info.class_names[c];
    const solo = button({
      label: `Show ${name} alone`,
      iconName: 'eye',
      className: 'psr-ghost psr-tiny',
      pressed: false,
      onClick: () => this.store.set({ solo: this.store.data.solo === c ? null : c }),
    });
    const lock = button({
      label: `Lock ${name}`,
      iconName: 'unlock',
      className: 'psr-ghost psr-tiny',
      pressed: false,
      onClick: () => this.toggleLock(c),
    });
    const budget = h('input', {
      type: 'number',
      class: 'psr-input psr-number psr-budget',
      min: '1',
      max: this.store.data.info.counts[c],
      step: '1',
      'aria-label': `Images of ${name}`,
      on: {
        change: () => this.setBudget(c, budget),
        keydown: (event) => event.key === 'Escape' && budget.blur(),
      },
    });
    const clear = button({
      label: `Take back the budget of ${name}`,
      iconName: 'revert',
      className: 'psr-ghost psr-tiny',
      onClick: () => this.actions.select({ own_budgets: { [c]: null } }),
    });
    const counts = h('span', { class: 'psr-num' });
    const verdict = h('span', { class: 'psr-verdict' });
    const node = h(
      'div',
      {
        class: 'psr-class-row',
        role: 'listitem',
        'aria-posinset': i + 1,
        'aria-setsize': this.shown.length,
        'data-class': c,
        style: { top: `${i * ROW_PX}px` },
        on: { focusin: () => this.explain(c), pointerenter: () => this.explain(c) },
      },
      h('div', { class: 'psr-class-line' }, h('strong', { title: name }, name), budget, clear, lock, solo),
      h('div', { class: 'psr-class-line psr-fine' }, counts, verdict),
    );
    return { node, solo, lock, budget, clear, counts, verdict };
  }

  restyle() {
    for (const [c, parts] of this.rows) this.style(c, parts);
  }

  style(c, { node, solo, lock, budget, clear, counts, verdict }) {
    const {
      info,
      picks,
      budgets,
      ownBudgets,
      locked,
      settings,
      sufficiency,
      solo: alone,
      ipc,
    } = this.store.data;
    const name = info.class_names[c];
    const isLocked = locked.has(c);
    const isOwn = c in ownBudgets;
    const can = Boolean(info.selectors);
    node.classList.toggle('is-solo', alone === c);
    solo.setAttribute('aria-pressed', String(alone === c));
    solo.title = alone === c ? 'Show all classes' : `Show ${name} alone, on map, grid and chart`;
    lock.setAttribute('aria-pressed', String(isLocked));
    lock.title = isLocked ? `Unlock ${name}` : `Lock: ${name} keeps exactly these picks`;
    lock.querySelector('.psr-icon').classList.toggle('is-shut', isLocked);
    lock.hidden = !can;
    budget.hidden = !can;
    budget.disabled = isLocked;
    budget.classList.toggle('is-own', isOwn);
    budget.title = isOwn
      ? 'Set by hand'
      : settings?.allocation === 'gain'
        ? 'From the gains; type to set it'
        : 'K; type to set it for this class';
    if (document.activeElement !== budget) budget.value = ownBudgets[c] ?? budgets?.[c] ?? ipc;
    clear.hidden = !isOwn;
    const short = picks?.shortfall[c] || 0;
    counts.textContent = `${count(picks ? picks.byClass[c].length : 0)} / ${count(info.counts[c])} picked`;
    counts.classList.toggle('psr-warn-text', short > 0);
    const moved = picks?.substitutes[c] || 0;
    const reasons = [
      short > 0 && `${plural(short, 'pick')} short: ${shortReason(picks)}`,
      moved > 0 && `${plural(moved, 'pick')} from a neighbouring bin`,
    ];
    counts.title = reasons.filter(Boolean).join('; ');
    const row = sufficiency?.rows.get(c);
    const look = row && VERDICTS[row.verdict];
    verdict.textContent = look ? `${look.mark} ${look.short}` : '';
    verdict.className = `psr-verdict ${look ? `is-${look.kind}` : ''}`;
    verdict.title = row?.sentence ?? '';
  }

  explain(c) {
    const { sufficiency } = this.store.data;
    this.detail.textContent = sufficiency?.rows.get(c)?.sentence ?? '';
  }

  toggleLock(c) {
    const locked = new Set(this.store.data.locked);
    if (!locked.delete(c)) locked.add(c);
    this.actions.select({ locked: [...locked].sort((a, b) => a - b) });
  }

  setBudget(c, box) {
    const typed = box.value === '' ? null : Math.round(Number(box.value));
    if (typed !== null && !Number.isFinite(typed)) return;
    this.actions.select({ own_budgets: { [c]: typed } });
  }
}
