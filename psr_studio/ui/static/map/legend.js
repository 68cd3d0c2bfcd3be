// What the points show: colour and size by which signal, what the colours mean, and counts per group that
// follow the selection ("47 / 412"). A class row shows its class alone; any other row selects its candidates.

import { button, fill, h, oncePerFrame } from '../core/dom.js';
import { lasso } from '../core/lasso.js';
import { COLOR_MODES, inSolo, listedClasses, SIZE_MODES } from '../core/model.js';
import { count } from '../core/numbers.js';
import { modeOf } from '../core/selection.js';
import { readsWeights, selectorOf } from '../core/settings.js';
import { ready } from '../core/store.js';
import { classColors } from './class_colors.js';
import { STATUS, toCss } from './color.js';
import { CONTOURS } from './density.js';
import { statusOf } from './flags.js';
import { createRampLegend } from './legend_ramp.js';
import { SCALES } from './scale.js';

/** @import { ContourKind, Modifiers, RampScale, Rgb, State, Store } from '../core/types' */
/** @import { MapData } from './data.js' */
/**
 * @typedef {{ id: number, label: string, color: string, total: number, chosen: number, pressed?: boolean }}
 *   Group
 */

const SEARCH_FROM = 14; // with more classes than this the legend gets a search field
const ROOMY_PX = 520; // of a map that the open legend leaves enough of
const MAX_ROWS = 200; // a longer list is searched, not scrolled

/**
 * @param {Store} store
 * @param {MapData} source
 * @param {() => Rgb} ink the colour of the histogram
 * @param {(classId: number) => void} zoomToClass
 */
