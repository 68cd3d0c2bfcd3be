"""Two pools side by side: numbers are those of their formulas, the page needs nothing else, one teacher judges both."""

from __future__ import annotations

import shutil
from html import unescape
from typing import Any

import gradio as gr
import numpy as np
import pytest
from serving import client_of
from steps import break_teacher
from tiny import CLASS_NAMES, finish, full_studio

from psr_studio.app.recent import note_opened
from psr_studio.bundles.real_latents import finished, real_embeddings
from psr_studio.cli.main import main
from psr_studio.core.devices import pick_device
from psr_studio.core.errors import StudioError
from psr_studio.core.stopping import stop_if_asked
from psr_studio.method.metrics import coverage, mean_pairwise_distance, vendi_score
from psr_studio.studies.pools import Side, rows_of, sides
from psr_studio.ui.panels.compare_pools import ComparePoolsPanel


def test_numbers_are_those_of_their_formulas_over_as_many_candidates(
    tmp_path, tiny_bundle, monkeypatch, capsys
):
    """Six candidates of each class beside four: the first four count in both; a pool beside its copy is equal."""
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    full_studio(tmp_path / "large", tiny_bundle).close()
    full_studio(tmp_path / "small", tiny_bundle, pool__pool_size=4, pool__seed=5).close()
    out = tmp_path / "page.html"
    assert main(["compare-pools", str(tmp_path / "large"), str(tmp_path / "small"), "--out", str(out)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    boot = next(line for line in lines if line[:2] == ["boot", "large"])
    studio = full_studio(tmp_path / "large", tiny_bundle)
    with studio:
        scored, real = studio.curation.scored, finished(real_embeddings(studio.bundle, 0, pick_device("cpu")))
        features = scored.embeddings[:4]
        expected = (
            scored.eligible[:4].mean(), scored.difficulty[:4].mean(), mean_pairwise_distance(features),
            vendi_score(features), coverage(real, features, 5),
        )  # fmt: skip
        assert boot[2] == "4" and np.allclose([float(cell) for cell in boot[3:]], expected, atol=6e-4)
        side = Side("large", scored)
        rows = rows_of(sides(side, side), {})
        assert [row[2:] for row in rows[::2]] == [row[2:] for row in rows[1::2]]
        assert rows[0][:3] == ("all", "large", "18") and rows[0][-1] == "", "no real images, no coverage"
    page = out.read_text()
    assert page.count("data:image/png;base64,") == 2 * len(CLASS_NAMES) and page.count("<svg") == len(
        CLASS_NAMES
    )
    assert page.count(">difficulty</text>") == page.count(">share of images</text>") == len(CLASS_NAMES)
    assert "http" not in page and "Naeem et al. 2020" in page and "T-shirt/top" in page


def test_classes_that_one_pool_lacks_are_left_out_and_named(tmp_path, tiny_bundle, monkeypatch, capsys):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    for name, classes in (("all", None), ("two", (0, 1)), ("other", (2,))):
        full_studio(tmp_path / name, tiny_bundle, pool__classes=classes).close()
    out = tmp_path / "page.html"
    assert main(["compare-pools", str(tmp_path / "all"), str(tmp_path / "two"), "--out", str(out)]) == 0
    said = f'Left out, being in one pool alone: "{CLASS_NAMES[2]}".'
    assert said in capsys.readouterr().out.splitlines() and said in unescape(out.read_text())
    assert main(["compare-pools", str(tmp_path / "two"), str(tmp_path / "other")]) == 2
    assert 'No class has candidates in "two" and in "other".' in capsys.readouterr().err


def test_the_pool_tab_shows_both_pools_and_gives_the_page_out(tmp_path, scored_workspace, screen):
    """The class that is chosen is shown, the page has all of them; before that there is no page."""
    shutil.copytree(scored_workspace, tmp_path / "other")
    panel = ComparePoolsPanel(screen)
    with client_of(screen) as client:
        assert client.get("/psr/compared-pools.html").status_code == 400
        _, shown = panel.on_compare(f" {tmp_path / 'other'} ", 1)
        page = client.get("/psr/compared-pools.html")
    assert CLASS_NAMES[1] in shown and CLASS_NAMES[0] not in shown
    assert shown.count("data:image/png;base64,") == 2 and page.text.count(
        "data:image/png;base64,"
    ) == 2 * len(CLASS_NAMES)
    assert "attachment" in page.headers["content-disposition"], "it is no page of the studio"
    with pytest.raises(StudioError, match="There is no workspace"):
        panel.on_compare(str(tmp_path / "nowhere"), 0)


def test_a_comparison_is_stopped_and_a_refusal_is_no_accident(
    tmp_path, scored_workspace, screen, monkeypatch
):
    """The list has what was opened since the page was built; a name is looked for beside this workspace."""
    root = screen.studio.workspace.root
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    with gr.Blocks() as page:
        panel = ComparePoolsPanel(screen)
        panel.build()
        panel.build_answer()
        panel.connect(gr.Dropdown())
    shutil.copytree(scored_workspace, root.parent / "other")
    note_opened(root.parent / "other")
    listed, compare, stop = (event.fn for event in list(page.fns.values()) if event.fn)
    assert listed().choices[0] == ("other", str(root.parent / "other"))
    with pytest.raises(gr.Error) as refused:
        compare("nowhere", 0)
    assert not refused.value.print_exception and str(root.parent / "nowhere") in refused.value.message
    compared = screen.studio.compare_pools

    def asked_to_stop(other) -> Any:
        stop()
        stop_if_asked()

    monkeypatch.setattr(screen.studio, "compare_pools", asked_to_stop)
    assert "Stopped." in compare("other", 0)[1]
    monkeypatch.setattr(screen.studio, "compare_pools", compared)
    assert "data:image/png" in compare("other", 0)[1], "the wish to stop is over"


def test_what_cannot_be_compared_is_named(tmp_path, scored_workspace, screen):
    """None, the same, and one without scores, by its name."""
    panel, root = ComparePoolsPanel(screen), screen.studio.workspace.root
    for other, words in (("", "none is named"), (str(root), "this one is named")):
        with pytest.raises(StudioError, match=words) as refused:
            panel.on_compare(other, 0)
        assert refused.value.fix.startswith("Name the folder of another one")
    shutil.copytree(scored_workspace, tmp_path / "other")
    shutil.rmtree(tmp_path / "other" / "scores")
    with pytest.raises(StudioError, match='^"other": .* candidates have no teacher scores'):
        panel.on_compare(str(tmp_path / "other"), 0)


def test_pools_of_other_teachers_are_refused(tmp_path, tiny_bundle):
    with full_studio(tmp_path / "a", tiny_bundle) as first:
        shutil.copytree(first.workspace.root / "pool", tmp_path / "b" / "pool")
        other = break_teacher(tiny_bundle, tmp_path, 0.5)
        with full_studio(tmp_path / "b", other) as second:
            finish(second.score())
            pair = [Side(name, one.curation.scored) for name, one in (("a", first), ("b", second))]
            with pytest.raises(StudioError, match='"a" is judged by teacher-.* "b" by teacher-') as refused:
                sides(*pair)
            assert refused.value.fix.startswith("Compare pools of the same classes")
