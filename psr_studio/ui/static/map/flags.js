// One byte per candidate for the shaders, and the order in which the points are drawn.

import { inSolo } from '../core/model.js';

/** @import { Bytes, Ready, Words } from '../core/types' */
/** @typedef {{ flags: Bytes, order: Words }} Flags `order`: drawn positions, the important ones on top */

export const PICKED = 1;
export const PINNED = 2;
export const VETOED = 4;
export const SELECTED = 8;
export const FILLED = 16;
export const ELIGIBLE = 32;
export const STRONG = 64; // drawn in full colour; all others are dimmed
export const RINGED = 128; // a pick while the lassoed are strong: it keeps a ring

/** @param {Ready} data */
function stateBytes({ points, picks, pinned, vetoed, selection }) {
  const n = points.label.length;
  const flags = new Uint8Array(n);
  for (let i = 0; i < n; i += 1) {
    flags[i] = (points.eligible[i] ? ELIGIBLE : 0) | (selection.mask[i] ? SELECTED : 0);
  }
  if (picks)
    picks.order.forEach((position, k) => {
      flags[position] |= PICKED | (picks.filled[k] ? FILLED : 0);
    });
  for (const position of pinned) flags[position] |= PINNED;
  for (const position of vetoed) flags[position] |= VETOED;
  return flags;
}

/**
 * With a selection, the selected points are strong and the picks ringed; without one, the picks are strong. "filter" leaves the others
 * out, "all" dims nothing, a solo class leaves the other classes out.
 * @param {Ready} data
 * @returns {Flags}
 */
export function buildFlags(data) {
  const flags = stateBytes(data);
  const { show, selection } = data;
  const strongBit = selection.count ? SELECTED : PICKED;
  const layer = new Uint8Array(flags.length);
  const sizes = [0, 0, 0, 0];
  for (let i = 0; i < flags.length; i += 1) {
    const strong = show === 'all' || (flags[i] & strongBit) !== 0;
    if (strong) flags[i] |= STRONG;
    const ringed = selection.count > 0 && (flags[i] & PICKED) !== 0;
    if (ringed) flags[i] |= RINGED;
    const hidden = !inSolo(data, i) || (show === 'filter' && !strong);
    const marked = (flags[i] & (PINNED | VETOED)) !== 0;
    // 0 hidden, 1 background, 2 strong or ringed, 3 marked
    layer[i] = hidden ? 0 : marked ? 3 : strong || ringed ? 2 : 1;
    sizes[layer[i]] += 1;
  }
  const order = new Uint32Array(flags.length - sizes[0]);
  const at = [0, 0, sizes[1], sizes[1] + sizes[2]];
  for (let i = 0; i < flags.length; i += 1) if (layer[i]) order[at[layer[i]]++] = i;
  return { flags, order };
}

/** Index into color.STATUS. The same rule stands in the vertex shader. @param {number} flag */
export function statusOf(flag) {
  if (flag & VETOED) return 5;
  if (flag & PINNED) return 4;
  if (flag & FILLED) return 3;
  if (flag & PICKED) return 2;
  return flag & ELIGIBLE ? 0 : 1;
}
