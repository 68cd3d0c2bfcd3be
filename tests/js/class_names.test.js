import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classStarts } from '../../psr_studio/ui/static/core/model.js';
import { above, anchors, thinned } from '../../psr_studio/ui/static/map/class_names.js';
import { always } from './random.js';

/** @import { Point } from '../../psr_studio/ui/static/core/types' */

test('the name of a class stands at one of its own candidates, in the larger of two clusters', () => {
  always((random) => {
    const sizes = Array.from({ length: random.integer(1, 5) }, () => random.integer(0, 30));
    const starts = classStarts(sizes);
    const xy = random.reals(2 * starts[sizes.length], -1, 1);
    const found = anchors(xy, starts);
    sizes.forEach((n, c) => {
      const anchor = found[c];
      assert.equal(Boolean(anchor), n > 0);
      if (!anchor) return;
      for (const position of [anchor.middle, anchor.top])
        assert.ok(position >= starts[c] && position < starts[c + 1]);
      assert.ok(xy[2 * anchor.top + 1] >= xy[2 * anchor.middle + 1]);
    });
    const [few, many] = [random.integer(1, 8), random.integer(9, 20)];
    const apart = Float32Array.from(
      { length: 2 * (few + many) },
      (_, k) => random.real(0, 1) + (k < 2 * few ? 9 : 0),
    );
    assert.ok((anchors(apart, [0, few + many])[0]?.middle ?? -1) >= few);
  });
});

test('a name stands above most points of a small class, and within three lines of the middle of any', () => {
  always((random) => {
    const n = random.integer(1, 40);
    for (const size of [random.real(1, 25), random.real(25, 900)]) {
      const xy = random.reals(2 * n, 0, size);
      const [anchor] = anchors(xy, [0, n]);
      assert.ok(anchor);
      const place = (/** @type {number} */ i) => /** @type {Point} */ ([xy[2 * i], -xy[2 * i + 1]]);
      const [x, y] = above(place(anchor.middle), place(anchor.top));
      assert.equal(x, place(anchor.middle)[0]);
      assert.ok(place(anchor.middle)[1] - y <= 48 && y < place(anchor.middle)[1]);
      const below = Array.from({ length: n }, (_, i) => place(i)[1]).filter((own) => own >= y + 8).length;
      assert.ok(size > 25 || below >= n / 2, `${below} of ${n} below`);
    }
  });
});

test('names that are kept touch neither each other nor an edge, and the first that fits is among them', () => {
  always((random) => {
    const room = { width: random.integer(100, 900), height: random.integer(60, 700) };
    const names = Array.from({ length: random.integer(1, 60) }, (_, k) => ({
      text: String(k),
      width: random.real(10, 90),
      at: /** @type {Point} */ ([random.real(0, room.width), random.real(0, room.height)]),
    }));
    const kept = thinned(names, room);
    kept.forEach((name, k) => {
      assert.ok(name.at[0] - name.width / 2 >= 0 && name.at[0] + name.width / 2 <= room.width);
      for (const other of kept.slice(0, k)) {
        const [dx, dy] = [Math.abs(name.at[0] - other.at[0]), Math.abs(name.at[1] - other.at[1])];
        assert.ok(dx >= (name.width + other.width) / 2 || dy >= 16, `${name.text} touches ${other.text}`);
      }
    });
    const fits = names.find(
      ({ at: [x, y], width }) =>
        x >= width / 2 && x <= room.width - width / 2 && y >= 8 && y <= room.height - 8,
    );
    assert.equal(kept[0], fits);
  });
});
