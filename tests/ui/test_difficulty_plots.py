"""The difficulty figures: densities integrate to one, bars are the counts, and substitutions are said in words."""

from __future__ import annotations

import gradio as gr
import numpy as np
import pytest

from psr_studio.app.curation import SelectChange
from psr_studio.ui.panels.difficulty import ALL_CLASSES, DifficultyPanel
from psr_studio.ui.plots.difficulty import FINE_BINS, densities, density, steps, substitution_text
from psr_studio.ui.screen import Screen

KINDS = ("original", "pool", "picked")


@pytest.mark.parametrize("values", [[0.0], [1.0, 1.0], np.linspace(0, 1, 50), [0.02, 0.5, 0.97]])
def test_a_density_integrates_to_one(values):
    """Reflection at 0 and 1 keeps all mass inside: the mean over the points is the integral over [0, 1]."""
    curve = density(np.asarray(values))
    assert curve.shape == (FINE_BINS,) and (curve >= 0).all()
    assert curve.mean() == pytest.approx(1, abs=1e-9)


def test_a_density_peaks_where_the_values_are():
    assert abs(density(np.full(10, 0.3)).argmax() / FINE_BINS - 0.3) < 0.02


def test_a_kind_without_values_has_no_curve():
    figure = densities([("All", {"original": None, "pool": np.ones(3), "picked": np.zeros(0)})])
    assert [trace.name for trace in figure.data] == ["pool"]


def test_the_steps_show_every_count_and_the_target_after_smoothing_only(screen):
    screen.workbench.select(SelectChange.model_validate({"selector": "dgs", "target": "ground", "ipc": 3}))
    found = screen.studio.curation.distributions()
    figure = steps(found)
    shown = [list(trace.y) for trace in figure.data]
    raw = [found["raw"][kind] for kind in ("original", "pool", "picked")]
    smoothed = [found["smoothed"]["original"], found["smoothed"]["pool"], found["target"]]
    assert shown == [*raw, *smoothed, found["smoothed"]["picked"]]
    titles = [note.text for note in figure.layout.annotations]
    assert "target (9), mean 0.15" in titles, "three bins of ten a class, the easy ones on a tie"


def test_substitutions_are_said_in_words():
    names = ("boot", "coat")
    rows = [
        {"class_id": 1, "bin": 9, "wanted": 3, "taken_from": 8, "count": 2},
        {"class_id": 1, "bin": 9, "wanted": 3, "taken_from": 7, "count": 1},
    ]
    assert substitution_text(rows, names) == (
        "3 images came from a neighbouring bin. "
        '"coat" lacked 3 at 0.9 to 1.0: 2 from 0.8 to 0.9. "coat" lacked 3 at 0.9 to 1.0: 1 from 0.7 to 0.8.'
    )
    assert substitution_text([], names) == ""
    assert substitution_text(rows * 5, names).endswith("4 more substitutions like these.")


def test_the_panel_draws_a_class_beside_all_and_nothing_while_it_is_closed(screen):
    panel = DifficultyPanel(screen)
    words, figure, bars = panel.draw(ALL_CLASSES)
    assert "Difficulty is what" in words and len(figure.layout.annotations) == 1 and bars.data
    _, figure, _ = panel.draw(1)
    assert [note.text for note in figure.layout.annotations] == ["All classes", "T-shirt/top"]
    skipped = panel.draw_if_open(False, 1)
    assert len(skipped) == 3 and all(value == gr.skip() for value in skipped)


def test_an_unscored_pool_says_what_to_do(tmp_path, tiny_bundle):
    from tiny import tiny_recipe

    from psr_studio.app.studio import Studio

    screen = Screen(Studio(tmp_path / "empty", tiny_recipe(tiny_bundle)))
    try:
        words, *figures = DifficultyPanel(screen).draw(ALL_CLASSES)
        assert "Generate" in words and figures == [None, None]
    finally:
        screen.close()
