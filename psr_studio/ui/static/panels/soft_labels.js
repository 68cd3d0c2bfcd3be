// The soft label of a candidate as bars, the teacher's or its own: all classes of a small task, the largest of a large one.

import { h } from '../core/dom.js';
import { shareText } from '../core/quantities.js';

/** @import { Candidate, Ready } from '../core/types' */

const MOST = 10;

/** @param {Ready} data @param {Candidate} candidate */
export function softLabels({ info }, { soft_labels: q, class_id: own }) {
  const ranked = q.map((share, c) => ({ share, c })).sort((a, b) => b.share - a.share);
  const shown = info.n_classes <= MOST ? ranked.sort((a, b) => a.c - b.c) : ranked.slice(0, MOST);
  return h(
    'div',
    { class: 'psr-soft' },
    shown.map(({ share, c }) =>
      h(
        'div',
        {
          class: `psr-soft-row${c === own ? ' is-own' : ''}`,
          title: `${info.class_names[c]}: ${shareText(share)}`,
        },
        h('span', { class: 'psr-soft-name' }, info.class_names[c]),
        h(
          'span',
          { class: 'psr-track' },
          h('span', { class: 'psr-bar-fill', style: { width: `${100 * share}%` } }),
        ),
        h('span', { class: 'psr-num' }, shareText(share)),
      ),
    ),
  );
}
