import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../psr_studio/ui/static/core/api.js';
import { completions } from '../../psr_studio/ui/static/core/completions.js';
import { foundPatch, lasso, lassoWord, unlasso } from '../../psr_studio/ui/static/core/lasso.js';
import { createSearch } from '../../psr_studio/ui/static/core/search.js';
import { makeSelection } from '../../psr_studio/ui/static/core/selection.js';
import { createStore, INITIAL } from '../../psr_studio/ui/static/core/store.js';
import { sections } from '../../psr_studio/ui/static/grid/layout.js';
import { sorter } from '../../psr_studio/ui/static/grid/sort.js';
import { always } from './random.js';

/** @import { Found, Ready } from '../../psr_studio/ui/static/core/types' */
/** @typedef {Pick<Found, 'positions' | 'of'> & Partial<Found>} Answer an answer that looks near to nothing may leave that out */

const N = 12;
const CLAUSES = ['difficulty >', 'picked', 'pinned', 'class boot', 'class "Shirt, long"', 'tag blurry'];

/** A pool of `N`, and a search whose answers are those of `where`. @param {(query: string) => Promise<Answer>} where */
function searching(where) {
  const data = { ...INITIAL, phase: 'ready', info: { n: N }, selection: makeSelection(N, []) };
  const store = createStore(/** @type {Ready} */ (/** @type {unknown} */ (data)));
  /** @type {string[]} */
  const asked = [];
  const search = createSearch({
    store,
    api: {
      where: async (query) => {
        asked.push(query);
        return { apart: null, ...(await where(query)) };
      },
    },
  });
  return { store, search, asked };
}

/** @param {() => boolean} holds */
async function until(holds) {
  while (!holds()) await new Promise((later) => setTimeout(later, 5));
}

/** @param {ReturnType<typeof searching>['store']} store */
const lassoed = ({ data }) => Array.from(data.selection?.list ?? []);

test('what a query finds is lassoed and listed, none found is an empty list, and leaving leads back', async () => {
  /** @type {Record<string, number[]>} */
  const answers = { picked: [1, 4, 7], vetoed: [] };
  const { store, search } = searching(async (query) => ({ positions: answers[query], of: N }));
  store.set({ gridMode: 'pool', listBefore: 'pool' });
  for (const [query, positions] of Object.entries(answers)) {
    search.ask(` ${query} `);
    assert.equal(search.text, query, 'what is on its way is named already');
    await until(() => store.data.found === query);
    assert.deepEqual([lassoed(store), store.data.gridMode], [positions, 'selection']);
    assert.equal(store.data.said, `${positions.length} of ${N} found`);
  }
  search.ask('');
  assert.deepEqual([store.data.found, store.data.gridMode, lassoed(store)], [null, 'pool', []]);
});

test('a refused query says so and loses nothing', async () => {
  const { store, search } = searching(async (query) => {
    if (query === 'pickd') throw new ApiError('"pickd" is no clause.', 'Did you mean "picked"?', 400);
    return { positions: [2, 3], of: N };
  });
  search.ask('picked');
  await until(() => store.data.found !== null);
  search.ask('pickd');
  await until(() => store.data.refused !== null);
  assert.deepEqual(store.data.refused, {
    text: 'pickd',
    message: '"pickd" is no clause. Did you mean "picked"?',
  });
  assert.deepEqual([store.data.found, search.text, lassoed(store)], ['picked', 'picked', [2, 3]]);
  search.leave();
  assert.deepEqual([store.data.refused, search.text], [null, '']);
});

test('what was found is found again when the picks change, wherever the grid is, until something else is lassoed', async () => {
  let positions = [0, 5];
  const { store, search, asked } = searching(async () => ({ positions, of: N }));
  search.ask('not picked');
  await until(() => store.data.found !== null);
  positions = [5, 6, 7];
  store.set({ gridMode: 'picks' });
  store.set({ picks: /** @type {Ready['picks']} */ (/** @type {unknown} */ ({})) });
  await until(() => lassoed(store).length === 3);
  assert.deepEqual([lassoed(store), store.data.gridMode], [positions, 'picks']);
  lasso(store, [9], 'add');
  assert.deepEqual([lassoed(store), store.data.found, search.text], [[5, 6, 7, 9], null, '']);
  const before = asked.length;
  store.set({ picks: null });
  await new Promise((later) => setTimeout(later, 350));
  assert.equal(asked.length, before);
});

