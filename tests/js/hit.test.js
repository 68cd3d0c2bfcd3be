import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inBox, inPolygon, nearest } from '../../psr_studio/ui/static/map/hit.js';
import { always } from './random.js';

/** @import { Random } from './random.js' */

/** Points of the square from -1 to 1, some of them drawn, in some order. @param {Random} random */
function scattered(random) {
  const n = random.integer(1, 80);
  return { xy: random.reals(2 * n, -1, 1), order: random.shuffled(random.some(n, 0.8)) };
}

/** @param {number[]} list */
const ascending = (list) => [...list].sort((a, b) => a - b);

test('a box takes what lies in it, as a lasso along its edges does', () => {
  always((random) => {
    const { xy, order } = scattered(random);
    const [x0, y0] = [random.real(-1, 0), random.real(-1, 0)];
    const [x1, y1] = [random.real(0, 1), random.real(0, 1)];
    const hits = inBox(xy, order, { x0, x1, y0, y1 });
    const inside = order.filter(
      (i) => xy[2 * i] >= x0 && xy[2 * i] <= x1 && xy[2 * i + 1] >= y0 && xy[2 * i + 1] <= y1,
    );
    assert.deepEqual(hits, inside);
    assert.deepEqual(inPolygon(xy, order, [x0, y0, x1, y0, x1, y1, x0, y1]), inside);
  });
});

test('a lasso in a convex shape takes what lies on the same side of all edges, whichever way it is drawn', () => {
  always((random) => {
    const { xy, order } = scattered(random);
    const corners = Array.from({ length: random.integer(3, 9) }, () => random.real(0, 2 * Math.PI))
      .sort((a, b) => a - b)
      .map((angle) => [0.8 * Math.cos(angle), 0.8 * Math.sin(angle)]);
    const inside = order.filter((i) =>
      corners.every(([ax, ay], k) => {
        const [bx, by] = corners[(k + 1) % corners.length];
        return (bx - ax) * (xy[2 * i + 1] - ay) - (by - ay) * (xy[2 * i] - ax) > 0;
      }),
    );
    assert.deepEqual(inPolygon(xy, order, corners.flat()), inside);
    assert.deepEqual(inPolygon(xy, order, corners.toReversed().flat()), inside);
  });
});

test('a lasso over itself leaves out what it goes round twice', () => {
  const twice = [-1, -1, 1, -1, 1, 1, -1, 1, -1, -1, -0.5, -0.5, 0.5, -0.5, 0.5, 0.5, -0.5, 0.5, -0.5, -0.5];
  assert.deepEqual(inPolygon(Float32Array.of(0, 0, 0.7, 0.7), [0, 1], twice), [1]);
});

test('the nearest point within the radius is hit, none beyond it', () => {
  always((random) => {
    const { xy, order } = scattered(random);
    const [x, y, radius] = [random.real(-1, 1), random.real(-1, 1), random.real(0, 0.5)];
    const distance = (/** @type {number} */ i) => Math.hypot(xy[2 * i] - x, xy[2 * i + 1] - y);
    const reached = order.filter((i) => distance(i) <= radius);
    const hit = nearest(xy, order, () => false, x, y, radius);
    if (!reached.length) assert.equal(hit, -1);
    else assert.equal(distance(hit), Math.min(...reached.map(distance)));
  });
});

test('a strong point wins over a dim one at up to 1.4 times its distance; of equals the topmost is hit', () => {
  const xy = Float32Array.of(0.1, 0, 0.135, 0, 0.145, 0);
  const strong = (/** @type {number} */ i) => i > 0;
  assert.equal(nearest(xy, [0, 1], strong, 0, 0, 1), 1);
  assert.equal(nearest(xy, [0, 2], strong, 0, 0, 1), 0);
  const stacked = new Float32Array(8);
  always((random) => {
    const order = random.shuffled([0, 1, 2, 3]);
    assert.equal(
      nearest(stacked, order, () => true, 0, 0, 1),
      order[3],
    );
  });
});

test('each point is hit once, in the order of drawing', () => {
  always((random) => {
    const { xy, order } = scattered(random);
    const all = inBox(xy, order, { x0: -1, x1: 1, y0: -1, y1: 1 });
    assert.deepEqual(all, order);
    assert.deepEqual(
      ascending(all),
      [...new Set(order)].sort((a, b) => a - b),
    );
  });
});
