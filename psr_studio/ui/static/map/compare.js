// The map while two selections are compared: the pool as a pale cloud, the picks of both in two colours and three
// shapes. It lies over the usual map and moves with the same camera.

import { isPending, SIDES, sideOf } from '../core/compare.js';
import { h } from '../core/dom.js';
import { modeOf } from '../core/selection.js';
import { ready } from '../core/store.js';
import { shapeToMap } from './camera.js';
import { parseHex } from './class_colors.js';
import { namesOn } from './class_names.js';
import { toCss } from './color.js';
import { marksOf } from './compare_marks.js';
import { toMap, toScreen, viewAt, viewsOf } from './compare_views.js';
import { nearest } from './hit.js';
import { attachPointer } from './pointer.js';
import { addShape, outlineRegion, shapeIcon } from './shapes.js';

/** @import { Actions, Point, Rgb, ScreenShape, Store } from '../core/types' */
/** @import { Mark } from './compare_marks.js' */
/** @import { View } from './compare_views.js' */
/** @import { Gestures } from './pointer.js' */
/** @import { Scatter } from './scatter.js' */
/** @import { Colors } from './theme.js' */

const HIT_PX = 10;
const MAX_RINGS = 5000;

/** @param {Store} store @param {Scatter} map @param {Actions} actions */
export function createCompareMap(store, map, actions) {
  const { camera, painter } = map;
  const canvas = h('canvas', {
    class: 'psr-overlay',
    tabindex: '0',
    role: 'application',
    'aria-label': 'Map of both selections. The grid lists them by keyboard.',
    on: { keydown: map.panByKey },
  });
  const titles = h('div', { class: 'psr-compare-titles', 'aria-hidden': 'true' });
  const node = h('div', { class: 'psr-compare-map', hidden: true }, canvas, titles);
  const context = /** @type {CanvasRenderingContext2D} */ (
    canvas.getContext('2d', { willReadFrequently: true })
  );
  const names = namesOn(context);
  let drawnKey = ''; // what the picture was drawn with; '' has it drawn again
  let order = new Uint32Array();
  let cameFromHome = false; // the whole map was shown before
  /** @type {ScreenShape | null} */
  let sketch = null;
  attachPointer(canvas, gestures());

  const stale = () => {
    drawnKey = '';
  };
  store.on(['compare'], show);
  store.on(['selection', 'focus', 'hover', 'layout', 'solo'], stale);
  store.on(['tool'], () => {
    node.dataset.tool = store.data.tool;
  });

  const lists = () => store.data.compare?.lists;

  function show() {
    stale();
    const wasHidden = node.hidden;
    const found = lists();
    node.hidden = !found;
    if (wasHidden) cameFromHome = camera.isHome;
    if (!found) return void (!wasHidden && cameFromHome && map.resetView());
    order = Uint32Array.from(Object.values(found).flat());
    writeTitles();
    if (wasHidden) follow();
  }

  function writeTitles() {
    const { compare } = store.data;
    if (!compare) return;
    const more = isPending(compare) ? ' …' : ''; // the points are still those of before
    const title = (/** @type {'a' | 'b'} */ side) =>
      h(
        'span',
        { class: `psr-side is-${side}` },
        shapeIcon(SIDES[side].shape),
        h('b', { class: `psr-side is-${side}` }, side.toUpperCase()),
        h('span', {}, `${compare[side]}${more}`),
      );
    const both = h('span', { class: 'psr-side is-both' }, shapeIcon(SIDES.both.shape), SIDES.both.label);
    titles.classList.toggle('is-split', compare.view === 'split');
    titles.replaceChildren(title('a'), title('b'), both);
  }

  /** The camera tells nobody that it moved, so each frame looks; nothing is drawn while all stands still. */
  function follow() {
    if (!lists()) return;
    const { cx, cy, k, width, height } = camera;
    const key = [cx, cy, k, width, height, painter.colors?.ink, window.devicePixelRatio].join();
    if (key !== drawnKey && width && painter.colors) draw(painter.colors);
    drawnKey = key;
    requestAnimationFrame(follow);
  }

  const views = () => viewsOf(camera, map.box(), store.data.compare?.view === 'split');

  // --- drawing -----------------------------------------------------------------------------------------------------
  /** @param {Colors} colors */
  function draw(colors) {
    const dpr = window.devicePixelRatio || 1;
    const [w, height] = [Math.round(camera.width * dpr), Math.round(camera.height * dpr)];
    if (canvas.width !== w) canvas.width = w;
    if (canvas.height !== height) canvas.height = height;
    const all = views();
    drawCloud(all, dpr, colors);
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    for (const view of all) drawView(view, colors);
    if (sketch) outlineRegion(context, sketch, toCss(colors.accent));
  }

  /**
   * Plain pixels: a hundred thousand points cost a few milliseconds, without a second graphics context.
   * @param {View[]} all
   * @param {number} dpr
   * @param {Colors} colors
   */
  function drawCloud(all, dpr, { ink, background }) {
    const { width, height } = canvas;
    const { layout, info } = ready(store);
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const dot = word(background.map((value, i) => Math.round(value + 0.3 * (ink[i] - value))));
    pixels.fill(word(background));
    const size = Math.max(1, Math.round((info.n > 20000 ? 1 : 2) * dpr));
    for (const view of all) {
      const [from, to] = [view.left * dpr, (view.left + view.w) * dpr - size];
      for (let i = 0; i < info.n; i += 1) {
        if (isHidden(i)) continue;
        const x = Math.round((view.left + view.w / 2 + (layout.xy[2 * i] - view.cx) * view.k) * dpr);
        const y = Math.round((view.h / 2 - (layout.xy[2 * i + 1] - view.cy) * view.k) * dpr);
        if (x < from || x > to || y < 0 || y >= height - size) continue;
        for (let row = 0; row < size; row += 1)
          pixels.fill(dot, (y + row) * width + x, (y + row) * width + x + size);
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** @param {View} view @param {Colors} colors */
  function drawView(view, colors) {
    const { compare, focus, hover, selection } = ready(store);
    if (!compare?.lists) return;
    context.save();
    context.beginPath();
    context.rect(view.left, 0, view.w, view.h);
    context.clip();
    drawNames(view, colors); // below the marks: in a small pool they would hide some
    for (const mark of marksOf(view.side, order.length))
      drawMarks(view, mark, compare.lists[mark.key], colors);
    if (selection.count && selection.count < MAX_RINGS) drawRings(view, selection.list, colors.accent, 9, 2);
    if (hover !== null) drawRings(view, [hover], colors.ink, 10, 1.5);
    if (focus !== null) drawRings(view, [focus], colors.accent, 12, 3);
    context.restore();
    if (view.left > 0) {
      context.fillStyle = toCss(colors.ink);
      context.fillRect(view.left - 0.5, 0, 1, view.h);
    }
  }

  /** @param {View} view @param {number} i */
  function place(view, i) {
    const { xy } = ready(store).layout;
    return toScreen(view, xy[2 * i], xy[2 * i + 1]);
  }

  /** @param {number} i */
  function isHidden(i) {
    const { solo, points } = store.data;
    return solo !== null && points?.label[i] !== solo;
  }

  /** @param {View} view @param {Mark} mark @param {number[]} list @param {Colors} colors */
  function drawMarks(view, { key, shape, r, opacity }, list, { ink, background }) {
    context.beginPath();
    for (const i of list) if (!isHidden(i)) addShape(context, shape, ...place(view, i), r);
    context.lineWidth = 2.4;
    context.strokeStyle = toCss(background);
    context.stroke();
    const onDark = background[0] < ink[0];
    context.globalAlpha = opacity;
    context.fillStyle = toCss(parseHex(SIDES[key][onDark ? 'dark' : 'light']));
    context.fill();
    context.globalAlpha = 1;
  }

  /** @param {View} view @param {Colors} colors */
  function drawNames(view, colors) {
    const own = (/** @type {number} */ i) =>
      /** @type {Point} */ ([place(view, i)[0] - view.left, place(view, i)[1]]);
    context.save();
    context.translate(view.left, 0);
    names(ready(store), own, { width: view.w, height: view.h }, colors);
    context.restore();
  }

  /**
   * @param {View} view
   * @param {Iterable<number>} list
   * @param {Rgb} color
   * @param {number} r
   * @param {number} width
   */
  function drawRings(view, list, color, r, width) {
    context.beginPath();
    for (const i of list) {
      const [x, y] = place(view, i);
      context.moveTo(x + r, y);
      context.arc(x, y, r, 0, 2 * Math.PI);
    }
    context.lineWidth = width;
    context.strokeStyle = toCss(color);
    context.stroke();
  }

  // --- mouse -------------------------------------------------------------------------------------------------------
  /** @returns {Gestures} */
  function gestures() {
    return {
      tool: () => store.data.tool,
      pan(dx, dy) {
        const ratio = camera.k / views()[0].k;
        camera.pan(dx * ratio, dy * ratio);
        map.invalidate();
      },
      zoom,
      busy: (on) => canvas.classList.toggle('is-dragging', on),
      sketch(shape) {
        sketch = shape;
        stale();
      },
      region(shape, keys) {
        const view = viewAt(views(), shape.kind === 'box' ? shape.x0 : shape.path[0]);
        map.selectShape(
          shapeToMap(shape, (x, y) => toMap(view, x, y)),
          modeOf(keys),
        );
      },
      hover,
      click(at, keys) {
        const position = pointAt(at);
        if (position >= 0) actions.pointed(position, modeOf(keys));
      },
    };
  }

  /**
   * Zoom about the place of the map under the pointer, in the view it is in.
   * @param {number} x
   * @param {number} y
   * @param {number} factor
   */
  function zoom(x, y, factor) {
    const before = toMap(viewAt(views(), x), x, y);
    camera.zoomAt(camera.width / 2, camera.height / 2, factor);
    const after = toMap(viewAt(views(), x), x, y);
    camera.cx += before[0] - after[0];
    camera.cy += before[1] - after[1];
    map.invalidate();
  }

  /**
   * Picks of the view's sides can be pointed at, not the pale cloud.
   * @param {Point} at
   * @returns {number} -1 for none
   */
  function pointAt([sx, sy]) {
    const { compare, layout } = ready(store);
    const view = viewAt(views(), sx);
    const [x, y] = toMap(view, sx, sy);
    const seen = (/** @type {number} */ i) => {
      const side = sideOf(compare, i);
      return !isHidden(i) && (view.side === null || side === 'both' || side === view.side);
    };
    return nearest(layout.xy, order.filter(seen), () => false, x, y, HIT_PX / view.k);
  }

  /** @param {Point | null} at */
  function hover(at) {
    const position = at ? pointAt(at) : -1;
    store.set({ hover: position < 0 ? null : position });
    canvas.classList.toggle('is-over', position >= 0);
    if (at && position >= 0) map.card.show(position, at, camera);
    else map.card.hide();
  }

  return { node };
}

/** One pixel. @param {Rgb} rgb */
const word = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;
