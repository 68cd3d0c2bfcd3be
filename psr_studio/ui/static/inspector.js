// The inspector: everything known about the focused candidate, and the buttons that pin or veto.

import { classColors, toCss } from './color.js';
import { button, count, fill, fixed, h } from './dom.js';
import { termsNow } from './model.js';

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
          title: `${label}: ${what} (${key})`,
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
      this.body,
      this.actionsNode,
    );
    store.on(['candidate', 'focus', 'phase'], () => this.refresh());
    store.on(['weights', 'points', 'picks'], () => this.refreshTerms());
    store.on(['selection', 'focus', 'pinned', 'vetoed', 'candidate', 'phase'], () => this.refreshMarks());
    this.refresh();
    this.refreshMarks();
  }

  mark(mark) {
    this.actions.mark(mark, this.reason.value.trim());
    this.reason.value = '';
  }

  /** With a selection the buttons act on all of it, and say so by its count. */
  refreshMarks() {
    const { selection, focus, pinned, vetoed } = this.store.data;
    const many = selection?.count || 0;
    const idle = !many && focus === null;
    for (const [mark, node] of Object.entries(this.marks)) {
      const name = mark[0].toUpperCase() + mark.slice(1);
      node.querySelector('.psr-mark-count')?.remove();
      if (many) node.append(h('span', { class: 'psr-mark-count' }, `${count(many)} sel.`));
      node.classList.toggle('has-count', many > 0);
      node.setAttribute(
        'aria-label',
        many ? `${name} the ${count(many)} selected candidates` : `${name} this candidate`,
      );
      node.disabled = idle;
    }
    const on = (set) => String(!many && focus !== null && set.has(focus));
    this.marks.pin.setAttribute('aria-pressed', on(pinned));
    this.marks.veto.setAttribute('aria-pressed', on(vetoed));
    this.actionsNode.hidden = this.store.data.phase !== 'ready';
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
      section('Score', (this.terms = h('div', { class: 'psr-terms' }))),
      known && h('p', { class: 'psr-why' }, known.why),
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
    if (known) {
      rows.push([
        'Teacher says',
        typeof known.predicted === 'number' ? info.class_names[known.predicted] : known.predicted,
      ]);
      rows.push(['Candidate', known.candidate_id], ['Seed', known.seed]);
    }
    return h(
      'dl',
      { class: 'psr-facts' },
      rows.map(([name, value]) => [h('dt', {}, name), h('dd', { title: String(value) }, String(value))]),
    );
  }

  /** Picked: the terms the greedy step used. Not picked: what the current sliders would give. */
  refreshTerms() {
    const { data } = this.store;
    const { focus, picks, points, weights } = data;
    if (focus === null || !this.terms || !points || data.phase !== 'ready') return;
    const at = picks ? picks.index[focus] : -1;
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

  neighbours({ neighbours }) {
    const { points, info } = this.store.data;
    return h(
      'div',
      { class: 'psr-neighbours' },
      neighbours.slice(0, 8).map((position) => {
        const name = info.class_names[points.label[position]];
        const picture = h('span', { class: 'psr-tile-picture' });
        this.getSprites().paint(picture, position, points.label[position], 42);
        return h(
          'button',
          {
            type: 'button',
            class: 'psr-neighbour',
            title: `${name}: show`,
            'aria-label': `Show neighbour, ${name}`,
            on: { click: () => this.actions.focus(position) },
          },
          picture,
        );
      }),
    );
  }
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
