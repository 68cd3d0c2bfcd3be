// Pure functions over the server's answers: no DOM, no network.

import { plural } from './numbers.js';

/**
 * @import {
 *   AnswerArrays, AnswerHeader, Box, Diff, Floats, Picks, Points, Ready, Weights
 * } from './types'
 */

export const COLOR_MODES = [
  { key: 'reliability', label: 'Reliability', hint: 'probability of the own class in the soft label' },
  { key: 'entropy', label: 'Entropy', hint: 'how undecided the soft label is, 0 to 1' },
  { key: 'difficulty', label: 'Difficulty', hint: '1 − probability of the own class at tau = 1' },
  {
    key: 'total',
    label: 'Total score',
    hint: 'alpha·reliability − beta·entropy + gamma·diversity, each min-max in its class',
  },
  { key: 'class', label: 'Class', hint: 'class the candidate was made for' },
  { key: 'picked', label: 'Picked', hint: 'state in the current selection' },
  {
    key: 'near',
    label: 'Near-duplicates',
    hint: 'distance to the nearest other candidate of the class; 1 is usual for the class, 0 an exact copy',
  },
];

/** Signals that a point's size can follow. */
export const SIZE_MODES = ['even', 'reliability', 'entropy', 'difficulty', 'near'];

/**
 * Values of a signal that is shown as it is, null for what is computed (total score) or has no order.
 * @param {Pick<Ready, 'points' | 'near'>} data
 * @param {string} key
 */
export function signalOf({ points, near }, key) {
  if (key === 'near') return near?.values ?? new Float32Array(points.label.length).fill(1);
  return key === 'reliability' || key === 'entropy' || key === 'difficulty' ? points[key] : null;
}

/**
 * First position of each class; one more entry than classes. Positions are ordered by class.
 * @param {number[]} counts
 */
export function classStarts(counts) {
  const starts = new Uint32Array(counts.length + 1);
  counts.forEach((size, c) => {
    starts[c + 1] = starts[c] + size;
  });
  return starts;
}

/**
 * The classes that have candidates: of a pool of a part of the classes no other, but for one that is set by hand or
 * locked all the same.
 * @param {{ info: Pick<Ready['info'], 'counts'> } & Pick<Ready, 'ownBudgets' | 'locked'>} data
 */
export const listedClasses = ({ info, ownBudgets, locked }) =>
  info.counts.map((_, c) => c).filter((c) => info.counts[c] > 0 || c in ownBudgets || locked.has(c));

/**
 * Index an answer.
 * @param {Pick<AnswerHeader, 'n' | 'selector' | 'substituted' | 'shortfall' | 'short_because' | 'message'>} header
 * @param {AnswerArrays} arrays
 * @param {number} nClasses
 * @returns {Picks}
 */
export function buildPicks(header, arrays, nClasses) {
  const index = new Int32Array(header.n).fill(-1);
  const rank = new Int32Array(arrays.picks.length);
  /** @type {number[][]} */
  const byClass = Array.from({ length: nClasses }, () => []);
  arrays.picks.forEach((position, i) => {
    index[position] = i;
    const own = byClass[arrays.pick_class[i]];
    rank[i] = own.length;
    own.push(position);
  });
  const substitutes = new Array(nClasses).fill(0);
  for (const row of header.substituted) substitutes[row.class_id] += row.count;
  return {
    order: arrays.picks,
    index,
    rank,
    byClass,
    scores: arrays.scores,
    terms: arrays.terms,
    filled: arrays.filled,
    selector: header.selector,
    substitutes, // what DGS took from a neighbouring bin
    shortfall: header.shortfall.map((n, c) => n - substitutes[c]), // and what is short beside that
    shortBecause: header.short_because,
    message: header.message,
    total: arrays.picks.length,
  };
}

/**
 * What the screen gained and lost; counted here, because an answer that came too late was never shown.
 * @param {{ order: ArrayLike<number> } | null} before
 * @param {Picks} after
 * @returns {Pick<Diff, 'added' | 'dropped'> | null}
 */
export function diffPicks(before, after) {
  if (!before) return null;
  const shown = new Set(Array.from(before.order));
  const added = Array.from(after.order).filter((position) => !shown.has(position));
  const dropped = Array.from(before.order).filter((position) => after.index[position] < 0);
  return { added, dropped };
}

