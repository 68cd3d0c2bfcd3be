// A picture in a box: fitted, zoomed about a point and moved, but never away from the box. Plain numbers.

import { clamp } from './numbers.js';

/** @import { Point } from './types' */
/** @typedef {{ width: number, height: number }} Size */
/** @typedef {{ zoom: number, x: number, y: number }} Placed `zoom`: 1 fits; `x`, `y`: centre of the picture from that of the box, in pixels */

/** @type {Placed} */
export const FITTED = { zoom: 1, x: 0, y: 0 };
const MOST_ZOOM = 8;
const PIXEL_PX = 16; // a pixel of a large picture can grow to this size

/** Screen pixels per pixel of a picture that fits the box. @param {Size} picture @param {Size} box */
export const fitScale = (picture, box) =>
  Math.min(box.width / Math.max(picture.width, 1), box.height / Math.max(picture.height, 1));

/**
 * Between fitting and the most, and no edge of the picture inside the box where the picture is larger.
 * @param {Placed} placed
 * @param {Size} picture
 * @param {Size} box
 * @returns {Placed}
 */
export function kept({ zoom, x, y }, picture, box) {
  const fit = fitScale(picture, box);
  const to = clamp(zoom, 1, Math.max(MOST_ZOOM, PIXEL_PX / fit));
  const spare = (/** @type {'width' | 'height'} */ side) =>
    Math.max(0, (picture[side] * fit * to - box[side]) / 2);
  return {
    zoom: to,
    x: clamp(x, -spare('width'), spare('width')),
    y: clamp(y, -spare('height'), spare('height')),
  };
}

/**
 * Zoom so that what lies under a point stays there, as far as `kept` lets it.
 * @param {Placed} placed
 * @param {number} factor
 * @param {Point} at from the centre of the box
 * @param {Size} picture
 * @param {Size} box
 */
export function zoomed(placed, factor, [px, py], picture, box) {
  const { zoom } = kept({ ...placed, zoom: placed.zoom * factor }, picture, box);
  const ratio = zoom / placed.zoom;
  return kept({ zoom, x: px - (px - placed.x) * ratio, y: py - (py - placed.y) * ratio }, picture, box);
}
