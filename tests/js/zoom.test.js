import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FITTED, fitScale, kept, zoomed } from '../../psr_studio/ui/static/core/zoom.js';
import { always, near } from './random.js';

/** @import { Point } from '../../psr_studio/ui/static/core/types' */
/** @import { Random } from './random.js' */

/** @param {Random} random */
const sizes = (random) => ({
  picture: { width: random.integer(1, 600), height: random.integer(1, 600) },
  box: { width: random.integer(50, 1200), height: random.integer(50, 900) },
});

/** @param {Random} random @param {{ width: number, height: number }} box @returns {Point} */
const inside = (random, { width, height }) => [
  random.real(-width / 2, width / 2),
  random.real(-height / 2, height / 2),
];

test('a fitted picture touches two sides of its box and leaves none', () => {
  always((random) => {
    const { picture, box } = sizes(random);
    const k = fitScale(picture, box);
    near(Math.max((picture.width * k) / box.width, (picture.height * k) / box.height), 1);
    assert.deepEqual(kept(FITTED, picture, box), FITTED);
    assert.equal(kept({ zoom: 0.2, x: 40, y: -3 }, picture, box).zoom, 1);
  });
});

test('what lies under the pointer stays there while the picture covers the box', () => {
  always((random) => {
    const { picture, box } = sizes(random);
    const at = inside(random, box);
    const first = zoomed(FITTED, random.real(1, 6), inside(random, box), picture, box);
    const next = zoomed(first, random.real(1, 4), at, picture, box);
    const k = fitScale(picture, box);
    for (const [axis, side, p] of /** @type {const} */ ([
      ['x', 'width', at[0]],
      ['y', 'height', at[1]],
    ])) {
      const spare = (picture[side] * k * next.zoom - box[side]) / 2;
      if (Math.abs(next[axis]) >= spare - 1e-6) continue; // held back at an edge
      near((p - next[axis]) / next.zoom, (p - first[axis]) / first.zoom, 1e-6 * box[side]);
    }
  });
});

test('a picture larger than its box never shows a gap at an edge, a smaller one stands in the middle', () => {
  always((random) => {
    const { picture, box } = sizes(random);
    let placed = FITTED;
    for (let step = 0; step < 6; step += 1) {
      placed = zoomed(placed, random.real(0.3, 3), inside(random, box), picture, box);
      placed = kept({ ...placed, x: placed.x + random.real(-900, 900), y: placed.y - 500 }, picture, box);
      const k = fitScale(picture, box) * placed.zoom;
      for (const [axis, side] of /** @type {const} */ ([
        ['x', 'width'],
        ['y', 'height'],
      ])) {
        const spare = Math.max(0, (picture[side] * k - box[side]) / 2);
        assert.ok(Math.abs(placed[axis]) <= spare + 1e-6);
      }
    }
  });
});
