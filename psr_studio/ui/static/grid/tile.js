// One tile of the grid: picture, badges, rank, and all of that in words for readers of the screen.

import { SIDES, sideOf } from '../core/compare.js';
import { fill, h } from '../core/dom.js';
import { describe } from '../map/hover.js';
import { shapeIcon } from '../map/shapes.js';

/** @returns {HTMLElement} `place` counts from 0 over all `total` listed candidates */
export function buildTile(position, place, total, size, sprites, label) {
  const picture = h('span', { class: 'psr-tile-picture' });
  sprites.paint(picture, position, label, size);
  return h(
    'div',
    {
      class: 'psr-tile',
      role: 'option',
      id: `psr-tile-${position}`,
      'data-position': position,
      style: { width: `${size}px`, height: `${size}px` },
      'aria-posinset': place + 1,
      'aria-setsize': total,
    },
    picture,
  );
}

/** Write what may change: selection, focus, marks, rank. `added`: taken in the last change. */
export function styleTile(node, position, data, added) {
  const { picks, vetoed, selection, points, info, focus, compare } = data;
  const at = picks ? picks.index[position] : -1;
  const selected = selection.mask[position] === 1;
  node.setAttribute('aria-selected', String(selected));
  node.classList.toggle('is-selected', selected);
  node.classList.toggle('is-focus', focus === position);
  node.classList.toggle('is-vetoed', vetoed.has(position));
  const badges = badgesOf(position, data, at, added);
  const label = points.label[position];
  const side = sideOf(compare, position);
  const said = badges.filter(([, , , quiet]) => !quiet).map(([, , what]) => what.toLowerCase());
  const state = describe(data, position, picks, label);
  const words = [`${info.class_names[label]} · ${state}`, ...said, side && SIDES[side].label];
  node.title = words.filter(Boolean).join(' · ');
  node.setAttribute('aria-label', node.title);
  fill(
    node,
    node.firstChild,
    badges.length > 0 &&
      h(
        'span',
        { class: 'psr-badges' },
        badges.map(([kind, text, title]) => h('span', { class: `psr-badge is-${kind}`, title }, text)),
      ),
    side && h('span', { class: `psr-tile-side psr-side is-${side}` }, shapeIcon(SIDES[side].shape)),
    at >= 0 && h('span', { class: 'psr-rank' }, picks.rank[at] + 1),
  );
}

/** [kind, letter, words, already said by `describe`] */
function badgesOf(position, { pinned, vetoed, picks, near }, at, added) {
  return [
    pinned.has(position) && ['pin', 'P', 'Pinned', true],
    vetoed.has(position) && ['veto', '×', 'Vetoed', true],
    at >= 0 && picks.filled[at] && ['filled', '!', "Filled: not the teacher's choice", true],
    at >= 0 && added.has(position) && ['added', '+', 'Added in the last change'],
    near && near.values[position] < near.threshold && ['near', '≈', 'Near-duplicate of another candidate'],
  ].filter(Boolean);
}
