// Loads the style sheet of the workbench once; the server joins it from several (curate_island.py).

import { h } from './dom.js';

/**
 * Resolves when it is there; a missing sheet must not keep the workbench from opening.
 * @param {string} href
 */
export async function loadStyles(href) {
  if (document.querySelector(`link[rel=stylesheet][href="${href}"]`)) return;
  const link = h('link', { rel: 'stylesheet', href });
  const done = new Promise((resolve) => {
    link.onload = resolve;
    link.onerror = resolve;
  });
  document.head.append(link);
  await done;
}
