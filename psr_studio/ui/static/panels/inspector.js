// The inspector: everything known about the focused candidate, and the buttons that pin or veto.

import { copyText } from '../core/clipboard.js';
import { button, fill, h } from '../core/dom.js';
import { scoreOf, termsNow } from '../core/model.js';
import { scoreText, signalsOf } from '../core/quantities.js';
import { readsWeights, selectorOf } from '../core/settings.js';
import { classColors } from '../map/class_colors.js';
import { toCss } from '../map/color.js';
import { neighboursOf } from './neighbours.js';
import { createRealImages } from './real_images.js';
import { softLabels } from './soft_labels.js';
import { createTags } from './tags.js';
import { createVariations } from './variations.js';

/** @import { Actions, Api, Candidate, Child, Ready, Search, Store } from '../core/types' */

const TERMS = ['α · reliability', '−β · entropy', 'γ · diversity']; // other numbers than the signals themselves
/** @type {{ mark: 'pin' | 'veto' | 'clear', label: string, key: string, what: string }[]} */
const MARKS = [
  { mark: 'pin', label: 'Pin', key: 'P', what: 'always in, counts against K' },
  { mark: 'veto', label: 'Veto', key: 'X', what: 'never in' },
  { mark: 'clear', label: 'Clear', key: 'U', what: 'take the mark away' },
];
const INVITATION = 'Click a point or a picture to see its soft label and why it was taken.';

/** @param {Store} store @param {Api} api @param {Actions} actions @param {Search} search @param {() => void} enlarge */
export function createInspector(store, api, actions, search, enlarge) {
  const neighbours = neighboursOf(store, actions);
  const real = createRealImages(store, api);
  const variations = createVariations(store, api);
  const bar = h('div', { class: 'psr-bar' }, h('strong', { class: 'psr-pane-title psr-grow' }, 'Candidate'));
  const body = h('div', { class: 'psr-inspector-body' });
  const terms = h('div', { class: 'psr-terms' });
  const reason = h('input', {
    type: 'text',
    class: 'psr-input',
    placeholder: 'Reason (optional)',
    maxlength: '200',
    'aria-label': 'Reason for the mark (optional)',
  });
  const [pin, veto, clear] = MARKS.map(({ mark, label, key, what }) => {
    const item = button({
      label,
      iconName: mark,
      className: `psr-mark is-${mark}`,
      title: `${label} this candidate: ${what} (${key})`,
      onClick: () => markFocused(mark),
    });
    item.setAttribute('aria-label', `${label} this candidate`);
    return item;
  });
  const marks = h(
    'div',
    { class: 'psr-inspector-actions' },
    createTags(store, actions).node,
    h('div', { class: 'psr-mark-row', role: 'group', 'aria-label': 'Mark' }, pin, veto, clear),
    reason,
  );
  const node = h('section', { class: 'psr-pane psr-inspector', 'aria-label': 'Inspector' }, bar, body, marks);

  /** @param {'pin' | 'veto' | 'clear'} mark */
  function markFocused(mark) {
    const { focus } = store.data;
    if (focus === null) return;
    actions.mark(mark, reason.value.trim(), [focus]);
    reason.value = '';
  }

  function refreshMarks() {
    const { focus, pinned, vetoed, phase } = store.data;
    const [isPinned, isVetoed] = [pinned, vetoed].map((set) => focus !== null && set.has(focus));
    pin.setAttribute('aria-pressed', String(isPinned));
    veto.setAttribute('aria-pressed', String(isVetoed));
    clear.disabled = !isPinned && !isVetoed;
    marks.hidden = phase !== 'ready' || focus === null;
  }

  function refresh() {
    const { data } = store;
    const { focus, candidate } = data;
    if (data.phase !== 'ready') return void fill(body);
    if (focus === null) return void fill(body, h('p', { class: 'psr-note' }, INVITATION));
    const known = candidate?.position === focus ? candidate : null;
    fill(
      body,
      head(data, focus, api.imageUrl(focus, data.info.sprite.version), enlarge),
      facts(data, focus, known, store, actions),
      known && h('p', { class: 'psr-why' }, known.why),
      section(
        data.info.normalize ? 'Terms of the score, scaled within the class' : 'Terms of the score',
        terms,
      ),
      known &&
        section(
          known.own_labels ? 'Soft label that it came with' : 'Soft label of the teacher',
          softLabels(data, known),
        ),
      known &&
        section(
          'Nearest of its class',
          neighbours(known),
          h('div', { class: 'psr-more-row' }, inAllClasses(known), variations.open),
          variations.node,
        ),
      known && section('Nearest real images', real.node),
    );
    refreshTerms();
  }

  /** @param {Candidate} known */
  const inAllClasses = ({ candidate_id }) =>
    button({
      label: 'Nearest in all classes',
      iconName: 'list',
      className: 'psr-ghost',
      title: 'List the candidates nearest to this one in the grid, of whatever class',
      onClick: () => search.ask(`near ${candidate_id}`),
    });

  /** Picked: the terms the greedy step used. Not picked: what the current sliders would give. */
  function refreshTerms() {
    const { data } = store;
    const { focus, picks, points, weights } = data;
    if (focus === null || data.phase !== 'ready' || !points) return;
    const at = picks ? picks.index[focus] : -1;
    if (!readsWeights(data)) return void fill(terms, unscored(data, at));
    const isPick = picks !== null && at >= 0;
    const values = isPick
      ? Array.from(picks.terms.slice(3 * at, 3 * at + 3))
      : termsNow(points, weights, focus);
    const total = scoreOf(data, focus);
    const scale = Math.max(...values.map(Math.abs), Math.abs(total), 0.5);
    fill(
      terms,
      values.map((term, k) => signedBar(TERMS[k], term, scale)),
      signedBar('Score', total, scale, true),
      h(
        'p',
        { class: 'psr-fine' },
        isPick
          ? `When taken as pick ${picks.rank[at] + 1} of its class.`
          : 'Not picked: score with the present sliders.',
      ),
    );
  }

  store.on(['candidate', 'focus', 'phase'], refresh);
  store.on(['weights', 'points', 'picks', 'settings'], refreshTerms);
  store.on(['focus', 'pinned', 'vetoed', 'phase'], refreshMarks);
  refresh();
  refreshMarks();
  return { node, bar };
}

