// Which tiles stand in which row: plain numbers, so that only the rows in view ever become elements.

export const HEADER_PX = 30;

/** What the grid lists, by class: {classId, positions, told}. `told` is the number of its header: the picks of
 * the class, or what is listed of it. `order` sorts the positions of one class. */
export function sections(data, starts, order) {
  const { info, picks, points, gridMode, solo } = data;
  const byClass = info.class_names.map((_, classId) => ({
    classId,
    positions: [],
  }));
  const add = (position) => byClass[points.label[position]].positions.push(position);
  if (gridMode === 'pool') for (let p = starts[0]; p < starts[starts.length - 1]; p += 1) add(p);
  else listed(data).forEach(add);
  const partial = gridMode !== 'pool' && gridMode !== 'picks';
  const shown = byClass.filter(
    (s) => (solo === null || s.classId === solo) && (!partial || s.positions.length),
  );
  shown.forEach((s) => {
    s.positions = order(s.positions);
    s.told = partial ? s.positions.length : (picks?.byClass[s.classId].length ?? 0);
  });
  return shown;
}

/** The positions of every list but the whole pool. */
function listed({ gridMode, selection, picks, vetoed, compare }) {
  if (gridMode === 'selection') return selection.list;
  if (compare?.inA && gridMode !== 'picks') return compare.lists[gridMode];
  // Vetoed candidates stand with the picks of their class, so that a veto can be taken back where it was made.
  return [
    ...(picks ? picks.order : []),
    ...[...vetoed].filter((p) => !picks || picks.index[p] < 0).sort((a, b) => a - b),
  ];
}

/**
 * @returns {{rows: object[], height: number, order: number[]}} rows hold top and height in pixels; `order`
 * lists all positions in reading order
 */
export function layoutRows(list, columns, tile, gap) {
  const rows = [];
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

/** Index of the first row that reaches below `y`. */
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

/** Row and column of a position, or null when the grid does not list it. */
export function findTile(rows, position) {
  for (let r = 0; r < rows.length; r += 1) {
    const column = rows[r].kind === 'tiles' ? rows[r].positions.indexOf(position) : -1;
    if (column >= 0) return { row: r, column };
  }
  return null;
}

/** The neighbouring tile in an arrow key's direction, skipping headers; stays where there is none. */
export function step(rows, at, key) {
  if (key === 'ArrowLeft' || key === 'ArrowRight') {
    const columnNext = at.column + (key === 'ArrowRight' ? 1 : -1);
    if (columnNext >= 0 && columnNext < rows[at.row].positions.length)
      return { row: at.row, column: columnNext };
  }
  const down = key === 'ArrowDown' || key === 'ArrowRight';
  let row = at.row + (down ? 1 : -1);
  while (row >= 0 && row < rows.length && rows[row].kind !== 'tiles') row += down ? 1 : -1;
  if (row < 0 || row >= rows.length) return at;
  const last = rows[row].positions.length - 1;
  const column = key === 'ArrowRight' ? 0 : key === 'ArrowLeft' ? last : Math.min(at.column, last);
  return { row, column };
}
