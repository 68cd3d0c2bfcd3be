// A cell of the confusion matrix leads to the candidates that look like its mistake, as a query on Curate.

const CHART = '#psr-confusion .js-plotly-plot';
/**
 * @typedef {{ points: { x: number, y: number }[] }} Clicked places of the predicted and of the true class
 * @typedef {Record<'class' | 'predicted' | 'leans', string[]>} Clauses of a query, by class
 * @typedef {HTMLElement & { layout: { meta: Clauses }, on: (name: string, act: (event: Clicked) => void) => void }} Chart
 */

/**
 * Each new picture of the matrix is another element, so it is told when the mouse first comes to it.
 * @param {Document} page
 */
export function openConfusions(page) {
  /** @type {WeakSet<Chart>} */
  const told = new WeakSet();
  page.addEventListener('pointerover', ({ target }) => {
    const chart = target instanceof Element ? /** @type {Chart | null} */ (target.closest(CHART)) : null;
    if (!chart || told.has(chart)) return;
    told.add(chart);
    chart.on('plotly_click', ({ points: [{ x, y }] }) => {
      location.hash = new URLSearchParams({
        tab: 'curate',
        find: queryOf(chart.layout.meta, y, x),
      }).toString();
    });
  });
}

/**
 * The candidates of a class whose soft label is largest for it, or has another class as the most
 * probable other one.
 * @param {Clauses} clauses
 * @param {number} own place of the class among those of the matrix
 * @param {number} seen place of the predicted one
 */
export const queryOf = (clauses, own, seen) =>
  [clauses.class[own], own === seen ? clauses.predicted[seen] : clauses.leans[seen]].join(', ');
