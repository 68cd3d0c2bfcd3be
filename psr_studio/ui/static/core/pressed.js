// A control of the page that was pressed is busy until the studio has answered: the page says when it asks, and when it
// has been told all that it asked for, but not by what, so the control is the one that the user touched last.

/** @param {Document} page */
export function markPressed(page) {
  /** @type {Element | null} */
  let touched = null;
  /** @type {Set<Element>} */
  const busy = new Set();

  /** @param {Event} event */
  const touch = ({ target }) => {
    touched = target instanceof Element ? target.closest('button, .block') : null;
  };
  for (const kind of ['click', 'change', 'keydown']) page.addEventListener(kind, touch, true);

  page.addEventListener('psr-pressed', () => {
    if (!touched) return;
    touched.setAttribute('aria-busy', 'true');
    busy.add(touched);
  });
  page.addEventListener('psr-answered', () => {
    for (const control of busy) control.removeAttribute('aria-busy');
    busy.clear();
  });
}
