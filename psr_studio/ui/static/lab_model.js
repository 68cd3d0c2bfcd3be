// Pure functions behind the lab's panels: no DOM, no network.

export const N_BINS = 10;
export const WEIGHT_KEYS = ['alpha', 'beta', 'gamma'];

/** Shapes a drawn target can start from, easy to hard; the server keeps the same ones. */
export const SHAPES = {
  hill: [1, 2, 3, 4, 5, 5, 4, 3, 2, 1],
  ground: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
  slope: [10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
  cliff: [512, 256, 128, 64, 32, 16, 8, 4, 2, 1],
};

/** What state and answers say about the selector, budgets and locks; keys that an answer leaves out stay. */
export function labState(header, data) {
  const locked = header.locked && new Set(header.locked);
  const same = locked && locked.size === data.locked.size && [...locked].every((c) => data.locked.has(c));
  return {
    settings: header.settings ?? data.settings,
    budgets: header.budgets ?? data.budgets,
    ownBudgets: header.own_budgets ?? data.ownBudgets,
    locked: locked && !same ? locked : data.locked,
    substituted: header.substituted ?? data.substituted,
  };
}

/** Two waiting changes as one request: the later value wins, budgets of different classes are both kept. */
export function mergeBodies(first, second) {
  const merged = { ...first, ...second };
  if (first.own_budgets && second.own_budgets)
    merged.own_budgets = { ...first.own_budgets, ...second.own_budgets };
  return merged;
}

/** Move one weight and scale the two others so that the sum stays; equal shares when both are 0. */
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

/** Bars that sum to 1; all-zero bars become even ones. */
export function normalised(bars) {
  const sum = bars.reduce((total, value) => total + Math.max(0, value), 0);
  return bars.map((value) => (sum > 0 ? Math.max(0, value) / sum : 1 / bars.length));
}

/** Set one bar of a distribution and scale the others, so that the sum stays 1. */
export function withBar(bars, k, value) {
  const mine = Math.max(0, Math.min(1, value));
  const rest = bars.reduce((total, v, i) => total + (i === k ? 0 : v), 0);
  return bars.map((v, i) => {
    if (i === k) return mine;
    return rest > 0 ? (v * (1 - mine)) / rest : (1 - mine) / (bars.length - 1);
  });
}

/** The selector of the settings, as the state describes it; undefined on a server that knows none. */
export const selectorOf = ({ info, settings }) =>
  info?.selectors?.find((selector) => selector.name === settings?.selector);

/** True when the selection on screen reads alpha, beta and gamma. */
export function readsWeights(data) {
  const selector = selectorOf(data);
  if (!selector) return true;
  const alpha = selector.parameters.find(({ name }) => name === WEIGHT_KEYS[0]);
  return Boolean(alpha) && !isIdle(alpha, data.settings);
}

/** The weights on the sliders under the name of the selector that reads them; none that no selector reads. */
export function ownWeights(data) {
  if (!readsWeights(data)) return {};
  const selector = data.settings?.selector;
  return Object.fromEntries(WEIGHT_KEYS.map((k) => [selector ? `${selector}.${k}` : k, data.weights[k]]));
}

/** Parameters that do nothing under the other settings are not worth a place on the screen. */
export function isIdle({ when }, settings) {
  return Boolean(when) && settings[when[0]] !== when[1];
}

/** "0.3 – 0.4" of a difficulty bin. */
export const binName = (k) => `${(k / N_BINS).toFixed(1)} – ${((k + 1) / N_BINS).toFixed(1)}`;
