import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contours, density, mapLines, pointDensities } from '../../psr_studio/ui/static/map/density.js';
import { always, near, Random } from './random.js';

/** @import { Ready } from '../../psr_studio/ui/static/core/types' */

const SIDE = 2;
const box = { x0: -1, x1: 1, y0: -1, y1: 1 };

/** Points of two round heaps. @param {Random} random @param {number} n */
function heaps(random, n) {
  const bell = () => random.reals(6, -1, 1).reduce((sum, value) => sum + value, 0) / 6;
  return Float32Array.from({ length: 2 * n }, (_, i) => 0.4 * bell() + (i < n ? -0.5 : 0.5));
}

/** Whether a point lies in lines, by how often a ray to the right crosses them. @param {Float32Array} ends @param {number} x @param {number} y */
function isInside(ends, x, y) {
  let crossings = 0;
  for (let i = 0; i < ends.length; i += 4) {
    const [x0, y0, x1, y1] = ends.subarray(i, i + 4);
    if (y0 > y !== y1 > y && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0)) crossings += 1;
  }
  return crossings % 2 === 1;
}

test('every line closes: where a piece ends another one does, and no third', () => {
  always((random) => {
    const ends = contours(heaps(random, random.integer(8, 60)), SIDE, [random.real(0.1, 1)]);
    /** @type {Map<string, number>} */
    const met = new Map();
    for (let i = 0; i < ends.length; i += 2) {
      const key = `${ends[i]},${ends[i + 1]}`;
      met.set(key, (met.get(key) ?? 0) + 1);
    }
    assert.ok(met.size > 0 && [...met.values()].every((n) => n % 2 === 0));
  });
});

test('a line holds its share of the points, within what a cell of the raster moves', () => {
  const random = new Random(5);
  const xy = heaps(random, 600);
  for (const share of [0.3, 0.5, 0.9]) {
    const ends = contours(xy, SIDE, [share]);
    let held = 0;
    for (let i = 0; i < xy.length; i += 2) held += Number(isInside(ends, xy[i], xy[i + 1]));
    near(held / 600, share, 0.04);
  }
});

test('the density of points is theirs wherever they lie, and the more the denser', () => {
  const xy = heaps(new Random(7), 300);
  const moved = xy.map((value) => value + 0.25);
  const [here, there] = [xy, moved].map((points) => pointDensities(density(points, SIDE / 100), points));
  for (const [i, value] of here.entries()) near(value / there[i], 1, 0.1);
  const twice = Float32Array.from([...xy, ...xy]);
  const doubled = pointDensities(density(twice, SIDE / 100), xy);
  for (const [i, value] of doubled.entries()) near(value / here[i], 2, 1e-3);
});

test('lines are of all, of each class in its own colour, or of the one shown alone; too few points have none', () => {
  const xy = Float32Array.from([...heaps(new Random(1), 40), ...heaps(new Random(2), 40), 0, 0]);
  const data = (/** @type {number | null} */ solo) =>
    /** @type {Ready} */ (
      /** @type {unknown} */ ({ layout: { xy }, sprites: { starts: Uint32Array.of(0, 40, 80, 81) }, solo })
    );
  const colours = (/** @type {number | null} */ solo, /** @type {'all' | 'class'} */ kind) =>
    [...new Set(mapLines(data(solo), box, kind)?.classes)].sort();
  assert.deepEqual(colours(null, 'all'), [-1]);
  assert.deepEqual(colours(null, 'class'), [0, 1]);
  assert.deepEqual([colours(1, 'all'), colours(1, 'class')], [[1], [1]]);
  assert.equal(mapLines(data(null), box, 'none'), null);
});
