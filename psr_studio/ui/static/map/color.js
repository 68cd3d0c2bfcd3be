// Colour ramps, and the colours of states. Both ramps are perceptually even and safe for colour-blind readers.

import { parseHex } from './class_colors.js';

/** @import { Rgb } from '../core/types' */

const VIRIDIS = [
  '#440154',
  '#482475',
  '#414487',
  '#355f8d',
  '#2a788e',
  '#21918c',
  '#22a884',
  '#44bf70',
  '#7ad151',
  '#bddf26',
  '#fde725',
];
const CIVIDIS = [
  '#00224e',
  '#123570',
  '#3b496c',
  '#575d6d',
  '#707173',
  '#8a8678',
  '#a59c74',
  '#c3b369',
  '#e1cc55',
  '#fee838',
];
/** @type {Record<string, string[]>} */
export const RAMPS = { viridis: VIRIDIS, cividis: CIVIDIS };

/** State of a candidate in the selection, in the order the shader's u_status expects. */
export const STATUS = [
  { key: 'open', label: 'Not picked', color: '#94a4a2' },
  { key: 'ineligible', label: 'Not eligible', color: '#a96b59' },
  { key: 'picked', label: 'Picked', color: '#3f90da' },
  { key: 'filled', label: 'Filled', color: '#ffa90e' },
  { key: 'pinned', label: 'Pinned', color: '#832db6' },
  { key: 'vetoed', label: 'Vetoed', color: '#bd1f01' },
];

/** @param {Rgb} rgb */
export const toCss = (rgb) => `rgb(${rgb.map((v) => Math.round(v)).join(' ')})`;

/** The ramp as `size` RGBA bytes, for a texture or a look-up. @param {string} name */
export function rampBytes(name, size = 256) {
  const stops = RAMPS[name].map(parseHex);
  const bytes = new Uint8Array(size * 4);
  for (let i = 0; i < size; i += 1) {
    const at = (i / (size - 1)) * (stops.length - 1);
    const low = Math.min(stops.length - 2, Math.floor(at));
    for (let ch = 0; ch < 3; ch += 1) {
      bytes[4 * i + ch] = Math.round(stops[low][ch] + (stops[low + 1][ch] - stops[low][ch]) * (at - low));
    }
    bytes[4 * i + 3] = 255;
  }
  return bytes;
}

/**
 * Opacity of dimmed points. The dark end of the ramps needs more of itself on a dark ground.
 * @param {string} colorBy
 * @param {Rgb} background
 */
export function dimAlpha(colorBy, background) {
  return colorBy === 'picked' || background[0] < 128 ? 0.5 : 0.32;
}
