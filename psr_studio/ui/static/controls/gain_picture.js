// How much the k-th pick of a class still adds, on average over the classes: a curve that has gone flat says that
// a larger budget buys little.

const WIDTH = 64;
const HEIGHT = 24;
const NS = 'http://www.w3.org/2000/svg';

/** @returns {number[]|null} mean score of the first, second ... pick; null where the selector gives no scores */
export function gainCurve(picks) {
  if (!picks?.total) return null;
  const sums = [];
  const counts = [];
  picks.rank.forEach((rank, k) => {
    sums[rank] = (sums[rank] ?? 0) + picks.scores[k];
    counts[rank] = (counts[rank] ?? 0) + 1;
  });
  const curve = sums.map((sum, rank) => sum / counts[rank]);
  const flat = curve.every((value) => value === curve[0]);
  return curve.length > 1 && curve.every(Number.isFinite) && !flat ? curve : null;
}

/** A small picture of both curves on one scale; null when there is nothing to draw. */
export function gainPicture({ before, after }) {
  if (!after) return null;
  const all = [...after, ...(before ?? [])];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const longest = Math.max(after.length, before?.length ?? 0);
  const point = (value, k) => {
    const x = 2 + ((WIDTH - 4) * k) / (longest - 1);
    const y = 2 + (HEIGHT - 4) * (1 - (value - low) / (high - low || 1));
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  };
  const svg = element('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'psr-gain', role: 'img' });
  const title = element('title', {});
  title.textContent =
    `Mean score of the 1st to ${after.length}th pick of a class: from ${after[0].toFixed(2)} ` +
    `to ${after[after.length - 1].toFixed(2)}${before ? '; dashed: before the change' : ''}`;
  svg.append(title);
  if (before) svg.append(element('polyline', { points: before.map(point).join(' '), class: 'is-before' }));
  svg.append(element('polyline', { points: after.map(point).join(' ') }));
  return svg;
}

function element(name, attributes) {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
