// The map's draw loop: at most one picture a frame, none while an answer is about to change it.

import { clamp } from '../core/numbers.js';
import { parseHex } from './class_colors.js';
import { dimAlpha, STATUS } from './color.js';
import { themeColors } from './theme.js';

/** @import { MapView, Ready, Renderer, ScreenShape, Store } from '../core/types' */
/** @import { Camera } from './camera.js' */
/** @import { MapData } from './data.js' */
/** @import { Colors } from './theme.js' */
/** @typedef {ReturnType<typeof import('./overlay.js').createOverlay>} Overlay */

const STATUS_RGB = STATUS.map((status) => parseHex(status.color));
const HOLD_MS = 80;

export class Painter {
  /** @type {Colors | null} */
  colors = null;
  /** A box or lasso being drawn. @type {ScreenShape | null} */
  sketch = null;
  frame = 0;
  held = 0; // the timer of `hold`
  missed = false;
  /** @type {((time: number) => void)[]} */
  waiters = [];

  /**
   * @param {Store} store
   * @param {Camera} camera
   * @param {() => { data: MapData, renderer: Renderer, overlay: Overlay }} layers
   */
  constructor(store, camera, layers) {
    this.store = store;
    this.camera = camera;
    this.layers = layers;
  }

  /** @param {HTMLElement} surface */
  loadColors(surface) {
    this.colors = themeColors(surface);
    this.invalidate();
  }

  /** An answer is about to change the picture: one drawn now would keep the device busy when it arrives. */
  hold() {
    this.missed ||= Boolean(this.frame); // it is drawn if the answer takes longer
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.held ||= setTimeout(() => this.letGo(), HOLD_MS);
  }

  letGo() {
    clearTimeout(this.held);
    this.held = 0;
    if (this.missed) this.invalidate();
  }

  invalidate() {
    if (this.held) {
      this.missed = true;
      return;
    }
    this.missed = false;
    this.frame ||= requestAnimationFrame((now) => this.draw(now));
  }

  drawNow() {
    clearTimeout(this.held);
    cancelAnimationFrame(this.frame);
    this.held = 0;
    this.missed = false;
    this.draw(performance.now());
  }

  /** @param {number} now */
  draw(now) {
    this.frame = 0;
    const { data: state } = this.store;
    const { data, renderer, overlay } = this.layers();
    if (!this.camera.width || state.phase !== 'ready' || !data.flags || !this.colors) return;
    const moving = this.camera.step(now);
    const gliding = data.step(now);
    const view = this.view(state, this.colors, data);
    renderer.draw(view);
    const scene = { ...state, sketch: this.sketch, onLoad: () => this.redraw() };
    const pulsing = overlay.draw(view, scene, now);
    this.release(renderer);
    if (moving || gliding || pulsing) this.invalidate();
  }

  /** The layer above too, though nothing in it seems to have moved. */
  redraw() {
    this.layers().overlay.forget();
    this.invalidate();
  }

  /** @param {Ready} state @param {Colors} colors @param {MapData} data @returns {MapView} */
  view({ points, weights, colorBy }, colors, data) {
    // Smaller points in larger pools: 7 px at 2,000, 3.6 px at 50,000.
    const base = clamp(8.6 - 2.6 * Math.log10(Math.max(points.label.length, 1) / 600), 2.4, 8.6);
    return {
      camera: this.camera,
      at: (position) => data.at(position),
      morph: data.eased,
      size: base * clamp(this.camera.zoom, 0.6, 16) ** 0.25,
      weights,
      domain: data.domain,
      mode: colorBy,
      dim: dimAlpha(colorBy, colors.background),
      dpr: window.devicePixelRatio || 1,
      status: STATUS_RGB,
      ...colors,
    };
  }

  /** @param {Renderer} renderer */
  release(renderer) {
    const done = this.waiters;
    this.waiters = [];
    if (done.length)
      renderer.finished().then(() => {
        for (const resolve of done) resolve(performance.now());
      });
  }

  /**
   * Time stamp at which the next draw has been finished by the graphics device.
   * @returns {Promise<number>}
   */
  drawn() {
    return new Promise((resolve) => {
      this.waiters.push(resolve);
      this.missed = true;
      this.letGo();
    });
  }

  /** The same for what has been drawn already, when nothing waits to be drawn. */
  settled() {
    if (this.frame) return this.drawn();
    return this.layers()
      .renderer.finished()
      .then(() => performance.now());
  }
}
