// The field that an error names comes into view, else the one that has the focus: what is said may take its room.

/** @param {Document} page */
export function showNamed(page) {
  page.addEventListener('psr-refused', () => requestAnimationFrame(() => requestAnimationFrame(show)));

  function show() {
    const errors = page.querySelectorAll('[data-field]:not([data-field=""])');
    const name = [...errors]
      .filter((node) => node.checkVisibility())
      .pop()
      ?.getAttribute('data-field');
    const labels = [...page.querySelectorAll('.psr-side [data-testid="block-info"]')];
    const named = labels.find((node) => node.checkVisibility() && node.textContent?.trim() === name);
    const field = named ?? page.activeElement;
    field?.closest('.psr-side-body .block')?.scrollIntoView({ block: 'nearest' });
  }
}
