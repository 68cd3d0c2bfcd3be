// The one or two views of the compare map over the camera of the usual map: plain geometry.

/** @import { Box, Point } from '../core/types' */
/** @import { Camera } from './camera.js' */
/**
 * @typedef {object} View
 * @property {'a' | 'b' | null} side whose picks it shows, null for both
 * @property {number} left in CSS pixels, as `w` and `h`
 * @property {number} w
 * @property {number} h
 * @property {number} cx map coordinates of its centre
 * @property {number} cy
 * @property {number} k CSS pixels per map unit
 */

const INSET = 52;
const TITLES = 26; // stand above the points

/**
 * @param {Pick<Camera, 'width' | 'height' | 'home' | 'zoom' | 'k' | 'cx' | 'cy'>} camera
 * @param {Box} box around all points
 * @param {boolean} split A left, B right, moving together
 * @returns {View[]}
 */
export function viewsOf({ width, height, home, zoom, k, cx, cy }, { x0, x1, y0, y1 }, split) {
  /** @type {View['side'][]} */
  const sides = split ? ['a', 'b'] : [null];
  const w = width / sides.length;
  const fit = Math.min(
    (w - INSET) / Math.max(x1 - x0, 1e-3),
    (height - INSET - TITLES) / Math.max(y1 - y0, 1e-3),
  );
  // The usual map stands aside for its legend; here there is none.
  const aside = (home.cx - (x0 + x1) / 2) / zoom;
  const scale = (k / home.k) * fit;
  const down = TITLES / 2 / scale;
  return sides.map((side, i) => ({
    side,
    left: i * w,
    w,
    h: height,
    cx: cx - aside,
    cy: cy + down,
    k: scale,
  }));
}

/**
 * The view under a place of the screen; outside of all, the last one.
 * @param {View[]} views
 * @param {number} x
 */
export const viewAt = (views, x) => views.find((view) => x < view.left + view.w) ?? views[views.length - 1];

/**
 * Where a point of the map stands on the screen.
 * @param {View} view
 * @param {number} x
 * @param {number} y
 * @returns {Point}
 */
export const toScreen = (view, x, y) => [
  view.left + view.w / 2 + (x - view.cx) * view.k,
  view.h / 2 - (y - view.cy) * view.k,
];

/** And back. @param {View} view @param {number} x @param {number} y @returns {Point} */
export const toMap = (view, x, y) => [
  view.cx + (x - view.left - view.w / 2) / view.k,
  view.cy - (y - view.h / 2) / view.k,
];
