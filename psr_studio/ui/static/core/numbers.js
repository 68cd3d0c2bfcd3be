// Numbers, kept in bounds and written for the screen.

/** @param {number} value @param {number} low @param {number} high */
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/**
 * Short fixed notation: three digits that matter, a true minus sign; a dash for what is no number.
 * @param {number | null | undefined} value
 */
export function fixed(value, digits = 3) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '–';
  return value.toFixed(digits).replace('-', '−');
}

/** "1,234" @param {number} value */
export const count = (value) => value.toLocaleString('en-US');

/** "1 image", "3 images" @param {number} n @param {string} one */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
