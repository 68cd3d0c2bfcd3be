// The real images of its class that are nearest to the focused candidate, in the features of the teacher.

import { messageOf } from '../core/api.js';
import { button, fill, h, said } from '../core/dom.js';
import { ready } from '../core/store.js';
import { distanceOf } from './neighbours.js';

/** @import { Api, NearReal, Store } from '../core/types' */

/** @param {Store} store @param {Pick<Api, 'nearReal' | 'realUrl'>} api */
export function createRealImages(store, api) {
  const node = h('div', { class: 'psr-real-images' });
  let asked = 0;

  /** @param {boolean} look whether the teacher is to look at them where it has not yet */
  async function show(look) {
    asked += 1;
    const mine = asked;
    const { focus, phase } = store.data;
    if (phase !== 'ready' || focus === null) return;
    try {
      const found = await api.nearReal(focus, look);
      if (mine === asked) fill(node, found.known ? row(found) : offer());
    } catch (error) {
      if (mine === asked) fill(node, h('p', { class: 'psr-fine' }, said(messageOf(error))));
    }
  }

  /** @param {NearReal} found */
  function row({ near }) {
    const { info } = ready(store);
    const pixels = info.image.width <= 64 ? 'pixelated' : 'auto';
    const pictures = near.map(({ row: number, distance }) => {
      const src = api.realUrl(number, info.sprite.version);
      const style = { imageRendering: pixels };
      const picture = h('img', { class: 'psr-real-image', src, alt: `Real image ${number}`, style });
      return h('div', { class: 'psr-neighbour' }, picture, distanceOf(distance));
    });
    return h('div', { class: 'psr-neighbours' }, pictures);
  }

  const offer = () =>
    button({
      label: 'Compare with real images',
      title: 'The teacher looks once at the real images of this class; all workspaces have it then',
      onClick: () => {
        fill(node, h('p', { class: 'psr-fine' }, 'The teacher looks at the real images of this class …'));
        show(true);
      },
    });

  store.on(['focus', 'info'], () => {
    fill(node);
    show(false);
  });
  return { node };
}
