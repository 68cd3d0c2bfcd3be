// Shares over the bins of difficulty, easy to hard: their names, and drawn ones that always sum to 1.

/** "0.3 – 0.4" @param {number[]} edges of the bins, one more than bins @param {number} k */
export const binName = (edges, k) => `${edges[k].toFixed(1)} – ${edges[k + 1].toFixed(1)}`;

/** Bars that sum to 1; all-zero bars become even ones. @param {number[]} bars */
export function normalised(bars) {
  const sum = bars.reduce((total, value) => total + Math.max(0, value), 0);
  return bars.map((value) => (sum > 0 ? Math.max(0, value) / sum : 1 / bars.length));
}

/**
 * Set one bar of a distribution and scale the others, so that the sum stays 1.
 * @param {number[]} bars
 * @param {number} k
 * @param {number} value
 */
export function withBar(bars, k, value) {
  const mine = Math.max(0, Math.min(1, value));
  const rest = bars.reduce((total, v, i) => total + (i === k ? 0 : v), 0);
  return bars.map((v, i) => {
    if (i === k) return mine;
    return rest > 0 ? (v * (1 - mine)) / rest : (1 - mine) / (bars.length - 1);
  });
}
