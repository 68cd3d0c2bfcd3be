// Pictures from the per-class sprite sheets: one request per class instead of one per candidate.

import { classStarts } from './model.js';

/** @import { Api, Info, Sprites } from './types' */

const SHARP = 1.5; // a tile shown larger than this many times its size is blurred: the picture itself is fetched

/**
 * @param {Api} api
 * @param {Info} info
 * @returns {Sprites}
 */
export function createSprites(api, info) {
  const { tile, columns, version } = info.sprite;
  const starts = classStarts(info.counts);
  /** @type {Map<number, HTMLImageElement>} */
  const images = new Map();
  const urls = info.counts.map((_, c) => api.spriteUrl(c, version));

  /** @param {number} position @param {number} classId */
  const place = (position, classId) => {
    const k = position - starts[classId];
    return { col: k % columns, row: Math.floor(k / columns) };
  };

  /** @param {number} classId @param {() => void} onLoad */
  function sheet(classId, onLoad) {
    const known = images.get(classId);
    if (known) return known;
    const image = new Image();
    image.onload = onLoad;
    image.src = urls[classId];
    images.set(classId, image);
    return image;
  }

  return {
    tile,
    starts,
    /** Show the picture of a candidate as the background of `node`, `size` CSS pixels wide, from the sheet as far as that is sharp. */
    paint(node, position, classId, size) {
      const { col, row } = place(position, classId);
      const { style } = node;
      style.imageRendering = tile < 64 ? 'pixelated' : 'auto';
      if (size > SHARP * tile && info.image.width > tile) {
        style.backgroundImage = `url("${api.imageUrl(position, version)}")`;
        style.backgroundSize = 'cover';
        return;
      }
      style.backgroundImage = `url("${urls[classId]}")`;
      style.backgroundSize = `${columns * size}px auto`;
      style.backgroundPosition = `${-col * size}px ${-row * size}px`;
    },
    /** Draw on a 2D context; false while the sheet is still loading (`onLoad` is called once it is there). */
    draw(context, position, classId, x, y, size, onLoad) {
      const image = sheet(classId, onLoad);
      if (!image.complete || !image.naturalWidth) return false;
      const { col, row } = place(position, classId);
      context.drawImage(image, col * tile, row * tile, tile, tile, x, y, size, size);
      return true;
    },
  };
}
