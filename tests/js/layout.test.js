import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  findTile,
  firstVisible,
  layoutRows,
  sections,
  step,
  tilesOf,
} from '../../psr_studio/ui/static/grid/layout.js';
import { always } from './random.js';

/** @import { Random } from './random.js' */

/** A grid of classes of some sizes, none of them empty at the ends. @param {Random} random */
function laidOut(random) {
  let next = 0;
  const list = Array.from({ length: random.integer(1, 5) }, (_, classId) => {
    const positions = random.shuffled(Array.from({ length: random.integer(1, 12) }, (_, i) => next + i));
    next += positions.length;
    return { classId, positions, told: positions.length };
  });
  const columns = random.integer(1, 6);
  return { list, columns, ...layoutRows(list, columns, 40, 4) };
}

test('rows follow each other without overlap, and hold all positions in reading order', () => {
  always((random) => {
    const { list, columns, rows, height, order } = laidOut(random);
    assert.deepEqual(
      order,
      list.flatMap((section) => section.positions),
    );
    assert.deepEqual(rows.flatMap(tilesOf), order);
    rows.forEach((row, i) => {
      assert.ok(row.top + row.height <= (rows[i + 1]?.top ?? height));
      if (row.kind === 'tiles') assert.ok(row.positions.length <= columns);
      if (row.kind === 'tiles') assert.equal(order[row.first], row.positions[0]);
    });
  });
});

test('a tile is found where it stands, and the first row in view is the first that ends below the edge', () => {
  always((random) => {
    const { rows, height, order } = laidOut(random);
    for (const position of order) {
      const at = findTile(rows, position);
      assert.ok(at && tilesOf(rows[at.row])[at.column] === position);
    }
    assert.equal(findTile(rows, order.length), null);
    const y =
      random.next() < 0.5 ? random.real(-10, height + 10) : rows[random.integer(0, rows.length - 1)].top;
    const first = rows.findIndex((row) => row.top + row.height > y);
    assert.equal(firstVisible(rows, y), first < 0 ? rows.length : first);
  });
});

test('right walks through all tiles in reading order and stays at the end; left walks back', () => {
  always((random) => {
    const { rows, order } = laidOut(random);
    for (const [key, walked] of /** @type {const} */ ([
      ['ArrowRight', order],
      ['ArrowLeft', order.toReversed()],
    ])) {
      let at = findTile(rows, walked[0]);
      const seen = walked.map(() => {
        assert.ok(at);
        const position = tilesOf(rows[at.row])[at.column];
        at = step(rows, at, key);
        return position;
      });
      assert.deepEqual(seen, walked);
      assert.deepEqual(at, findTile(rows, walked[walked.length - 1]));
    }
  });
});

test('down goes to the next row of tiles, in its column or at the end of a shorter row', () => {
  always((random) => {
    const { rows, order } = laidOut(random);
    const at = findTile(rows, order[random.integer(0, order.length - 1)]);
    assert.ok(at);
    const below = rows.findIndex((row, i) => i > at.row && row.kind === 'tiles');
    const column = Math.min(at.column, tilesOf(rows[below]).length - 1);
    assert.deepEqual(step(rows, at, 'ArrowDown'), below < 0 ? at : { row: below, column });
  });
});

test('the pool lists every candidate once; picks come with the vetoed that are none; one class can be alone', () => {
  const data = /** @type {any} */ ({
    info: { class_names: ['a', 'b', 'c'] },
    points: { label: [0, 0, 0, 1, 1, 2] },
    picks: { order: [1, 0, 4], index: [1, 0, -1, -1, 2, -1], byClass: [[1, 0], [4], []] },
    vetoed: new Set([3, 2, 0]),
    selection: { list: [5] },
    gridMode: 'pool',
    solo: null,
    compare: null,
  });
  const told = (/** @type {object} */ change) =>
    sections({ ...data, ...change }, [0, 3, 5, 6], (own) => own).map(({ classId, positions, told }) => [
      classId,
      positions,
      told,
    ]);
  assert.deepEqual(told({}), [
    [0, [0, 1, 2], 2],
    [1, [3, 4], 1],
    [2, [5], 0],
  ]);
  assert.deepEqual(told({ gridMode: 'picks' }), [
    [0, [1, 0, 2], 2],
    [1, [4, 3], 1],
    [2, [], 0],
  ]);
  assert.deepEqual(told({ gridMode: 'selection' }), [[2, [5], 1]]);
  assert.deepEqual(told({ solo: 1 }), [[1, [3, 4], 1]]);
});
