// The diff strip: what the last change took in and put out, what it did to the means, and the way back. Or what
// is in the way, and how to mend it.

import { FOLLOWED, GROWN } from '../core/actions.js';
import { button, fill, fitRow, h, said } from '../core/dom.js';
import { lasso } from '../core/lasso.js';
import { count, fixed, plural } from '../core/numbers.js';
import { gainPicture } from './gain_picture.js';

/** @import { Actions, Library, Means, Notice, Ready, State, Store } from '../core/types' */

const THUMB = 28;
const STEP = 36; // a thumbnail with its frame and gap
const REST_PX = 52; // "… 1,234" behind a list that is cut
const MAX_THUMBS = 40;
/** @type {Record<string, string>} */
const CAUSES = { [FOLLOWED]: 'On another page: ', [GROWN]: 'With the new candidates: ' };
/** @type {Record<string, string>} */
const SIGNALS = { reliability: 'rel', entropy: 'ent', difficulty: 'diff', diversity: 'div' };

/** @param {Store} store @param {Actions} actions @param {Library} library */
export function createResultStrip(store, actions, library) {
  const text = h('div', { class: 'psr-result-text' });
  const thumbs = h('div', { class: 'psr-thumbs' });
  const side = h('div', { class: 'psr-result-side' });
  const revert = button({
    label: 'Revert',
    iconName: 'undo',
    className: 'psr-revert',
    onClick: () => (isUndone() ? actions.redo() : actions.undo()),
  });
  const command = button({
    label: 'Copy as command',
    iconName: 'command',
    className: 'psr-icon-only',
    title: 'Copy the shell command that makes this selection (K)',
    onClick: library.copyCommand,
  });
  const node = h('div', { class: 'psr-result' }, text, thumbs, side, revert, command);

  function refresh() {
    const { notice, news, phase, diff } = store.data;
    node.classList.toggle('is-error', Boolean(notice));
    node.classList.toggle('has-changes', Boolean(diff?.added.length || diff?.dropped.length));
    node.classList.toggle('is-news', Boolean(news));
    command.hidden = phase !== 'ready';
    if (notice) return showNotice(notice);
    fill(thumbs);
    fill(side);
    if (phase !== 'ready') return void fill(text);
    if (news) return showNews(news);
    fill(side, sideWords(store.data));
    showDiff();
    fit();
  }

  /** As many thumbnails as there is room for. */
  function fit() {
    fitRow(node);
    const { data } = store;
    if (data.phase === 'ready' && !data.notice && !data.news) showThumbs(data);
  }

  /** The change shown was itself an undo: its way back is forward. */
  const isUndone = () => store.data.diff?.path === 'undo';

  function showRevert() {
    const { undo, redo, diff, notice, news } = store.data;
    const [what, keys] = isUndone() ? [redo, 'Ctrl+Shift+Z'] : [undo, 'Ctrl+Z'];
    const words = isUndone() ? `Revert: do again: ${what}` : `Revert: ${what}`;
    revert.hidden = !what || !diff || Boolean(notice) || Boolean(news);
    revert.title = `${words} (${keys})`;
    revert.setAttribute('aria-label', words);
  }

  /** @param {Notice} notice */
  function showNotice({ problem, fix, retry }) {
    fill(text, h('strong', {}, said(problem)), ' ', said(fix));
    text.setAttribute('role', 'alert');
    fill(thumbs);
    fill(side, retry && button({ label: 'Try again', onClick: retry }), dismiss({ notice: null }));
    revert.hidden = true;
  }

  /** @param {NonNullable<State['news']>} news */
  function showNews({ text: words, tab, label = '' }) {
    text.removeAttribute('role');
    fill(text, h('span', { class: 'psr-news', title: words }, words));
    const go = () => {
      store.set({ news: null });
      document.getElementById(`psr-tab-${tab}-button`)?.click();
    };
    fill(side, tab && button({ label, onClick: go }), dismiss({ news: null }));
    revert.hidden = true;
  }

  /** @param {{ notice: null } | { news: null }} patch */
  const dismiss = (patch) =>
    button({
      label: 'Dismiss',
      iconName: 'clear',
      className: 'psr-ghost psr-icon-only',
      onClick: () => store.set(patch),
    });

  function showDiff() {
    const { diff, picks } = store.data;
    text.removeAttribute('role');
    if (!diff) {
      const first = picks
        ? `${count(picks.total)} picked. Move a slider to see what comes and goes.`
        : 'Selecting …';
      fill(text, first);
      return;
    }
    const { added, dropped } = diff;
    const same = !added.length && !dropped.length;
    const changes = [change(added, 'plus', '+', 'added'), ' / ', change(dropped, 'minus', '−', 'dropped')];
    const cause = diff.did ? `${diff.did}: ` : CAUSES[diff.path];
    fill(
      text,
      cause && h('span', { class: 'psr-muted' }, cause),
      same ? 'Same picks as before' : changes,
      diff.fresh.length > 0 && [' · ', showNew(diff.fresh)],
    );
  }

  /**
   * The number is a button: it marks these candidates out on the map.
   * @param {number[]} positions
   * @param {string} kind
   * @param {string} sign
   * @param {string} word
   */
  const change = (positions, kind, sign, word) =>
    h(
      'button',
      {
        type: 'button',
        class: `psr-change psr-${kind}`,
        disabled: !positions.length,
        title: `Lasso the ${plural(positions.length, 'candidate')} ${word}`,
        on: { click: () => lasso(store, positions) },
      },
      `${sign}${count(positions.length)} ${word}`,
    );

  /** @param {number[]} positions that the pool has grown by */
  const showNew = (positions) =>
    h(
      'button',
      {
        type: 'button',
        class: 'psr-change psr-new',
        title: `Lasso the ${plural(positions.length, 'new candidate')}: the grid lists them`,
        on: { click: () => lasso(store, positions) },
      },
      `show the ${count(positions.length)}`,
    );

  /** @param {Ready} data */
  function showThumbs(data) {
    const { added = [], dropped = [] } = data.diff ?? {};
    const places = (/** @type {number} */ px) => Math.max(0, Math.min(MAX_THUMBS, Math.floor(px / STEP)));
    const width = thumbs.clientWidth;
    const fits = added.length + dropped.length <= places(width);
    // Room is shared by both sides, so that a long list of gains does not hide the losses.
    const lists = Number(added.length > 0) + Number(dropped.length > 0);
    const room = places(fits ? width : width - lists * REST_PX);
    const limit = (/** @type {number[]} */ other) => Math.max(Math.floor(room / 2), room - other.length);
    fill(
      thumbs,
      thumbList(data, added, limit(dropped), 'added'),
      thumbList(data, dropped, limit(added), 'dropped'),
    );
  }

  /** @param {Ready} data @param {number[]} positions @param {number} limit @param {string} kind */
  function thumbList({ points, info, sprites }, positions, limit, kind) {
    const shown = positions.slice(0, limit).map((position) => {
      const label = points.label[position];
      const name = info.class_names[label];
      const picture = h('span', { class: 'psr-tile-picture' });
      sprites.paint(picture, position, label, THUMB);
      return h(
        'button',
        {
          type: 'button',
          class: `psr-thumb is-${kind}`,
          title: `${name}: ${kind}`,
          'aria-label': `${name}, ${kind}: show`,
          on: { click: () => actions.focus(position) },
        },
        picture,
      );
    });
    const rest = positions.length - limit;
    return [shown, rest > 0 && h('span', { class: 'psr-muted' }, `… ${count(rest)}`)];
  }

  /** For the curious, in the tooltip alone. */
  function showTiming() {
    const { timing } = store.data;
    text.title = timing
      ? `${Math.round(timing.drawn)} ms from release to drawn, ${fixed(timing.server, 1)} on the server`
      : '';
    fit();
  }

  store.on(['diff', 'notice', 'news', 'picks', 'phase'], refresh);
  store.on(['diff'], ({ phase, notice, news }) => phase === 'ready' && !notice && !news && showDiff(), {
    follows: true,
  });
  store.on(['undo', 'redo', 'diff', 'busy'], showRevert);
  store.on(['busy'], ({ busy }) => node.classList.toggle('is-busy', busy));
  store.on(['timing'], showTiming);
  showRevert();
  return { node, fit };
}

