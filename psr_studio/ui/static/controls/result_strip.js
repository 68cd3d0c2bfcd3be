// The diff strip: what the last change took in and put out, what it did to the means, and the way back. Or what
// is in the way, and how to mend it.

import { button, count, fill, fitRow, fixed, h, plural, said } from '../core/dom.js';
import { gainPicture } from './gain_curve.js';
import { makeSelection } from '../core/selection.js';

const THUMB = 28;
const STEP = 36; // a thumbnail with its frame and gap
const REST_PX = 52; // "… 1,234" behind a list that is cut
const MAX_THUMBS = 40;
const SIGNALS = { reliability: 'rel', entropy: 'ent', difficulty: 'diff', diversity: 'div' };

export class ResultStrip {
  constructor(store, getSprites, actions) {
    Object.assign(this, { store, getSprites, actions });
    this.text = h('div', { class: 'psr-result-text' });
    this.thumbs = h('div', { class: 'psr-thumbs' });
    this.side = h('div', { class: 'psr-result-side' });
    this.revert = button({
      label: 'Revert',
      iconName: 'undo',
      className: 'psr-revert',
      onClick: () => this.takeBack(),
    });
    this.command = button({
      label: 'Copy as command',
      iconName: 'command',
      className: 'psr-icon-only',
      title: 'Copy the shell command that makes this selection (K)',
      onClick: () => actions.copyCommand(),
    });
    this.node = h(
      'div',
      { class: 'psr-result' },
      this.text,
      this.thumbs,
      this.side,
      this.revert,
      this.command,
    );
    store.on(['diff', 'notice', 'news', 'picks', 'phase'], () => this.refresh());
    store.on(['undo', 'redo', 'diff', 'busy'], () => this.showRevert());
    store.on(['busy'], () => this.node.classList.toggle('is-busy', store.data.busy));
    store.on(['timing'], () => this.showTiming());
    this.showRevert();
  }

  refresh() {
    const { notice, news, phase } = this.store.data;
    this.node.classList.toggle('is-error', Boolean(notice));
    this.node.classList.toggle('is-news', Boolean(news));
    this.command.hidden = phase !== 'ready';
    if (notice) return this.showNotice(notice);
    if (phase !== 'ready') return fill(this.text) && fill(this.thumbs) && fill(this.side);
    if (news) return this.showNews(news);
    this.showSide();
    this.showDiff();
    return this.fit();
  }

  /** As many thumbnails as there is room for. */
  fit() {
    fitRow(this.node);
    if (!this.store.data.notice && !this.store.data.news) this.showThumbs();
  }

  showRevert() {
    const { undo, redo, diff, notice, news } = this.store.data;
    const [what, keys] = this.isUndone ? [redo, 'Ctrl+Shift+Z'] : [undo, 'Ctrl+Z'];
    const words = this.isUndone ? `Revert: do again: ${what}` : `Revert: ${what}`;
    this.revert.hidden = !what || !diff || Boolean(notice) || Boolean(news);
    this.revert.title = `${words} (${keys})`;
    this.revert.setAttribute('aria-label', words);
  }

  /** The change shown was itself an undo: its way back is forward. */
  get isUndone() {
    return this.store.data.diff?.path === 'undo';
  }

  takeBack() {
    return this.isUndone ? this.actions.redo() : this.actions.undo();
  }

  showNotice({ problem, fix, retry }) {
    fill(this.text, h('strong', {}, said(problem)), ' ', said(fix));
    this.text.setAttribute('role', 'alert');
    fill(this.thumbs);
    fill(this.side, retry && button({ label: 'Try again', onClick: retry }), this.dismiss('notice'));
    this.revert.hidden = true;
  }

  showNews({ text, tab, label }) {
    this.text.removeAttribute('role');
    fill(this.text, h('span', { class: 'psr-news', title: text }, text));
    fill(this.thumbs);
    const go = () => {
      this.store.set({ news: null });
      document.getElementById(`psr-tab-${tab}-button`)?.click();
    };
    fill(this.side, tab && button({ label, onClick: go }), this.dismiss('news'));
    this.revert.hidden = true;
  }

  dismiss(key) {
    return button({
      label: 'Dismiss',
      iconName: 'clear',
      className: 'psr-ghost psr-icon-only',
      onClick: () => this.store.set({ [key]: null }),
    });
  }

  showDiff() {
    const { diff, picks } = this.store.data;
    this.text.removeAttribute('role');
    if (!diff) {
      const first = picks
        ? `${count(picks.total)} picked. Move a slider to see what comes and goes.`
        : 'Selecting …';
      fill(this.text, first);
      return;
    }
    const { added, dropped } = diff;
    const same = !added.length && !dropped.length;
    const changes = [
      this.change(added, 'plus', '+', 'added'),
      ' / ',
      this.change(dropped, 'minus', '−', 'dropped'),
    ];
    fill(this.text, same ? 'Same picks as before' : changes);
  }

