"""A change of files and ledger stands wholly or not at all, wherever its process is killed or stopped.

Every law is held at every rename, removal, sync and commit that an undisturbed run makes (`killing`).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killing import COMMIT, interrupt_at, kill_at, left_by_kills
from tiny import CLASS_NAMES, finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.cli.main import main
from psr_studio.stages.standing import Standing
from psr_studio.storage.png import encode_png
from psr_studio.storage.workspace import Workspace

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is killed in a copy of this one")
TEMPORARY = (".new-", ".old-", ".tmp-")
Work = Callable[[Path], object]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Two pictures of each class."""
    root = tmp_path_factory.mktemp("pictures") / "set"
    for c, name in enumerate(CLASS_NAMES):
        folder = root / name.replace("/", "-")
        folder.mkdir(parents=True)
        for i in range(2):
            pixels = np.random.default_rng(10 * c + i).integers(0, 256, (8, 8, 1), np.uint8)
            (folder / f"{i}.png").write_bytes(encode_png(pixels))
    return root


@pytest.fixture(scope="module")
def empty(tmp_path_factory, tiny_bundle) -> Path:
    """A workspace with a recipe and nothing else."""
    root = tmp_path_factory.mktemp("empty") / "ws"
    Studio(root, tiny_recipe(tiny_bundle)).close()
    return root


@pytest.fixture(scope="module")
def marked(tmp_path_factory, scored_workspace) -> Path:
    """A scored pool with pins, a veto, a lock, an own budget, a moved slider, something undone, and the export of
    another selection than the one that would be exported now.
    """
    root = shutil.copytree(scored_workspace, tmp_path_factory.mktemp("marked") / "ws")
    with Studio(root) as studio:
        studio.curation.mark([0, 1], "pin")
        studio.curation.mark([2], "veto", "blurred")
        studio.curation.set_own_budgets({1: 1})
        studio.curation.set(merge_within=0.0, selector="random")
        studio.curation.set_locked([2])
        studio.curation.mark([3], "pin")
        studio.curation.undo()
        finish(studio.export(refined=False))
        studio.curation.save_candidates("lasso", studio.curation.scored.candidate_ids[:4].tolist())
        studio.set({"select.name": "lasso"})
    return root


def state(root: Path) -> dict[str, Any]:
    """Everything that a workspace holds, as its next opening finds it; no temporary name is left then."""
    with Studio(root) as studio:
        ledger = studio.workspace.ledger
        book = {
            "marks": ledger.mark_reasons() | ledger.marks(),
            "pins": ledger.pinned(),
            "settings": ledger.settings(),
            "history": [(a["description"], a["undone"]) for a in ledger.actions()],
            "undo": (ledger.next_undo(), ledger.next_redo()),
            "selections": [(s.name, s.candidate_ids, s.settings, s.note) for s in ledger.selections()],
            "unsettled": ledger.noted_changes(root),
        }
        assert studio.pool.broken == [] and studio.recipe == studio.workspace.recipe
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    assert [path for path in root.rglob("*") if path.name.startswith(TEMPORARY)] == []
    kept = (".parquet", ".toml", ".json", ".csv", ".png", ".safetensors", ".md")
    found: dict[str, Any] = {
        path.relative_to(root).as_posix(): path.read_bytes() for path in files if path.suffix in kept
    }
    for path in (path for path in files if path.suffix == ".zip"):
        with zipfile.ZipFile(path) as packed:
            found[path.relative_to(root).as_posix()] = {name: packed.read(name) for name in packed.namelist()}
    return book | found


