// The picks grid: a windowed list of tiles by class. One selection and one focus with the map.

import { clamp, count, h, plural } from '../core/dom.js';
import { TILES, createGridBar } from './bar.js';
import { HEADER_PX, findTile, firstVisible, layoutRows, sections, step } from './layout.js';
import { sorter } from './sort.js';
import { buildTile, styleTile } from './tile.js';
import { shortReason } from '../core/model.js';
import { combine, makeSelection } from '../core/selection.js';
import { createSelectionBar } from './selection_bar.js';

const GAP = 5;
const SIDE = 8;
const OVERSCAN_PX = 200;
// Changes of these keys change which candidates are listed, or in which order.
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
];
const RESTYLE = ['selection', 'pinned', 'diff', 'focus'];
const JUMPS = ['Home', 'End', 'PageUp', 'PageDown'];

export class Grid {
  constructor(store, getSprites, actions) {
    Object.assign(this, { store, getSprites, actions });
    this.wanted = TILES.M; // the least width of a tile
    this.tile = TILES.M;
    this.rows = [];
    this.order = [];
    this.live = new Map(); // row index -> element
    this.width = 0;
    this.anchor = null;
    this.added = new Set();
    this.buildDom();
    store.on([...RELIST, ...RESTYLE], (data, changed) => this.update(data, changed));
  }

  update(data, changed) {
    if (changed.includes('diff')) this.added = new Set(data.diff?.added || []);
    const relist =
      changed.some((key) => RELIST.includes(key)) ||
      (data.gridMode === 'selection' && changed.includes('selection'));
    if (relist) this.rebuild();
    else this.restyle();
    if (changed.includes('focus')) this.reveal(data.focus);
  }

  buildDom() {
    this.bar = createGridBar(this.store, (px) => {
      this.wanted = px;
      this.rebuild();
    });
    this.selectionBar = createSelectionBar(this.store, this.actions);
    this.spacer = h('div', { class: 'psr-grid-spacer', role: 'presentation' });
    this.scroller = h(
      'div',
      {
        class: 'psr-grid-scroll',
        tabindex: '0',
        role: 'listbox',
        'aria-multiselectable': 'true',
        'aria-label': 'Candidates by class',
        on: {
          scroll: () => this.renderWindow(),
          click: (event) => this.click(event),
          keydown: (event) => this.key(event),
        },
      },
      this.spacer,
    );
    this.node = h(
      'section',
      { class: 'psr-pane psr-grid', 'aria-label': 'Grid' },
      this.bar.node,
      this.scroller,
      this.selectionBar.node,
    );
  }

  // --- layout ------------------------------------------------------------------
  resize() {
    const width = this.scroller.clientWidth;
    this.selectionBar.fit();
    if (!width || width === this.width) return void this.renderWindow();
    this.width = width;
    this.rebuild();
  }

  rebuild() {
    const { data } = this.store;
    if (data.phase !== 'ready' || !data.points || !this.width) return;
    const room = this.width - 2 * SIDE + GAP;
    const columns = Math.max(1, Math.floor(room / (this.wanted + GAP)));
    this.tile = Math.floor(room / columns - GAP); // rows end flush with the pane
    const list = sections(data, this.getSprites().starts, sorter(data));
    Object.assign(this, layoutRows(list, columns, this.tile, GAP));
    this.bar.setCount(this.order.length);
    this.spacer.style.height = `${this.height + 4}px`;
    this.live.clear();
    this.spacer.replaceChildren();
    if (!this.order.length)
      this.spacer.append(h('p', { class: 'psr-note' }, EMPTY[data.gridMode] ?? 'None.'));
    this.renderWindow();
  }

  renderWindow() {
    const top = this.scroller.scrollTop - OVERSCAN_PX;
    const bottom = this.scroller.scrollTop + this.scroller.clientHeight + OVERSCAN_PX;
    const wanted = new Set();
    for (let r = firstVisible(this.rows, top); r < this.rows.length && this.rows[r].top < bottom; r += 1)
      wanted.add(r);
    for (const [r, node] of this.live) {
      if (wanted.has(r)) continue;
      node.remove();
      this.live.delete(r);
    }
    for (const r of wanted) {
      if (this.live.has(r)) continue;
      const node = this.buildRow(this.rows[r]);
      node.style.top = `${this.rows[r].top}px`;
      this.live.set(r, node);
      this.spacer.append(node);
    }
  }

  buildRow(row) {
    if (row.kind === 'header') return this.buildHeader(row.section);
    const { data } = this.store;
    const tiles = row.positions.map((position, k) => {
      const label = data.points.label[position];
      const node = buildTile(position, row.first + k, this.order.length, this.tile, this.getSprites(), label);
      styleTile(node, position, data, this.added);
      return node;
    });
    return h('div', { class: 'psr-grid-row', role: 'presentation', style: { gap: `${GAP}px` } }, tiles);
  }

