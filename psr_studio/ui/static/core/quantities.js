// What is known of a candidate, as it is printed: hover card, inspector and large picture say the same number under the
// same name.

import { scoreOf } from './model.js';
import { fixed } from './numbers.js';

/** @import { Ready } from './types' */

/** A share in [0, 1], such as a signal or an entry of a soft label. @param {number} share */
export const shareText = (share) => fixed(share, 3);
/** A score, or one of its terms. @param {number} value */
export const scoreText = (value) => fixed(value, 2);

/** @param {Pick<Ready, 'points'>} data @param {number} position @returns {[name: string, text: string][]} */
export const signalsOf = ({ points }, position) => [
  ['Reliability', shareText(points.reliability[position])],
  ['Entropy', shareText(points.entropy[position])],
  ['Difficulty', shareText(points.difficulty[position])],
];

/** @param {Pick<Ready, 'points' | 'weights' | 'picks'>} data @param {number} position @returns {[name: string, text: string]} */
export const scoreRow = (data, position) => ['Score', scoreText(scoreOf(data, position))];
