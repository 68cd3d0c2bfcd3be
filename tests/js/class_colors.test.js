import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  classColors,
  contrast,
  distance,
  oklab,
  READABLE,
} from '../../psr_studio/ui/static/map/class_colors.js';

/** @param {number} n the least distance in OKLab between two of n classes */
function nearest(n) {
  const labs = classColors(n).map(oklab);
  let least = Number.POSITIVE_INFINITY;
  labs.forEach((a, i) => {
    for (const b of labs.slice(0, i)) least = Math.min(least, distance(a, b));
  });
  return least;
}

test('no two classes look alike', () => {
  for (const [n, least] of [
    [3, 0.3],
    [10, 0.16],
    [20, 0.115],
    [40, 0.1],
    [100, 0.065],
    [1000, 0.02],
  ])
    assert.ok(nearest(n) >= least, `of ${n} classes two are ${nearest(n)} apart, not ${least}`);
});

test('every class is readable on the light and on the dark ground', () => {
  for (const rgb of classColors(100))
    for (const [ground, least] of READABLE) assert.ok(contrast(rgb, ground) >= least, String(rgb));
});

test('a class has the same colour, however many there are', () => {
  const many = classColors(120);
  for (const n of [1, 10, 20, 21, 119]) assert.deepEqual(classColors(n), many.slice(0, n));
});

test('there are as many colours as classes, be it by beginning anew', () => {
  assert.equal(classColors(20_000).length, 20_000);
});
