// Mouse, pen and touch on the map, read into five intents: pan, zoom, click, region (box or lasso), hover.

/** @import { Modifiers, Point, ScreenShape, Tool } from '../core/types' */
/**
 * @typedef {object} Gestures
 * @property {() => Tool} tool
 * @property {(dx: number, dy: number) => void} pan
 * @property {(x: number, y: number, factor: number) => void} zoom
 * @property {(at: Point, keys: Modifiers) => void} click
 * @property {(shape: ScreenShape, keys: Modifiers) => void} region
 * @property {(shape: ScreenShape | null) => void} sketch the region as it stands while it is drawn, null at its end
 * @property {(at: Point | null) => void} hover
 * @property {(dragging: boolean) => void} busy
 */
/** @typedef {{ id: number, tool: Tool, start: Point, last: Point, path: number[], moved: boolean }} Press */

const CLICK_PX = 4; // a press that moves less is a click, whatever the tool
const LASSO_STEP_PX = 3;

/** @param {HTMLElement} surface @param {Gestures} on */
export function attachPointer(surface, on) {
  /** @type {Press | null} */
  let press = null;
  /** @param {MouseEvent} event @returns {Point} */
  const local = (event) => {
    const box = surface.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  /** @param {PointerEvent} event */
  function down(event) {
    if (event.button > 1) return;
    const tool = event.button === 1 ? 'pan' : on.tool(); // the middle button pans under every tool
    surface.setPointerCapture(event.pointerId);
    const at = local(event);
    press = { id: event.pointerId, tool, start: at, last: at, path: [...at], moved: false };
    surface.focus({ preventScroll: true });
    event.preventDefault();
  }

  /** @param {PointerEvent} event */
  function move(event) {
    const at = local(event);
    if (!press || event.pointerId !== press.id) return on.hover(at);
    if (!press.moved && Math.hypot(at[0] - press.start[0], at[1] - press.start[1]) < CLICK_PX) return;
    press.moved = true;
    on.busy(true);
    if (press.tool === 'pan') on.pan(at[0] - press.last[0], at[1] - press.last[1]);
    else if (press.tool === 'lasso') extend(press.path, at);
    press.last = at;
    if (press.tool !== 'pan') on.sketch(shape(press));
  }

  /** @param {PointerEvent} event */
  function up(event) {
    if (!press || event.pointerId !== press.id) return;
    const done = press;
    cancel();
    if (!done.moved) on.click(done.start, event);
    else if (done.tool !== 'pan') on.region(shape(done), event);
  }

  /** @returns {boolean} whether there was something to give up */
  function cancel() {
    if (!press) return false;
    press = null;
    on.busy(false);
    on.sketch(null);
    return true;
  }

  /** @param {WheelEvent} event */
  function wheel(event) {
    event.preventDefault();
    const pixels = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
    on.zoom(...local(event), Math.exp(-Math.max(-240, Math.min(240, pixels)) * 0.0022));
  }

  surface.addEventListener('pointerdown', down);
  surface.addEventListener('pointermove', move);
  surface.addEventListener('pointerup', up);
  surface.addEventListener('pointercancel', cancel);
  surface.addEventListener('pointerleave', () => {
    if (!press) on.hover(null);
  });
  surface.addEventListener('wheel', wheel, { passive: false });
  surface.addEventListener('dblclick', (event) => on.zoom(...local(event), event.altKey ? 0.5 : 2));
  return { cancel };
}

/** @param {number[]} path @param {Point} at */
function extend(path, at) {
  const n = path.length;
  if (Math.hypot(at[0] - path[n - 2], at[1] - path[n - 1]) >= LASSO_STEP_PX) path.push(...at);
}

/** @param {Press} press @returns {ScreenShape} */
function shape({ tool, path, start, last }) {
  if (tool === 'lasso') return { kind: 'lasso', path };
  const [x0, y0] = start;
  const [x1, y1] = last;
  return {
    kind: 'box',
    x0: Math.min(x0, x1),
    x1: Math.max(x0, x1),
    y0: Math.min(y0, y1),
    y1: Math.max(y0, y1),
  };
}
