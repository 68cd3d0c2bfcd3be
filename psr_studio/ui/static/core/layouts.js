// Which of its maps the pool is shown on: principal components, or UMAP once it is there.

import { refusalOf } from './api.js';
import { remember } from './kept.js';
import { ready } from './store.js';

/** @import { Api, Floats, MapKind, Store } from './types' */

/**
 * A map that has come: kept, and shown where it is the one that is wanted.
 * @param {Store} store
 * @param {MapKind} kind
 * @param {Floats} xy
 */
export function takeLayout(store, kind, xy) {
  const { layouts, mapWanted } = store.data;
  store.set({ layouts: { ...layouts, [kind]: xy }, ...(kind === mapWanted && { layout: { kind, xy } }) });
}

/** @param {Store} store @param {Api} api @param {MapKind} kind */
export async function chooseLayout(store, api, kind) {
  remember('map', kind);
  store.set({ mapWanted: kind });
  const { layouts, info } = ready(store);
  const known = layouts[kind];
  if (known) return takeLayout(store, kind, known);
  if (kind !== 'pca') return; // it comes by itself, or never where the pool is too small for it
  try {
    const { arrays } = await api.mapOf(kind);
    if (store.data.info === info) takeLayout(store, kind, arrays.xy);
  } catch (error) {
    store.set({ notice: refusalOf(error) });
  }
}
