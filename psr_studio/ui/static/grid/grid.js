// The picks grid: a windowed list of tiles by class. One selection and one focus with the map.

import { h, oncePerFrame } from '../core/dom.js';
import { markListed } from '../core/lasso.js';
import { clamp, count, plural } from '../core/numbers.js';
import { ready } from '../core/store.js';
import { createGridBar } from './bar.js';
import { findTile, firstVisible, HEADER_PX, layoutRows, sections, step, tilesOf } from './layout.js';
import { createSelectionBar } from './selection_bar.js';
import { sorter } from './sort.js';
import { buildTile, styleTile } from './tile.js';

/** @import { Actions, Api, How, Key, Library, Search, State, Store } from '../core/types' */
/** @import { Place, Row, Section } from './layout.js' */
/** @typedef {ReturnType<typeof createGrid>} Grid */

const GAP = 5;
const SIDE = 8;
const OVERSCAN_PX = 200;
/** Changes of these keys change which candidates are listed, or in which order. @type {Key[]} */
const RELIST = [
  'picks',
  'vetoed',
  'info',
  'gridMode',
  'solo',
  'phase',
  'sort',
  'sortTurned',
  'compare',
  'near',
  'locked',
  'found',
];
/** @type {Key[]} */
const RESTYLE = ['selection', 'pinned', 'diff', 'focus', 'tagged'];
const JUMPS = ['Home', 'End', 'PageUp', 'PageDown'];

/**
 * @param {object} parts
 * @param {Store} parts.store
 * @param {Api} parts.api
 * @param {Actions} parts.actions
 * @param {Library} parts.library
 * @param {Search} parts.search
 * @param {() => void} parts.tag ask for a tag of the lassoed
 * @param {() => void} parts.enlarge show the focused candidate at large
 */