/**
 * False for the candidates of other classes while one class is shown alone.
 * @param {Ready} data
 * @param {number} position
 */
export const inSolo = ({ solo, points }, position) => solo === null || points.label[position] === solo;

/** The candidate's place in the selection, in a few words. @param {Ready} data @param {number} position */
export function describe({ points, pinned, vetoed, picks }, position) {
  if (vetoed.has(position)) return 'Vetoed';
  const mark = pinned.has(position) ? ' · pinned' : '';
  const at = picks ? picks.index[position] : -1;
  if (picks && at >= 0) {
    const filled = picks.filled[at] ? ' · filled' : '';
    const all = picks.byClass[points.label[position]].length;
    return `Pick ${picks.rank[at] + 1} of ${plural(all, 'pick')}${mark}${filled}`;
  }
  return points.eligible[position] ? `Not picked${mark}` : `Not picked · not eligible${mark}`;
}

/**
 * Total score of every candidate: the same sum as the vertex shader, for legend, hover and hit lists.
 * @param {Pick<Points, 'label' | 'rel_n' | 'ent_n' | 'diversity'>} points
 * @param {Weights} weights
 * @param {Floats | null} [out] is written again where it has the right length
 */
export function totalScores(points, weights, out) {
  const n = points.label.length;
  const total = out && out.length === n ? out : new Float32Array(n);
  const { alpha, beta, gamma } = weights;
  const { rel_n: rel, ent_n: ent, diversity } = points;
  for (let i = 0; i < n; i += 1) total[i] = alpha * rel[i] - beta * ent[i] + gamma * diversity[i];
  return total;
}

/**
 * The three weighted terms of one candidate that is not (yet) picked.
 * @param {Points} points
 * @param {Weights} weights
 * @param {number} position
 */
export function termsNow(points, weights, position) {
  return [
    weights.alpha * points.rel_n[position],
    -weights.beta * points.ent_n[position],
    weights.gamma * points.diversity[position],
  ];
}

/**
 * The score that the page prints of a candidate: of a pick the one when it was taken, else that of the present sliders.
 * @param {Pick<Ready, 'points' | 'weights' | 'picks'>} data
 * @param {number} position
 */
export function scoreOf({ points, weights, picks }, position) {
  const at = picks ? picks.index[position] : -1;
  if (picks && at >= 0) return picks.scores[at];
  return termsNow(points, weights, position).reduce((sum, term) => sum + term, 0);
}

/**
 * Range of the values, or of those that `mask` names where it names any.
 * @param {ArrayLike<number>} values
 * @param {ArrayLike<number>} [mask]
 * @returns {[number, number]}
 */
export function minMax(values, mask) {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < values.length; i += 1) {
    if (mask && !mask[i]) continue;
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  if (low <= high) return [low, high];
  return mask ? minMax(values) : [0, 1];
}

/**
 * The 2 % and 98 % quantiles, so that one outlier does not use up the colour range.
 * @param {ArrayLike<number>} values
 * @returns {[number, number]}
 */
export function robustRange(values) {
  const sorted = Float32Array.from(values).sort();
  if (!sorted.length) return [0, 1];
  const at = (/** @type {number} */ share) => sorted[Math.round(share * (sorted.length - 1))];
  const [low, high] = [at(0.02), at(0.98)];
  return low < high ? [low, high] : minMax(sorted);
}

/**
 * The box around all points, or around some of them.
 * @param {Float32Array} xy
 * @param {ArrayLike<number>} [positions]
 * @returns {Box}
 */
export function bounds(xy, positions) {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  const n = positions ? positions.length : xy.length / 2;
  for (let k = 0; k < n; k += 1) {
    const i = positions ? positions[k] : k;
    x0 = Math.min(x0, xy[2 * i]);
    x1 = Math.max(x1, xy[2 * i]);
    y0 = Math.min(y0, xy[2 * i + 1]);
    y1 = Math.max(y1, xy[2 * i + 1]);
  }
  return x0 <= x1 ? { x0, x1, y0, y1 } : { x0: -1, x1: 1, y0: -1, y1: 1 };
}
