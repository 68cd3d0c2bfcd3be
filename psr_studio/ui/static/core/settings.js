// Pure functions over the settings of the selection: selector, parameters, weights, budgets, locks.

/** @import { Change, Parameter, Preset, Rules, Settings, State, WeightKey, Weights } from './types' */

/** @type {WeightKey[]} */
export const WEIGHT_KEYS = ['alpha', 'beta', 'gamma'];

/**
 * What an answer says about the selector, budgets and locks, as keys of the store.
 * @param {Rules} header
 * @param {State} data keeps its set of locks where nothing changed, so that nobody listening to it redraws
 */
export const rulesOf = (header, data) => ({
  settings: header.settings,
  budgets: header.budgets,
  least: header.least,
  spread: header.spread,
  ownBudgets: header.own_budgets,
  locked: asSet(header.locked, data.locked),
  pinned: asSet(header.pinned, data.pinned),
  vetoed: asSet(header.vetoed, data.vetoed),
  tags: header.tags,
  tagged: JSON.stringify(header.tagged) === JSON.stringify(data.tagged) ? data.tagged : header.tagged,
  undo: header.undo,
  redo: header.redo,
});

/** @param {number[]} list @param {Set<number>} old */
const asSet = (list, old) =>
  list.length === old.size && list.every((item) => old.has(item)) ? old : new Set(list);

/**
 * Two waiting changes as one request: the later value wins, budgets of different classes are both kept.
 * @param {Change} first
 * @param {Change} second
 * @returns {Change}
 */
export function mergeBodies(first, second) {
  const merged = { ...first, ...second };
  if (first.own_budgets && second.own_budgets)
    merged.own_budgets = { ...first.own_budgets, ...second.own_budgets };
  return merged;
}

/** @param {Weights} a @param {Weights} b */
export const sameWeights = (a, b) => WEIGHT_KEYS.every((key) => Math.abs(a[key] - b[key]) < 1e-9);

/** The first preset that reaches so many images per class. @param {Preset[]} presets @param {number} ipc */
export function presetFor(presets, ipc) {
  const row = presets.find(({ max_ipc: most }) => most === null || ipc <= most);
  return (row ?? presets[presets.length - 1]).weights;
}

/** @param {{ weights: Weights, ipc: number, ipc_presets: Preset[] }} state */
export const followsPreset = ({ weights, ipc, ipc_presets: presets }) =>
  sameWeights(weights, presetFor(presets, ipc));

/** "K up to 10", "K from 11 to 49", "K from 50". @param {Preset[]} presets @param {number} k */
export function presetName(presets, k) {
  const most = presets[k].max_ipc;
  if (k === 0) return most === null ? 'Any K' : `K up to ${most}`;
  const least = Number(presets[k - 1].max_ipc) + 1;
  return most === null ? `K from ${least}` : `K from ${least} to ${most}`;
}

/**
 * Move one weight and scale the two others so that the sum stays; equal shares when both are 0.
 * @param {Weights} weights
 * @param {WeightKey} key
 * @param {number} value
 * @param {number} max of each
 */
export function withSumKept(weights, key, value, max) {
  const sum = WEIGHT_KEYS.reduce((total, name) => total + weights[name], 0);
  // The two others together hold at most twice the largest weight.
  const mine = Math.max(Math.min(value, sum, max), sum - 2 * max);
  const others = WEIGHT_KEYS.filter((name) => name !== key);
  const rest = others.reduce((total, name) => total + weights[name], 0);
  const next = { ...weights, [key]: mine };
  for (const name of others) {
    const share = rest > 0 ? weights[name] / rest : 1 / others.length;
    next[name] = Math.round((sum - mine) * share * 1e4) / 1e4;
  }
  // What does not fit one of them goes to the other.
  const [a, b] = others;
  const over = Math.max(0, next[a] - max) - Math.max(0, next[b] - max);
  next[a] -= over;
  next[b] += over;
  return next;
}

/** The selector of the settings, as the server describes it. @param {State} data */
export const selectorOf = ({ info, settings }) =>
  info?.selectors.find((selector) => selector.name === settings?.selector);

/**
 * True when the selection on screen reads alpha, beta and gamma, and before anything is known of it.
 * @param {State} data
 */
export function readsWeights(data) {
  const selector = selectorOf(data);
  if (!selector) return true;
  const alpha = selector.parameters.find(({ name }) => name === WEIGHT_KEYS[0]);
  return alpha !== undefined && (!data.settings || !isIdle(alpha, data.settings));
}

/**
 * The weights on the sliders under the name of the selector that reads them; none that no selector reads.
 * @param {State} data
 * @returns {Change}
 */
export function ownWeights(data) {
  if (!readsWeights(data)) return {};
  const of = data.settings ? `${data.settings.selector}.` : '';
  return Object.fromEntries(WEIGHT_KEYS.map((key) => [`${of}${key}`, data.weights[key]]));
}

/**
 * Parameters that do nothing under the other settings are not worth a place on the screen.
 * @param {Parameter} parameter
 * @param {Settings} settings
 */
export function isIdle({ when }, settings) {
  return when !== null && settings[when[0]] !== when[1];
}
