"""A drag lays the page out at its pauses only."""

from __future__ import annotations

from typing import Any

import pytest
from browsing import idle

pytestmark = pytest.mark.browser

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
