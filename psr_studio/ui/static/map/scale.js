// How the values of a signal go onto its ramp: evenly, by their logarithm, or by their rank.

import { robustRange } from '../core/model.js';

/** @import { Floats, RampScale } from '../core/types' */
/**
 * @typedef {object} Scaled
 * @property {Floats} values as the ramp takes them
 * @property {[number, number]} domain of the ramp
 * @property {(share: number) => number} valueAt the value of the signal at a share of the ramp
 */

/** @type {RampScale[]} */
export const SCALES = ['linear', 'log', 'quantile'];
const FLOOR = 1e-4; // of the logarithm: signals reach 0

/** @param {Floats} values @param {RampScale} scale @returns {Scaled} */
export function scaled(values, scale) {
  if (scale === 'quantile') return ranked(values);
  const shown = scale === 'log' ? values.map((value) => Math.log(Math.max(value, FLOOR))) : values;
  const domain = robustRange(shown);
  const at = (/** @type {number} */ share) => domain[0] + (domain[1] - domain[0]) * share;
  return { values: shown, domain, valueAt: scale === 'log' ? (share) => Math.exp(at(share)) : at };
}

/** Equal values have the rank of the first of them. @param {Floats} values @returns {Scaled} */
function ranked(values) {
  const order = Uint32Array.from(values.keys()).sort((a, b) => values[a] - values[b]);
  const last = Math.max(order.length - 1, 1);
  const ranks = new Float32Array(values.length);
  order.forEach((position, k) => {
    const before = order[k - 1];
    ranks[position] = k > 0 && values[before] === values[position] ? ranks[before] : k / last;
  });
  const valueAt = (/** @type {number} */ share) => values[order[Math.round(share * (order.length - 1))]];
  return { values: ranks, domain: [0, 1], valueAt };
}
