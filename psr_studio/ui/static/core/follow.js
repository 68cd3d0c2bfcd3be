// Waits for the better map: PCA paints at once, UMAP arrives from a worker process some seconds later.

import { takeLayout } from './layouts.js';
import { ready } from './store.js';

/** @import { Api, Floats, MapKind, Packed, Store } from './types' */

const FIRST_MS = 2000; // the first question starts the work: not while the page is still drawing itself
const SLOWEST_MS = 6000;
const GIVE_UP_MS = 15 * 60 * 1000;

/**
 * @param {Store} store
 * @param {Api} api
 * @param {HTMLElement} root
 * @returns {() => void} stops the waiting
 */
export function followMap(store, api, root) {
  const begun = performance.now();
  let timer = 0;
  let wait = FIRST_MS;

  async function ask() {
    if (performance.now() - begun > GIVE_UP_MS) return store.set({ mapSettled: true });
    const onScreen = root.getClientRects().length > 0 && document.visibilityState === 'visible';
    try {
      const answer = onScreen ? await api.map(ready(store).layout.kind) : null;
      if (answer && take(answer)) return;
    } catch {
      wait = SLOWEST_MS; // the map is a luxury: keep the one there is, ask again later
    }
    timer = setTimeout(ask, wait);
    wait = Math.min(SLOWEST_MS, wait * 1.3);
  }

  /**
   * @param {Packed<{ kind: MapKind }, { xy: Floats }>} answer
   * @returns {boolean} whether nothing better will come
   */
  function take({ header, arrays }) {
    if (arrays.xy.length !== 2 * ready(store).info.n) return false; // of another pool
    takeLayout(store, header.kind, arrays.xy);
    store.set({ mapSettled: header.kind === 'umap' });
    return header.kind === 'umap';
  }

  if (!store.data.mapSettled) timer = setTimeout(ask, wait);
  return () => clearTimeout(timer);
}
