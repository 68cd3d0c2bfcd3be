import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStore, INITIAL, ready } from '../../psr_studio/ui/static/core/store.js';

test('a listener is called once, after all keys are in place, with those that changed', () => {
  const store = createStore(INITIAL);
  /** @type {unknown[]} */
  const heard = [];
  store.on(['ipc', 'tool'], (data, changed) => heard.push([data.ipc, data.tool, changed]));
  store.set({ tool: 'lasso', ipc: 3, follow: INITIAL.follow });
  assert.deepEqual(heard, [[3, 'lasso', ['tool', 'ipc']]]);
});

test('nobody is called for a key that keeps its value, for keys of others, or after the end', () => {
  const store = createStore(INITIAL);
  let calls = 0;
  const stop = store.on(['ipc'], () => {
    calls += 1;
  });
  store.set({ ipc: INITIAL.ipc });
  store.set({ tool: 'box' });
  assert.equal(calls, 0);
  store.set({ ipc: 1 });
  stop();
  store.set({ ipc: 2 });
  assert.equal(calls, 1);
});

test('who begins to listen while a change is told is not told that one', () => {
  const store = createStore(INITIAL);
  let late = 0;
  const stop = store.on(['ipc'], () => {
    stop();
    store.on(['ipc'], () => {
      late += 1;
    });
  });
  store.set({ ipc: 1 });
  assert.equal(late, 0);
  store.set({ ipc: 2 });
  assert.equal(late, 1);
});

test('stores share nothing with each other, and none is ready before a pool is there', () => {
  const [one, other] = [createStore(INITIAL), createStore(INITIAL)];
  const { ipc } = INITIAL;
  one.set({ ipc: ipc + 1 });
  assert.deepEqual([other.data.ipc, INITIAL.ipc], [ipc, ipc]);
  assert.throws(() => ready(one), /no pool/);
});

test('of a passing change only those who follow hear at once, the others when it settles', () => {
  const store = createStore(INITIAL);
  /** @type {string[]} */
  const heard = [];
  store.on(['ipc', 'tool'], (_, changed) => heard.push(`pane ${changed}`));
  store.on(['ipc'], ({ ipc }) => heard.push(`map ${ipc}`), { follows: true });
  store.set({ ipc: 2 }, { passing: true });
  store.set({ ipc: 3 }, { passing: true });
  store.set({ tool: 'lasso' });
  assert.deepEqual(heard.splice(0), ['map 2', 'map 3', 'pane tool']);
  store.settle();
  store.settle();
  assert.deepEqual(heard.splice(0), ['pane ipc']);
  store.set({ ipc: 4, tool: 'box' }, { passing: true });
  store.set({ ipc: 5 });
  assert.deepEqual(heard, ['map 4', 'pane ipc,tool', 'map 5']);
});