/** @param {Ready} data @param {number} focus @param {string} src of its picture in full size @param {() => void} enlarge */
function head({ points, info }, focus, src, enlarge) {
  const classId = points.label[focus];
  const name = info.class_names[classId];
  const color = toCss(classColors(info.n_classes)[classId]);
  const image = h('img', {
    class: 'psr-large',
    alt: `Candidate of class ${name}`,
    decoding: 'async',
    src,
    style: { imageRendering: info.image.width <= 64 ? 'pixelated' : 'auto' },
  });
  return h(
    'div',
    {},
    h(
      'button',
      { type: 'button', class: 'psr-large-box', title: 'Show the picture at large', on: { click: enlarge } },
      image,
    ),
    h(
      'h3',
      { class: 'psr-inspector-title' },
      h('span', { class: 'psr-swatch', style: { background: color } }),
      name,
    ),
  );
}

/**
 * @param {Ready} data
 * @param {number} focus
 * @param {Candidate | null} known
 * @param {Store} store
 * @param {Actions} actions
 */
function facts({ points, info }, focus, known, store, actions) {
  /** @type {[string, string | number, Child?][]} */
  const rows = [...signalsOf({ points }, focus)];
  if (known?.reason) rows.push([known.mark === 'pin' ? 'Pinned for' : 'Vetoed for', known.reason]);
  if (known?.steered) rows.push(['Steered to', known.steered]);
  if (known?.origin) rows.push(['Cut from', known.origin]);
  if (known) {
    const judge = known.own_labels ? 'Its label says' : 'Teacher says';
    rows.push([judge, info.class_names[known.predicted]], ['Candidate', known.candidate_id]);
  }
  if (known?.parent) {
    const { candidate_id, position, strength } = known.parent;
    rows.push(['Variation of', candidate_id, position !== null && parentLink(actions, position)]);
    rows.push(['Strength', strength]);
  }
  if (known?.seed) rows.push(['Seed', known.seed, copyButton(store, known.seed)]);
  return h(
    'dl',
    { class: 'psr-facts' },
    rows.map(([name, value, extra]) => [
      h('dt', {}, name),
      h(
        'dd',
        { title: String(value), class: extra ? 'is-long' : undefined },
        h('span', {}, String(value)),
        extra,
      ),
    ]),
  );
}

/** @param {Actions} actions @param {number} position */
const parentLink = (actions, position) =>
  button({
    label: 'Show the parent',
    iconName: 'picture',
    className: 'psr-ghost psr-tiny psr-parent',
    title: 'Show the candidate that this is a variation of',
    onClick: () => actions.focus(position),
  });

/**
 * A selector that reads no weights has no score to show.
 * @param {Ready} data
 * @param {number} at place among the picks, -1 for none
 */
function unscored(data, at) {
  const taken = at >= 0 ? `Taken as pick ${Number(data.picks?.rank[at]) + 1} of its class` : 'Not picked';
  const words = `${taken}. "${selectorOf(data)?.title}" reads no weights, so there is no score.`;
  return h('p', { class: 'psr-fine' }, words);
}

/** @param {Store} store @param {string} seed */
function copyButton(store, seed) {
  const onClick = async () => {
    if (await copyText(seed, 'Seed of this candidate')) store.set({ said: 'The seed is copied.' });
  };
  return button({ label: 'Copy the seed', iconName: 'copy', className: 'psr-ghost psr-tiny', onClick });
}

/** @param {string} title @param {...Child} children */
function section(title, ...children) {
  return h('div', { class: 'psr-section' }, h('h4', {}, title), children);
}

/** @param {string} name @param {number} value @param {number} scale the value that fills half of the track */
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
    h('span', { class: 'psr-num' }, scoreText(value)),
  );
}
