// One tile of the grid: picture, badges, rank, and all of that in words for readers of the screen.

import { SIDES, sideOf } from '../core/compare.js';
import { fill, h } from '../core/dom.js';
import { describe } from '../core/model.js';
import { shapeIcon } from '../map/shapes.js';

/** @import { Ready } from '../core/types' */
/**
 * @typedef {{ kind: string, text: string, words: string, isSaid?: boolean }} Badge `isSaid`: `describe` says
 *   it already
 */

/** What was taken in the last change, and the tags by position. @typedef {{ added: Set<number>, tags: Map<number, string[]> }} Noted */

/**
 * @param {number} position
 * @param {number} place counts from 0 over all `total` listed candidates
 * @param {number} total
 * @param {number} size in pixels
 * @param {Ready} data
 */
export function buildTile(position, place, total, size, { sprites, points }) {
  const picture = h('span', { class: 'psr-tile-picture' });
  sprites.paint(picture, position, points.label[position], size);
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

/**
 * Write what may change: selection, focus, marks, rank.
 * @param {HTMLElement} node
 * @param {number} position
 * @param {Ready} data
 * @param {Noted} noted
 */
export function styleTile(node, position, data, noted) {
  const { picks, vetoed, selection, points, info, focus, compare } = data;
  const selected = selection.mask[position] === 1;
  node.setAttribute('aria-selected', String(selected));
  node.classList.toggle('is-selected', selected);
  node.classList.toggle('is-focus', focus === position);
  node.classList.toggle('is-vetoed', vetoed.has(position));
  const badges = badgesOf(position, data, noted);
  const side = sideOf(compare, position);
  const more = badges.filter(({ isSaid }) => !isSaid).map(({ words }) => words.toLowerCase());
  const name = info.class_names[points.label[position]];
  const words = [`${name} · ${describe(data, position)}`, ...more, side && SIDES[side].label];
  node.title = words.filter(Boolean).join(' · ');
  node.setAttribute('aria-label', node.title);
  const at = picks ? picks.index[position] : -1;
  fill(
    node,
    node.firstChild,
    badges.length > 0 &&
      h(
        'span',
        { class: 'psr-badges' },
        badges.map((badge) =>
          h('span', { class: `psr-badge is-${badge.kind}`, title: badge.words }, badge.text),
        ),
      ),
    side && h('span', { class: `psr-tile-side psr-side is-${side}` }, shapeIcon(SIDES[side].shape)),
    picks && at >= 0 && h('span', { class: 'psr-rank' }, picks.rank[at] + 1),
  );
}

/** @param {number} position @param {Ready} data @param {Noted} noted @returns {Badge[]} */
function badgesOf(position, { info, pinned, vetoed, picks, near }, { added, tags }) {
  const parent = info.variations[position];
  const at = picks ? picks.index[position] : -1;
  /** @type {[boolean, Badge][]} */
  const all = [
    [pinned.has(position), { kind: 'pin', text: 'P', words: 'Pinned', isSaid: true }],
    [vetoed.has(position), { kind: 'veto', text: '×', words: 'Vetoed', isSaid: true }],
    [
      at >= 0 && picks?.filled[at] === 1,
      { kind: 'filled', text: '!', words: 'Filled: its soft label is for another class', isSaid: true },
    ],
    [parent !== undefined, { kind: 'variation', text: '↳', words: `Variation of candidate ${parent}` }],
    [tags.has(position), { kind: 'tag', text: '#', words: `Tagged ${tags.get(position)?.join(', ')}` }],
    [at >= 0 && added.has(position), { kind: 'added', text: '+', words: 'Added in the last change' }],
    [
      near !== null && near.values[position] < near.threshold,
      { kind: 'near', text: '≈', words: 'Near-duplicate of another candidate' },
    ],
  ];
  return all.filter(([applies]) => applies).map(([, badge]) => badge);
}
