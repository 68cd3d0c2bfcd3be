// Loads the style sheets of the workbench once.

import { h } from './dom.js';

/** Resolves when all of them are there; a missing sheet must not keep the workbench from opening. */
export function loadStyles(names) {
  return Promise.all(
    names.map((name) => {
      const href = new URL(name, import.meta.url).href;
      if (document.querySelector(`link[href="${href}"]`)) return undefined;
      const link = h('link', { rel: 'stylesheet', href });
      const done = new Promise((resolve) => {
        link.onload = resolve;
        link.onerror = resolve;
      });
      document.head.append(link);
      return done;
    }),
  );
}
