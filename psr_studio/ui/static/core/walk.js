// The order in which the arrow keys go through pictures, while a mark or a slider changes the list under them.

/**
 * The pictures of a walk after the list has changed: those that are still listed stand where they stood, a new one
 * stands behind the one that it follows in the list. So the next picture stays the next.
 * @param {number[]} walk the positions before
 * @param {number[]} list those listed now, in their own order
 * @param {number} here the position that is looked at, one of the walk; it stays, listed or not
 * @returns {number[]}
 */
export function steadyWalk(walk, list, here) {
  const now = inItsPlace(walk, list, here);
  const [known, listed] = [new Set(walk), new Set(now)];
  /** The new ones by the old one before them. @type {Map<number | null, number[]>} */
  const behind = new Map();
  /** @type {number | null} */
  let last = null;
  for (const position of now) {
    if (known.has(position)) last = position;
    else behind.set(last, [...(behind.get(last) ?? []), position]);
  }
  const stays = walk.filter((position) => listed.has(position));
  return [null, ...stays].flatMap((position) => [
    ...(position === null ? [] : [position]),
    ...(behind.get(position) ?? []),
  ]);
}

/**
 * The list with `here` behind the one that it followed in the walk.
 * @param {number[]} walk
 * @param {number[]} list
 * @param {number} here
 */
function inItsPlace(walk, list, here) {
  const others = list.filter((position) => position !== here);
  const listed = new Set(others);
  const before = walk.slice(0, walk.indexOf(here)).findLast((position) => listed.has(position));
  const at = before === undefined ? 0 : others.indexOf(before) + 1;
  return [...others.slice(0, at), here, ...others.slice(at)];
}
