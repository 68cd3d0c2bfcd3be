// A small picture of the gain curve, before and after a change.

import { svg } from '../core/dom.js';

/** @import { Gains } from '../core/types' */

const WIDTH = 64;
const HEIGHT = 24;

/** Both curves on one scale; null when there is nothing to draw. @param {Gains} gains */
export function gainPicture({ before, after }) {
  if (!after) return null;
  const all = [...after, ...(before ?? [])];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const longest = Math.max(after.length, before?.length ?? 0);
  /** @param {number} value @param {number} k */
  const point = (value, k) => {
    const x = 2 + ((WIDTH - 4) * k) / (longest - 1);
    const y = 2 + (HEIGHT - 4) * (1 - (value - low) / (high - low || 1));
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  };
  const words =
    `Mean score of the 1st to ${after.length}th pick of a class: from ${after[0].toFixed(2)} ` +
    `to ${after[after.length - 1].toFixed(2)}${before ? '; dashed: before the change' : ''}`;
  const lines = [svg('polyline', { points: after.map(point).join(' ') })];
  if (before) lines.unshift(svg('polyline', { points: before.map(point).join(' '), class: 'is-before' }));
  return svg(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'psr-gain', role: 'img' },
    svg('title', {}, words),
    ...lines,
  );
}
