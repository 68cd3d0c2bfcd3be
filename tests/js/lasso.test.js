import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lasso, lassoPatch, markListed, pickedOf, unlasso } from '../../psr_studio/ui/static/core/lasso.js';
import { makeSelection } from '../../psr_studio/ui/static/core/selection.js';
import { createStore, INITIAL } from '../../psr_studio/ui/static/core/store.js';
import { buildFlags, PICKED, RINGED, SELECTED, STRONG } from '../../psr_studio/ui/static/map/flags.js';
import { always } from './random.js';

/** @import { Picks, Ready } from '../../psr_studio/ui/static/core/types' */
/** @import { Random } from './random.js' */

/** A pool in which some are picked. @param {Random} random */
function pool(random) {
  const n = random.integer(1, 40);
  const index = new Int32Array(n).fill(-1);
  const order = Uint32Array.from(random.shuffled(random.some(n, 0.4)));
  order.forEach((position, k) => {
    index[position] = k;
  });
  const picks = /** @type {Picks} */ ({ index, order, filled: new Uint8Array(order.length) });
  const points = /** @type {Ready['points']} */ ({
    label: new Uint16Array(n),
    eligible: new Uint8Array(n).fill(1),
  });
  const data = { ...INITIAL, phase: 'ready', info: { n }, picks, points, selection: makeSelection(n, []) };
  return { n, picks, store: createStore(/** @type {Ready} */ (/** @type {unknown} */ (data))) };
}

test('what is lassoed elsewhere is listed at once, and what was listed before comes back with the last of it', () => {
  always((random) => {
    const { n, store } = pool(random);
    const before = random.shuffled(/** @type {const} */ (['picks', 'pool']))[0];
    store.set({ gridMode: before, listBefore: before });
    lasso(store, random.shuffled([...Array(n).keys()]).slice(0, random.integer(1, n)));
    assert.equal(store.data.gridMode, 'selection');
    if (random.next() < 0.5) unlasso(store);
    else lasso(store, Array.from(store.data.selection?.list ?? []), 'remove');
    assert.deepEqual([store.data.gridMode, store.data.selection?.count], [before, 0]);
  });
});

test('what is marked out in the grid leaves the list alone, until the lassoed it lists are gone', () => {
  always((random) => {
    const { n, store } = pool(random);
    const at = random.integer(0, n - 1);
    markListed(store, [at], 'toggle');
    assert.deepEqual([store.data.gridMode, store.data.selection?.count], ['picks', 1]);
    store.set({ gridMode: 'selection' });
    markListed(store, [at], 'toggle');
    assert.equal(store.data.gridMode, 'picks');
  });
});

test('a comparison keeps its lists', () => {
  const compare = { a: 'x', b: 'y', view: /** @type {const} */ ('overlay'), dockBefore: null };
  const patch = lassoPatch({ gridMode: 'b', listBefore: 'picks', compare }, makeSelection(3, [1]), true);
  assert.equal(patch.gridMode, undefined);
});

test('the lassoed are strong, every pick keeps a ring, and both are counted', () => {
  always((random) => {
    const { n, picks, store } = pool(random);
    const chosen = random.some(n, 0.5);
    lasso(store, chosen);
    const { selection } = store.data;
    assert.ok(selection);
    assert.equal(pickedOf(store.data, selection), chosen.filter((i) => picks.index[i] >= 0).length);
    const { flags } = buildFlags(/** @type {Ready} */ (store.data));
    flags.forEach((flag, i) => {
      const isPick = picks.index[i] >= 0;
      assert.equal((flag & PICKED) !== 0, isPick);
      assert.equal((flag & RINGED) !== 0, isPick && chosen.length > 0);
      assert.equal((flag & STRONG) !== 0, chosen.length ? (flag & SELECTED) !== 0 : isPick);
    });
  });
});
