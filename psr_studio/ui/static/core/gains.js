// How much the k-th pick of a class still adds, on average over the classes: a curve that has gone flat says that
// a larger budget buys little.

/** @import { Picks } from './types' */

/**
 * Mean score of the first, second ... pick; null where the selector gives no scores.
 * @param {Pick<Picks, 'total' | 'rank' | 'scores'> | null} picks
 */
export function gainCurve(picks) {
  if (!picks?.total) return null;
  /** @type {number[]} */
  const sums = [];
  /** @type {number[]} */
  const counts = [];
  picks.rank.forEach((rank, k) => {
    sums[rank] = (sums[rank] ?? 0) + picks.scores[k];
    counts[rank] = (counts[rank] ?? 0) + 1;
  });
  const curve = sums.map((sum, rank) => sum / counts[rank]);
  const flat = curve.every((value) => value === curve[0]);
  return curve.length > 1 && curve.every(Number.isFinite) && !flat ? curve : null;
}