def names(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


def stamps(root: Path) -> set[tuple[str, int, int]]:
    """Changes with every file and folder."""
    found = [(path, path.stat()) for path in (root, *root.rglob("*"))]
    return {(path.relative_to(root).as_posix(), stat.st_size, stat.st_mtime_ns) for path, stat in found}


def hold(origin: Path | None, work: Work, tmp_path: Path, look: Callable[[Path], Any] = state) -> None:
    """Killed at any of its calls, `work` leaves all as it was in `origin`, or all as it is after an undisturbed run;
    done again from there, it comes to the latter.
    """
    root, again = tmp_path / "ws", tmp_path / "again"
    if origin is not None:
        shutil.copytree(origin, root)
    left = left_by_kills(partial(work, root), root, tmp_path / "killed")
    before, after = look(left[0][1]), look(root)
    assert before != after
    last: object = None
    for n, (call, found) in enumerate(left[1:], 2):
        where, now = f"killed at call {n} of {len(left)}, {call}", stamps(found)
        if now == last:  # the call before was a sync: it changes nothing for a process that is killed
            continue
        last = now
        if call in ("replace", COMMIT):
            shutil.copytree(found, again)
            work(again)
            assert look(again) == after, f"done again, {where}"
            shutil.rmtree(again)
        assert look(found) in (before, after), where


def import_set(root: Path, pictures: Path, **options: Any) -> None:
    with Studio(root) as studio:
        if options or not len(studio.pool):
            finish(studio.import_pool(pictures, **options))


def test_a_first_import(empty, pictures, tmp_path):
    hold(empty, partial(import_set, pictures=pictures), tmp_path)


def test_an_import_in_the_place_of_a_marked_pool(marked, pictures, tmp_path):
    hold(marked, partial(import_set, pictures=pictures, replace=True), tmp_path)


def export_other(root: Path, **settings: Any) -> None:
    """Another selection than the export that is there holds."""
    with Studio(root) as studio:
        finish(studio.export(**settings))


def exports_of(root: Path) -> dict[str, Any]:
    """The exports, once their recipe is saved, and whether each zip holds its folder."""
    found = {name: content for name, content in state(root).items() if name.startswith("exports/")}
    for name, content in found.items():
        if name.endswith(".zip"):
            folder = name.removesuffix(".zip")
            inside = {f"exports/{path}": data for path, data in content.items()}
            assert inside == {path: data for path, data in found.items() if path.startswith(f"{folder}/")}
    return found


def test_an_export_over_another_with_its_zip(marked, tmp_path):
    hold(marked, export_other, tmp_path, exports_of)


def test_an_export_that_takes_the_zip_before_away(marked, tmp_path):
    hold(marked, partial(export_other, zip=False), tmp_path, exports_of)


def save_other(root: Path) -> None:
    with Studio(root) as studio:
        studio.curation.save("mine", "on the day")


def test_a_selection_saved_with_its_recipe(marked, tmp_path):
    hold(marked, save_other, tmp_path)


def test_the_first_start_with_the_demo(tiny_bundle, tmp_path):
    """What is there but for the demo is looked at last: a workspace that has a recipe gets no demo any more."""
    recipe = tiny_recipe(tiny_bundle)

    def start(root: Path) -> None:
        Studio(root, recipe, demo=True).close()

    def look(root: Path) -> dict[str, Any]:
        Studio(root, recipe).close()
        return state(root)

    hold(None, start, tmp_path, look)


# What a note says, and what is left without one


def test_what_was_replaced_comes_back_when_the_ledger_with_its_note_is_lost(
    marked, importing_calls, tmp_path
):
    """Cut off between the two renames of the pool."""
    cut = next(found for _, found in importing_calls if list(found.glob(".old-*/pool")))
    root = shutil.copytree(cut, tmp_path / "ws")
    assert not (root / "pool").exists()
    for path in root.glob("studio.sqlite*"):
        path.unlink()
    with Workspace.open(root) as ws, Workspace.open(shutil.copytree(marked, tmp_path / "before")) as before:
        assert len(ws.pool()) == 18 and ws.pool().content_hash() == before.pool().content_hash()
    assert not [path for path in root.iterdir() if path.name.startswith(TEMPORARY)]


@pytest.mark.parametrize(
    ("folder", "name"), [("..", "mine"), (".", ".."), (".", "../mine"), (".", "."), ("/", "mine")]
)
def test_a_note_that_leads_out_of_the_workspace_is_not_followed(workspace, folder, name):
    """A ledger may come from somebody else."""
    root, mine = workspace.root, workspace.root.parent / "mine"
    mine.write_text("mine")
    change = "0" * 32
    (root / f".new-{change}").mkdir()
    moves = json.dumps([[name, True, False]])
    with sqlite3.connect(workspace.ledger.path) as ledger:
        ledger.execute("INSERT INTO changes (id, folder, moves) VALUES (?, ?, ?)", (change, folder, moves))
    workspace.close()
    Workspace.open(root).close()
    assert mine.read_text() == "mine" and sorted(path.name for path in root.parent.iterdir()) == [
        "mine",
        "ws",
    ]
    assert root.is_dir() and not (root / f".new-{change}").exists()


# Really killed, and stopped


def at(left: list[tuple[str, Path]], *calls: str) -> list[int]:
    return [n for n, (call, _) in enumerate(left, 1) if call in calls]


@pytest.fixture(scope="module")
def importing_calls(marked, pictures, tmp_path_factory) -> list[tuple[str, Path]]:
    """The calls of an import in the place of a marked pool."""
    folder = tmp_path_factory.mktemp("calls")
    root = shutil.copytree(marked, folder / "ws")
    return left_by_kills(partial(import_set, root, pictures, replace=True), root, folder / "killed")


def test_what_a_kill_leaves_is_what_lay_on_the_disk(marked, pictures, importing_calls, tmp_path):
    """A process that ends by `os._exit` leaves the names that the copy of the disk before that call has, and its
    locks with it, at every rename and commit.
    """
    chosen = at(importing_calls, "replace", COMMIT)
    assert len(chosen) > 8
    for n in chosen:
        root = shutil.copytree(marked, tmp_path / str(n))
        kill_at(n, partial(import_set, root, pictures, replace=True))
        assert plain(names(root)) == plain(names(importing_calls[n - 1][1]))
        Studio(root).close()


def plain(found: set[str]) -> set[str]:
    """Without what differs from run to run: numbers of processes and changes."""
    return {re.sub(r"\.(new|old|tmp)-[^/]*", r".\1", name) for name in found}


@pytest.mark.parametrize("committed", [False, True])
def test_an_opening_that_is_killed_is_followed_by_another(marked, importing_calls, tmp_path, committed):
    """What was cut off just before or just after the commit is taken back or finished from any point of the opening
    that was about to do that.
    """
    at_commit = [n for n in at(importing_calls, COMMIT) if list(importing_calls[n - 1][1].glob(".old-*"))][0]
    cut = importing_calls[at_commit - 1 + committed][1]
    stands = importing_calls[-1][1] if committed else marked
    expected = state(shutil.copytree(stands, tmp_path / "expected"))
    root = shutil.copytree(cut, tmp_path / "ws")
    left = left_by_kills(lambda: Studio(root).close(), root, tmp_path / "killed")
    assert len(left) > 10
    for n, (call, found) in enumerate(left, 1):
        assert state(found) == expected, f"opening killed at call {n} of {len(left)}, {call}"


def test_ctrl_c_says_what_is_on_the_disk(marked, pictures, importing_calls, tmp_path):
    """Stopped at any rename or commit of an import, or while the old pool is removed: nothing is left half, the words
    are true of it, and the open studio has the recipe that is on the disk.
    """
    after = state(shutil.copytree(importing_calls[-1][1], tmp_path / "after"))
    before = state(shutil.copytree(marked, tmp_path / "before"))
    said: dict[int, bool] = {}

    def work(root: Path, note: Path) -> None:
        with Studio(root) as studio:
            standing = Standing(studio.workspace, root / "pool", "pool")
            try:
                finish(studio.import_pool(pictures, replace=True))
            except KeyboardInterrupt:
                assert studio.recipe == studio.workspace.recipe
            note.write_text(standing.stopped_text())

    begun = next(n for n, (_, found) in enumerate(importing_calls, 1) if list(found.glob(".new-*")))
    removals = at(importing_calls, "unlink")
    for n in (*at(importing_calls, "replace", COMMIT), removals[0], removals[-1]):
        if n < begun:
            continue
        root = shutil.copytree(marked, tmp_path / str(n))
        interrupt_at(n, partial(work, root, tmp_path / "note"))
        as_it_was = (tmp_path / "note").read_text() == "Stopped. The pool is as it was."
        assert state(root) == (before if as_it_was else after), f"call {n}"
        said[n] = as_it_was
    assert [said[n] for n in sorted(said)] == sorted(said.values(), reverse=True) and len(
        set(said.values())
    ) == 2


@pytest.mark.parametrize("noun", ["pool", "export"])
def test_the_command_line_says_it(marked, pictures, tmp_path, noun):
    """Stopped at the first rename that puts something in its place, and at the last removal."""
    given = {"pool": ["import", str(pictures), "--replace"], "export": ["export"]}[noun]

    def work(root: Path, status: int) -> None:
        with (tmp_path / "said").open("w") as said, contextlib.redirect_stderr(said):
            assert main([*given, "-q", "-w", str(root)]) == status

    root = shutil.copytree(marked, tmp_path / "ws")
    left = left_by_kills(partial(work, root, 0), root, tmp_path / "killed")
    aside = {"pool": ".old-*/pool", "export": "exports/.old-*/*"}[noun]
    asides = [n for n, (_, found) in enumerate(left) if list(found.glob(aside))]
    moved = asides[0]
    for n, words in (
        (moved + 1, f"Stopped. The {noun} is as it was."),
        (at(left, "unlink")[-1], f"the new {noun} is in its place"),
    ):
        root = shutil.copytree(marked, tmp_path / str(n))
        interrupt_at(n, partial(work, root, 130))
        assert words in (tmp_path / "said").read_text()
