// The order of the grid inside a class: as taken, or by a number that every candidate has.

import { totalScores } from '../core/model.js';

/** @import { Ready } from '../core/types' */

/**
 * `low`: the small values come first, as long as the order is not turned round.
 * @type {{ key: string, label: string, hint: string, low?: boolean }[]}
 */
export const SORTS = [
  {
    key: 'order',
    label: 'Pick order',
    hint: 'in the order in which they were taken, the others behind them; what was looked near to, the nearest first',
  },
  {
    key: 'score',
    label: 'Score',
    hint: 'the score when taken; of the others the score with the present sliders',
  },
  { key: 'reliability', label: 'Reliability', hint: 'probability of the own class in the soft label' },
  { key: 'entropy', label: 'Entropy', hint: 'how undecided the soft label is', low: true },
  { key: 'difficulty', label: 'Difficulty', hint: '1 − probability of the own class at tau = 1' },
  { key: 'diversity', label: 'Diversity', hint: 'distance to the nearest pick of the class' },
  { key: 'near', label: 'Near-duplicates', hint: 'the closest to another candidate first', low: true },
];

/**
 * @param {Ready} data
 * @returns {ArrayLike<number> | null} a number of every candidate, null where the order is that of the picks
 */
function valuesOf({ points, picks, weights, near, apart, sort }) {
  if (sort === 'order' && apart) return Array.from(points.label, (_, position) => -distance(apart, position));
  if (sort === 'near') return near?.values ?? null;
  if (sort === 'score') {
    const scores = totalScores(points, weights);
    picks?.order.forEach((position, k) => {
      scores[position] = picks.scores[k];
    });
    return scores;
  }
  return sort === 'order' ? null : points[/** @type {'reliability'} */ (sort)];
}

/** @param {Map<number, number>} apart @param {number} position */
const distance = (apart, position) => apart.get(position) ?? Infinity;

/**
 * The nearest of some positions to what was looked near to.
 * @param {Map<number, number>} apart
 * @param {number[]} positions
 */
export const nearest = (apart, positions) =>
  positions.reduce((least, position) => Math.min(least, distance(apart, position)), Infinity);

/**
 * Picks in their order, then the others in theirs.
 * @param {number[]} positions
 * @param {Ready['picks']} picks
 */
function asTaken(positions, picks) {
  const place = (/** @type {number} */ position) => {
    const at = picks ? picks.index[position] : -1;
    return at < 0 ? Infinity : at;
  };
  const taken = positions.filter((position) => place(position) < Infinity);
  const others = positions.filter((position) => place(position) === Infinity);
  return taken.sort((a, b) => place(a) - place(b)).concat(others);
}

/**
 * What orders the positions of one class; ties keep the pool's order.
 * @param {Ready} data
 * @returns {(positions: number[]) => number[]}
 */
export function sorter(data) {
  const turn = (/** @type {number[]} */ list) => (data.sortTurned ? list.reverse() : list);
  const values = valuesOf(data);
  if (!values) return (positions) => turn(asTaken(positions, data.picks));
  const sign = SORTS.find(({ key }) => key === data.sort)?.low ? 1 : -1;
  return (positions) => turn([...positions].sort((a, b) => sign * (values[a] - values[b]) || a - b));
}
