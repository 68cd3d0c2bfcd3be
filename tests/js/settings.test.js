import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  followsPreset,
  mergeBodies,
  ownWeights,
  presetFor,
  presetName,
  readsWeights,
  rulesOf,
  WEIGHT_KEYS,
  withSumKept,
} from '../../psr_studio/ui/static/core/settings.js';
import { always, near } from './random.js';

const PRESETS = [
  { max_ipc: 10, weights: { alpha: 3, beta: 1, gamma: 0.5 } },
  { max_ipc: 49, weights: { alpha: 1, beta: 1, gamma: 1 } },
  { max_ipc: null, weights: { alpha: 0.5, beta: 1, gamma: 3 } },
];

test('a moved weight leaves the sum as it was and every weight in its bounds', () => {
  const max = 5;
  always((random) => {
    const [alpha, beta, gamma] = [1, 2, 3].map(() => (random.next() < 0.2 ? 0 : random.real(0, max)));
    const asked = random.real(0, max);
    const moved = withSumKept({ alpha, beta, gamma }, 'beta', asked, max);
    const values = WEIGHT_KEYS.map((key) => moved[key]);
    near(
      values.reduce((sum, value) => sum + value, 0),
      alpha + beta + gamma,
      2e-4,
    );
    assert.ok(
      values.every((value) => value >= -1e-4 && value <= max + 2e-4),
      values.join(),
    );
    const possible = asked <= alpha + beta + gamma && asked >= alpha + beta + gamma - 2 * max;
    if (possible) assert.equal(moved.beta, asked);
  });
});

test('the other two keep their proportion, or share evenly where both are 0', () => {
  assert.deepEqual(withSumKept({ alpha: 2, beta: 1, gamma: 1 }, 'beta', 2.5, 5), {
    alpha: 1,
    beta: 2.5,
    gamma: 0.5,
  });
  assert.deepEqual(withSumKept({ alpha: 0, beta: 2, gamma: 0 }, 'beta', 1, 5), {
    alpha: 0.5,
    beta: 1,
    gamma: 0.5,
  });
});

test('every budget has one preset, in bounds that meet, and follows it while the weights are its own', () => {
  assert.deepEqual(
    [1, 10, 11, 49, 50, 9999].map((ipc) => PRESETS.findIndex((p) => p.weights === presetFor(PRESETS, ipc))),
    [0, 0, 1, 1, 2, 2],
  );
  assert.deepEqual(
    [0, 1, 2].map((k) => presetName(PRESETS, k)),
    ['K up to 10', 'K from 11 to 49', 'K from 50'],
  );
  for (const ipc of [1, 20, 50]) {
    const weights = presetFor(PRESETS, ipc);
    assert.ok(followsPreset({ weights, ipc, ipc_presets: PRESETS }));
    assert.ok(!followsPreset({ weights: { ...weights, beta: 1.01 }, ipc, ipc_presets: PRESETS }));
  }
});

test('of two waiting changes the later value wins, and budgets of different classes are both kept', () => {
  const merged = mergeBodies(
    { ipc: 3, alpha: 1, own_budgets: { 0: 1, 2: 5 } },
    { ipc: 4, own_budgets: { 2: null } },
  );
  assert.deepEqual(merged, { ipc: 4, alpha: 1, own_budgets: { 0: 1, 2: null } });
  assert.deepEqual(mergeBodies({ own_budgets: { 0: 1 } }, { ipc: 2 }).own_budgets, { 0: 1 });
});

test('sets that did not change are kept, so that nobody draws anew', () => {
  const data = /** @type {any} */ ({
    locked: new Set([1]),
    pinned: new Set([2, 3]),
    vetoed: new Set([4, 5]),
  });
  const found = rulesOf(/** @type {any} */ ({ locked: [1], pinned: [3, 2], vetoed: [4] }), data);
  assert.ok(found.locked === data.locked && found.pinned === data.pinned);
  assert.deepEqual([...found.vetoed], [4]);
});

test('weights go to the selector that reads them, under its name, and nowhere else', () => {
  const weights = { alpha: 1, beta: 2, gamma: 3 };
  const alpha = { name: 'alpha', when: ['within_bin', 'psr'] };
  const info = {
    selectors: [
      { name: 'psr', parameters: [{ name: 'alpha', when: null }] },
      { name: 'dgs', parameters: [alpha] },
      { name: 'herding', parameters: [] },
    ],
  };
  const state = (/** @type {object | null} */ settings) => /** @type {any} */ ({ info, settings, weights });
  assert.deepEqual(ownWeights(state(null)), weights);
  assert.deepEqual(ownWeights(state({ selector: 'psr' })), { 'psr.alpha': 1, 'psr.beta': 2, 'psr.gamma': 3 });
  assert.ok(readsWeights(state({ selector: 'dgs', within_bin: 'psr' })));
  for (const settings of [{ selector: 'dgs', within_bin: 'random' }, { selector: 'herding' }])
    assert.deepEqual(ownWeights(state(settings)), {});
});
