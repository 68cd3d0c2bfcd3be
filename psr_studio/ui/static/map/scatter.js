// The map pane: tools, canvases, legend and status, and what the mouse does on the points.

import { fitRow, h } from '../core/dom.js';
import { lasso } from '../core/lasso.js';
import { bounds } from '../core/model.js';
import { modeOf } from '../core/selection.js';
import { Camera } from './camera.js';
import { CanvasRenderer } from './canvas2d.js';
import { MapData } from './data.js';
import { STRONG } from './flags.js';
import { createGlRenderer } from './gl.js';
import { inBox, inPolygon, nearest } from './hit.js';
import { createHoverCard } from './hover.js';
import { createLegend } from './legend.js';
import { createOverlay } from './overlay.js';
import { Painter } from './painter.js';
import { attachPointer } from './pointer.js';
import { createMapStatus } from './status.js';
import { createMapTools } from './tools.js';

/** @import { Actions, How, MapKind, MapShape, Modifiers, Point, Store } from '../core/types' */
/** @import { Gestures } from './pointer.js' */
/** @typedef {ReturnType<typeof createScatter>} Scatter */

const HIT_PX = 10;
const KEY_PAN_PX = 40;
/** @type {Record<string, Point>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @param {Store} store @param {Actions} actions @param {(kind: MapKind) => void} chooseMap */
export function createScatter(store, actions, chooseMap) {
  const camera = new Camera();
  const painter = new Painter(store, camera, () => ({ data, renderer, overlay }));
  const invalidate = () => painter.invalidate();
  const pointCanvas = h('canvas', { class: 'psr-points' });
  const topCanvas = h('canvas', {
    class: 'psr-overlay',
    tabindex: '0',
    role: 'application',
    'aria-label': 'Map of candidates. The picks grid offers the same candidates by keyboard.',
    on: { keydown: panByKey },
  });
  const renderer = createGlRenderer(pointCanvas, invalidate) ?? new CanvasRenderer(pointCanvas);
  const data = new MapData(store, renderer, camera, invalidate);
  const overlay = createOverlay(topCanvas);
  const card = createHoverCard(store);
  const legend = createLegend(store, data, () => painter.colors?.ink ?? [0, 0, 0], zoomToClass);
  const surface = h(
    'div',
    { class: 'psr-surface', 'data-tool': store.data.tool },
    pointCanvas,
    topCanvas,
    legend.node,
    card.node,
  );
  const tools = createMapTools(store, { resetView, zoomToSelection });
  const status = createMapStatus(store, renderer.kind, chooseMap);
  const node = h(
    'section',
    { class: 'psr-pane psr-map', 'aria-label': 'Map' },
    tools.node,
    surface,
    status.node,
  );
  const pointer = attachPointer(topCanvas, gestures());
  /** @type {Point | null} */
  let hoverAt = null;

  store.on(['focus'], () => {
    overlay.pulse();
    invalidate();
  });
  store.on(['hover'], invalidate);
  // At once, and before other panes hear of it: the device draws while the page is rebuilt around the map. Picks on the
  // way of a drag come with its next frame.
  store.on(['picks'], () => painter.drawNow());
  store.on(['picks', 'pinned', 'vetoed'], () => hoverAt && hover(hoverAt));
  store.on(['tool'], () => {
    surface.dataset.tool = store.data.tool;
  });

  /** @returns {Gestures} */
  function gestures() {
    return {
      tool: () => store.data.tool,
      pan,
      zoom(x, y, factor) {
        camera.zoomAt(x, y, factor);
        hover(null);
        invalidate();
      },
      busy(on) {
        topCanvas.classList.toggle('is-dragging', on);
        if (on) hover(null);
      },
      sketch(shape) {
        painter.sketch = shape;
        invalidate();
      },
      region: (shape, keys) => selectShape(camera.shapeToMap(shape), modeOf(keys)),
      hover,
      click,
    };
  }

  // --- commands ----------------------------------------------------------------------------------------------------
  /** @param {number} dx @param {number} dy in pixels */
  function pan(dx, dy) {
    camera.pan(dx, dy);
    invalidate();
  }

  function resetView() {
    camera.goTo(camera.home);
    invalidate();
  }

  /** @param {number} factor */
  function zoomBy(factor) {
    camera.zoomAt(camera.width / 2, camera.height / 2, factor);
    invalidate();
  }

  /** @param {KeyboardEvent} event */
  function panByKey(event) {
    const way = ARROWS[event.key];
    if (!way || event.ctrlKey || event.altKey) return;
    event.preventDefault();
    pan(-way[0] * KEY_PAN_PX, -way[1] * KEY_PAN_PX);
  }

  function zoomToSelection() {
    const { phase, selection, picks } = store.data;
    if (phase !== 'ready') return;
    if (!selection.count && store.data.solo !== null) return zoomToClass(store.data.solo);
    zoomTo(selection.count ? selection.list : picks?.order);
  }

  /** The class alone, as large as the map. @param {number} classId */
  function zoomToClass(classId) {
    const { phase, sprites } = store.data;
    if (phase !== 'ready') return;
    store.set({ solo: classId });
    const { [classId]: first, [classId + 1]: end } = sprites.starts;
    zoomTo(Uint32Array.from({ length: end - first }, (_, k) => first + k));
  }

  /** @param {Uint32Array | undefined} list */
  function zoomTo(list) {
    const { layout } = store.data;
    if (!list?.length || !layout) return;
    const target = camera.viewOf(bounds(layout.xy, list), 60);
    camera.goTo({ ...target, k: Math.min(target.k, camera.home.k * 40) });
    invalidate();
  }

  /** Centre and zoom as the address keeps them; '' where the map is as it opens. */
  const viewInWords = () =>
    camera.isHome ? '' : [camera.cx, camera.cy, camera.zoom].map((v) => Number(v.toFixed(4))).join();

  /** @param {number[]} view centre and zoom */
  function setView([cx, cy, zoom]) {
    camera.set({ cx, cy, k: zoom * camera.home.k });
    invalidate();
  }

  /** @param {MapShape} shape @param {How} how */
  function selectShape(shape, how) {
    const { phase, layout } = store.data;
    if (phase !== 'ready' || !data.flags) return;
    const { order } = data.flags;
    const hits =
      shape.kind === 'box' ? inBox(layout.xy, order, shape) : inPolygon(layout.xy, order, shape.polygon);
    lasso(store, hits, how);
  }

  // --- mouse -------------------------------------------------------------------------------------------------------
  /** @param {Point} at @returns {number} the candidate there, -1 for none */
  function pointAt([sx, sy]) {
    if (!data.flags || store.data.phase !== 'ready') return -1;
    const [x, y] = camera.toMap(sx, sy);
    const { flags, order } = data.flags;
    const isStrong = (/** @type {number} */ i) => (flags[i] & STRONG) !== 0;
    return nearest(store.data.layout.xy, order, isStrong, x, y, HIT_PX / camera.k);
  }

  /** @param {Point} at @param {Modifiers} keys */
  function click(at, keys) {
    const position = pointAt(at);
    if (position >= 0) actions.pointed(position, modeOf(keys));
  }

  /** @param {Point | null} at */
  function hover(at) {
    hoverAt = at;
    const position = at ? pointAt(at) : -1;
    store.set({ hover: position < 0 ? null : position });
    topCanvas.classList.toggle('is-over', position >= 0);
    if (at && position >= 0) card.show(position, at, camera);
    else card.hide();
  }

  // --- size and theme ----------------------------------------------------------------------------------------------
  function loadColors() {
    painter.loadColors(surface);
    legend.refresh();
  }

  function resize() {
    const { width, height } = surface.getBoundingClientRect();
    if (!width || !height) return; // hidden tab: keep the last size
    const dpr = window.devicePixelRatio || 1;
    for (const canvas of [pointCanvas, topCanvas]) {
      canvas.width = Math.round(width * dpr);
      canvas.height = Math.round(height * dpr);
    }
    fitRow(tools.node);
    fitRow(status.node);
    legend.fit(width);
    camera.besideLegend = !legend.isFolded();
    camera.resize(width, height, data.box);
    overlay.forget();
    painter.drawNow(); // a resized canvas is blank until drawn
  }

  return {
    node,
    /** The row that takes the pane's own buttons. */
    bar: tools.node,
    /** The buttons that move the view. */
    viewTools: tools.view,
    surface,
    camera,
    card,
    painter,
    kind: renderer.kind,
    /** The box around all points, in map coordinates. */
    box: () => data.box,
    /** Where a candidate stands on the surface, in CSS pixels. @param {number} position */
    screenOf: (position) => camera.toScreen(...data.at(position)),
    invalidate,
    resize,
    loadColors,
    resetView,
    zoomBy,
    zoomToSelection,
    panByKey,
    viewInWords,
    setView,
    selectShape,
    /** Give up a box or lasso being drawn; false when there is none. */
    cancel: pointer.cancel,
  };
}
