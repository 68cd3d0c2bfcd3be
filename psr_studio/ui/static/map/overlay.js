// The thin layer over the points: sketch of a box or lasso, focus and hover rings, pictures when zoomed in.

import { prefersStill } from '../core/dom.js';
import { toCss } from './color.js';

const PULSE_MS = 1100;
const MAX_PICTURES = 70;
const PICTURE_ZOOM = 2.2;

export function createOverlay(canvas) {
  // A canvas in main memory: a few strokes a frame cost less than a second surface on the graphics device.
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let shownKey = '';
  let pulseStart = -Infinity;

  function ring(x, y, radius, color, width, alpha = 1) {
    context.globalAlpha = alpha;
    context.strokeStyle = color;
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.stroke();
    context.globalAlpha = 1;
  }

  function sketch(shape, colors) {
    context.beginPath();
    if (shape.kind === 'box') context.rect(shape.x0, shape.y0, shape.x1 - shape.x0, shape.y1 - shape.y0);
    else for (let k = 0; k < shape.path.length; k += 2) context.lineTo(shape.path[k], shape.path[k + 1]);
    if (shape.kind === 'lasso') context.closePath();
    context.fillStyle = toCss(colors.accent);
    context.globalAlpha = 0.12;
    context.fill();
    context.globalAlpha = 1;
    context.strokeStyle = toCss(colors.accent);
    context.lineWidth = 1.5;
    context.setLineDash([5, 3]);
    context.stroke();
    context.setLineDash([]);
  }

  function focusRing(at, radius, colors, now) {
    const age = Math.max(0, now - pulseStart) / PULSE_MS; // a late frame may carry an earlier time
    ring(...at, radius + 5, toCss(colors.background), 5);
    ring(...at, radius + 5, toCss(colors.accent), 2.5);
    if (age >= 1 || prefersStill()) return false;
    ring(...at, radius + 5 + 26 * age, toCss(colors.accent), 2.5, 1 - age);
    return true;
  }

  /** Pictures at the picks in view, once they are few enough to be seen apart. */
  function pictures(view, { picks, points, sprites, onLoad }) {
    if (view.camera.zoom < PICTURE_ZOOM || !picks) return;
    const { camera } = view;
    const seen = Array.from(picks.order)
      .map((i) => [i, ...camera.toScreen(...view.at(i))])
      .filter(([, x, y]) => x > 0 && y > 0 && x < camera.width && y < camera.height);
    if (seen.length > MAX_PICTURES) return;
    const size = camera.zoom > 6 ? 44 : 30;
    context.imageSmoothingEnabled = sprites.tile >= 64;
    for (const [i, x, y] of seen) {
      const [left, top] = [Math.round(x + 6), Math.round(y - size - 6)];
      if (!sprites.draw(context, i, points.label[i], left, top, size, onLoad)) continue;
      context.strokeStyle = toCss(view.ink);
      context.lineWidth = 1;
      context.strokeRect(left - 0.5, top - 0.5, size + 1, size + 1);
    }
  }

  return {
    pulse() {
      pulseStart = performance.now();
    },
    forget() {
      shownKey = '';
    },
    /** @returns {boolean} true while the pulse still moves */
    draw(view, scene, now) {
      const pulsing = scene.focus !== null && now - pulseStart < PULSE_MS && !prefersStill();
      const key = keyOf(view, scene);
      // A slider drag moves colours, not this layer.
      if (key === shownKey && !pulsing && !scene.sketch) return false;
      shownKey = scene.sketch || pulsing ? '' : key;
      context.setTransform(view.dpr, 0, 0, view.dpr, 0, 0);
      context.clearRect(0, 0, view.camera.width, view.camera.height);
      if (view.morph >= 1) pictures(view, scene);
      if (scene.sketch) sketch(scene.sketch, view);
      const screen = (i) => view.camera.toScreen(...view.at(i));
      if (scene.hover !== null) ring(...screen(scene.hover), view.size / 2 + 4, toCss(view.ink), 1.5);
      return scene.focus !== null && focusRing(screen(scene.focus), view.size / 2, view, now);
    },
  };
}

const keyOf = ({ camera: c, morph, ink }, { hover, focus, picks }) =>
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
    c.zoom < PICTURE_ZOOM ? '' : stampOf(picks),
  ].join();

// Each set of picks gets its own number, so that the key can name it.
const stamps = new WeakMap();
let nextStamp = 1;
function stampOf(picks) {
  if (!picks) return 0;
  if (!stamps.has(picks)) stamps.set(picks, nextStamp++);
  return stamps.get(picks);
}
