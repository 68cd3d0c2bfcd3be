// The order of the grid inside a class: as taken, or by a number that every candidate has.

import { totalScores } from '../core/model.js';

/** `low`: the small values come first, as long as the order is not turned round. */
export const SORTS = [
  {
    key: 'order',
    label: 'Pick order',
    hint: 'in the order in which they were taken, the others behind them',
  },
  {
    key: 'score',
    label: 'Score',
    hint: 'the score when taken; of the others the score with the present sliders',
  },
  { key: 'reliability', label: 'Reliability', hint: 'probability of the own class under the teacher' },
  { key: 'entropy', label: 'Entropy', hint: 'how undecided the teacher is', low: true },
  { key: 'difficulty', label: 'Difficulty', hint: '1 − probability of the own class at tau = 1' },
  { key: 'diversity', label: 'Diversity', hint: 'distance to the nearest pick of the class' },
  { key: 'near', label: 'Near-duplicates', hint: 'the closest to another candidate first', low: true },
];

function valuesOf({ points, picks, weights, near }, key) {
  if (key === 'near') return near?.values ?? null;
  if (key !== 'score') return points[key];
  const scores = totalScores(points, weights);
  picks?.order.forEach((position, k) => {
    scores[position] = picks.scores[k];
  });
  return scores;
}

/** Picks in their order, then the others in theirs. */
function asTaken(positions, { picks }) {
  const rank = (position) => (picks && picks.index[position] >= 0 ? picks.index[position] : Infinity);
  const taken = positions.filter((position) => rank(position) < Infinity).sort((a, b) => rank(a) - rank(b));
  return taken.concat(positions.filter((position) => rank(position) === Infinity));
}

/** @returns {function(number[]): number[]} orders the positions of one class; ties keep the pool's order */
export function sorter(data) {
  const { sort, sortTurned } = data;
  const { low } = SORTS.find(({ key }) => key === sort);
  const turn = (list) => (sortTurned ? list.reverse() : list);
  const values = sort === 'order' ? null : valuesOf(data, sort);
  if (!values) return (positions) => turn(asTaken(positions, data));
  const sign = low ? 1 : -1;
  return (positions) => turn([...positions].sort((a, b) => sign * (values[a] - values[b]) || a - b));
}