export function createGrid({ store, api, actions, library, search, tag, enlarge }) {
  let tile = 0; // width of a tile; the bar has the least of it
  /** @type {Row[]} */
  let rows = [];
  /** @type {number[]} */
  let order = [];
  let height = 0;
  let width = 0;
  /** Built rows by index. @type {Map<number, HTMLElement>} */
  const live = new Map();
  /** Where a range begins. @type {number | null} */
  let anchor = null;
  /** @type {import('./tile.js').Noted} */
  const noted = { added: new Set(), tags: new Map() };

  const bar = createGridBar(store, api, search, oncePerFrame(rebuild));
  const selectionBar = createSelectionBar(store, actions, library, tag);
  const spacer = h('div', { class: 'psr-grid-spacer', role: 'presentation' });
  const scroller = h(
    'div',
    {
      class: 'psr-grid-scroll',
      tabindex: '0',
      role: 'listbox',
      'aria-multiselectable': 'true',
      'aria-label': 'Candidates by class',
      on: { scroll: renderWindow, click, keydown: key },
    },
    spacer,
  );
  const node = h(
    'section',
    { class: 'psr-pane psr-grid', 'aria-label': 'Grid' },
    bar.node,
    scroller,
    selectionBar.node,
  );
  store.on([...RELIST, ...RESTYLE], update);

  /** @param {State} data @param {Key[]} changed */
  function update(data, changed) {
    if (changed.includes('diff')) noted.added = new Set(data.diff?.added);
    if (changed.includes('tagged')) noted.tags = tagsOf(data.tagged);
    const relist =
      changed.some((name) => RELIST.includes(name)) ||
      (data.gridMode === 'selection' && changed.includes('selection'));
    if (relist) rebuild();
    else restyle();
    if (changed.includes('focus')) reveal(data.focus);
  }

  // --- layout ------------------------------------------------------------------------------------------------------
  function resize() {
    selectionBar.fit();
    const room = scroller.clientWidth;
    if (!room || room === width) return renderWindow();
    width = room;
    rebuild();
  }

  function rebuild() {
    const { data } = store;
    if (data.phase !== 'ready' || !width) return;
    node.dataset.list = data.gridMode;
    const room = width - 2 * SIDE + GAP;
    bar.setRoom(room - GAP);
    const columns = Math.max(1, Math.floor(room / (bar.least() + GAP)));
    tile = Math.floor(room / columns - GAP); // rows end flush with the pane
    const list = sections(data, data.sprites.starts, sorter(data));
    ({ rows, order, height } = layoutRows(list, columns, tile, GAP));
    bar.setCount(order.length);
    spacer.style.height = `${height + 4}px`;
    live.clear();
    spacer.replaceChildren();
    if (!order.length) spacer.append(h('p', { class: 'psr-note' }, emptyWords(data)));
    renderWindow();
  }

  function renderWindow() {
    const top = scroller.scrollTop - OVERSCAN_PX;
    const bottom = scroller.scrollTop + scroller.clientHeight + OVERSCAN_PX;
    const inView = new Set();
    for (let r = firstVisible(rows, top); r < rows.length && rows[r].top < bottom; r += 1) inView.add(r);
    for (const [r, built] of live) {
      if (inView.has(r)) continue;
      built.remove();
      live.delete(r);
    }
    for (const r of inView) {
      if (live.has(r)) continue;
      const built = buildRow(rows[r]);
      built.style.top = `${rows[r].top}px`;
      live.set(r, built);
      spacer.append(built);
    }
  }

  /** @param {Row} row */
  function buildRow(row) {
    if (row.kind === 'header') return buildHeader(row.section);
    const data = ready(store);
    const tiles = row.positions.map((position, k) => {
      const built = buildTile(position, row.first + k, order.length, tile, data);
      styleTile(built, position, data, noted);
      return built;
    });
    return h('div', { class: 'psr-grid-row', role: 'presentation', style: { gap: `${GAP}px` } }, tiles);
  }

  /** @param {Section} section */
  function buildHeader({ classId, told, positions }) {
    const { info, picks, gridMode, locked } = ready(store);
    const what = gridMode === 'picks' || gridMode === 'pool' ? 'picked' : 'listed';
    const name = info.class_names[classId];
    return h(
      'div',
      { class: 'psr-grid-header', 'aria-hidden': 'true', style: { height: `${HEADER_PX}px` } },
      h('strong', { title: name }, name),
      h(
        'span',
        { class: 'psr-num', title: `${count(told)} ${what} of ${count(info.counts[classId])}` },
        `${count(told)}/${count(info.counts[classId])}`,
      ),
      h('span', { class: 'psr-header-notes' }, picks && notes(picks, classId, locked.has(classId))),
      h(
        'button',
        {
          type: 'button',
          class: 'psr-btn psr-ghost psr-header-select',
          tabindex: '-1', // the key A does the same, and every tile names its class
          title: `Lasso the ${plural(positions.length, 'candidate')} listed of ${name} (A)`,
          on: { click: () => selectAll(positions) },
        },
        'Lasso',
      ),
    );
  }

  function restyle() {
    const { data } = store;
    if (data.phase !== 'ready') return;
    for (const built of /** @type {NodeListOf<HTMLElement>} */ (spacer.querySelectorAll('.psr-tile')))
      styleTile(built, Number(built.dataset.position), data, noted);
  }

  // --- focus and selection -----------------------------------------------------------------------------------------
  /**
   * Scroll the tile into view and make it the keyboard's cursor; unlisted candidates are ignored.
   * @param {number | null} position
   */
  function reveal(position) {
    const at = position === null ? null : findTile(rows, position);
    scroller.removeAttribute('aria-activedescendant');
    if (!at) return;
    const row = rows[at.row];
    const { scrollTop, clientHeight } = scroller;
    if (row.top < scrollTop + HEADER_PX) scroller.scrollTop = row.top - HEADER_PX - 4;
    else if (row.top + row.height > scrollTop + clientHeight)
      scroller.scrollTop = row.top + row.height - clientHeight + 4;
    renderWindow();
    scroller.setAttribute('aria-activedescendant', `psr-tile-${position}`);
  }

  /** @param {Iterable<number>} positions @param {How} how */
  const mark = (positions, how) => markListed(store, positions, how);

  /** @param {MouseEvent} event */
  function click(event) {
    const found = event.target instanceof Element ? event.target.closest('.psr-tile') : null;
    if (!(found instanceof HTMLElement)) return;
    const position = Number(found.dataset.position);
    if (event.shiftKey) mark(range(anchor ?? store.data.focus ?? position, position), 'add');
    else {
      anchor = position;
      if (event.ctrlKey || event.metaKey) mark([position], 'toggle');
      else if (position === store.data.focus) enlarge();
      else actions.focus(position);
    }
  }

  /**
   * What is listed from one to the other, both included; `to` alone where `from` is not listed.
   * @param {number} from
   * @param {number} to
   */
  function range(from, to) {
    const end = order.indexOf(to);
    const start = order.includes(from) ? order.indexOf(from) : end;
    return order.slice(Math.min(start, end), Math.max(start, end) + 1);
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    const { focus } = store.data;
    const marks = event.ctrlKey || event.shiftKey || event.metaKey;
    if (event.key === ' ' && focus !== null && marks) {
      event.preventDefault();
      anchor = focus;
      mark([focus], 'toggle');
    } else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key.startsWith('Arrow') || JUMPS.includes(event.key)) {
      event.preventDefault();
      moveCursor(event);
    } else if (event.key === ' ' || event.key === 'Enter') {
      event.preventDefault();
      enlarge();
    }
  }

  function selectAll(positions = order) {
    mark(positions, 'replace');
  }

  /** The listed candidates of the focused one's class, or of the class at the top of the view. */
  function selectClass() {
    const { focus, points } = ready(store);
    const top = rows[firstVisible(rows, scroller.scrollTop)];
    const shown = top?.kind === 'header' ? top.section.positions : tilesOf(top);
    const first = focus !== null && order.includes(focus) ? focus : shown[0];
    if (first === undefined) return;
    selectAll(order.filter((position) => points.label[position] === points.label[first]));
  }

  /** @param {KeyboardEvent} event */
  function moveCursor(event) {
    const first = rows.findIndex((row) => row.kind === 'tiles');
    if (first < 0) return;
    const { focus } = store.data;
    const at = focus === null ? null : findTile(rows, focus);
    const to = JUMPS.includes(event.key) ? jump(event.key, at) : at && step(rows, at, event.key);
    const { row, column } = to ?? { row: first, column: 0 };
    const tiles = tilesOf(rows[row]);
    const next = tiles[clamp(column, 0, tiles.length - 1)];
    if (event.shiftKey) mark(range(at && focus !== null ? focus : next, next), 'add');
    else anchor = next;
    actions.focus(next);
  }

  /**
   * Row and column that Home, End and the page keys go to.
   * @param {string} pressed
   * @param {Place | null} at
   * @returns {Place}
   */
  function jump(pressed, at) {
    const tiles = rows.flatMap((row, r) => (row.kind === 'tiles' ? [r] : []));
    if (pressed === 'Home') return { row: tiles[0], column: 0 };
    if (pressed === 'End') return { row: tiles[tiles.length - 1], column: Infinity };
    const page = scroller.clientHeight - HEADER_PX;
    const y = (at ? rows[at.row].top : 0) + (pressed === 'PageDown' ? page : -page);
    const row = tiles.findLast((r) => rows[r].top <= Math.max(y, 0)) ?? tiles[0];
    return { row, column: at?.column ?? 0 };
  }

  /** Scroll to the class before or after the one at the top. @param {1 | -1} direction */
  function jumpClass(direction) {
    const headers = rows.filter((row) => row.kind === 'header');
    const top = scroller.scrollTop;
    const target =
      direction > 0 ? headers.find((row) => row.top > top + 1) : headers.findLast((row) => row.top < top - 1);
    if (target) scroller.scrollTop = target.top;
  }

  return {
    node,
    /** The row that takes the pane's own buttons. */
    bar: bar.top,
    scroller,
    /** In reading order. */
    listed: () => order,
    resize,
    selectAll,
    selectClass,
    jumpClass,
    filter: bar.filter,
  };
}