  showThumbs() {
    const { added = [], dropped = [] } = this.store.data.diff ?? {};
    const places = (px) => Math.max(0, Math.min(MAX_THUMBS, Math.floor(px / STEP)));
    const width = this.thumbs.clientWidth;
    const fits = added.length + dropped.length <= places(width);
    // Room is shared by both sides, so that a long list of gains does not hide the losses.
    const half = fits ? places(width) : Math.floor(places(width - 2 * REST_PX) / 2);
    const spare = (other) => Math.max(0, half - other.length);
    fill(
      this.thumbs,
      this.thumbList(added, half + spare(dropped), 'added'),
      this.thumbList(dropped, half + spare(added), 'dropped'),
    );
  }

  /** The number is a button: it marks these candidates out on the map. */
  change(positions, kind, sign, word) {
    return h(
      'button',
      {
        type: 'button',
        class: `psr-change psr-${kind}`,
        disabled: !positions.length,
        title: `Select the ${plural(positions.length, 'candidate')} ${word}`,
        on: { click: () => this.store.set({ selection: makeSelection(this.store.data.info.n, positions) }) },
      },
      `${sign}${count(positions.length)} ${word}`,
    );
  }

  /** For the curious, in the tooltip alone. */
  showTiming() {
    const { timing } = this.store.data;
    const words =
      timing &&
      `${Math.round(timing.drawn)} ms from release to drawn, ${fixed(timing.server, 1)} on the server`;
    this.text.title = words || '';
    this.fit();
  }

  thumbList(positions, limit, kind) {
    const { points, info } = this.store.data;
    const shown = positions.slice(0, limit).map((position) => {
      const name = info.class_names[points.label[position]];
      const picture = h('span', { class: 'psr-tile-picture' });
      this.getSprites().paint(picture, position, points.label[position], THUMB);
      return h(
        'button',
        {
          type: 'button',
          class: `psr-thumb is-${kind}`,
          title: `${name}: ${kind}`,
          'aria-label': `${name}, ${kind}: show`,
          on: { click: () => this.actions.focus(position) },
        },
        picture,
      );
    });
    if (positions.length > limit)
      shown.push(h('span', { class: 'psr-muted' }, `… ${count(positions.length - limit)}`));
    return shown;
  }

  showSide() {
    const { picks, diff, info } = this.store.data;
    const named = (counts = []) => counts.map((n, c) => [n, info.class_names[c]]).filter(([n]) => n > 0);
    const list = (rows) => rows.map(([n, name]) => `${name} ${n}`).join(', ');
    const [short, moved] = [named(picks?.shortfall), named(picks?.substitutes)];
    const sum = moved.reduce((all, [n]) => all + n, 0);
    const words = [
      short.length > 0 && `${plural(short.length, 'class', 'classes')} short: ${list(short)}`,
      moved.length > 0 && `${plural(sum, 'pick')} from a neighbouring bin: ${list(moved)}`,
    ]
      .filter(Boolean)
      .join('; ');
    const title = short.length
      ? picks.message
      : `Their own difficulty bin had run out, so the nearest one served: ${list(moved)}. Not a shortage.`;
    fill(
      this.side,
      Boolean(words) && h('span', { class: 'psr-warn', tabindex: '0', title }, words),
      diff && gainPicture(diff.gains),
      diff && meansLine(diff.means),
    );
  }
}

/** Mean signals of the picks before and after the change. */
function meansLine(means) {
  const part = ([key, [before, after]]) =>
    h(
      'span',
      { title: `Mean ${key} of the picks: ${beforeAfter(before, after, 4).join(' → ')}` },
      h('span', { class: 'psr-muted' }, `${SIGNALS[key]} `),
      beforeAfter(before, after)
        .slice(0, -1)
        .map((text) => `${text} → `),
      h('b', {}, beforeAfter(before, after).pop()),
    );
  const shown = Object.entries(means).filter(([key, [, after]]) => key in SIGNALS && Number.isFinite(after));
  return h('span', { class: 'psr-means' }, shown.map(part));
}

/** Both values as texts, with a third decimal where two show no difference; one where three show none. */
export function beforeAfter(before, after, digits = 2) {
  if (!Number.isFinite(before)) return [fixed(after, digits)];
  const texts = [before, after].map((value) => fixed(value, digits));
  if (texts[0] !== texts[1]) return texts;
  return digits < 3 ? beforeAfter(before, after, digits + 1) : [fixed(after, 2)];
}
