// Mouse, pen and touch on the map, read into five intents: pan, zoom, click, region (box or lasso), hover.

const CLICK_PX = 4; // a press that moves less is a click, whatever the tool
const LASSO_STEP_PX = 3;

/**
 * @param {HTMLElement} surface
 * @param {{tool: function(): string, pan, zoom, click, region, sketch, hover, busy: function(boolean)}} on
 */
export function attachPointer(surface, on) {
  let press = null;
  const local = (event) => {
    const box = surface.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  function down(event) {
    if (event.button > 1) return;
    const tool = event.button === 1 ? 'pan' : on.tool(); // the middle button pans under every tool
    surface.setPointerCapture(event.pointerId);
    const at = local(event);
    press = { id: event.pointerId, tool, start: at, last: at, path: [...at], moved: false };
    surface.focus({ preventScroll: true });
    event.preventDefault();
  }

  function move(event) {
    const at = local(event);
    if (!press || event.pointerId !== press.id) return on.hover(at);
    if (!press.moved && Math.hypot(at[0] - press.start[0], at[1] - press.start[1]) < CLICK_PX)
      return undefined;
    press.moved = true;
    on.busy(true);
    if (press.tool === 'pan') on.pan(at[0] - press.last[0], at[1] - press.last[1]);
    else if (press.tool === 'lasso') extend(at);
    press.last = at;
    if (press.tool !== 'pan') on.sketch(shape(press));
    return undefined;
  }

  function extend(at) {
    const n = press.path.length;
    if (Math.hypot(at[0] - press.path[n - 2], at[1] - press.path[n - 1]) >= LASSO_STEP_PX)
      press.path.push(...at);
  }

  function up(event) {
    if (!press || event.pointerId !== press.id) return;
    const done = press;
    press = null;
    on.busy(false);
    on.sketch(null);
    if (!done.moved) on.click(done.start, event);
    else if (done.tool !== 'pan') on.region(shape(done), event);
  }

  function cancel() {
    if (!press) return false;
    press = null;
    on.busy(false);
    on.sketch(null);
    return true;
  }

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

function shape(press) {
  if (press.tool === 'lasso') return { kind: 'lasso', path: press.path };
  const [x0, y0] = press.start;
  const [x1, y1] = press.last;
  return {
    kind: 'box',
    x0: Math.min(x0, x1),
    x1: Math.max(x0, x1),
    y0: Math.min(y0, y1),
    y1: Math.max(y0, y1),
  };
}
