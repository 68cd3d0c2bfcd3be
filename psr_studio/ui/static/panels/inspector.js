// The inspector: everything known about the focused candidate, and the buttons that pin or veto.

import { copyText } from '../core/clipboard.js';
import { classColors, toCss } from '../map/color.js';
import { button, fill, fixed, h } from '../core/dom.js';
import { readsWeights, selectorOf } from '../core/lab_model.js';
import { termsNow } from '../core/model.js';
import { createNeighbours } from './neighbours.js';

const TOP_LABELS = 10;
const TERMS = ['Reliability', 'Entropy', 'Diversity'];

export class Inspector {
  constructor(store, api, getSprites, actions) {
    Object.assign(this, { store, api, getSprites, actions });
    this.body = h('div', { class: 'psr-inspector-body' });
    this.reason = h('input', {
      type: 'text',
      class: 'psr-input',
      placeholder: 'Reason (optional)',
      maxlength: '200',
      'aria-label': 'Reason for the mark (optional)',
    });
    this.neighbours = createNeighbours(store, getSprites, actions);
    this.bar = h('div', { class: 'psr-bar' }, h('strong', { class: 'psr-pane-title psr-grow' }, 'Candidate'));
    this.marks = Object.fromEntries(
      [
        ['pin', 'Pin', 'P', 'always in, counts against K'],
        ['veto', 'Veto', 'X', 'never in'],
        ['clear', 'Clear', 'U', 'take the mark away'],
      ].map(([mark, label, key, what]) => [
        mark,
        button({
          label,
          iconName: mark,
          className: `psr-mark is-${mark}`,
          title: `${label} this candidate: ${what} (${key})`,
          onClick: () => this.mark(mark),
        }),
      ]),
    );
    this.actionsNode = h(
      'div',
      { class: 'psr-inspector-actions' },
      h('div', { class: 'psr-mark-row', role: 'group', 'aria-label': 'Mark' }, Object.values(this.marks)),
      this.reason,
    );
    this.node = h(
      'section',
      { class: 'psr-pane psr-inspector', 'aria-label': 'Inspector' },
      this.bar,
      this.body,
      this.actionsNode,
    );
    store.on(['candidate', 'focus', 'phase'], () => this.refresh());
    store.on(['weights', 'points', 'picks', 'settings'], () => this.refreshTerms());
    store.on(['focus', 'pinned', 'vetoed', 'phase'], () => this.refreshMarks());
    this.refresh();
    this.refreshMarks();
  }

  mark(mark) {
    this.actions.mark(mark, this.reason.value.trim(), [this.store.data.focus]);
    this.reason.value = '';
  }

  refreshMarks() {
    const { focus, pinned, vetoed, phase } = this.store.data;
    for (const [mark, node] of Object.entries(this.marks)) {
      node.setAttribute('aria-label', `${mark[0].toUpperCase()}${mark.slice(1)} this candidate`);
      node.disabled = focus === null;
    }
    this.marks.pin.setAttribute('aria-pressed', String(focus !== null && pinned.has(focus)));
    this.marks.veto.setAttribute('aria-pressed', String(focus !== null && vetoed.has(focus)));
    this.marks.clear.disabled = focus === null || !(pinned.has(focus) || vetoed.has(focus));
    this.actionsNode.hidden = phase !== 'ready' || focus === null;
  }

  refresh() {
    const { focus, candidate, phase } = this.store.data;
    if (phase !== 'ready') return void fill(this.body);
    if (focus === null) {
      return void fill(
        this.body,
        h(
          'p',
          { class: 'psr-note' },
          'Click a point or a picture to see what the teacher thinks of it and why it was taken.',
        ),
      );
    }
    const known = candidate?.position === focus ? candidate : null;
    fill(
      this.body,
      this.head(focus),
      this.facts(focus, known),
      known && h('p', { class: 'psr-why' }, known.why),
      section('Score', (this.terms = h('div', { class: 'psr-terms' }))),
      known && section('Soft label', this.softLabels(known)),
      known && section('Nearest neighbours', this.neighbours(known)),
    );
    this.refreshTerms();
    return undefined;
  }

  head(focus) {
    const { points, info } = this.store.data;
    const classId = points.label[focus];
    const color = toCss(classColors(info.n_classes)[classId]);
    const small = info.image && info.image.width < 64;
    const image = h('img', {
      class: 'psr-large',
      alt: `Candidate of class ${info.class_names[classId]}`,
      decoding: 'async',
      src: this.api.imageUrl(focus, info.sprite.version),
      style: { imageRendering: small ? 'pixelated' : 'auto' },
    });
    return h(
      'div',
      {},
      h('div', { class: 'psr-large-box' }, image),
      h(
        'h3',
        { class: 'psr-inspector-title' },
        h('span', { class: 'psr-swatch', style: { background: color } }),
        info.class_names[classId],
      ),
    );
  }

