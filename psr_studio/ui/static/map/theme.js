// The colours that the page's theme gives the map, as numbers for the graphics device.

/** @import { Rgb } from '../core/types' */
/** @typedef {Record<'background' | 'ink' | 'accent' | 'pin' | 'veto', Rgb>} Colors */

/** Where each stands in the style sheet. @type {[keyof Colors, string][]} */
const VARIABLES = [
  ['background', '--psr-map-bg'],
  ['ink', '--psr-ink'],
  ['accent', '--psr-accent'],
  ['pin', '--psr-pin'],
  ['veto', '--psr-bad'],
];

/** The colours as they are now where `element` stands. @param {HTMLElement} element @returns {Colors} */
export const themeColors = (element) =>
  /** @type {Colors} */ (
    Object.fromEntries(VARIABLES.map(([name, variable]) => [name, resolve(element, `var(${variable})`)]))
  );

/**
 * Any CSS colour expression as RGB bytes, theme variables included.
 * @param {HTMLElement} element
 * @param {string} expression
 * @returns {Rgb}
 */
function resolve(element, expression) {
  const probe = document.createElement('span');
  probe.style.color = expression;
  element.append(probe);
  const canvas = document.createElement('canvas');
  canvas.width = 1;
  canvas.height = 1;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) return [0, 0, 0];
  context.fillStyle = getComputedStyle(probe).color;
  context.fillRect(0, 0, 1, 1);
  probe.remove();
  return Array.from(context.getImageData(0, 0, 1, 1).data.slice(0, 3));
}
