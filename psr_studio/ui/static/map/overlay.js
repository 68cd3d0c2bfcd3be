// The thin layer over the points: sketch of a box or lasso, focus and hover rings, pictures when zoomed in.

import { prefersStill } from '../core/dom.js';
import { namesOn } from './class_names.js';
import { toCss } from './color.js';
import { outlineRegion, traceRegion } from './shapes.js';

/** @import { Floats, MapView, Picks, Point, Points, Rgb, ScreenShape, Sprites } from '../core/types' */
/**
 * @typedef {object} Scene
 * @property {ScreenShape | null} sketch
 * @property {Picks | null} picks
 * @property {Points} points
 * @property {number | null} hover
 * @property {number | null} focus
 * @property {Sprites} sprites
 * @property {{ xy: Floats }} layout
 * @property {{ class_names: string[], counts: number[] }} info
 * @property {number | null} solo
 * @property {() => void} onLoad a sheet of pictures has come
 */

const PULSE_MS = 1100;
const MAX_PICTURES = 70;
const PICTURE_ZOOM = 2.2;

/** @param {HTMLCanvasElement} canvas */
export function createOverlay(canvas) {
  // A canvas in main memory: a few strokes a frame cost less than a second surface on the graphics device.
  const context = /** @type {CanvasRenderingContext2D} */ (
    canvas.getContext('2d', { willReadFrequently: true })
  );
  let shownKey = '';
  let pulseStart = -Infinity;

  /** @param {Point} at @param {number} radius @param {Rgb} color @param {number} width */
  function ring([x, y], radius, color, width, alpha = 1) {
    context.globalAlpha = alpha;
    context.strokeStyle = toCss(color);
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
    context.globalAlpha = 1;
  }

  /** @param {ScreenShape} shape @param {Rgb} color */
  function sketch(shape, color) {
    traceRegion(context, shape);
    context.fillStyle = toCss(color);
    context.globalAlpha = 0.12;
    context.fill();
    context.globalAlpha = 1;
    outlineRegion(context, shape, toCss(color));
  }

  /**
   * @param {Point} at
   * @param {number} radius
   * @param {MapView} view
   * @param {number} now
   * @returns {boolean} whether the pulse still moves
   */
  function focusRing(at, radius, { background, accent }, now) {
    const age = Math.max(0, now - pulseStart) / PULSE_MS; // a late frame may carry an earlier time
    ring(at, radius + 5, background, 5);
    ring(at, radius + 5, accent, 2.5);
    if (age >= 1 || prefersStill()) return false;
    ring(at, radius + 5 + 26 * age, accent, 2.5, 1 - age);
    return true;
  }

  /**
   * Pictures at the picks in view, once they are few enough to be seen apart.
   * @param {MapView} view
   * @param {Scene} scene
   */
  function pictures(view, { picks, points, sprites, onLoad }) {
    if (view.camera.zoom < PICTURE_ZOOM || !picks) return;
    const { camera } = view;
    const seen = Array.from(picks.order)
      .map((i) => ({ i, at: camera.toScreen(...view.at(i)) }))
      .filter(({ at: [x, y] }) => x > 0 && y > 0 && x < camera.width && y < camera.height);
    if (seen.length > MAX_PICTURES) return;
    const size = camera.zoom > 6 ? 44 : 30;
    context.imageSmoothingEnabled = sprites.tile >= 64;
    for (const { i, at } of seen) {
      const [left, top] = [Math.round(at[0] + 6), Math.round(at[1] - size - 6)];
      if (!sprites.draw(context, i, points.label[i], left, top, size, onLoad)) continue;
      context.strokeStyle = toCss(view.ink);
      context.lineWidth = 1;
      context.strokeRect(left - 0.5, top - 0.5, size + 1, size + 1);
    }
  }

  const names = namesOn(context);

  return {
    pulse() {
      pulseStart = performance.now();
    },
    /** The next drawing is made in any case. */
    forget() {
      shownKey = '';
    },
    /**
     * @param {MapView} view
     * @param {Scene} scene
     * @param {number} now
     * @returns {boolean} true while the pulse still moves
     */
    draw(view, scene, now) {
      const pulsing = scene.focus !== null && now - pulseStart < PULSE_MS && !prefersStill();
      const key = keyOf(view, scene);
      // A slider drag moves colours, not this layer.
      if (key === shownKey && !pulsing && !scene.sketch) return false;
      shownKey = scene.sketch || pulsing ? '' : key;
      context.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
      context.clearRect(0, 0, view.camera.width, view.camera.height);
      if (view.morph >= 1) pictures(view, scene);
      names(scene, (i) => view.camera.toScreen(...view.at(i)), view.camera, view);
      if (scene.sketch) sketch(scene.sketch, view.accent);
      const screen = (/** @type {number} */ i) => view.camera.toScreen(...view.at(i));
      if (scene.hover !== null) ring(screen(scene.hover), view.size / 2 + 4, view.ink, 1.5);
      return scene.focus !== null && focusRing(screen(scene.focus), view.size / 2, view, now);
    },
  };
}

/** @param {MapView} view @param {Scene} scene */
const keyOf = ({ camera: c, morph, ink }, { hover, focus, picks, solo, layout }) =>
  [
    c.cx,
    c.cy,
    c.k,
    c.width,
    c.height,
    morph,
    ink,
    hover,
    focus,
    solo,
    stampOf(layout.xy),
    c.zoom < PICTURE_ZOOM ? '' : stampOf(picks),
  ].join();

// Each set of picks, and each map, gets its own number, so that the key can name it.
/** @type {WeakMap<object, number>} */
const stamps = new WeakMap();
let nextStamp = 1;
/** @param {object | null} thing */
function stampOf(thing) {
  if (!thing) return 0;
  const stamp = stamps.get(thing) ?? nextStamp++;
  stamps.set(thing, stamp);
  return stamp;
}