export function createLegend(store, source, ink, zoomToClass) {
  const body = h('div', { class: 'psr-legend-body' });
  const color = h(
    'select',
    {
      class: 'psr-select psr-legend-color',
      'aria-label': 'Colour points by',
      on: {
        change: () => {
          store.set({ colorBy: color.value });
        },
      },
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
      on: {
        change: () => {
          store.set({ sizeBy: size.value });
        },
      },
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
      chosen = !isFolded();
      fold(chosen);
    },
  });
  /** What the user wants, null before a press. @type {boolean | null} */
  let chosen = null;
  const isFolded = () => node.classList.contains('is-folded');
  /** @param {boolean} folded */
  function fold(folded) {
    node.classList.toggle('is-folded', folded);
    toggle.setAttribute('aria-expanded', String(!folded));
  }
  /**
   * As with box and lasso, what a class shown alone leaves out is not taken.
   * @param {number[]} positions
   * @param {Modifiers} keys
   */
  const select = (positions, keys) => {
    const data = ready(store);
    const shown = positions.filter((position) => inSolo(data, position));
    lasso(store, shown, modeOf(keys));
  };
  const range = createRampLegend(store, select);
  const scale = h(
    'select',
    {
      class: 'psr-select psr-small',
      'aria-label': 'Scale of the ramp',
      title: 'How values go onto the ramp: evenly, by logarithm, or by rank',
      on: {
        change: () => {
          store.set({ rampScale: /** @type {RampScale} */ (scale.value) });
        },
      },
    },
    SCALES.map((name) => h('option', { value: name }, name)),
  );
  const contours = h(
    'select',
    {
      class: 'psr-select psr-small',
      'aria-label': 'Density contours',
      title: 'Lines where the candidates lie densely (D)',
      on: {
        change: () => {
          store.set({ contours: /** @type {ContourKind} */ (contours.value) });
        },
      },
    },
    CONTOURS.map(({ kind, label, hint }) => h('option', { value: kind, title: hint }, label)),
  );
  const foot = h(
    'div',
    { class: 'psr-legend-foot' },
    h('label', { class: 'psr-inline' }, 'Size', size),
    h('label', { class: 'psr-inline' }, 'Density', contours),
    range.ramp,
    scale,
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
    const { colorBy, sizeBy, rampScale, contours: kind, phase } = store.data;
    node.hidden = phase !== 'ready';
    if (phase !== 'ready') return;
    const mode = COLOR_MODES.find((m) => m.key === colorBy) ?? COLOR_MODES[0];
    color.value = colorBy;
    color.title = `Colour: ${mode.hint}`;
    size.value = sizeBy;
    contours.value = kind;
    range.ramp.hidden = colorBy === 'class' || colorBy === 'picked';
    scale.hidden = !source.isRaw;
    scale.value = rampScale;
    if (colorBy === 'class') classLegend();
    else if (colorBy === 'picked') statusLegend();
    else rampLegend(mode);
  });

  /** @param {{ key: string, label: string }} mode */
  function rampLegend(mode) {
    if (!range.node.isConnected) fill(body, range.node);
    range.show({
      label: mode.label,
      domain: source.domain,
      clipped: source.clipped,
      shown: source.values,
      ink: ink(),
      hint: hintOf(mode.key, store.data),
      valueAt: source.valueAt,
    });
  }

  /** Only the list is rebuilt while the user types in the search field, or the field would lose the caret. */
  function classLegend() {
    const { info } = ready(store);
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
              search = /** @type {HTMLInputElement} */ (event.target).value;
              refresh();
            },
          },
        });
      fill(body, field, list);
    }
    const shown = list;
    const wanted = search.trim().toLowerCase();
    const groups = classGroups().filter((group) => group.label.toLowerCase().includes(wanted));
    const alone = (/** @type {number} */ id) => store.set({ solo: store.data.solo === id ? null : id });
    keepFocus(shown, () =>
      fill(
        shown,
        groups
          .slice(0, MAX_ROWS)
          .map((group) =>
            h(
              'div',
              { class: 'psr-legend-line' },
              groupRow(group, `${group.label}: show this class alone`, alone),
              zoomButton(group),
            ),
          ),
        groups.length > MAX_ROWS &&
          h(
            'p',
            { class: 'psr-fine psr-muted' },
            `and ${count(groups.length - MAX_ROWS)} more: search for one`,
          ),
      ),
    );
  }

  /** @param {Group} group */
  const zoomButton = ({ id, label }) =>
    button({
      label: `Zoom to ${label}`,
      iconName: 'zoom',
      className: 'psr-ghost psr-tiny',
      onClick: () => zoomToClass(id),
    });

  /** @returns {Group[]} */
  function classGroups() {
    const data = ready(store);
    const { info, points, selection, solo } = data;
    const chosen = new Uint32Array(info.n_classes);
    selection.list.forEach((position) => {
      chosen[points.label[position]] += 1;
    });
    const colors = classColors(info.n_classes);
    return listedClasses(data).map((c) => ({
      id: c,
      label: info.class_names[c],
      color: toCss(colors[c]),
      total: info.counts[c],
      chosen: chosen[c],
      pressed: solo === c,
    }));
  }

  function statusLegend() {
    const groups = STATUS.map((status, id) => ({ ...status, id, total: 0, chosen: 0 }));
    const data = ready(store);
    const flags = source.flags?.flags ?? new Uint8Array();
    flags.forEach((flag, i) => {
      if (!inSolo(data, i)) return;
      const group = groups[statusOf(flag)];
      group.total += 1;
      group.chosen += data.selection.mask[i];
    });
    const members = (/** @type {number} */ id) =>
      Array.from(flags.keys()).filter((i) => statusOf(flags[i]) === id);
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

  /** @param {Group} group @param {string} title @param {(id: number, keys: Modifiers) => void} onPick */
  function groupRow({ id, label, color: css, total, chosen, pressed }, title, onPick) {
    const { selection } = ready(store);
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
  store.on(['phase', 'selection', 'solo', 'sizeBy', 'contours'], refresh);
  store.on(
    ['points', 'picks', 'pinned', 'vetoed', 'weights', 'settings', 'ramp', 'rampScale', 'near'],
    ({ colorBy }) => colorBy !== 'class' && refresh(),
  );
  fold(false);
  return {
    node,
    refresh,
    isFolded,
    /** A map without room for it shows its head alone, until the user says otherwise. @param {number} width of the map */
    fit: (width) => fold(chosen ?? width < ROOMY_PX),
  };
}

/**
 * Rebuild a list without taking the focus from the row that had it.
 * @param {Element} list
 * @param {() => void} rebuild
 */
function keepFocus(list, rebuild) {
  const focused = document.activeElement;
  const id = focused instanceof HTMLElement && list.contains(focused) ? focused.dataset.id : undefined;
  rebuild();
  const again = id !== undefined && list.querySelector(`[data-id='${id}']`);
  if (again instanceof HTMLElement) again.focus();
}

/** What the colours cannot say themselves, in one line. @param {string} key @param {State} data */
function hintOf(key, data) {
  if (key === 'near')
    return data.near ? `Below ${data.near.threshold}: a near-duplicate` : 'Distances are on their way …';
  if (key === 'total' && !readsWeights(data))
    return `By the weights of PSR; ${selectorOf(data)?.title} does not read them`;
  return '';
}