  facts(focus, known) {
    const { points, info } = this.store.data;
    const rows = [
      ['Reliability', fixed(points.reliability[focus])],
      ['Entropy', fixed(points.entropy[focus])],
      ['Difficulty', fixed(points.difficulty[focus])],
    ];
    if (known?.reason) rows.push([known.mark === 'pin' ? 'Pinned for' : 'Vetoed for', known.reason]);
    if (known) {
      rows.push([
        'Teacher says',
        typeof known.predicted === 'number' ? info.class_names[known.predicted] : known.predicted,
      ]);
      rows.push(['Candidate', known.candidate_id], ['Seed', known.seed, copyButton(this.store, known.seed)]);
    }
    return h(
      'dl',
      { class: 'psr-facts' },
      rows.map(([name, value, extra]) => [
        h('dt', {}, name),
        h('dd', { title: String(value), class: extra && 'is-long' }, h('span', {}, String(value)), extra),
      ]),
    );
  }

  /** Picked: the terms the greedy step used. Not picked: what the current sliders would give. */
  refreshTerms() {
    const { data } = this.store;
    const { focus, picks, points, weights } = data;
    if (focus === null || !this.terms || !points || data.phase !== 'ready') return;
    const at = picks ? picks.index[focus] : -1;
    if (!readsWeights(data)) return void fill(this.terms, this.unscored(at));
    const terms =
      at >= 0 ? Array.from(picks.terms.slice(3 * at, 3 * at + 3)) : termsNow(points, weights, focus);
    const total = at >= 0 ? picks.scores[at] : terms.reduce((sum, term) => sum + term, 0);
    const scale = Math.max(...terms.map(Math.abs), Math.abs(total), 0.5);
    fill(
      this.terms,
      terms.map((term, k) => signedBar(TERMS[k], term, scale)),
      signedBar('Total', total, scale, true),
      h(
        'p',
        { class: 'psr-fine' },
        at >= 0
          ? `When taken as pick ${picks.rank[at] + 1} of its class.`
          : 'Not picked: score with the present sliders.',
      ),
    );
  }

  /** A selector that reads no weights has no score to show. */
  unscored(at) {
    const { picks } = this.store.data;
    const { title } = selectorOf(this.store.data);
    const taken = at >= 0 ? `Taken as pick ${picks.rank[at] + 1} of its class` : 'Not picked';
    return h('p', { class: 'psr-fine' }, `${taken}. "${title}" reads no weights, so there is no score.`);
  }

  softLabels({ soft_labels: q, class_id: own }) {
    const { info } = this.store.data;
    const ranked = q.map((share, c) => ({ share, c })).sort((a, b) => b.share - a.share);
    const shown =
      info.n_classes <= TOP_LABELS ? ranked.sort((a, b) => a.c - b.c) : ranked.slice(0, TOP_LABELS);
    return h(
      'div',
      { class: 'psr-soft' },
      shown.map(({ share, c }) =>
        h(
          'div',
          {
            class: `psr-soft-row${c === own ? ' is-own' : ''}`,
            title: `${info.class_names[c]}: ${fixed(share, 4)}`,
          },
          h('span', { class: 'psr-soft-name' }, info.class_names[c]),
          h(
            'span',
            { class: 'psr-track' },
            h('span', { class: 'psr-bar-fill', style: { width: `${100 * share}%` } }),
          ),
          h('span', { class: 'psr-num' }, fixed(share, share < 0.995 ? 2 : 1)),
        ),
      ),
    );
  }
}

function copyButton(store, seed) {
  const onClick = async () => {
    if (await copyText(seed, 'Seed of this candidate')) store.set({ said: 'The seed is copied.' });
  };
  return button({ label: 'Copy the seed', iconName: 'copy', className: 'psr-ghost psr-tiny', onClick });
}

function section(title, ...children) {
  return h('div', { class: 'psr-section' }, h('h4', {}, title), children);
}

function signedBar(name, value, scale, strong = false) {
  const share = (Math.abs(value) / scale) * 50;
  const left = value < 0 ? 50 - share : 50;
  return h(
    'div',
    { class: `psr-term${strong ? ' is-total' : ''}` },
    h('span', { class: 'psr-term-name' }, name),
    h(
      'span',
      { class: 'psr-track is-signed' },
      h('span', {
        class: `psr-bar-fill${value < 0 ? ' is-minus' : ''}`,
        style: { left: `${left}%`, width: `${share}%` },
      }),
    ),
    h('span', { class: 'psr-num' }, fixed(value, 2)),
  );
}