/** @param {NonNullable<State['picks']>} picks @param {number} classId @param {boolean} isLocked */
function notes(picks, classId, isLocked) {
  const [short, moved] = [picks.shortfall[classId], picks.substitutes[classId]];
  return [
    isLocked && badge('locked', 'it keeps its picks whatever the sliders do; the Lab unlocks it'),
    short > 0 && badge(`${plural(short, 'candidate')} short`, picks.shortBecause),
    moved > 0 &&
      badge(
        `${moved} from a neighbouring bin`,
        'their own difficulty bin had run out, so the nearest one served',
      ),
  ];
}

/** The tags of every candidate that has some. @param {State['tagged']} tagged */
function tagsOf(tagged) {
  /** @type {Map<number, string[]>} */
  const found = new Map();
  for (const [tag, positions] of Object.entries(tagged))
    for (const position of positions) found.set(position, [...(found.get(position) ?? []), tag]);
  return found;
}

/** The title repeats the words: a narrow pane cuts them. @param {string} text @param {string} reason */
const badge = (text, reason) => h('span', { class: 'psr-badge-note', title: `${text}: ${reason}` }, text);

/** @param {State} data */
const emptyWords = ({ gridMode, found }) =>
  gridMode === 'selection' && found !== null
    ? 'No candidate has all of that. Take a clause away, or move its number.'
    : (EMPTY[gridMode] ?? 'None.');

/** @type {Record<string, string>} */
const EMPTY = {
  picks: 'No picks yet. Move a slider to select.',
  selection: 'Nothing is lassoed. Draw a box or a lasso on the map, or Ctrl-click pictures here.',
  a: 'All that A has, B has too.',
  b: 'All that B has, A has too.',
  both: 'The two have nothing in common.',
};
