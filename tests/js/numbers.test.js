import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clamp, count, fixed, plural } from '../../psr_studio/ui/static/core/numbers.js';
import { always } from './random.js';

test('a clamped number is in bounds, and one in bounds is left alone', () => {
  always((random) => {
    const [low, high] = [random.real(-5, 0), random.real(0, 5)];
    const value = random.real(-9, 9);
    const kept = clamp(value, low, high);
    assert.ok(kept >= low && kept <= high);
    assert.equal(kept === value, value >= low && value <= high);
  });
});

test('numbers are written with a true minus sign, and what is no number as a dash', () => {
  assert.deepEqual(
    [-1.25, 0.5, null, undefined, NaN, Infinity].map((x) => fixed(x, 2)),
    ['−1.25', '0.50', '–', '–', '–', '–'],
  );
});

test('one is singular, everything else plural, thousands are parted', () => {
  assert.deepEqual(
    [0, 1, 1234].map((n) => plural(n, 'class', 'classes')),
    ['0 classes', '1 class', '1,234 classes'],
  );
  assert.equal(plural(2, 'image'), '2 images');
  assert.equal(Number(count(1234567).replaceAll(',', '')), 1234567);
});
