// What the points show: colour and size by which signal, what the colours mean, and counts per group that
// follow the selection ("47 / 412"). A class row shows its class alone; any other row selects its candidates.

import { STATUS, classColors, toCss } from './color.js';
import { button, count, fill, h, oncePerFrame } from '../core/dom.js';
import { inSolo, statusOf } from './flags.js';
import { readsWeights, selectorOf } from '../core/lab_model.js';
import { createRampLegend } from './legend_ramp.js';
import { COLOR_MODES, SIZE_MODES } from '../core/model.js';
import { combine, modeOf } from '../core/selection.js';

const SEARCH_FROM = 14; // with more classes than this the legend gets a search field
const MAX_ROWS = 200; // a longer list is searched, not scrolled

export function createLegend(store, source) {
  const body = h('div', { class: 'psr-legend-body' });
  const color = h(
    'select',
    {
      class: 'psr-select psr-legend-color',
      'aria-label': 'Colour points by',
      on: { change: () => store.set({ colorBy: color.value }) },
    },
    COLOR_MODES.map((mode, k) =>
      h('option', { value: mode.key, title: mode.hint }, `${mode.label} (${k + 1})`),
    ),
  );
  const size = h(
    'select',
    {
      class: 'psr-select psr-small',
      'aria-label': 'Size of points by',
      title: 'Size of the points by',
      on: { change: () => store.set({ sizeBy: size.value }) },
    },
    SIZE_MODES.map((key) =>
      h('option', { value: key }, COLOR_MODES.find((m) => m.key === key)?.label.toLowerCase() ?? 'even'),
    ),
  );
  const toggle = button({
    label: 'Fold legend',
    iconName: 'chevron',
    className: 'psr-ghost psr-legend-fold',
    onClick: () => {
      const folded = node.classList.toggle('is-folded');
      toggle.setAttribute('aria-expanded', String(!folded));
    },
  });
  toggle.setAttribute('aria-expanded', 'true');
  /** As with box and lasso, what a class shown alone leaves out is not taken. */
  const select = (positions, event) => {
    const shown = positions.filter((position) => inSolo(store.data, position));
    store.set({ selection: combine(store.data.selection, shown, modeOf(event)) });
  };
  const range = createRampLegend(store, select);
  const foot = h(
    'div',
    { class: 'psr-legend-foot' },
    h('label', { class: 'psr-inline' }, 'Size', size),
    range.ramp,
  );
  const node = h(
    'section',
    { class: 'psr-legend', 'aria-label': 'Legend' },
    h('header', {}, color, toggle),
    body,
    foot,
  );
  let search = '';

  const refresh = oncePerFrame(() => {
    const { points, selection, colorBy, sizeBy, phase } = store.data;
    node.hidden = phase !== 'ready';
    if (phase !== 'ready' || !points || !selection) return;
    const mode = COLOR_MODES.find((m) => m.key === colorBy);
    color.value = colorBy;
    color.title = `Colour: ${mode.hint}`;
    size.value = sizeBy;
    range.ramp.hidden = colorBy === 'class' || colorBy === 'picked';
    if (colorBy === 'class') classLegend();
    else if (colorBy === 'picked') statusLegend();
    else rampLegend(mode);
  });

  function rampLegend(mode) {
    if (!range.node.isConnected) fill(body, range.node);
    range.show({
      label: mode.label,
      domain: source.domain(),
      clipped: source.clipped(),
      shown: source.values(),
      ink: source.ink(),
      hint: hintOf(mode.key, store.data),
    });
  }

  /** Only the list is rebuilt while the user types in the search field, or the field would lose the caret. */
  function classLegend() {
    const { info } = store.data;
    let list = body.querySelector('.psr-legend-list');
    if (!list) {
      list = h('div', { class: 'psr-legend-list' });
      const field =
        info.n_classes > SEARCH_FROM &&
        h('input', {
          type: 'search',
          class: 'psr-input',
          value: search,
          placeholder: 'Find a class',
          'aria-label': 'Find a class',
          on: {
            input: (event) => {
              search = event.target.value;
              refresh();
            },
          },
        });
      fill(body, field, list);
    }
    const wanted = search.trim().toLowerCase();
    const groups = classGroups().filter((group) => group.label.toLowerCase().includes(wanted));
    const alone = (id) => store.set({ solo: store.data.solo === id ? null : id });
    keepFocus(list, () =>
      fill(
        list,
        groups
          .slice(0, MAX_ROWS)
          .map((group) => groupRow(group, `${group.label}: show this class alone`, alone)),
        groups.length > MAX_ROWS &&
          h(
            'p',
            { class: 'psr-fine psr-muted' },
            `and ${count(groups.length - MAX_ROWS)} more: search for one`,
          ),
      ),
    );
  }

  function classGroups() {
    const { info, points, selection, solo } = store.data;
    const chosen = new Uint32Array(info.n_classes);
    selection.list.forEach((position) => {
      chosen[points.label[position]] += 1;
    });
    return classColors(info.n_classes).map((rgb, c) => ({
      id: c,
      label: info.class_names[c],
      color: toCss(rgb),
      total: info.counts[c],
      chosen: chosen[c],
      pressed: solo === c,
    }));
  }

  function statusLegend() {
    const groups = STATUS.map((status, id) => ({ ...status, id, total: 0, chosen: 0 }));
    const { flags } = source.flags();
    flags.forEach((flag, i) => {
      if (!inSolo(store.data, i)) return;
      const group = groups[statusOf(flag)];
      group.total += 1;
      group.chosen += store.data.selection.mask[i];
    });
    const members = (id) => Array.from(flags.keys()).filter((i) => statusOf(flags[i]) === id);
    keepFocus(body, () =>
      fill(
        body,
        groups
          .filter((group) => group.total)
          .map((group) =>
            groupRow(group, `${group.label}: select these. Shift adds, Alt removes`, (id, event) =>
              select(members(id), event),
            ),
          ),
      ),
    );
  }

  function groupRow({ id, label, color: css, total, chosen, pressed }, title, onPick) {
    const { selection } = store.data;
    return h(
      'button',
      {
        class: 'psr-legend-row',
        type: 'button',
        title,
        'data-id': id,
        'aria-pressed': pressed === undefined ? undefined : String(pressed),
        on: { click: (event) => onPick(id, event) },
      },
      h('span', { class: 'psr-swatch', style: { background: css } }),
      h('span', { class: 'psr-legend-name' }, label),
      h('span', { class: 'psr-num' }, selection.count ? `${count(chosen)} / ${count(total)}` : count(total)),
    );
  }

  store.on(['colorBy', 'info'], () => {
    fill(body);
    refresh();
  });
  store.on(
    [
      'phase',
      'points',
      'selection',
      'picks',
      'pinned',
      'vetoed',
      'weights',
      'settings',
      'ramp',
      'solo',
      'near',
      'sizeBy',
    ],
    refresh,
  );
  return { node, refresh };
}

/** Rebuild a list without taking the focus from the row that had it. */
function keepFocus(list, rebuild) {
  const id = list.contains(document.activeElement) ? document.activeElement.dataset.id : undefined;
  rebuild();
  if (id !== undefined) list.querySelector(`[data-id='${id}']`)?.focus();
}

/** What the colours cannot say themselves, in one line. */
function hintOf(key, data) {
  if (key === 'near')
    return data.near ? `Below ${data.near.threshold}: a near-duplicate` : 'Distances are on their way …';
  if (key === 'total' && !readsWeights(data)) return `By the weights of PSR; ${selectorOf(data).title} does not read them`;
  return '';
}
