import assert from 'node:assert/strict';
import { test } from 'node:test';
import { steadyWalk } from '../../psr_studio/ui/static/core/walk.js';
import { always } from './random.js';

test('a picture that a veto moves to the end of its class keeps its place in the walk', () => {
  const walk = [10, 11, 12, 13, 20, 21]; // two classes; 11 is vetoed, and 14 taken instead
  assert.deepEqual(steadyWalk(walk, [10, 12, 13, 14, 11, 20, 21], 11), [10, 11, 12, 13, 14, 20, 21]);
  assert.deepEqual(steadyWalk([10, 11, 20], [10, 14, 11, 20], 11), [10, 11, 14, 20]);
});

test('the picture that is looked at stays while it is listed no more', () => {
  assert.deepEqual(steadyWalk([1, 2, 3], [1, 3, 4], 2), [1, 2, 3, 4]);
  assert.deepEqual(steadyWalk([1, 2, 3], [0, 1, 3], 1), [1, 0, 3]);
});

test('a walk holds what is listed, each once, and turns no two of the old ones round', () => {
  always((random) => {
    const all = random.shuffled(Array.from({ length: 20 }, (_, i) => i));
    const walk = all.slice(0, random.integer(1, 15));
    const list = random.shuffled(all).slice(0, random.integer(0, 15));
    const here = walk[random.integer(0, walk.length - 1)];
    const next = steadyWalk(walk, list, here);
    assert.deepEqual([...next].sort(), [...new Set([...list, here])].sort());
    assert.deepEqual(
      next.filter((position) => walk.includes(position)),
      walk.filter((position) => next.includes(position)),
    );
  });
});
