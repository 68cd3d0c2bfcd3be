import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bounds,
  buildPicks,
  classStarts,
  describe,
  diffPicks,
  inSolo,
  listedClasses,
  minMax,
  robustRange,
  scoreOf,
  signalOf,
  termsNow,
  totalScores,
} from '../../psr_studio/ui/static/core/model.js';
import { always, near } from './random.js';

/** @import { Random } from './random.js' */

/** A selection from classes of some sizes, as the server answers it. @param {Random} random */
function selected(random) {
  const counts = Array.from({ length: random.integer(1, 4) }, () => random.integer(0, 9));
  const starts = classStarts(counts);
  const label = counts.flatMap((n, c) => new Array(n).fill(c));
  const order = counts.flatMap((n, c) => random.shuffled(random.some(n, 0.5)).map((i) => starts[c] + i));
  const substituted = counts.map((_, class_id) => ({
    class_id,
    bin: 0,
    wanted: 1,
    taken_from: 1,
    count: class_id,
  }));
  const header = {
    n: label.length,
    selector: 'dgs',
    substituted,
    shortfall: counts.map((_, c) => c + 3),
    short_because: '',
    message: '',
  };
  const arrays = {
    picks: Uint32Array.from(order),
    pick_class: Uint16Array.from(order, (position) => label[position]),
    scores: new Float32Array(order.length),
    terms: new Float32Array(3 * order.length),
    filled: new Uint8Array(order.length),
  };
  return {
    counts,
    starts,
    label,
    order,
    picks: buildPicks(header, /** @type {any} */ (arrays), counts.length),
  };
}

/** @param {Random} random @param {number} n */
const drawnPoints = (random, n) =>
  /** @type {any} */ ({
    label: new Uint16Array(n),
    rel_n: random.reals(n, 0, 1),
    ent_n: random.reals(n, 0, 1),
    diversity: random.reals(n, 0, 1),
    reliability: random.reals(n, 0, 1),
    eligible: new Uint8Array(n),
    temperature: 1.5,
  });

test('classes stand one after the other, from 0 to the end of the pool', () => {
  always((random) => {
    const { counts, starts, label } = selected(random);
    assert.equal(starts[counts.length], label.length);
    label.forEach((c, position) => {
      assert.ok(starts[c] <= position && position < starts[c + 1]);
    });
  });
});

test('picks are indexed both ways, and by class in pick order', () => {
  always((random) => {
    const { picks, order, label, counts } = selected(random);
    assert.deepEqual(
      [...picks.index],
      label.map((_, position) => order.indexOf(position)),
    );
    assert.deepEqual(picks.byClass.flat(), order);
    order.forEach((position, i) => {
      assert.equal(picks.byClass[label[position]][picks.rank[i]], position);
    });
    assert.deepEqual(
      picks.shortfall,
      counts.map(() => 3),
    );
    assert.equal(picks.total, order.length);
  });
});

test('what was there, without the dropped, with the added, is what is there now', () => {
  always((random) => {
    const before = selected(random);
    const after = { ...before.picks, order: Uint32Array.from(random.some(before.label.length, 0.5)) };
    after.index = Int32Array.from(before.label, (_, position) => after.order.indexOf(position));
    const diff = diffPicks(before.picks, after);
    assert.ok(diff);
    const kept = before.order.filter((position) => !diff.dropped.includes(position));
    assert.deepEqual(
      [...kept, ...diff.added].sort((a, b) => a - b),
      [...after.order],
    );
    assert.deepEqual(diffPicks(after, after), { added: [], dropped: [] });
    assert.equal(diffPicks(null, after), null);
  });
});

test('a score is the sum of its three terms, of a pick the one when it was taken', () => {
  always((random) => {
    const points = drawnPoints(random, random.integer(1, 20));
    const weights = { alpha: random.real(0, 5), beta: random.real(0, 5), gamma: random.real(0, 5) };
    const out = new Float32Array(points.label.length);
    const total = totalScores(points, weights, out);
    assert.equal(total, out);
    total.forEach((score, i) => {
      near(
        score,
        termsNow(points, weights, i).reduce((sum, term) => sum + term),
        1e-5,
      );
    });
    assert.equal(totalScores(points, weights, new Float32Array(0)).length, out.length);
    const index = Int32Array.from(points.label, () => random.integer(-1, 2));
    const scores = random.reals(3, -9, 9);
    const picks = /** @type {any} */ ({ index, scores });
    total.forEach((score, i) => {
      near(scoreOf({ points, weights, picks }, i), index[i] < 0 ? score : scores[index[i]], 1e-5);
    });
  });
});

