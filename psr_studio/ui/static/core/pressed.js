// A control of the page that was pressed is busy until the studio has answered: the page says when it asks, and when it
// has been told, but not by what, so the control is the one that the user touched last.

/** @typedef {CustomEvent<{ key: number }>} Asked */

/** @param {Document} page */
export function markPressed(page) {
  /** @type {Element | null} */
  let touched = null;
  /** By the key of the press. @type {Map<number, Element>} */
  const busy = new Map();

  /** @param {Event} event */
  const touch = ({ target }) => {
    touched = target instanceof Element ? target.closest('button, .block') : null;
  };
  for (const kind of ['click', 'change', 'keydown']) page.addEventListener(kind, touch, true);

  page.addEventListener('psr-pressed', (event) => {
    const { key } = /** @type {Asked} */ (event).detail;
    if (!touched) return;
    touched.setAttribute('aria-busy', 'true');
    busy.set(key, touched);
  });
  page.addEventListener('psr-answered', (event) => {
    const { key } = /** @type {Asked} */ (event).detail;
    busy.get(key)?.removeAttribute('aria-busy');
    busy.delete(key);
  });
}
