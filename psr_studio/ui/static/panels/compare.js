// The panel of A|B compare: which two, how they overlap, their signals and accuracies side by side.

import { isPending, LISTS, SIDES } from '../core/compare.js';
import { button, fill, h, segmented } from '../core/dom.js';
import { count, fixed } from '../core/numbers.js';
import { ready } from '../core/store.js';
import { shapeIcon } from '../map/shapes.js';

/** @import { Accuracy, Child, Compare, ComparedHeader, Comparison, Panel, Store } from '../core/types' */

const SIGNALS = ['reliability', 'entropy', 'difficulty', 'diversity'];

/** @param {Store} store @param {Comparison} compare @returns {Panel} */
export function createComparePanel(store, compare) {
  const chooser = (/** @type {'a' | 'b'} */ side) => {
    const select = h('select', {
      class: 'psr-select',
      'aria-label': `Selection ${side.toUpperCase()}`,
      on: {
        change: () => {
          compare.open({ [side]: select.value });
        },
      },
    });
    return select;
  };
  const [a, b] = [chooser('a'), chooser('b')];
  const view = segmented(
    'How the map shows both',
    [
      { value: 'overlay', label: 'Overlay', title: 'Overlay: both on one map' },
      { value: 'split', label: 'Split', title: 'Split: A left, B right, moving together' },
    ],
    (/** @type {Compare['view']} */ value) => compare.open({ view: value }),
  );
  const turn = button({
    label: 'Swap A and B',
    iconName: 'swap',
    className: 'psr-icon-only',
    onClick: compare.turn,
  });
  const leave = button({ label: 'Leave', title: 'Leave compare (Esc or C)', onClick: compare.leave });
  const numbers = h('div', {});
  const node = h(
    'div',
    { class: 'psr-compare' },
    h('div', { class: 'psr-compare-choice' }, h('b', { class: 'psr-side is-a' }, 'A'), a),
    h('div', { class: 'psr-compare-choice' }, h('b', { class: 'psr-side is-b' }, 'B'), b),
    h('div', { class: 'psr-row' }, view.node, turn, h('span', { class: 'psr-grow' }), leave),
    numbers,
  );

  /** @param {HTMLSelectElement} select @param {string} chosen */
  function offer(select, chosen) {
    const { info, saved } = ready(store);
    fill(
      select,
      h('option', { value: info.names.live }, 'live: what is on screen'),
      saved.map(({ name }) => h('option', { value: name }, name)),
    );
    select.value = chosen;
  }

  function refresh() {
    const now = store.data.compare;
    if (!now) return void fill(numbers);
    offer(a, now.a);
    offer(b, now.b);
    view.show(now.view);
    const { header, lists } = now;
    if (isPending(now) || !header || !lists)
      return void fill(numbers, h('p', { class: 'psr-note' }, 'Comparing …'));
    fill(
      numbers,
      now.a === now.b && sameHint(store.data.saved.length),
      sideRows(store, lists),
      overlapLine(header, lists),
      meansTable(header),
      accuracyTable(header),
      classTable(store, header),
    );
  }

  store.on(['compare', 'saved', 'gridMode', 'solo'], refresh);
  return {
    id: 'compare',
    label: 'Compare',
    title: 'Compare A and B',
    iconName: 'compare',
    key: 'C',
    node,
    passing: true,
  };
}

/** @param {number} nSaved */
function sameHint(nSaved) {
  const how = nSaved
    ? 'Choose another selection for A or B.'
    : 'Save a selection in the panel "Saved", then compare it with what is on screen.';
  return h('p', { class: 'psr-note', role: 'status' }, `A and B are the same. ${how}`);
}

/**
 * The legend of the map and the switch of the grid at once.
 * @param {Store} store
 * @param {NonNullable<Compare['lists']>} lists
 */
function sideRows(store, lists) {
  return h(
    'div',
    { class: 'psr-compare-lists', role: 'group', 'aria-label': 'List in the grid' },
    LISTS.map((key) =>
      h(
        'button',
        {
          type: 'button',
          class: `psr-btn psr-side is-${key}`,
          'aria-pressed': String(store.data.gridMode === key),
          title: `List ${SIDES[key].label} in the grid`,
          on: { click: () => store.set({ gridMode: key }) },
        },
        shapeIcon(SIDES[key].shape),
        h('span', {}, SIDES[key].label),
        h('b', { class: 'psr-num' }, count(lists[key].length)),
      ),
    ),
  );
}

/** @param {ComparedHeader} header @param {NonNullable<Compare['lists']>} lists */
function overlapLine({ a, b, jaccard }, lists) {
  const least = Math.min(a.n, b.n);
  const share = least ? lists.both.length / least : 0;
  return h(
    'p',
    { class: 'psr-compare-overlap' },
    h('b', {}, `${Math.round(100 * share)} %`),
    ` overlap: ${count(lists.both.length)} of ${count(least)} in common, Jaccard ${fixed(jaccard, 2)}.`,
  );
}

/** @param {string} title @param {...Child} children */
const section = (title, ...children) => h('section', { class: 'psr-section' }, h('h4', {}, title), children);

/** @param {string} title @param {string[]} head @param {Child} rows @param {string} [note] */
function table(title, head, rows, note) {
  const heads = head.map((text) => h('th', { scope: 'col' }, text));
  return section(
    title,
    h('table', { class: 'psr-mini' }, h('thead', {}, h('tr', {}, heads)), h('tbody', {}, rows)),
    note && h('p', { class: 'psr-fine' }, note),
  );
}

