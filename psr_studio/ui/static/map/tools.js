// The row of tools above the map: always visible, because hidden gestures are not found.

import { button, h, segmented } from '../core/dom.js';

/** @import { Store } from '../core/types' */

const MODIFIERS = 'Shift adds to the selection, Alt removes from it';

/** @param {Store} store @param {{ zoomToSelection: () => void, resetView: () => void }} commands */
export function createMapTools(store, commands) {
  const tools = segmented(
    'Map tool',
    [
      {
        value: 'pan',
        label: 'Pan',
        iconName: 'pan',
        className: 'psr-less-shy',
        title: 'Pan: drag to move, wheel to zoom, click to inspect (V)',
      },
      {
        value: 'box',
        label: 'Box',
        iconName: 'box',
        className: 'psr-less-shy',
        title: `Box: drag a rectangle to select (B). ${MODIFIERS}`,
      },
      {
        value: 'lasso',
        label: 'Lasso',
        iconName: 'lasso',
        className: 'psr-less-shy',
        title: `Lasso: draw around points to select (L). ${MODIFIERS}`,
      },
    ],
    (tool) => store.set({ tool }),
  );
  const view = h(
    'div',
    { class: 'psr-seg', role: 'group', 'aria-label': 'View' },
    button({
      label: 'Zoom to selection',
      iconName: 'zoom',
      className: 'psr-shy',
      title: 'Zoom to the lassoed, else to the class shown alone, else to the picks (Z)',
      onClick: commands.zoomToSelection,
    }),
    button({
      label: 'Reset',
      iconName: 'reset',
      className: 'psr-shy',
      title: 'Reset the view (0)',
      onClick: commands.resetView,
    }),
  );

  const show = segmented(
    'Points shown',
    [
      { value: 'all', label: 'All', title: 'All: no point is dimmed' },
      {
        value: 'highlight',
        label: 'Highlight',
        title: 'Highlight: dim what is not picked, or not in the selection',
      },
      {
        value: 'filter',
        label: 'Only',
        title: 'Only: leave out what is not picked, or not in the selection',
      },
    ],
    (value) => store.set({ show: value }),
  );

  const refresh = () => {
    tools.show(store.data.tool);
    show.show(store.data.show);
  };
  store.on(['tool', 'show'], refresh);
  refresh();
  const node = h(
    'div',
    { class: 'psr-bar psr-map-tools' },
    tools.node,
    view,
    h('span', { class: 'psr-grow' }),
    show.node,
  );
  return { node, view };
}