  buildHeader({ classId, told, positions }) {
    const { info, picks, gridMode } = this.store.data;
    const what = gridMode === 'picks' || gridMode === 'pool' ? 'picked' : 'listed';
    const short = picks?.shortfall[classId] || 0;
    const moved = picks?.substitutes[classId] || 0;
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
      h(
        'span',
        { class: 'psr-header-notes' },
        short > 0 && badge(`${plural(short, 'candidate')} short`, shortReason(picks)),
        moved > 0 &&
          badge(
            `${moved} from a neighbouring bin`,
            'their own difficulty bin had run out, so the nearest one served',
          ),
      ),
      h(
        'button',
        {
          type: 'button',
          class: 'psr-btn psr-ghost psr-header-select',
          tabindex: '-1', // the key A does the same, and every tile names its class
          title: `Lasso the ${plural(positions.length, 'candidate')} listed of ${name} (A)`,
          on: { click: () => this.selectAll(positions) },
        },
        'Lasso',
      ),
    );
  }

  restyle() {
    for (const node of this.spacer.querySelectorAll('.psr-tile'))
      styleTile(node, Number(node.dataset.position), this.store.data, this.added);
  }

  // --- focus and selection ------------------------------------------------------------------
  /** Scroll the tile into view and make it the keyboard's cursor; unlisted candidates are ignored. */
  reveal(position) {
    const at = position === null ? null : findTile(this.rows, position);
    this.scroller.removeAttribute('aria-activedescendant');
    if (!at) return;
    const row = this.rows[at.row];
    const { scrollTop, clientHeight } = this.scroller;
    if (row.top < scrollTop + HEADER_PX) this.scroller.scrollTop = row.top - HEADER_PX - 4;
    else if (row.top + row.height > scrollTop + clientHeight)
      this.scroller.scrollTop = row.top + row.height - clientHeight + 4;
    this.renderWindow();
    this.scroller.setAttribute('aria-activedescendant', `psr-tile-${position}`);
  }

  click(event) {
    const node = event.target.closest('.psr-tile');
    if (!node) return;
    const position = Number(node.dataset.position);
    if (event.shiftKey) this.selectRange(position);
    else if (event.ctrlKey || event.metaKey) {
      this.store.set({ selection: combine(this.store.data.selection, [position], 'toggle') });
      this.anchor = position;
    } else {
      this.anchor = position;
      this.actions.focus(position);
    }
  }

  selectRange(position) {
    const from = this.order.indexOf(this.anchor ?? this.store.data.focus ?? position);
    const to = this.order.indexOf(position);
    const range = this.order.slice(Math.min(from < 0 ? to : from, to), Math.max(from, to) + 1);
    this.store.set({ selection: combine(this.store.data.selection, range, 'add') });
  }

  key(event) {
    const { selection, focus } = this.store.data;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key.startsWith('Arrow') || JUMPS.includes(event.key)) {
      event.preventDefault();
      this.moveCursor(event);
    } else if (event.key === ' ' && focus !== null) {
      event.preventDefault();
      this.anchor = focus;
      this.store.set({ selection: combine(selection, [focus], 'toggle') });
    }
  }

  selectAll(positions = this.order) {
    this.store.set({ selection: makeSelection(this.store.data.info.n, positions) });
  }

  /** The listed candidates of the focused one's class, or of the class at the top of the view. */
  selectClass() {
    const { focus, points } = this.store.data;
    const top = this.rows[firstVisible(this.rows, this.scroller.scrollTop)];
    const first =
      focus !== null && this.order.includes(focus) ? focus : (top?.positions ?? top?.section.positions)?.[0];
    if (first === undefined) return;
    this.selectAll(this.order.filter((position) => points.label[position] === points.label[first]));
  }

  moveCursor(event) {
    const first = this.rows.findIndex((row) => row.kind === 'tiles');
    if (first < 0) return;
    const { focus, selection } = this.store.data;
    const at = focus === null ? null : findTile(this.rows, focus);
    const to = JUMPS.includes(event.key) ? this.jump(event.key, at) : at && step(this.rows, at, event.key);
    const { row, column } = to ?? { row: first, column: 0 };
    const next = this.rows[row].positions[clamp(column, 0, this.rows[row].positions.length - 1)];
    if (event.shiftKey) {
      const until = this.order.indexOf(next);
      const from = at ? this.order.indexOf(focus) : until;
      const range = this.order.slice(Math.min(from, until), Math.max(from, until) + 1);
      this.store.set({ selection: combine(selection, range, 'add') });
    } else this.anchor = next;
    this.actions.focus(next);
  }

  /** Row and column that Home, End and the page keys go to. */
  jump(key, at) {
    const tiles = this.rows.flatMap((row, r) => (row.kind === 'tiles' ? [r] : []));
    if (key === 'Home') return { row: tiles[0], column: 0 };
    if (key === 'End') return { row: tiles[tiles.length - 1], column: Infinity };
    const page = this.scroller.clientHeight - HEADER_PX;
    const y = (at ? this.rows[at.row].top : 0) + (key === 'PageDown' ? page : -page);
    const row = tiles.findLast((r) => this.rows[r].top <= Math.max(y, 0)) ?? tiles[0];
    return { row, column: at?.column ?? 0 };
  }

  /** Scroll to the class before or after the one at the top. */
  jumpClass(direction) {
    const headers = this.rows.filter((row) => row.kind === 'header');
    const top = this.scroller.scrollTop;
    const target =
      direction > 0
        ? headers.find((row) => row.top > top + 1)
        : headers.reverse().find((row) => row.top < top - 1);
    if (target) this.scroller.scrollTop = target.top;
  }
}

/** The title repeats the words: a narrow pane cuts them. */
const badge = (text, reason) => h('span', { class: 'psr-badge-note', title: `${text}: ${reason}` }, text);

const EMPTY = {
  picks: 'No picks yet. Move a slider to select.',
  selection: 'Nothing is lassoed. Draw a box or a lasso on the map, or Ctrl-click pictures here.',
  a: 'All that A has, B has too.',
  b: 'All that B has, A has too.',
  both: 'The two have nothing in common.',
};
