// Random numbers that are the same in every run, and many draws of one law.

import assert from 'node:assert/strict';

const DRAWS = 200;

/** @param {number} seed @returns {() => number} numbers in [0, 1), by the generator mulberry32 */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Random {
  /** @param {number} seed */
  constructor(seed) {
    this.next = generator(seed);
  }

  /** @param {number} low @param {number} high */
  real(low, high) {
    return low + (high - low) * this.next();
  }

  /** @param {number} low @param {number} high both can be drawn */
  integer(low, high) {
    return low + Math.floor((high - low + 1) * this.next());
  }

  /** @param {number} n @param {number} low @param {number} high */
  reals(n, low, high) {
    return Float32Array.from({ length: n }, () => this.real(low, high));
  }

  /** Some of 0 to n - 1, ascending. @param {number} n @param {number} share */
  some(n, share) {
    return Array.from({ length: n }, (_, i) => i).filter(() => this.next() < share);
  }

  /** @template Item @param {readonly Item[]} list */
  shuffled(list) {
    return list
      .map((item) => ({ item, at: this.next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item);
  }
}

/** Try a law on many draws. @param {(random: Random) => void} law */
export function always(law) {
  for (let seed = 0; seed < DRAWS; seed += 1) law(new Random(seed));
}

/** @param {number} actual @param {number} expected @param {number} [within] */
export const near = (actual, expected, within = 1e-6) =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual} is not within ${within} of ${expected}`);
