"""The order of classes after an import: another one is offered where it fits much better, and taken only when asked."""

from __future__ import annotations

import csv
import json

import gradio as gr
import numpy as np
import pytest
from own_pictures import NAMES, QUICK, write_description, write_pictures, write_teacher
from tiny import finish

from psr_studio.app.studio import Studio
from psr_studio.cli.main import main
from psr_studio.core.errors import WorkspaceError
from psr_studio.stages.reorder.offer import other_names
from psr_studio.stages.table import stages_of
from psr_studio.ui.panels.class_order import ClassOrderPanel
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.screen import Screen

ORDER = ("sky", "apple", "plum")  # of the numbered folders; the bundle has them in the order of NAMES


@pytest.fixture(scope="session")
def given(tmp_path_factory):
    root = tmp_path_factory.mktemp("order")
    write_teacher(root / "teacher")
    write_pictures(root / "right", 6)
    write_pictures(root / "numbered", 6, first=20)
    for number, name in enumerate(ORDER):
        (root / "numbered" / name).rename(root / "numbered" / f"{number:05d}")
    (root / "numbered" / "00000" / "notes.txt").write_text("of the sky")
    return root


@pytest.fixture
def described(tmp_path, given, monkeypatch):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    return write_description(tmp_path / "colours.toml", given / "teacher")


@pytest.fixture
def wrong(tmp_path, given, described):
    with Studio(tmp_path / "ws", bundle=str(described), **QUICK) as studio:
        finish(studio.import_pool(given / "numbered"))
        yield studio


def test_an_order_that_fits_much_better_is_offered_and_not_taken(wrong):
    *_, last = finish(wrong.score())
    assert "look like another order" in last.message and "`psr-studio reorder`" in last.message
    found = wrong.class_order()
    assert found.is_offered and found.at_best > 0.9 and found.as_it_is < 0.1
    assert found.moves[0] == ("00000", "apple", "sky")
    assert np.array_equal(wrong.class_order().agreement.argmax(axis=1), [2, 0, 1])
    assert wrong.status()["score"].state == "fresh" and len(wrong.pool) == 18


def test_taking_it_moves_every_picture_and_forgets_no_file(wrong):
    finish(wrong.score())
    before = {
        name: image.tobytes() for (_, name, _), image in zip(files(wrong), wrong.pool.images, strict=False)
    }
    seeds = dict(zip((name for _, name, _ in files(wrong)), wrong.pool.seeds.tolist(), strict=False))
    wrong.curation.mark([0], "veto")
    *_, last = finish(wrong.reorder())
    assert (
        "Gone with the pool before: 1 veto" in last.message
        and "the order in which the teacher sees them" in last.message
    )
    *_, last = finish(wrong.score())
    assert "another order" not in last.message
    assert (wrong.scores.logits.argmax(axis=1) == wrong.pool.labels).mean() > 0.9
    after = {
        name: image.tobytes() for (_, name, _), image in zip(files(wrong), wrong.pool.images, strict=False)
    }
    assert after == before
    assert dict(zip((name for _, name, _ in files(wrong)), wrong.pool.seeds.tolist(), strict=False)) == seeds
    about = json.loads((wrong.workspace.root / "pool" / "import.json").read_text())
    assert about["source"] == "numbered" and about["passed_over"] == {".txt": 1}
    assert about["classes"] == dict(zip(("00000", "00001", "00002"), ORDER, strict=True))
    assert wrong.status()["pool"].state == "fresh"


def files(studio):
    rows = list(csv.reader((studio.workspace.root / "pool" / "import.csv").open()))[1:]
    return [row for row in rows if row[0]]


def test_nothing_is_offered_where_the_order_is_right(tmp_path, given, described):
    with Studio(tmp_path / "right", bundle=str(described), **QUICK) as studio:
        with pytest.raises(WorkspaceError, match="was not imported"):
            studio.class_order()
        finish(studio.import_pool(given / "right"))
        with pytest.raises(WorkspaceError, match="not all scored"):
            studio.class_order()
        *_, last = finish(studio.score())
        assert "another order" not in last.message
        alone = studio.workspace.teacher_logits(studio.bundle.teacher_id, studio.pool)
        assert np.array_equal(alone, studio.scores.teacher_logits), "what the check reads, without embeddings"
        before = studio.pool.content_hash()
        with pytest.raises(WorkspaceError, match="no other order fits much better"):
            finish(studio.reorder())
        assert studio.pool.content_hash() == before


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ((1, 2, 0), "the order of their names"),  # folder 0 looks like class 1, the first by name
        ((2, 0, 1), "the order of their WordNet ids"),
        ((0, 2, 1), "the order of their rows in ImageNet-1K"),
        ((1, 0, 2), ""),
    ],
)
def test_an_order_that_is_known_is_called_by_its_name(order, words):
    assert other_names(order, ("zebra", "Ant", "bee"), ("n2", "n3", "n1"), (5, 90, 7)) == words


def test_few_pictures_are_no_ground_for_an_offer(tmp_path, given, described):
    """With two pictures of each class some order fits by chance."""
    with Studio(tmp_path / "few", bundle=str(described), **QUICK) as studio:
        finish(studio.import_pool(given / "numbered", limit=2))
        finish(studio.score())
        assert studio.class_order().at_best > 0.9 and not studio.class_order().is_offered


def test_by_command_it_is_shown_first_and_applied_when_asked(wrong, capsys):
    finish(wrong.score())
    root = str(wrong.workspace.root)
    wrong.close()
    assert main(["reorder", "-w", root, "-q"]) == 0
    said = capsys.readouterr().out
    assert (
        "folder" in said
        and "--apply" in said
        and '"00000", taken for "apple", which looks like "sky"' in said
    )
    assert main(["reorder", "-w", root, "-q", "--apply"]) == 0
    assert main(["score", "-w", root, "-q"]) == 0
    assert main(["reorder", "-w", root, "-q"]) == 0
    assert "no other order fits much better" in capsys.readouterr().out


def test_the_page_shows_it_and_its_button_takes_it(wrong):
    screen = Screen(wrong)
    jobs = JobPanel(screen, stages_of("pool"))
    panel = ClassOrderPanel(screen, jobs)
    with gr.Blocks():
        jobs.build()
        panel.build()
    assert panel.values()[0].visible is False
    finish(wrong.score())
    card, words = panel.values()
    assert card.visible and "00000" in words and NAMES[2] in words
    panel.on_take()
    job = screen.worker.wait(screen.worker.newest().id, 60)
    assert job.state == "done", job.problem
    assert panel.values()[0].visible is False
    screen.worker.close()
    screen.maps.stop()
