// Which tiles stand in which row: plain numbers, so that only the rows in view ever become elements.

import { nearest } from './sort.js';

/** @import { Ready } from '../core/types' */
/** @typedef {{ classId: number, positions: number[], told: number }} Section */
/**
 * @typedef {{ kind: 'header', top: number, height: number, section: Section }
 *   | { kind: 'tiles', top: number, height: number, positions: number[], first: number }} Row
 */
/** @typedef {{ row: number, column: number }} Place */

export const HEADER_PX = 30;

/**
 * What the grid lists, by class; of what was looked near to the nearest class first. `told` is the number of a header: the picks of the class, or what is listed of it.
 * @param {Ready} data
 * @param {ArrayLike<number>} starts first position of each class, and the end
 * @param {(positions: number[]) => number[]} order sorts the positions of one class
 * @returns {Section[]}
 */
export function sections(data, starts, order) {
  const { info, picks, points, gridMode, solo } = data;
  /** @type {number[][]} */
  const byClass = info.class_names.map(() => []);
  const positions = gridMode === 'pool' ? wholePool(starts) : listed(data);
  for (const position of positions) byClass[points.label[position]].push(position);
  const partial = gridMode !== 'pool' && gridMode !== 'picks';
  const apart = gridMode === 'selection' ? data.apart : null;
  const list = byClass
    .map((own, classId) => ({ classId, own }))
    .filter(({ classId, own }) => (solo === null || classId === solo) && (!partial || own.length))
    .map(({ classId, own }) => ({
      classId,
      positions: order(own),
      told: partial ? own.length : (picks?.byClass[classId].length ?? 0),
    }));
  if (apart) list.sort((a, b) => nearest(apart, a.positions) - nearest(apart, b.positions));
  return list;
}

/** @param {ArrayLike<number>} starts */
const wholePool = (starts) =>
  Array.from({ length: starts[starts.length - 1] - starts[0] }, (_, k) => starts[0] + k);

/** The positions of every list but the whole pool. @param {Ready} data @returns {Iterable<number>} */
function listed({ gridMode, selection, picks, vetoed, compare }) {
  if (gridMode === 'selection') return selection.list;
  if (compare?.lists && gridMode in compare.lists)
    return compare.lists[/** @type {keyof typeof compare.lists} */ (gridMode)];
  // Vetoed candidates stand with the picks of their class, so that a veto can be taken back where it was made.
  const out = [...vetoed].filter((p) => !picks || picks.index[p] < 0).sort((a, b) => a - b);
  return [...(picks?.order ?? []), ...out];
}

/**
 * Places in pixels; `order` lists all positions in reading order.
 * @param {Section[]} list
 * @param {number} columns
 * @param {number} tile
 * @param {number} gap
 */
export function layoutRows(list, columns, tile, gap) {
  /** @type {Row[]} */
  const rows = [];
  /** @type {number[]} */
  const order = [];
  let top = 0;
  for (const section of list) {
    rows.push({ kind: 'header', top, height: HEADER_PX, section });
    top += HEADER_PX;
    for (let start = 0; start < section.positions.length; start += columns) {
      const positions = section.positions.slice(start, start + columns);
      rows.push({ kind: 'tiles', top, height: tile + gap, positions, first: order.length });
      order.push(...positions);
      top += tile + gap;
    }
    top += 6;
  }
  return { rows, height: top, order };
}

/** Index of the first row that reaches below `y`. @param {Row[]} rows @param {number} y */
export function firstVisible(rows, y) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].top + rows[middle].height <= y) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Row and column of a position, or null when the grid does not list it.
 * @param {Row[]} rows
 * @param {number} position
 * @returns {Place | null}
 */
export function findTile(rows, position) {
  for (let r = 0; r < rows.length; r += 1) {
    const column = tilesOf(rows[r]).indexOf(position);
    if (column >= 0) return { row: r, column };
  }
  return null;
}

/** The positions of a row; a header has none. @param {Row | undefined} row */
export const tilesOf = (row) => (row?.kind === 'tiles' ? row.positions : []);

/**
 * The neighbouring tile in an arrow key's direction, skipping headers; stays where there is none.
 * @param {Row[]} rows
 * @param {Place} at
 * @param {string} key
 * @returns {Place}
 */
export function step(rows, at, key) {
  if (key === 'ArrowLeft' || key === 'ArrowRight') {
    const column = at.column + (key === 'ArrowRight' ? 1 : -1);
    if (column >= 0 && column < tilesOf(rows[at.row]).length) return { row: at.row, column };
  }
  const way = key === 'ArrowDown' || key === 'ArrowRight' ? 1 : -1;
  let row = at.row + way;
  while (rows[row]?.kind === 'header') row += way;
  const last = tilesOf(rows[row]).length - 1;
  if (last < 0) return at;
  const column = key === 'ArrowRight' ? 0 : key === 'ArrowLeft' ? last : Math.min(at.column, last);
  return { row, column };
}
