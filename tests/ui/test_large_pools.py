"""Pools whose distances do not fit: every answer of the page is the one that cached distances give."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from serving import answer, client_of, told

from benchmarks.large_workspace import make_workspace, measure
from psr_studio.method.lazy_distances import LazyDistances, class_distances
from psr_studio.stages.select import scored
from psr_studio.ui.screen import Screen

LAB = "/psr/curate"
SELECTIONS = (
    {"selector": "psr", "ipc": 3},
    {"gamma": 4.0, "scaling": "remaining"},
    {"own_budgets": {"1": 5}},
    {"own_budgets": {"1": None}, "allocation": "gain", "ceiling": 4},
    {"allocation": "even", "selector": "dgs", "target": "ground", "within_bin": "psr"},
    {"selector": "k-center"},
    {"selector": "k-medoids"},
    {"selector": "herding"},
    {"selector": "cao2"},
)


@pytest.fixture
def screen(studio) -> Iterator[Screen]:
    found = Screen(studio)
    yield found
    found.close()


def everything(screen: Screen) -> list:
    """What the page asks for around each of `SELECTIONS`; times are left out."""
    said: list = []
    with client_of(screen) as client:
        for body in SELECTIONS:
            header, arrays = answer(client.post(f"{LAB}/select", json=body))
            chosen = int(arrays["picks"][1])
            other = int(np.setdiff1d(np.arange(6), arrays["picks"])[0])
            kept = {k: header[k] for k in ("counts", "budgets", "shortfall", "substituted", "message")}
            kept["means"] = {name: after for name, (_, after) in header["means"].items()}
            said += [kept, arrays["picks"].tolist(), arrays["terms"], arrays["diversity"]]
            for position in (chosen, other):
                known = told(client.get(f"{LAB}/candidate/{position}"))
                said.append((known["why"], known["neighbours"], known["pick"]))
        said.append(answer(client.get(f"{LAB}/duplicates.bin"))[1]["near"])
        said.append(told(client.get(f"{LAB}/sufficiency")))
        header, arrays = answer(client.get(f"{LAB}/compare?a=current&b=live"))
        said += [{k: header[k] for k in ("a", "b", "overlap", "per_class")}, arrays["in_b"]]
    return said


def test_every_answer_is_that_of_cached_distances(screen, monkeypatch):
    cached = everything(screen)
    for _ in range(30):
        screen.studio.undo()
    monkeypatch.setattr(scored, "class_distances", partial(class_distances, most_bytes=0))
    screen.studio._live = None
    lazy = everything(screen)
    assert isinstance(screen.studio.live.distances, LazyDistances)
    assert len(cached) == len(lazy)
    for one, other in zip(cached, lazy, strict=True):
        if isinstance(one, np.ndarray):
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
        else:
            assert_alike(one, other)


def assert_alike(one, other) -> None:
    """Equal, but for the last digits of numbers."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_alike(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_alike(a, b)
    elif isinstance(one, float):
        assert other == pytest.approx(one, rel=1e-5, abs=1e-6)
    else:
        assert one == other


def test_the_large_workspace_of_the_benchmark_opens_and_is_measured(tmp_path: Path):
    """At a hundredth of its size: 10 classes of 100, the same files and the same calls."""
    make_workspace(tmp_path / "large", per_class=100, part_size=40)
    found = measure(tmp_path / "large")
    assert (found["candidates"], found["classes"]) == (1000, 10)
    assert set(found["seconds"]) == {"open", "state, with its selection", "points", "select"}
    assert found["points_bytes"] > 1000 * 4 * 7 and found["peak_gib"] > 0
