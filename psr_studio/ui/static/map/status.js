// The line under the map: counts that follow the selection, what the axes are, and the hints for the mouse.

import { button, fill, fitRow, h, segmented } from '../core/dom.js';
import { lassoWord, pickedOf, unlasso } from '../core/lasso.js';
import { count } from '../core/numbers.js';

/** @import { ButtonSpec, MapKind, Store } from '../core/types' */

/** @type {(ButtonSpec & { value: MapKind })[]} */
const MAPS = [
  { value: 'pca', label: 'PCA', title: 'Principal components of the teacher features' },
  { value: 'umap', label: 'UMAP', title: 'UMAP of the teacher features: neighbours stay together' },
];

/** @param {Store} store @param {string} rendererKind @param {(kind: MapKind) => void} choose */
export function createMapStatus(store, rendererKind, choose) {
  const counts = h('span', { class: 'psr-status-counts', role: 'status' });
  const maps = segmented('How the teacher features are laid out', MAPS, choose);
  const [, umap] = Array.from(maps.node.querySelectorAll('button'));
  const onItsWay = h('span', { class: 'psr-fine psr-shy-text' }, 'UMAP on its way');
  const clear = button({
    label: 'Clear',
    className: 'psr-ghost',
    title: 'Clear the selection (Esc)',
    onClick: () => unlasso(store),
  });
  const solo = button({
    label: 'Show all classes',
    className: 'psr-ghost',
    onClick: () => store.set({ solo: null }),
  });
  const hint = h('span', { class: 'psr-hint psr-shy-text' }, 'wheel zooms · shift adds · alt removes');
  const fallback =
    rendererKind === 'canvas2d' &&
    h(
      'span',
      {
        class: 'psr-warn-text',
        title: 'Turn on hardware acceleration or WebGL2 in the browser for larger pools.',
      },
      'No WebGL2: drawn on a plain canvas',
    );

  const showCounts = () => {
    const { info, picks, selection, phase } = store.data;
    if (phase !== 'ready') return;
    const [all, picked] = [count(info.n), count(picks ? picks.total : 0)];
    const some = `${count(selection.count)} ${lassoWord(store.data)}, ${count(pickedOf(store.data, selection))} picked`;
    if (selection.count)
      fill(counts, h('b', {}, some), h('span', { class: 'psr-shy-text' }, ` of ${all} and ${picked}`));
    else fill(counts, `${all} candidates · ${picked} picked`);
  };
  const refresh = () => {
    const { selection, layout, phase } = store.data;
    if (phase !== 'ready') return;
    clear.hidden = !selection.count;
    solo.hidden = store.data.solo === null;
    maps.show(layout.kind);
    umap.disabled = !store.data.layouts.umap;
    onItsWay.hidden = !umap.disabled || store.data.mapSettled;
    fitRow(node);
  };
  store.on(['info', 'picks', 'selection', 'phase'], showCounts, { follows: true });
  store.on(['info', 'picks', 'selection', 'layout', 'phase', 'solo', 'mapSettled', 'layouts'], refresh);
  clear.hidden = true;
  solo.hidden = true;
  const node = h(
    'div',
    { class: 'psr-bar psr-map-status' },
    counts,
    clear,
    solo,
    h('span', { class: 'psr-grow' }),
    fallback || hint,
    onItsWay,
    maps.node,
  );
  return { node };
}
