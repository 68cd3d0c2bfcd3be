// The card beside the pointer: picture, class, signals and rank of the point under it.

import { fill, fixed, h, plural } from '../core/dom.js';

export function createHoverCard(store, getSprites, getTotals) {
  const picture = h('div', { class: 'psr-card-picture' });
  const text = h('div', { class: 'psr-card-text' });
  const node = h('div', { class: 'psr-card', hidden: true, 'aria-hidden': 'true' }, picture, text);

  function row(label, value) {
    return h('div', { class: 'psr-card-row' }, h('span', {}, label), h('b', {}, value));
  }

  function show(position, [x, y], pane) {
    const { points, info, picks, near } = store.data;
    const classId = points.label[position];
    getSprites().paint(picture, position, classId, 84);
    fill(
      text,
      h('strong', {}, info.class_names[classId]),
      row('Reliability', fixed(points.reliability[position])),
      row('Entropy', fixed(points.entropy[position])),
      row('Difficulty', fixed(points.difficulty[position])),
      row('Total score', fixed(getTotals()[position], 2)),
      h('div', { class: 'psr-card-state' }, describe(store.data, position, picks, classId)),
      near && near.values[position] < near.threshold && h('div', { class: 'psr-warn-text' }, 'Near-duplicate'),
    );
    node.hidden = false;
    // The card keeps to the side of the pointer that has room.
    const { offsetWidth: width, offsetHeight: height } = node;
    const left = x + width + 28 > pane.width ? x - width - 18 : x + 18;
    const top = Math.max(4, Math.min(y - 30, pane.height - height - 8));
    Object.assign(node.style, { left: `${Math.max(4, left)}px`, top: `${top}px` });
  }

  return {
    node,
    show,
    hide() {
      node.hidden = true;
    },
  };
}

/** The candidate's place in the selection, in a few words. */
export function describe({ points, pinned, vetoed }, position, picks, classId) {
  if (vetoed.has(position)) return 'Vetoed';
  const at = picks ? picks.index[position] : -1;
  const mark = pinned.has(position) ? ' · pinned' : '';
  if (at >= 0) {
    const filled = picks.filled[at] ? ' · filled' : '';
    return `Pick ${picks.rank[at] + 1} of ${plural(picks.byClass[classId].length, 'pick')}${mark}${filled}`;
  }
  return points.eligible[position] ? `Not picked${mark}` : `Not picked · not eligible${mark}`;
}
