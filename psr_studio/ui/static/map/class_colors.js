// A colour per class, as far from all others as can be: distances are those of OKLab, in which equal steps look equal.

/** @import { Rgb } from '../core/types' */

/**
 * The first twenty, found by search: far apart for colour-blind eyes too, and readable on the light and on the dark
 * ground. Any beginning of the list is as far apart as the list has colours for it.
 */
const FIRST = [
  '#4b69e1',
  '#ff9600',
  '#a51e00',
  '#00d287',
  '#788700',
  '#96c3f0',
  '#1e6969',
  '#782da5',
  '#b487ff',
  '#6996a5',
  '#e15a87',
  '#ffa5b4',
  '#a55ab4',
  '#c3c35a',
  '#e15a00',
  '#96694b',
  '#b41e69',
  '#c39678',
  '#ff78d2',
  '#696996',
];
const STEP = 17; // of the colours that further classes choose from
/** Least ratio of contrast on the grounds of the map. @type {[ground: Rgb, least: number][]} */
export const READABLE = [
  [[248, 250, 252], 1.75],
  [[2, 6, 23], 2.6],
];

/** @param {string} hex as "#3f90da" @returns {Rgb} */
export const parseHex = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));

/** @param {number} v of a channel, 0 to 255 */
const linear = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);

/** Björn Ottosson's OKLab. @param {Rgb} rgb @returns {number[]} */
export function oklab(rgb) {
  const [r, g, b] = rgb.map(linear);
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** @param {number[]} a @param {number[]} b both in OKLab */
export function distance(a, b) {
  const [x, y, z] = [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
  return Math.sqrt(x * x + y * y + z * z);
}

/** Ratio of contrast, as WCAG defines it. @param {Rgb} a @param {Rgb} b */
export function contrast(a, b) {
  const [light, dark] = [a, b].map(luminance).sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

/** @param {Rgb} rgb */
function luminance(rgb) {
  const [r, g, b] = rgb.map(linear);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Colours given so far, by class: every class keeps its own, however many there are. @type {Rgb[]} */
const given = FIRST.map(parseHex);
/** What is left to choose from, each with its distance to the nearest one given. @type {{ rgb: Rgb, lab: number[], far: number }[]} */
let left = [];

function listColors() {
  const labs = given.map(oklab);
  const levels = Array.from({ length: Math.floor(255 / STEP) + 1 }, (_, k) => STEP * k);
  left = levels.flatMap((r) =>
    levels.flatMap((g) =>
      levels
        .map((b) => /** @type {Rgb} */ ([r, g, b]))
        .filter((rgb) => READABLE.every(([ground, least]) => contrast(rgb, ground) >= least))
        .map((rgb) => ({ rgb, lab: oklab(rgb) }))
        .map(({ rgb, lab }) => ({ rgb, lab, far: Math.min(...labs.map((other) => distance(lab, other))) })),
    ),
  );
}

/** Give the colour that is the farthest from all that are given. */
function giveNext() {
  const next = left.reduce((best, one) => (one.far > best.far ? one : best));
  given.push(next.rgb);
  for (const one of left) one.far = Math.min(one.far, distance(one.lab, next.lab));
}

/** @param {number} nClasses @returns {Rgb[]} */
export function classColors(nClasses) {
  if (nClasses > given.length && !left.length) listColors();
  while (given.length < Math.min(nClasses, FIRST.length + left.length)) giveNext();
  return Array.from({ length: nClasses }, (_, c) => given[c % given.length]);
}
