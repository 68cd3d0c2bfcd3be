import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SCALES, scaled } from '../../psr_studio/ui/static/map/scale.js';
import { always, near } from './random.js';

test('every scale keeps the order of the values, and its ends name values that are there', () => {
  always((random) => {
    const values = random.reals(random.integer(2, 60), 0, 1);
    for (const scale of SCALES) {
      const { values: shown, domain, valueAt } = scaled(values, scale);
      assert.ok(domain[0] <= domain[1]);
      for (let k = 1; k < values.length; k += 1)
        if (values[k] > values[k - 1]) assert.ok(shown[k] >= shown[k - 1], scale);
      assert.ok(valueAt(0) <= valueAt(0.5) && valueAt(0.5) <= valueAt(1), scale);
      assert.ok(valueAt(0) >= Math.min(...values) - 1e-4 && valueAt(1) <= Math.max(...values) + 1e-4, scale);
    }
  });
});

test('by rank each fifth of the ramp holds a fifth of different values; by logarithm equal ratios are equal steps', () => {
  const squares = Float32Array.from({ length: 500 }, (_, k) => ((k + 1) / 500) ** 4);
  const { values } = scaled(squares, 'quantile');
  for (let row = 0; row < 5; row += 1)
    assert.equal(values.filter((v) => Math.min(4, Math.floor(5 * v)) === row).length, 100);
  const log = scaled(Float32Array.from([0.001, 0.01, 0.1, 1]), 'log');
  near(log.values[1] - log.values[0], Math.log(10), 1e-5);
  near(log.values[3] - log.values[2], Math.log(10), 1e-5);
  near(log.valueAt(0.5), Math.sqrt(log.valueAt(0) * log.valueAt(1)), 1e-6);
  assert.deepEqual(Array.from(scaled(new Float32Array(4), 'quantile').values), [0, 0, 0, 0]);
});
