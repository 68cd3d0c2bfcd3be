// The card beside the pointer: picture, class, signals and rank of the point under it.

import { fill, h } from '../core/dom.js';
import { describe } from '../core/model.js';
import { scoreRow, signalsOf } from '../core/quantities.js';
import { readsWeights } from '../core/settings.js';
import { ready } from '../core/store.js';

/** @import { Point, Store } from '../core/types' */

/** @param {Store} store */
export function createHoverCard(store) {
  const picture = h('div', { class: 'psr-card-picture' });
  const text = h('div', { class: 'psr-card-text' });
  const node = h('div', { class: 'psr-card', hidden: true, 'aria-hidden': 'true' }, picture, text);

  /** @param {number} position @param {Point} at @param {{ width: number, height: number }} pane */
  function show(position, [x, y], pane) {
    const data = ready(store);
    const { points, info, near, sprites } = data;
    const classId = points.label[position];
    sprites.paint(picture, position, classId, 84);
    fill(
      text,
      h('strong', {}, info.class_names[classId]),
      signalsOf(data, position).map(row),
      readsWeights(data) && row(scoreRow(data, position)),
      h('div', { class: 'psr-card-state' }, describe(data, position)),
      near &&
        near.values[position] < near.threshold &&
        h('div', { class: 'psr-warn-text' }, 'Near-duplicate'),
    );
    node.hidden = false;
    // The card keeps to the side of the pointer that has room.
    const { offsetWidth: width, offsetHeight: height } = node;
    const left = x + width + 28 > pane.width ? x - width - 18 : x + 18;
    const top = Math.max(4, Math.min(y - 30, pane.height - height - 8));
    node.style.left = `${Math.max(4, left)}px`;
    node.style.top = `${top}px`;
  }

  return {
    node,
    show,
    hide() {
      node.hidden = true;
    },
  };
}

/** @param {[label: string, value: string]} entry */
const row = ([label, value]) => h('div', { class: 'psr-card-row' }, h('span', {}, label), h('b', {}, value));