/** @param {Child} name @param {Child[]} cells */
const row = (name, cells) =>
  h(
    'tr',
    {},
    h('th', { scope: 'row' }, name),
    cells.map((cell) => h('td', {}, cell)),
  );

/** @param {ComparedHeader} header */
function meansTable({ a, b }) {
  const signals = SIGNALS.map((key) =>
    changeRow(key[0].toUpperCase() + key.slice(1), a.means[key], b.means[key]),
  );
  const images = row('Images', [count(a.n), count(b.n), fixed(b.n - a.n, 0)]);
  const distinct = [
    changeRow('Vendi, a class', a.vendi_of_class, b.vendi_of_class),
    changeRow('Vendi, the set', a.vendi, b.vendi),
  ];
  return table(
    'Means of the signals',
    ['', 'A', 'B', 'B − A'],
    [images, signals, distinct],
    "Vendi score: how many distinct pictures they amount to, by cosines of the teacher's features; 1 where all are alike.",
  );
}

/** @param {string} name @param {number | null} mine @param {number | null} theirs @returns {Child} */
function changeRow(name, mine, theirs) {
  if (mine === null || theirs === null) return false;
  const change = theirs - mine;
  return row(name, [fixed(mine), fixed(theirs), `${change > 0 ? '+' : ''}${fixed(change)}`]);
}

/** What a student was trained with; only equal conditions share a row. @param {Accuracy} result */
const conditions = ({ student, protocol, regime, ipc, epochs }) => [
  student,
  protocol,
  regime,
  `K ${ipc}`,
  `${epochs} epochs`,
];
/** @param {Accuracy} x @param {Accuracy} y */
const sameTask = (x, y) =>
  x.student === y.student && x.protocol === y.protocol && x.ipc === y.ipc && x.epochs === y.epochs;

/**
 * An accuracy never stands alone: below those of A and B stand the controls of the same students and budget.
 * @param {ComparedHeader} header
 */
function accuracyTable({ a, b, controls }) {
  const results = [...a.accuracy, ...b.accuracy];
  if (!results.length) {
    const words = 'Neither is evaluated. The Evaluate tab trains students on saved selections.';
    return section('Accuracy', h('p', { class: 'psr-fine' }, words));
  }
  const keyOf = (/** @type {Accuracy} */ result) => [result.arm, ...conditions(result)].join();
  const [mine, theirs] = [a, b].map(({ accuracy: list }) => new Map(list.map((item) => [keyOf(item), item])));
  const rows = [...new Map(results.map((result) => [keyOf(result), result]))].map(([key, any]) =>
    row([any.arm, conditionsLine(any)], [accuracy(mine.get(key)), accuracy(theirs.get(key))]),
  );
  const beside = controls.filter((control) => results.some((result) => sameTask(control, result)));
  const controlRows = beside.map((control) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, control.arm, conditionsLine(control)),
      h('td', { colspan: '2', title: 'A control: neither A nor B' }, accuracy(control)),
    ),
  );
  return table(
    'Accuracy, %',
    ['Trained on', 'A', 'B'],
    [rows, controlRows],
    'Last epoch, mean ± standard deviation over n students. Rows over both columns are controls.',
  );
}

/** @param {Accuracy} result */
const conditionsLine = (result) => h('span', { class: 'psr-fine psr-block' }, conditions(result).join(' · '));

/** @param {Accuracy | undefined} result @returns {Child} */
function accuracy(result) {
  if (!result) return '–';
  const spread = Number.isFinite(result.std) ? ` ± ${fixed(100 * Number(result.std), 1)}` : '';
  return [
    h('span', {}, `${fixed(100 * result.mean, 1)}${spread}`),
    h('span', { class: 'psr-fine psr-block' }, `n = ${result.n}`),
  ];
}

/**
 * One bar per class: only A, both, only B; a click shows the class alone.
 * @param {Store} store
 * @param {ComparedHeader} header
 */
function classTable(store, { per_class: rows }) {
  const { info, solo } = ready(store);
  const most = Math.max(1, ...rows.map((r) => r.only_a + r.only_b + r.both));
  const part = (/** @type {string} */ key, /** @type {number} */ n) =>
    n > 0 && h('span', { class: `psr-side is-${key}`, style: { width: `${(100 * n) / most}%` } });
  return h(
    'section',
    { class: 'psr-section' },
    h('h4', {}, 'By class'),
    h(
      'div',
      { class: 'psr-compare-classes' },
      rows.map(({ class_id: id, only_a: onlyA, only_b: onlyB, both, vendi_a: mine, vendi_b: theirs }) => {
        const distinct =
          mine === null || theirs === null ? '' : `; Vendi ${fixed(mine)} and ${fixed(theirs)}`;
        const words = `${info.class_names[id]}: only A ${onlyA}, both ${both}, only B ${onlyB}${distinct}`;
        return h(
          'button',
          {
            type: 'button',
            title: `${words}. Click to show this class alone`,
            'aria-label': words,
            'aria-pressed': String(solo === id),
            on: { click: () => store.set({ solo: solo === id ? null : id }) },
          },
          h('span', { class: 'psr-soft-name' }, info.class_names[id]),
          h('span', { class: 'psr-compare-bar' }, part('a', onlyA), part('both', both), part('b', onlyB)),
          h('span', { class: 'psr-num' }, `${onlyA}/${both}/${onlyB}`),
        );
      }),
    ),
  );
}