test('an answer for another pool, or one that has been left, shows nothing', async () => {
  /** @type {((found: Answer) => void)[]} */
  const open = [];
  const { store, search } = searching(() => new Promise((answer) => open.push(answer)));
  search.ask('picked');
  await until(() => open.length === 1);
  search.leave();
  open[0]({ positions: [1], of: N });
  await new Promise((later) => setTimeout(later, 10));
  assert.deepEqual([store.data.found, lassoed(store)], [null, []]);
  search.ask('pinned');
  await until(() => open.length === 2);
  open[1]({ positions: [1], of: N + 3 });
  await new Promise((later) => setTimeout(later, 10));
  assert.deepEqual([store.data.found, lassoed(store), search.text], [null, [], 'pinned']);
});

test('the lassoed are called found exactly while they are what a query found', () => {
  const { store } = searching(async () => ({ positions: [], of: N }));
  store.set(foundPatch(store.data, 'picked', makeSelection(N, [1]), true));
  assert.equal(lassoWord(store.data), 'found');
  unlasso(store);
  assert.equal(lassoWord(store.data), 'lassoed');
});

test('a comparison keeps its lists while something is found', () => {
  const compare = { a: 'x', b: 'y', view: /** @type {const} */ ('overlay'), dockBefore: null };
  const patch = foundPatch(
    { gridMode: 'b', listBefore: 'picks', compare },
    'picked',
    makeSelection(3, [1]),
    true,
  );
  assert.deepEqual([patch.gridMode, patch.found], [undefined, 'picked']);
});

test('a query is completed in its last clause, outside of quotes, with "not" kept', () => {
  assert.deepEqual(completions('', CLAUSES), CLAUSES);
  assert.deepEqual(completions('pi', CLAUSES), ['picked', 'pinned']);
  assert.deepEqual(completions('picked, NOT Class b', CLAUSES), ['picked, NOT class boot']);
  assert.deepEqual(completions('class "Shirt, long",t', CLAUSES), ['class "Shirt, long", tag blurry']);
  assert.deepEqual(completions('class "Shirt, p', CLAUSES), []);
  assert.deepEqual(completions('picked', CLAUSES), [], 'what is whole is not offered');
});

test('completing keeps what stands before, whatever it is', () => {
  always((random) => {
    const some = random.shuffled(CLAUSES).slice(0, random.integer(0, 4));
    const head = some.map((clause) => `${clause},`).join(' ');
    const whole = random.shuffled(CLAUSES)[0];
    const begun = whole.slice(0, random.integer(1, whole.length - 1));
    const offered = completions(`${head} ${begun}`, CLAUSES);
    assert.ok(offered.includes(`${head} ${whole}`));
    assert.ok(offered.every((text) => text.startsWith(head)));
  });
});

test('what a query looks near to is listed by distance, the nearest class first, until something else is lassoed', async () => {
  const answer = { positions: [1, 2, 7, 8], apart: [0.9, 0.4, 0.2, 0.5], of: N };
  const { store, search } = searching(async () => answer);
  search.ask('near 7');
  await until(() => store.data.found !== null);
  const label = Uint16Array.from({ length: N }, (_, position) => (position < 6 ? 0 : 1));
  const shown = { info: { class_names: ['boot', 'coat'] }, points: { label }, sort: 'order' };
  const data = /** @type {Ready} */ (/** @type {unknown} */ ({ ...store.data, ...shown }));
  const list = sections(data, [0, 6, N], sorter(data)).map(({ classId, positions }) => [classId, positions]);
  assert.deepEqual(list, [
    [1, [7, 8]],
    [0, [2, 1]],
  ]);
  lasso(store, [3], 'replace');
  assert.equal(store.data.apart, null);
});
