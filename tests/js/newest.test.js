import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newestOnly } from '../../psr_studio/ui/static/core/newest.js';

/** @param {number} ms */
const pause = (ms) => new Promise((over) => setTimeout(over, ms));

/** What is run, and how many run at a time. @param {number} takes milliseconds @param {number} least */
function counted(takes, least) {
  /** @type {{ wanted: number, at: number }[]} */
  const runs = [];
  let now = 0;
  let most = 0;
  const newest = newestOnly(async (/** @type {number} */ wanted) => {
    now += 1;
    most = Math.max(most, now);
    runs.push({ wanted, at: performance.now() });
    await pause(takes);
    now -= 1;
  }, least);
  return { newest, runs, most: () => most };
}

for (const [takes, least] of [
  [5, 30],
  [30, 5],
])
  test(`of a stream one at a time is run, no sooner than allowed, and the newest at last (${takes}, ${least})`, async () => {
    const { newest, runs, most } = counted(takes, least);
    for (let k = 0; k < 40; k += 1) {
      newest.ask(k);
      await pause(3);
    }
    await pause(3 * Math.max(takes, least));
    assert.equal(most(), 1);
    assert.equal(runs[runs.length - 1].wanted, 39);
    assert.ok(runs.length >= 2 && runs.length <= 40, `${runs.length} runs`);
    runs.slice(1).forEach(({ wanted, at }, k) => {
      assert.ok(wanted > runs[k].wanted);
      assert.ok(at - runs[k].at >= Math.max(takes, least) - 2);
    });
  });

test('what is dropped in the moment it is asked for, or while another runs, is never run', async () => {
  const { newest, runs } = counted(20, 0);
  newest.ask(1);
  newest.drop();
  await pause(10);
  assert.deepEqual(runs, []);
  newest.ask(2);
  await pause(10);
  newest.ask(3);
  newest.drop();
  await pause(60);
  assert.deepEqual(
    runs.map(({ wanted }) => wanted),
    [2],
  );
});
