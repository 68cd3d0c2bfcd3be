// The control strip's lower row: what the last change did, or what is in its way and how to mend it.

import { button, count, fill, fixed, h, plural } from './dom.js';

const THUMB = 28;
const MAX_THUMBS = 24;

export class ResultStrip {
  constructor(store, getSprites, actions) {
    Object.assign(this, { store, getSprites, actions });
    this.text = h('div', { class: 'psr-result-text', role: 'status', 'aria-live': 'polite' });
    this.thumbs = h('div', { class: 'psr-thumbs' });
    this.side = h('div', { class: 'psr-result-side' });
    this.node = h('div', { class: 'psr-result' }, this.text, this.thumbs, this.side);
    this.ms = h('span', { class: 'psr-muted' });
    store.on(['diff', 'notice', 'picks', 'phase'], () => this.refresh());
    store.on(['busy'], () => this.node.classList.toggle('is-busy', store.data.busy));
    store.on(['timing'], () => this.showTiming());
  }

  refresh() {
    const { notice, phase } = this.store.data;
    this.node.classList.toggle('is-error', Boolean(notice));
    if (notice) return this.showNotice(notice);
    if (phase !== 'ready') return fill(this.text) && fill(this.thumbs) && fill(this.side);
    this.showDiff();
    return this.showSide();
  }

  showNotice({ problem, fix, retry }) {
    fill(this.text, h('strong', {}, problem), ' ', fix);
    fill(this.thumbs);
    fill(
      this.side,
      retry && button({ label: 'Try again', onClick: retry }),
      button({
        label: 'Dismiss',
        iconName: 'clear',
        className: 'psr-ghost psr-icon-only',
        onClick: () => this.store.set({ notice: null }),
      }),
    );
  }

  showDiff() {
    const { diff, picks } = this.store.data;
    if (!diff) {
      fill(
        this.text,
        picks ? `${count(picks.total)} picked. Move a slider to see what comes and goes.` : 'Selecting …',
      );
      return fill(this.thumbs);
    }
    const { added, dropped } = diff;
    const same = !added.length && !dropped.length;
    fill(
      this.text,
      same
        ? 'Same picks as before'
        : [
            h('b', { class: 'psr-plus' }, `+${count(added.length)} added`),
            ' / ',
            h('b', { class: 'psr-minus' }, `−${count(dropped.length)} dropped`),
          ],
      this.ms,
    );
    // Room is shared by both sides, so that a long list of gains does not hide the losses.
    const half = MAX_THUMBS / 2;
    const spare = (other) => Math.max(0, half - other.length);
    return fill(
      this.thumbs,
      this.thumbList(added, half + spare(dropped), 'added'),
      this.thumbList(dropped, half + spare(added), 'dropped'),
    );
  }

  showTiming() {
    const { timing } = this.store.data;
    this.ms.textContent = timing ? ` · ${Math.round(timing.drawn)} ms` : '';
    this.ms.title = timing ? `Release to drawn. On the server: ${fixed(timing.server, 1)} ms.` : '';
  }

  thumbList(positions, limit, kind) {
    const { points, info } = this.store.data;
    return positions
      .slice(0, limit)
      .map((position) => {
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
      })
      .concat(
        positions.length > limit
          ? h('span', { class: 'psr-muted' }, `… ${count(positions.length - limit)}`)
          : [],
      );
  }

  showSide() {
    const { picks, diff, info } = this.store.data;
    const short = (picks?.shortfall || []).map((n, c) => [n, info.class_names[c]]).filter(([n]) => n > 0);
    const list = short.map(([n, name]) => `${name} ${n}`).join(', ');
    const words = short.length
      ? `${plural(short.length, 'class', 'classes')} short: ${list}`
      : picks?.message;
    const title =
      picks?.message || `Too few eligible candidates: ${list}. Generate more for these classes, or lower K.`;
    fill(
      this.side,
      Boolean(words) && h('span', { class: 'psr-warn', tabindex: '0', title }, words),
      diff?.after && meansLine(diff.before, diff.after),
    );
  }
}

/** Mean signals of the picks before and after the change. */
function meansLine(before, after) {
  const part = (label, key) =>
    h(
      'span',
      { title: `Mean ${key} of the picks` },
      h('span', { class: 'psr-muted' }, `${label} `),
      before ? `${fixed(before[key], 2)} → ` : '',
      h('b', {}, fixed(after[key], 2)),
    );
  return h(
    'span',
    { class: 'psr-means' },
    part('rel', 'reliability'),
    part('ent', 'entropy'),
    part('diff', 'difficulty'),
  );
}