test('a range holds all values that count, and both of its ends are among them', () => {
  always((random) => {
    const values = random.reals(random.integer(1, 30), -5, 5);
    const mask = values.map(() => random.integer(0, 1));
    const counted = mask.includes(1) ? values.filter((_, i) => mask[i]) : values;
    assert.deepEqual(minMax(values, mask), [Math.min(...counted), Math.max(...counted)]);
    assert.deepEqual(minMax([]), [0, 1]);
  });
});

test('one value far off does not use up a robust range', () => {
  always((random) => {
    const values = random.reals(100, 0, 1);
    values[random.integer(0, 99)] = 1000;
    const [low, high] = robustRange(values);
    assert.ok(low >= 0 && low < high && high <= 1);
  });
  assert.deepEqual(robustRange(Float32Array.of(0, 0, 0, 3)), [0, 3]);
  assert.deepEqual(
    [robustRange([]), robustRange([2, 2])],
    [
      [0, 1],
      [2, 2],
    ],
  );
});

test('a box around points holds each of them, and is no larger', () => {
  always((random) => {
    const n = random.integer(1, 20);
    const xy = random.reals(2 * n, -3, 3);
    const some = random.some(n, 0.5);
    const box = bounds(xy, some);
    if (!some.length) assert.deepEqual(box, { x0: -1, x1: 1, y0: -1, y1: 1 });
    else {
      const [x, y] = [0, 1].map((axis) => some.map((i) => xy[2 * i + axis]));
      assert.deepEqual(box, {
        x0: Math.min(...x),
        x1: Math.max(...x),
        y0: Math.min(...y),
        y1: Math.max(...y),
      });
    }
    assert.deepEqual(
      bounds(xy),
      bounds(
        xy,
        Array.from({ length: n }, (_, i) => i),
      ),
    );
  });
});

test('a candidate is told by its mark, then its place among the picks, then why it is none', () => {
  always((random) => {
    const { picks, label, order } = selected(random);
    const eligible = new Uint8Array(label.length).fill(1);
    const data = /** @type {any} */ ({
      points: { label, eligible },
      pinned: new Set(),
      vetoed: new Set(),
      picks,
    });
    label.forEach((c, position) => {
      const place = picks.byClass[c].indexOf(position) + 1;
      const all = picks.byClass[c].length;
      const words = place ? `Pick ${place} of ${all} ${all === 1 ? 'pick' : 'picks'}` : 'Not picked';
      assert.equal(describe(data, position), words);
      assert.equal(describe({ ...data, vetoed: new Set([position]) }, position), 'Vetoed');
      assert.ok(describe({ ...data, pinned: new Set([position]) }, position).includes('pinned'));
    });
    eligible.fill(0);
    for (const position of label.keys())
      assert.equal(describe(data, position).includes('not eligible'), !order.includes(position));
  });
});

test('signals are shown as they are, near-duplicates as 1 before they are known; one class alone hides the others', () => {
  const points = /** @type {any} */ ({ label: [0, 1], entropy: [0.1, 0.2] });
  const data = /** @type {any} */ ({ points, near: null, solo: 1 });
  assert.equal(signalOf(data, 'entropy'), points.entropy);
  assert.deepEqual([...(signalOf(data, 'near') ?? [])], [1, 1]);
  assert.equal(signalOf(data, 'total'), null);
  assert.deepEqual(
    [0, 1].map((position) => inSolo(data, position)),
    [false, true],
  );
  assert.ok(inSolo({ ...data, solo: null }, 0));
});

test('a pool of a part of the classes lists these, and others only where something is asked of them', () => {
  const pool = { info: { counts: [0, 5, 0, 3, 0] }, ownBudgets: {}, locked: new Set() };
  assert.deepEqual(listedClasses(pool), [1, 3]);
  assert.deepEqual(listedClasses({ ...pool, ownBudgets: { 2: 4 }, locked: new Set([4]) }), [1, 2, 3, 4]);
});
