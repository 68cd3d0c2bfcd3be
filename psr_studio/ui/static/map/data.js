// What the map's renderer holds, kept in step with the store: signals, flags, layout, value range.

import { prefersStill } from '../core/dom.js';
import { bounds, minMax, robustRange, signalOf, totalScores } from '../core/model.js';
import { clamp } from '../core/numbers.js';
import { ready } from '../core/store.js';
import { classColors } from './class_colors.js';
import { rampBytes } from './color.js';
import { mapLines } from './density.js';
import { buildFlags } from './flags.js';
import { scaled } from './scale.js';

/** @import { Floats, Point, Points, Renderer, Store } from '../core/types' */
/** @import { Camera } from './camera.js' */
/** @import { Flags } from './flags.js' */
/** @import { Scaled } from './scale.js' */

const MORPH_MS = 600;
const RAW = ['reliability', 'entropy', 'difficulty', 'near'];

export class MapData {
  /** @type {Flags | null} */
  flags = null;
  totals = new Float32Array();
  /** The diversity that the renderer holds. @type {Floats | null} */
  diversity = null;
  /** @type {[number, number]} */
  domain = [0, 1];
  box = { x0: -1, x1: 1, y0: -1, y1: 1 };
  morph = { t: 1, start: 0, from: new Float32Array() };
  /** @type {Points | null} */
  loaded = null;
  /** A signal as the ramp shows it, null for the total score. @type {Scaled | null} */
  scaled = null;
  /** @type {Floats | null} */
  layoutBefore = null;

  /**
   * @param {Store} store
   * @param {Renderer} renderer
   * @param {Camera} camera
   * @param {() => void} invalidate called when a new picture is due
   */
  constructor(store, renderer, camera, invalidate) {
    this.store = store;
    this.renderer = renderer;
    this.camera = camera;
    this.invalidate = invalidate;
    store.on(['points'], () => this.loadPoints(), { follows: true });
    store.on(['layout'], () => this.loadLayout());
    store.on(['colorBy', 'near', 'rampScale'], () => this.loadValue());
    store.on(['sizeBy', 'near'], () => this.loadSizes());
    store.on(['weights'], () => this.measureTotals());
    store.on(['picks', 'pinned', 'vetoed', 'selection', 'show', 'solo'], () => this.loadFlags(), {
      follows: true,
    });
    store.on(['contours', 'layout', 'solo'], () => this.loadLines());
    store.on(['ramp'], () => {
      renderer.setRamp(rampBytes(store.data.ramp));
      invalidate();
    });
  }

  /** True while the colours show a signal as it is, false for the total score, class or state. */
  get isRaw() {
    return RAW.includes(this.store.data.colorBy);
  }

  /** The numbers behind the ramp, for the legend's histogram. */
  get values() {
    return this.scaled?.values ?? this.totals;
  }

  /** The value at a share of the ramp. @param {number} share */
  valueAt = (share) => {
    const [low, high] = this.domain;
    return this.scaled ? this.scaled.valueAt(share) : low + (high - low) * share;
  };

  loadPoints() {
    const { phase, points, info, ramp } = this.store.data;
    if (phase !== 'ready') return;
    const sameSignals = this.loaded?.rel_n === points.rel_n;
    this.loaded = points;
    this.measureTotals();
    if (sameSignals) return; // a new selection of the same pool moves diversity alone
    this.renderer.setFloats('rel', points.rel_n);
    this.renderer.setFloats('ent', points.ent_n);
    this.renderer.setLabels(points.label);
    this.renderer.setClasses(classColors(info.n_classes));
    this.renderer.setRamp(rampBytes(ramp));
    this.loadValue();
    this.loadSizes();
    this.loadFlags();
  }

  loadValue() {
    const { data } = this.store;
    if (data.phase !== 'ready') return;
    const values = signalOf(data, data.colorBy);
    this.scaled = values && scaled(values, data.rampScale);
    this.renderer.setFloats('value', this.scaled?.values ?? data.points.reliability);
    if (this.scaled) this.domain = this.scaled.domain;
    else this.measureTotals();
    this.invalidate();
  }

  loadSizes() {
    const { data } = this.store;
    if (data.phase !== 'ready') return;
    const values = signalOf(data, data.sizeBy);
    this.renderer.setSizes(values && shares(values));
    this.invalidate();
  }

  measureTotals() {
    const { phase, points, weights, colorBy } = this.store.data;
    if (phase !== 'ready' || colorBy !== 'total') return; // no other colour hangs on weights and diversity
    if (this.diversity !== points.diversity) this.renderer.setFloats('div', points.diversity);
    this.diversity = points.diversity;
    this.totals = totalScores(points, weights, this.totals);
    // Terms are scaled over the eligible candidates of a class: others may lie far outside and are clipped.
    this.domain = minMax(this.totals, points.eligible);
    this.invalidate();
  }

  /** True when some values lie outside the range shown. */
  get clipped() {
    const [low, high] = minMax(this.values);
    return low < this.domain[0] || high > this.domain[1];
  }

  loadFlags() {
    const { data } = this.store;
    if (data.phase !== 'ready') return;
    this.flags = buildFlags(data);
    this.renderer.setFlags(this.flags.flags, this.flags.order);
    this.invalidate();
  }

  loadLines() {
    const { data } = this.store;
    if (data.phase !== 'ready') return;
    this.renderer.setLines(mapLines(data, this.box, data.contours));
    this.invalidate();
  }

  /** The first layout is shown at once; every later one is reached by a glide from the one before. */
  loadLayout() {
    const { layout } = this.store.data;
    if (!layout) return;
    const before = this.layoutBefore;
    const glide = before?.length === layout.xy.length && !prefersStill();
    const from = glide ? before : layout.xy;
    const wasHome = this.camera.isHome;
    this.renderer.setFloats('from', from);
    this.renderer.setFloats('to', layout.xy);
    this.box = bounds(layout.xy);
    this.camera.setHome(this.box);
    if (!glide) this.camera.set(this.camera.home);
    else if (wasHome) this.camera.goTo(this.camera.home);
    this.morph = { t: glide ? 0 : 1, start: performance.now(), from };
    this.layoutBefore = layout.xy;
    this.invalidate();
  }

  /** Go on with the glide. @param {number} now @returns {boolean} whether it lasts */
  step(now) {
    const { morph } = this;
    if (morph.t < 1) morph.t = clamp((now - morph.start) / MORPH_MS, 0, 1);
    return morph.t < 1;
  }

  /**
   * Where a candidate stands now, also on its way to a new layout.
   * @param {number} position
   * @returns {Point}
   */
  at(position) {
    const { xy } = ready(this.store).layout;
    const { from } = this.morph;
    const t = this.eased;
    const blend = (/** @type {number} */ k) => (t >= 1 ? xy[k] : from[k] * (1 - t) + xy[k] * t);
    return [blend(2 * position), blend(2 * position + 1)];
  }

  get eased() {
    const { t } = this.morph;
    return t * t * (3 - 2 * t);
  }
}

/** Values over their robust range, 0 to 1. @param {Floats} values */
function shares(values) {
  const [low, high] = robustRange(values);
  return values.map((value) => clamp((value - low) / Math.max(high - low, 1e-9), 0, 1));
}
