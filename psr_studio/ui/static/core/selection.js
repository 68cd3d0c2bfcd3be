// The candidates the user has lassoed on the map or in the grid. Immutable: every change is a new object.

/** @returns {{mask: Uint8Array, list: Uint32Array, count: number}} `list` ascending */
export function makeSelection(n, positions) {
  const mask = new Uint8Array(n);
  for (const position of positions) if (position >= 0 && position < n) mask[position] = 1;
  return fromMask(mask);
}

function fromMask(mask) {
  let size = 0;
  for (let i = 0; i < mask.length; i += 1) size += mask[i];
  const list = new Uint32Array(size);
  for (let i = 0, k = 0; i < mask.length; i += 1) if (mask[i]) list[k++] = i;
  return { mask, list, count: size };
}

/** @param {'replace'|'add'|'remove'|'toggle'} how */
export function combine(selection, positions, how) {
  const n = selection.mask.length;
  if (how === 'replace') return makeSelection(n, positions);
  const mask = selection.mask.slice();
  for (const position of positions)
    mask[position] = how === 'add' ? 1 : how === 'remove' ? 0 : 1 - mask[position];
  return fromMask(mask);
}

/** Add, remove or replace, as every tool of the map and the grid reads the modifier keys. */
export const modeOf = (event) => (event.shiftKey ? 'add' : event.altKey ? 'remove' : 'replace');
