import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Camera, shapeToMap } from '../../psr_studio/ui/static/map/camera.js';
import { always, near } from './random.js';

/** @import { Random } from './random.js' */

/** A pane of some size, over some map. @param {Random} random */
function opened(random) {
  const [x0, y0] = [random.real(-5, 0), random.real(-5, 0)];
  const box = { x0, x1: x0 + random.real(0.1, 9), y0, y1: y0 + random.real(0.1, 9) };
  const camera = new Camera();
  camera.resize(random.integer(100, 2000), random.integer(100, 1500), box);
  return { camera, box };
}

/** @param {number[]} actual @param {number[]} expected */
const nearAll = (actual, expected) => {
  for (const [i, value] of actual.entries()) near(value, expected[i], 1e-6);
};

test('the map point under a place of the screen stands at that place', () => {
  always((random) => {
    const { camera } = opened(random);
    camera.zoomAt(random.real(0, 100), random.real(0, 100), random.real(0.5, 4));
    const place = [random.real(0, camera.width), random.real(0, camera.height)];
    nearAll(camera.toScreen(...camera.toMap(place[0], place[1])), place);
  });
});

test('zooming keeps the point under the mouse, and ends at its limits', () => {
  always((random) => {
    const { camera } = opened(random);
    const [sx, sy] = [random.real(0, camera.width), random.real(0, camera.height)];
    const under = camera.toMap(sx, sy);
    camera.zoomAt(sx, sy, 10 ** random.real(-6, 6));
    nearAll(camera.toMap(sx, sy), under);
    assert.ok(camera.zoom >= 0.3 - 1e-9 && camera.zoom <= 300 + 1e-9);
  });
});

test('a drag moves every point with the mouse', () => {
  always((random) => {
    const { camera, box } = opened(random);
    const [dx, dy] = [random.real(-300, 300), random.real(-300, 300)];
    const [x, y] = camera.toScreen(box.x0, box.y0);
    camera.pan(dx, dy);
    nearAll(camera.toScreen(box.x0, box.y0), [x + dx, y + dy]);
  });
});

test('the view of a box and the home view show all of it, as large as it goes', () => {
  always((random) => {
    const { camera, box } = opened(random);
    const inset = 26;
    const shows = (/** @type {number} */ room) => {
      const [left, bottom] = camera.toScreen(box.x0, box.y0);
      const [right, top] = camera.toScreen(box.x1, box.y1);
      assert.ok(
        left >= room && top >= room && right <= camera.width - room && bottom <= camera.height - room,
      );
      return Math.min(left - room, top - room);
    };
    assert.ok(camera.isHome);
    shows(inset - 1e-6);
    camera.set(camera.viewOf(box, inset));
    near(shows(inset - 1e-6), 0, 1e-3);
  });
});

test('another size of the pane keeps the zoom, and the home view stays home', () => {
  always((random) => {
    const { camera, box } = opened(random);
    camera.resize(random.integer(100, 2000), random.integer(100, 1500), box);
    assert.ok(camera.isHome);
    camera.zoomAt(10, 10, 3);
    const { zoom, cx, cy } = camera;
    camera.resize(random.integer(100, 2000), random.integer(100, 1500), box);
    near(camera.zoom, zoom);
    assert.deepEqual([camera.cx, camera.cy], [cx, cy]);
  });
});

test('a pane that changes its size on the way home shows the whole map at once', () => {
  always((random) => {
    const { camera, box } = opened(random);
    camera.zoomAt(10, 10, 3);
    camera.move = { from: { cx: camera.cx, cy: camera.cy, k: camera.k }, to: camera.home, start: 0 };
    camera.resize(random.integer(100, 2000), random.integer(100, 1500), box);
    camera.step(1e9);
    assert.ok(camera.isHome);
  });
});

test('a box or lasso of the screen holds on the map what it held on the screen; upwards turns round', () => {
  always((random) => {
    const { camera } = opened(random);
    const [x0, y0] = [random.real(0, 100), random.real(0, 100)];
    const screen = /** @type {const} */ ({ kind: 'box', x0, x1: x0 + 50, y0, y1: y0 + 50 });
    const box = camera.shapeToMap(screen);
    assert.ok(box.kind === 'box' && box.x0 < box.x1 && box.y0 < box.y1);
    nearAll(camera.toScreen(box.x0, box.y1), [screen.x0, screen.y0]);
    nearAll(camera.toScreen(box.x1, box.y0), [screen.x1, screen.y1]);
    const lasso = shapeToMap({ kind: 'lasso', path: [x0, y0, 3, 4] }, (x, y) => camera.toMap(x, y));
    assert.ok(lasso.kind === 'lasso');
    nearAll(camera.toScreen(lasso.polygon[2], lasso.polygon[3]), [3, 4]);
  });
});
