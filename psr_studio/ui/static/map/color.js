// Colour ramps and palettes. Both ramps are perceptually even and safe for colour-blind readers.

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

// Petroff's accessible ten-colour cycle (arXiv 2107.02270).
const CATEGORICAL = [
  '#3f90da',
  '#ffa90e',
  '#bd1f01',
  '#94a4a2',
  '#832db6',
  '#a96b59',
  '#e76300',
  '#b9ac70',
  '#717581',
  '#92dadd',
];

/** State of a candidate in the selection, in the order the shader's u_status expects. */
export const STATUS = [
  { key: 'open', label: 'Not picked', color: '#94a4a2' },
  { key: 'ineligible', label: 'Not eligible', color: '#a96b59' },
  { key: 'picked', label: 'Picked', color: '#3f90da' },
  { key: 'filled', label: 'Filled', color: '#ffa90e' },
  { key: 'pinned', label: 'Pinned', color: '#832db6' },
  { key: 'vetoed', label: 'Vetoed', color: '#bd1f01' },
];

/** @param {string} hex as "#3f90da" @returns {Rgb} */
export const parseHex = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
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

/** @param {number} hue @param {number} saturation @param {number} lightness @returns {Rgb} */
function hslToRgb(hue, saturation, lightness) {
  const a = saturation * Math.min(lightness, 1 - lightness);
  return [0, 8, 4].map((n) => {
    const k = (n + hue / 30) % 12;
    return 255 * (lightness - a * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  });
}

/**
 * One colour per class: the fixed palette up to ten, golden-angle hues at three lightnesses beyond.
 * @param {number} nClasses
 */
export function classColors(nClasses) {
  if (nClasses <= CATEGORICAL.length) return CATEGORICAL.slice(0, nClasses).map(parseHex);
  return Array.from({ length: nClasses }, (_, c) =>
    hslToRgb((c * 137.508) % 360, 0.62, [0.42, 0.58, 0.72][c % 3]),
  );
}

/**
 * Opacity of dimmed points. The dark end of the ramps needs more of itself on a dark ground.
 * @param {string} colorBy
 * @param {Rgb} background
 */
export function dimAlpha(colorBy, background) {
  return colorBy === 'picked' || background[0] < 128 ? 0.5 : 0.32;
}