/** Who is short of images, how the mean gain and the mean signals moved. @param {Ready} data */
function sideWords({ picks, diff, info }) {
  const named = (/** @type {number[]} */ counts) =>
    counts.map((n, c) => ({ n, words: `${info.class_names[c]} ${n}` })).filter(({ n }) => n > 0);
  const list = (/** @type {{ words: string }[]} */ rows) => rows.map(({ words }) => words).join(', ');
  const [short, moved] = [named(picks?.shortfall ?? []), named(picks?.substitutes ?? [])];
  const sum = moved.reduce((all, { n }) => all + n, 0);
  const words = [
    short.length > 0 && `${plural(short.length, 'class', 'classes')} short: ${list(short)}`,
    moved.length > 0 && `${plural(sum, 'pick')} from a neighbouring bin: ${list(moved)}`,
  ]
    .filter(Boolean)
    .join('; ');
  const title = short.length
    ? picks?.message
    : `Their own difficulty bin had run out, so the nearest one served: ${list(moved)}. Not a shortage.`;
  return [
    Boolean(words) && h('span', { class: 'psr-warn', tabindex: '0', title }, words),
    diff && gainPicture(diff.gains),
    diff && meansLine(diff.means),
  ];
}

/** Mean signals of the picks before and after the change. @param {Means} means */
function meansLine(means) {
  const shown = Object.entries(means).filter(([key, [, after]]) => key in SIGNALS && Number.isFinite(after));
  return h(
    'span',
    { class: 'psr-means' },
    shown.map(([key, [before, after]]) => {
      const texts = beforeAfter(before, after);
      return h(
        'span',
        { title: `Mean ${key} of the picks: ${beforeAfter(before, after, 4).join(' → ')}` },
        h('span', { class: 'psr-muted' }, `${SIGNALS[key]} `),
        texts.slice(0, -1).map((words) => `${words} → `),
        h('b', {}, texts[texts.length - 1]),
      );
    }),
  );
}

/**
 * Both values as texts, with a third decimal where two show no difference; one where three show none.
 * @param {number | null} before
 * @param {number | null} after
 * @returns {string[]}
 */
function beforeAfter(before, after, digits = 2) {
  if (!Number.isFinite(before)) return [fixed(after, digits)];
  const texts = [before, after].map((value) => fixed(value, digits));
  if (texts[0] !== texts[1]) return texts;
  return digits < 3 ? beforeAfter(before, after, digits + 1) : [fixed(after, 2)];
}
