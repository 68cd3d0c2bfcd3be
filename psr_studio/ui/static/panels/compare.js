// The panel of A|B compare: which two, how they overlap, their signals and accuracies side by side.

import { LIVE, SIDES, isPending } from '../core/compare.js';
import { button, count, fill, fixed, h, segmented } from '../core/dom.js';
import { shapeIcon } from '../map/shapes.js';

const SIGNALS = ['reliability', 'entropy', 'difficulty', 'diversity'];

/** @returns {object} a row for dock.js */
export function createComparePanel(store, compare) {
  const chooser = (side) =>
    h('select', {
      class: 'psr-select',
      'aria-label': `Selection ${side.toUpperCase()}`,
      on: { change: (event) => compare.open({ [side]: event.target.value }) },
    });
  const [a, b] = [chooser('a'), chooser('b')];
  const view = segmented(
    'How the map shows both',
    [
      { value: 'overlay', label: 'Overlay', title: 'Overlay: both on one map' },
      { value: 'split', label: 'Split', title: 'Split: A left, B right, moving together' },
    ],
    (value) => compare.open({ view: value }),
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

  function refresh() {
    const now = store.data.compare;
    if (!now) return fill(numbers);
    const names = store.data.saved.map((record) => record.name);
    [a, b].forEach((select, k) => {
      const options = [h('option', { value: LIVE }, 'live: what is on screen')];
      fill(select, options.concat(names.map((name) => h('option', { value: name }, name))));
      select.value = k ? now.b : now.a;
    });
    view.show(now.view);
    if (isPending(now)) return fill(numbers, h('p', { class: 'psr-note' }, 'Comparing …'));
    return fill(
      numbers,
      now.a === now.b && sameHint(store.data.saved.length),
      sideRows(store, now),
      overlapLine(now),
      meansTable(now.header),
      accuracyTable(now.header),
      classTable(store, now.header),
    );
  }

  store.on(['compare', 'saved', 'gridMode', 'solo'], refresh);
  const head = { id: 'compare', label: 'Compare', title: 'Compare A and B', iconName: 'compare', key: 'C' };
  return { ...head, node, passing: true };
}

function sameHint(nSaved) {
  const how = nSaved
    ? 'Choose another selection for A or B.'
    : 'Save a selection in the panel "Saved", then compare it with what is on screen.';
  return h('p', { class: 'psr-note', role: 'status' }, `A and B are the same. ${how}`);
}

/** The legend of the map and the switch of the grid at once. */
function sideRows(store, { lists }) {
  return h(
    'div',
    { class: 'psr-compare-lists', role: 'group', 'aria-label': 'List in the grid' },
    Object.entries(SIDES).map(([key, { label, shape }]) =>
      h(
        'button',
        {
          type: 'button',
          class: `psr-btn psr-side is-${key}`,
          'aria-pressed': String(store.data.gridMode === key),
          title: `List ${label} in the grid`,
          on: { click: () => store.set({ gridMode: key }) },
        },
        shapeIcon(shape),
        h('span', {}, label),
        h('b', { class: 'psr-num' }, count(lists[key].length)),
      ),
    ),
  );
}

function overlapLine({ header, lists }) {
  const least = Math.min(header.a.n, header.b.n);
  const share = least ? lists.both.length / least : 0;
  return h(
    'p',
    { class: 'psr-compare-overlap' },
    h('b', {}, `${Math.round(100 * share)} %`),
    ` overlap: ${count(lists.both.length)} of ${count(least)} in common, Jaccard ${fixed(header.jaccard, 2)}.`,
  );
}

const section = (title, ...children) => h('section', { class: 'psr-section' }, h('h4', {}, title), children);

function table(title, head, rows, note) {
  return section(
    title,
    h(
      'table',
      { class: 'psr-mini' },
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          head.map((text) => h('th', { scope: 'col' }, text)),
        ),
      ),
      h('tbody', {}, rows),
    ),
    note && h('p', { class: 'psr-fine' }, note),
  );
}

const row = (name, cells) =>
  h(
    'tr',
    {},
    h('th', { scope: 'row' }, name),
    cells.map((text) => h('td', {}, text)),
  );

function meansTable({ a, b }) {
  const known = SIGNALS.filter((key) => Number.isFinite(a.means?.[key]) && Number.isFinite(b.means?.[key]));
  const rows = known.map((key) => {
    const change = b.means[key] - a.means[key];
    const sign = change > 0 ? '+' : '';
    return row(key[0].toUpperCase() + key.slice(1), [
      fixed(a.means[key]),
      fixed(b.means[key]),
      `${sign}${fixed(change)}`,
    ]);
  });
  rows.unshift(row('Images', [count(a.n), count(b.n), fixed(b.n - a.n, 0)]));
  return table('Means of the signals', ['', 'A', 'B', 'B − A'], rows);
}

// What a student was trained with; only equal conditions share a row.
const CONDITIONS = ['student', 'protocol', 'regime', 'ipc'];
const conditions = (result) => CONDITIONS.map((key) => (key === 'ipc' ? `K ${result.ipc}` : result[key]));
const sameTask = (x, y) => x.student === y.student && x.protocol === y.protocol && x.ipc === y.ipc;

/** An accuracy never stands alone: below those of A and B stand the controls of the same students and budget. */
function accuracyTable({ a, b, controls = [] }) {
  const found = new Map();
  for (const [side, { accuracy: results }] of Object.entries({ a, b }))
    for (const result of results ?? []) {
      const key = [result.arm, ...conditions(result)].join();
      found.set(key, { ...found.get(key), [side]: result });
    }
  if (!found.size)
    return section(
      'Accuracy',
      h(
        'p',
        { class: 'psr-fine' },
        'Neither is evaluated. The Evaluate tab trains students on saved selections.',
      ),
    );
  const rows = [...found.values()].map((sides) => {
    const any = sides.a ?? sides.b;
    return row([any.arm, conditionsLine(any)], [accuracy(sides.a), accuracy(sides.b)]);
  });
  const measured = [...found.values()].flatMap(Object.values);
  const beside = controls.filter((control) => measured.some((result) => sameTask(control, result)));
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
    [...rows, ...controlRows],
    'Last epoch, mean ± standard deviation over n students. Rows over both columns are controls.',
  );
}

const conditionsLine = (result) => h('span', { class: 'psr-fine psr-block' }, conditions(result).join(' · '));

function accuracy(result) {
  if (!result) return '–';
  const spread = Number.isFinite(result.std) ? ` ± ${fixed(100 * result.std, 1)}` : '';
  return [
    h('span', {}, `${fixed(100 * result.mean, 1)}${spread}`),
    h('span', { class: 'psr-fine psr-block' }, `n = ${result.n}`),
  ];
}

/** One bar per class: only A, both, only B; a click shows the class alone. */
function classTable(store, { per_class: rows }) {
  const { info, solo } = store.data;
  const most = Math.max(1, ...rows.map((r) => r.only_a + r.only_b + r.both));
  const part = (key, n) =>
    n > 0 && h('span', { class: `psr-side is-${key}`, style: { width: `${(100 * n) / most}%` } });
  return h(
    'section',
    { class: 'psr-section' },
    h('h4', {}, 'By class'),
    h(
      'div',
      { class: 'psr-compare-classes' },
      rows.map(({ class_id: id, only_a: onlyA, only_b: onlyB, both }) => {
        const words = `${info.class_names[id]}: only A ${onlyA}, both ${both}, only B ${onlyB}`;
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
