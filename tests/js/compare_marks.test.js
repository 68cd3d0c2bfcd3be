import assert from 'node:assert/strict';
import { test } from 'node:test';
import { marksOf } from '../../psr_studio/ui/static/map/compare_marks.js';
import { addShape } from '../../psr_studio/ui/static/map/shapes.js';

/** Whether a shape at the origin covers a place. @param {{ shape: string, r: number }} mark @param {number} x @param {number} y */
function covers({ shape, r }, x, y) {
  /** @type {number[][]} */
  const corners = [];
  let inside = false;
  const path = {
    moveTo: (/** @type {number[]} */ ...at) => corners.push(at),
    lineTo: (/** @type {number[]} */ ...at) => corners.push(at),
    closePath() {},
    rect(
      /** @type {number} */ left,
      /** @type {number} */ top,
      /** @type {number} */ w,
      /** @type {number} */ h,
    ) {
      inside = x > left && x < left + w && y > top && y < top + h;
    },
    arc(/** @type {number} */ _x, /** @type {number} */ _y, /** @type {number} */ radius) {
      inside = Math.hypot(x, y) < radius;
    },
  };
  addShape(/** @type {any} */ (path), shape, 0, 0, r);
  if (corners.length < 3) return inside;
  return corners.every(([ax, ay], k) => {
    const [bx, by] = corners[(k + 1) % corners.length];
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0;
  });
}

test('a pick of A and one of B at the same place are both seen, above the larger crowd that both have', () => {
  for (const n of [100, 100_000]) {
    const marks = marksOf(null, n);
    /** @type {Record<string, number>} */
    const seen = { a: 0, b: 0, both: 0 };
    for (let x = -10; x <= 10; x += 0.5)
      for (let y = -10; y <= 10; y += 0.5) {
        const top = marks.findLast((mark) => covers(mark, x, y));
        if (top) seen[top.key] += 0.25;
      }
    const least = n > 4000 ? 10 : 25; // square pixels
    assert.ok(seen.a > least && seen.b > least, JSON.stringify(seen));
    const area = (/** @type {string} */ key) => marks.find((mark) => mark.key === key)?.r ?? 0;
    assert.ok(area('both') < Math.min(area('a'), area('b')));
    assert.equal(marks[0].key, 'both');
  }
});

test('a split view marks its own side and what both have', () => {
  assert.deepEqual(
    marksOf('b', 10).map(({ key }) => key),
    ['both', 'b'],
  );
});
