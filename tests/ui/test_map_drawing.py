"""What the map draws by a copy is what it would draw afresh, and a drag lays the page out at its pauses only."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import answered, idle

pytestmark = pytest.mark.browser

# Of the points alone, from the device: drawn with what it keeps of the ground, then with the ground drawn anew.
KEPT_AND_FRESH = """() => {
  const { painter } = window.workbench.map;
  const { renderer } = painter.layers();
  const pixels = () => {
    painter.drawNow();
    const { gl, canvas: { width, height } } = renderer;
    const bytes = new Uint8Array(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
    return bytes;
  };
  pixels();
  const kept = pixels();
  const copied = renderer.ground.kept === renderer.ground.asked;
  renderer.uploads += 1;
  const fresh = pixels();
  const drawn = new Set(new Uint32Array(fresh.buffer)).size;
  return { copied, drawn, differ: kept.findIndex((byte, i) => byte !== fresh[i]) };
}"""
# Moves a slider twice without letting go, the second time as soon as the first is answered.
MOVE_TWICE = """async () => {
  const { store } = window.workbench;
  const range = document.querySelector(".psr-slider[data-key='alpha'] input[type=range]");
  const move = (value) => {
    range.value = value;
    range.dispatchEvent(new Event('input', { bubbles: true }));
  };
  const wait = (ms) => new Promise((over) => setTimeout(over, ms));
  const before = store.data.picks;
  move(4.5);
  while (store.data.picks === before) await wait(5);
  let laidOut = 0;
  store.on(['picks'], () => { laidOut += 1; });
  move(0.5);
  await wait(800);
  range.dispatchEvent(new Event('change', { bubbles: true }));
  return laidOut;
}"""


@pytest.mark.parametrize("colors", ["class", "picked", "total", "reliability"])
def test_a_copied_ground_is_the_ground_that_would_be_drawn(bench, colors):
    bench.evaluate("colorBy => window.workbench.store.set({ colorBy })", colors)
    assert_like_fresh(bench)
    with answered(bench):
        bench.evaluate("window.workbench.actions.select({ ipc: 3 })")
    assert_like_fresh(bench)
    with answered(bench):
        bench.evaluate("window.workbench.actions.mark('veto', '', [0])")
    assert_like_fresh(bench)
    with answered(bench):
        bench.evaluate("window.workbench.actions.mark('clear', '', [0])")


def assert_like_fresh(page: Any) -> None:
    found = page.evaluate(KEPT_AND_FRESH)
    assert found["copied"] and found["drawn"] > 10
    assert found["differ"] == -1, found


def test_the_time_that_an_answer_takes_is_no_pause_of_a_drag(bench):
    seen: list[Any] = []
    lets_go = False

    def hold(route: Any) -> None:
        seen.append(route)
        if lets_go or len(seen) == 1:
            route.continue_()

    bench.route("**/psr/curate/select", hold)
    assert bench.evaluate(MOVE_TWICE) == 0
    assert len(seen) == 2
    lets_go = True
    seen[1].continue_()
    idle(bench)
    bench.unroute("**/psr/curate/select")
