// The picks grid: a windowed list of tiles by class. One selection and one focus with the map.

import { clamp, count, fill, h, plural, segmented } from './dom.js';
import { describe } from './hover.js';
import { HEADER_PX, findTile, firstVisible, layoutRows, sections, step } from './grid_layout.js';
import { combine, makeSelection } from './selection.js';

const GAP = 5;
const SIDE = 8;
const OVERSCAN_PX = 200;
// Changes of these keys change which candidates are listed.
const RELIST = ['picks', 'vetoed', 'info', 'gridMode', 'solo', 'phase'];
const TILES = { S: 40, M: 56, L: 84 };

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
    store.on([...RELIST, 'selection', 'pinned', 'diff', 'focus'], (data, changed) =>
      this.update(data, changed),
    );
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
    const { store } = this;
    const modes = segmented(
      'Candidates listed',
      [
        { value: 'picks', label: 'Picks', title: 'The current selection, in pick order' },
        { value: 'selection', label: 'Selected', title: 'What you marked out on the map or here' },
        { value: 'pool', label: 'Pool', title: 'All candidates' },
      ],
      (gridMode) => store.set({ gridMode }),
    );
    const sizes = segmented(
      'Picture size',
      Object.keys(TILES).map((value) => ({
        value,
        label: value,
        title: `Pictures of about ${TILES[value]} px`,
      })),
      (value) => this.setTile(value, sizes),
    );
    store.on(['gridMode'], () => modes.show(store.data.gridMode));
    modes.show(store.data.gridMode);
    sizes.show('M');
    this.spacer = h('div', { class: 'psr-grid-spacer' });
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
      { class: 'psr-pane psr-grid', 'aria-label': 'Picks' },
      h('div', { class: 'psr-bar' }, modes.node, h('span', { class: 'psr-grow' }), sizes.node),
      this.scroller,
    );
  }

  setTile(value, sizes) {
    sizes.show(value);
    this.wanted = TILES[value];
    this.rebuild();
  }

  // --- layout ------------------------------------------------------------------
  resize() {
    const width = this.scroller.clientWidth;
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
    const list = sections(data, this.getSprites().starts);
    Object.assign(this, layoutRows(list, columns, this.tile, GAP));
    this.spacer.style.height = `${this.height + 4}px`;
    this.live.clear();
    this.spacer.replaceChildren();
    if (!this.order.length) this.spacer.append(h('p', { class: 'psr-note' }, emptyText(data.gridMode)));
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
    const tiles = row.positions.map((position, k) => this.buildTile(position, row.first + k));
    return h('div', { class: 'psr-grid-row', role: 'presentation', style: { gap: `${GAP}px` } }, tiles);
  }

  buildHeader({ classId, picked }) {
    const { info, picks } = this.store.data;
    const short = picks?.shortfall[classId] || 0;
    return h(
      'div',
      { class: 'psr-grid-header', role: 'presentation', style: { height: `${HEADER_PX}px` } },
      h('strong', { title: info.class_names[classId] }, info.class_names[classId]),
      h('span', { class: 'psr-num' }, `${count(picked)}/${count(info.counts[classId])}`),
      short > 0 &&
        h(
          'span',
          { class: 'psr-badge-note', title: 'Candidates that the teacher assigns to this class are too few' },
          `${plural(short, 'candidate')} short`,
        ),
    );
  }

  buildTile(position, place) {
    const { info, points } = this.store.data;
    const picture = h('span', { class: 'psr-tile-picture' });
    this.getSprites().paint(picture, position, points.label[position], this.tile);
    const node = h(
      'div',
      {
        class: 'psr-tile',
        role: 'option',
        id: `psr-tile-${position}`,
        'data-position': position,
        style: { width: `${this.tile}px`, height: `${this.tile}px` },
        'aria-posinset': place + 1,
        'aria-setsize': this.order.length,
        'aria-label': info.class_names[points.label[position]],
      },
      picture,
    );
    this.styleTile(node, position);
    return node;
  }

  styleTile(node, position) {
    const { data } = this.store;
    const { picks, pinned, vetoed, selection, points, info, focus } = data;
    const at = picks ? picks.index[position] : -1;
    const selected = selection.mask[position] === 1;
    node.setAttribute('aria-selected', String(selected));
    node.classList.toggle('is-selected', selected);
    node.classList.toggle('is-focus', focus === position);
    node.classList.toggle('is-vetoed', vetoed.has(position));
    const name = info.class_names[points.label[position]];
    node.title = `${name} · ${describe(data, position, picks, points.label[position])}`;
    node.setAttribute('aria-label', node.title);
    const badges = [
      pinned.has(position) && ['pin', 'P', 'Pinned'],
      vetoed.has(position) && ['veto', '×', 'Vetoed'],
      at >= 0 && picks.filled[at] && ['filled', '!', "Filled: not the teacher's choice"],
      at >= 0 && this.added.has(position) && ['added', '+', 'Added in the last change'],
    ].filter(Boolean);
    const rank = at >= 0 ? h('span', { class: 'psr-rank' }, picks.rank[at] + 1) : null;
    fill(
      node,
      node.firstChild,
      badges.length &&
        h(
          'span',
          { class: 'psr-badges' },
          badges.map(([kind, text, title]) => h('span', { class: `psr-badge is-${kind}`, title }, text)),
        ),
      rank,
    );
  }

  restyle() {
    for (const node of this.spacer.querySelectorAll('.psr-tile'))
      this.styleTile(node, Number(node.dataset.position));
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
    const { selection, focus, info } = this.store.data;
    if ((event.ctrlKey || event.metaKey) && event.key === 'a') {
      event.preventDefault();
      this.store.set({ selection: makeSelection(info.n, this.order) });
    } else if (event.key.startsWith('Arrow') && !event.ctrlKey && !event.altKey) {
      event.preventDefault();
      this.moveCursor(event);
    } else if (event.key === ' ' && focus !== null) {
      event.preventDefault();
      this.store.set({ selection: combine(selection, [focus], 'toggle') });
    }
  }

  moveCursor(event) {
    const first = this.rows.findIndex((row) => row.kind === 'tiles');
    if (first < 0) return;
    const { focus, selection } = this.store.data;
    const at = focus === null ? null : findTile(this.rows, focus);
    const to = at ? step(this.rows, at, event.key) : { row: first, column: 0 };
    const next = this.rows[to.row].positions[clamp(to.column, 0, this.rows[to.row].positions.length - 1)];
    if (event.shiftKey) this.store.set({ selection: combine(selection, [focus ?? next, next], 'add') });
    this.actions.focus(next);
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

function emptyText(mode) {
  return mode === 'selection'
    ? 'Nothing is selected. Draw a box or a lasso on the map, or Ctrl-click pictures here.'
    : 'No picks yet. Move a slider to select.';
}
