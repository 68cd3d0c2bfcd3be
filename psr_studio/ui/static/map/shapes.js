// Shapes on the map: the markers of compare, for the canvas and as small pictures for the page, and drawn regions.

import { svg } from '../core/dom.js';

/** @import { ScreenShape } from '../core/types' */

/**
 * Add one shape to the path of a 2D context.
 * @param {CanvasRenderingContext2D} context
 * @param {string} shape
 * @param {number} x
 * @param {number} y
 * @param {number} r
 */
export function addShape(context, shape, x, y, r) {
  if (shape === 'triangle') {
    context.moveTo(x, y - 1.25 * r);
    context.lineTo(x + 1.15 * r, y + 0.85 * r);
    context.lineTo(x - 1.15 * r, y + 0.85 * r);
    context.closePath();
  } else if (shape === 'square') context.rect(x - 0.95 * r, y - 0.95 * r, 1.9 * r, 1.9 * r);
  else {
    context.moveTo(x + r, y);
    context.arc(x, y, r, 0, 2 * Math.PI);
  }
}

/**
 * Outline a box or lasso with dashes.
 * @param {CanvasRenderingContext2D} context
 * @param {ScreenShape} shape
 * @param {string} color
 */
export function outlineRegion(context, shape, color) {
  traceRegion(context, shape);
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  context.setLineDash([5, 3]);
  context.stroke();
  context.setLineDash([]);
}

/** Begin a path along a box or lasso. @param {CanvasRenderingContext2D} context @param {ScreenShape} shape */
export function traceRegion(context, shape) {
  context.beginPath();
  if (shape.kind === 'box') {
    context.rect(shape.x0, shape.y0, shape.x1 - shape.x0, shape.y1 - shape.y0);
    return;
  }
  for (let k = 0; k < shape.path.length; k += 2) context.lineTo(shape.path[k], shape.path[k + 1]);
  context.closePath();
}

/** @type {Record<string, string>} */
const PATHS = {
  triangle: 'M6 .8L11.4 10.6H.6z',
  square: 'M1.4 1.4h9.2v9.2H1.4z',
  circle: 'M11 6A5 5 0 1 1 1 6a5 5 0 1 1 10 0z',
};

/** The same shape as an element; its colour is the text's. @param {string} shape */
export const shapeIcon = (shape) =>
  svg(
    'svg',
    { viewBox: '0 0 12 12', class: 'psr-shape', 'aria-hidden': 'true' },
    svg('path', { d: PATHS[shape] }),
  );
