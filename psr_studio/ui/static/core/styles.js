// Loads the style sheet of the workbench once; the server joins it from several (curate_island.py).

import { h } from './dom.js';

/** Resolves when it is there; a missing sheet must not keep the workbench from opening. */
export function loadStyles(name) {
  const href = new URL(name, import.meta.url).href;
  if (document.querySelector(`link[rel=stylesheet][href="${href}"]`)) return undefined;
  const link = h('link', { rel: 'stylesheet', href });
  const done = new Promise((resolve) => {
    link.onload = resolve;
    link.onerror = resolve;
  });
  document.head.append(link);
  return done;
}
