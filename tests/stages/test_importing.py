"""Pools from elsewhere: the same pictures come in, whole or not at all, and nothing harmful gets through."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import signal
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tiny import CLASS_NAMES, SIZE, finish, full_studio, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.errors import SelectionError, StudioError, WorkspaceError
from psr_studio.core.pictures import PictureError, read_picture
from psr_studio.stages.importing import stage as importing
from psr_studio.stages.importing.classes import ClassNames, match_classes
from psr_studio.stages.importing.folders import FolderSource
from psr_studio.stages.importing.reading import Reading
from psr_studio.stages.importing.sources import open_source

FOLDERS = ("boot", "t_shirt TOP", "02_dress")  # names as people write them
PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "shared" / "data" / "imagenette-sample"


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def picture(seed: int, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Three classes of four pictures, already of the bundle's shape."""
    for c, name in enumerate(FOLDERS):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(4):
            (tmp_path / "set" / name / f"{i}.png").write_bytes(png(picture(10 * c + i)))
    (tmp_path / "set" / "README.md").write_text("not a picture")
    return tmp_path / "set"


@pytest.fixture
def empty(tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        yield studio


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as packed:
        for path in sorted(folder.rglob("*")):
            packed.write(path, path.relative_to(folder.parent))
    return target


def leftovers(root: Path) -> list[Path]:
    """What an import makes beside the pool, and is gone when it is over."""
    return [*root.glob(".new-*"), *root.glob(".old-*")]


def refused(studio, path, **options) -> StudioError:
    with pytest.raises(StudioError) as err:
        finish(studio.import_pool(path, **options))
    assert not leftovers(studio.workspace.root)
    return err.value


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail instead of waiting forever."""

    def late(*_: object) -> None:
        raise AssertionError(f"still waiting after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_folder_becomes_the_pool_pixel_by_pixel(empty, folder):
    events = finish(empty.import_pool(folder))
    pool = empty.pool
    assert list(pool.counts) == [4, 4, 4]
    for c in range(3):
        for i in range(4):
            assert np.array_equal(pool.images_at([4 * c + i])[0, ..., 0], picture(10 * c + i))
    assert events[-1].part_done and 'Imported 12 pictures of 3 classes from "set".' in events[-1].message
    assert pool.settings["latents"] == "encoded" and pool.settings["imported_from"] == "set"
    assert pool.latents.shape[0] == 12 and np.isfinite(pool.latents).all()
    listed = (empty.workspace.root / "pool" / importing.FILES).read_text().splitlines()
    assert listed[1] == "0,boot/0.png," and len(listed) == 13


def test_latents_are_those_of_the_encoder(empty, folder):
    import torch

    from psr_studio.models.levels import from_uint8

    finish(empty.import_pool(folder))
    codec = empty.bundle.codec(torch.device("cpu"))
    with torch.no_grad():
        expected = codec.encode(from_uint8(empty.pool.images_at(range(12)))).numpy()
    assert np.allclose(empty.pool.latents, expected, atol=1e-5)


def test_every_step_runs_on_an_imported_pool(empty, folder):
    finish(empty.import_pool(folder))
    assert empty.status()["pool"].state == "fresh" and 'Imported from "set"' in empty.status()["pool"].reason
    [only] = finish(empty.generate())
    assert "imported" in only.message and len(empty.pool) == 12
    for step in (empty.score, empty.select, empty.refine, empty.evaluate, empty.export):
        finish(step())
    assert {state.state for state in empty.status().values()} == {"fresh"}
    card = (empty.workspace.root / "exports" / "set" / "README.md").read_text()
    assert "imported_from" in card and "encoded" in card


def test_the_same_source_gives_the_same_bytes(empty, folder, tmp_path, tiny_bundle):
    finish(empty.import_pool(folder))
    with Studio(tmp_path / "again", tiny_recipe(tiny_bundle)) as other:
        finish(other.import_pool(zipped(folder, tmp_path / "set.zip")))
        for name in json.loads((empty.workspace.root / "pool" / importing.MANIFEST).read_text())["parts"]:
            first, second = (s.workspace.root / "pool" / name for s in (empty, other))
            pixels = [
                pq.read_table(p, columns=["image", "latent", "seed"]).to_pylist() for p in (first, second)
            ]
            assert pixels[0] == pixels[1]


def test_a_smaller_import_moves_the_settings_with_it(empty, folder):
    shutil.rmtree(folder / "boot")
    finish(empty.import_pool(folder, limit=1))
    recipe = empty.recipe
    assert (recipe.pool.pool_size, recipe.pool.classes, recipe.select.ipc) == (1, (1, 2), 1)


def test_an_existing_pool_is_given_up_only_when_asked(tmp_path, tiny_bundle, folder):
    with full_studio(tmp_path / "ws", tiny_bundle) as studio:
        before = studio.pool.content_hash()
        err = refused(studio, folder)
        assert "already holds a pool of 18 candidates" in err.problem and "--replace" in err.fix
        assert studio.pool.content_hash() == before
        (folder / "boot" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
        assert "broken.png" in refused(studio, folder, replace=True).problem
        assert studio.pool.content_hash() == before and studio.status()["score"].state == "fresh"
        finish(studio.import_pool(folder, replace=True, skip_broken=True))
        assert len(studio.pool) == 12 and studio.status()["score"].state != "fresh"


def by_hand(studio):
    """Everything that names candidates or classes of a pool."""
    return studio.workspace.ledger.marks(), studio.curation.locked(), studio.curation.own_budgets()


@pytest.fixture
def marked(studio):
    """A scored pool with two pins, a veto, a lock, an own budget, and a slider that was moved."""
    studio.curation.mark([0, 1], "pin")
    studio.curation.mark([2], "veto", "blurred")
    studio.curation.set_own_budgets({1: 1})
    studio.curation.set(merge_within=0.0, selector="random")
    studio.curation.set_locked([2])
    assert [len(kept) for kept in by_hand(studio)] == [3, 1, 1]
    return studio


@pytest.mark.parametrize("saved", [False, True])
def test_what_was_marked_by_hand_goes_with_the_pool_it_was_made_on(marked, folder, saved):
    if saved:  # then the recipe has the budgets, too
        marked.curation.save("mine")
        assert marked.recipe.select.budgets == (0, 1, 0)
    said = finish(marked.import_pool(folder, replace=True))[-1].message
    assert said.endswith(
        'from "set". Gone with the pool before: 2 pins, 1 veto, 1 locked class, 1 own budget.'
    )
    assert by_hand(marked) == ({}, [], {}) and marked.recipe.select.budgets is None
    assert marked.curation.rules().selector == "random", "sliders name no picture"


def test_a_selection_of_the_pool_before_brings_its_settings_back_and_no_marks(marked, folder):
    marked.curation.save("mine")
    marked.curation.save_candidates("lasso", [0, 1])
    finish(marked.import_pool(folder, replace=True))
    finish(marked.score())
    marked.curation.set(merge_within=0.0, selector="herding")
    assert "its settings only" in marked.curation.restore("mine")
    assert marked.workspace.ledger.marks() == {} and marked.curation.locked() == []
    assert marked.curation.rules().selector == "random"
    with pytest.raises(SelectionError, match="from another pool"):
        marked.curation.restore("lasso")


def test_undo_does_not_reach_behind_an_import(marked, folder):
    marked.curation.undo()  # what could be done again is out of reach as well
    finish(marked.import_pool(folder, replace=True))
    assert [action["description"] for action in marked.curation.history()] == ['new start with "set"']
    assert (
        marked.curation.redo() is None
        and marked.curation.undo() == 'new start with "set"'
        and marked.curation.undo() is None
    )
    assert by_hand(marked) == ({}, [], {})
    marked.curation.redo()
    assert by_hand(marked) == ({}, [], {}) and marked.curation.rules().selector == "random"


def test_an_import_that_fails_leaves_pool_marks_and_history(marked, folder, monkeypatch):
    """Only the system's call is replaced: the old pool has stepped aside, and the new one may not take its place."""
    before, history, pool = by_hand(marked), marked.curation.history(), marked.pool.content_hash()
    real, refusals = os.replace, []

    def refuse(source: Path, target: Path) -> None:
        if Path(target) == marked.workspace.root / "pool" and not refusals:
            refusals.append(source)
            raise PermissionError(errno.EACCES, "Permission denied")
        real(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(WorkspaceError, match=r"cannot be written to \(Permission denied\)"):
        finish(marked.import_pool(folder, replace=True))
    assert refusals and not leftovers(marked.workspace.root)
    assert by_hand(marked) == before and marked.curation.history() == history
    assert marked.pool.content_hash() == pool and marked.recipe == marked.workspace.recipe
    assert "Gone with the pool before" in finish(marked.import_pool(folder, replace=True))[-1].message


def test_nothing_is_said_where_nothing_was_marked(studio, folder):
    assert finish(studio.import_pool(folder, replace=True))[-1].message.endswith('from "set".')
    assert studio.curation.history() == []


def test_budgets_of_the_recipe_are_cut_to_what_a_first_import_brings(tmp_path, tiny_bundle, folder):
    shutil.rmtree(folder / "boot")
    changes = {"select__budgets": (0, 6, 0), "select__allocation": "gain", "select__floor": 2}
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, **changes)) as studio:
        finish(studio.import_pool(folder, limit=1))
        rules = studio.recipe.select
        assert (rules.budgets, rules.ipc, rules.floor) == ((0, 1, 0), 1, 1)


def test_stopping_in_the_middle_leaves_no_trace(empty, folder):
    events = empty.import_pool(folder)
    next(events), next(events)
    events.close()
    assert len(empty.pool) == 0 and not leftovers(empty.workspace.root)


# Other sources


def test_a_parquet_data_set(empty, tmp_path):
    rows = [{"bytes": png(picture(i)), "path": None} for i in range(6)]
    features = {"image": {"_type": "Image"}, "label": {"names": ["dress", "boot"], "_type": "ClassLabel"}}
    table = pa.table({"image": rows, "label": [0, 1, 0, 1, 0, 1]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    for split in ("train", "test"):
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    err = refused(empty, tmp_path / "data")
    assert "holds 2 splits: test, train" in err.problem and "--split" in err.fix
    assert 'Did you mean "train"?' in refused(empty, tmp_path / "data", split="trian").fix
    finish(empty.import_pool(tmp_path / "data", split="train"))
    assert list(empty.pool.counts) == [3, 0, 3]  # boot, T-shirt/top, dress
    assert np.array_equal(empty.pool.images_at([0])[0, ..., 0], picture(1))


def test_a_data_set_as_the_library_saves_it(empty, tmp_path):
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    features = datasets.Features(
        {"img": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASS_NAMES))}
    )
    rows = {"img": [Image.fromarray(picture(i)) for i in range(6)], "label": [0, 1, 2, 0, 1, 2]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "saved"))
    finish(empty.import_pool(tmp_path / "saved"))
    assert list(empty.pool.counts) == [2, 2, 2]
    assert np.array_equal(empty.pool.images_at([1])[0, ..., 0], picture(3))


def test_what_the_library_keeps_of_earlier_calls_is_no_split(empty, tmp_path):
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    rows = {"image": [Image.fromarray(picture(i)) for i in range(6)], "label": [0, 1, 2, 0, 1, 2]}
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASS_NAMES))}
    )
    saved = tmp_path / "saved"
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(saved))
    datasets.load_from_disk(str(saved)).map(lambda row: {"twice": 2 * row["label"]})
    [cache] = saved.glob("cache-*.arrow")
    finish(empty.import_pool(saved))
    assert list(empty.pool.counts) == [2, 2, 2]
    for path in saved.glob("data-*.arrow"):
        path.unlink()
    assert f'only caches or pipes such as "{cache.name}"' in refused(empty, saved, replace=True).problem


def test_another_workspace_keeps_its_latents_and_seeds(empty, scored_workspace):
    finish(empty.import_pool(scored_workspace))
    theirs = load_bundle(empty.recipe.bundle)
    source = open_source(scored_workspace, ClassNames.of(theirs))
    assert source.settings["generator"] == theirs.identity("generator")
    assert empty.pool.settings["latents"] == "generated" and empty.pool.settings["sampler"] == "ddpm"
    assert np.array_equal(empty.pool.latents, source.pool.latents)
    assert np.array_equal(empty.pool.seeds, source.pool.seeds)
    assert np.array_equal(empty.pool.images, source.pool.images)


def test_an_export_comes_back_in(empty, scored_workspace, tmp_path, tiny_bundle):
    shutil.copytree(scored_workspace, tmp_path / "made")
    with Studio(tmp_path / "made", tiny_recipe(tiny_bundle)) as made:
        finish(made.export(refined=False))
    finish(empty.import_pool(tmp_path / "made" / "exports" / "set.zip"))
    assert list(empty.pool.counts) == [2, 2, 2]


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="no photographs beside the checkout")
def test_real_photographs_in_the_papers_label_order(tmp_path):
    with Studio(tmp_path / "ws", "tiny-dit", bundle=str(photograph_bundle(tmp_path))) as studio:
        err = refused(studio, PHOTOGRAPHS)
        assert "sets of class folders" in err.problem
        finish(studio.import_pool(PHOTOGRAPHS / "train", limit=2))
        assert len(studio.pool) == 20 and studio.pool.image_shape == (64, 64, 3)
        source = open_source(PHOTOGRAPHS, ClassNames.of(studio.bundle), Reading("train"))
        first = next(iter(source))
        assert first.label == "n01440764"  # tench, label 0
        assert np.array_equal(studio.pool.images_at([0])[0], read_picture(first.load(), (64, 64, 3)))


def photograph_bundle(tmp_path: Path) -> Path:
    """imagenette at 64 px with the codec of tiny-dit, as a description of its own."""
    from psr_studio.models.tiny import build_autoencoder

    build_autoencoder().save_pretrained(tmp_path / "vae")
    text = Path(load_bundle("imagenette-dit").path).read_text()
    text = text.replace("[256, 256, 3]", "[64, 64, 3]").replace(
        '"stabilityai/sd-vae-ft-mse"', f'"{tmp_path / "vae"}"'
    )
    (tmp_path / "small.toml").write_text(text)
    return tmp_path / "small.toml"


# What is refused


def test_classes_are_matched_as_people_write_them():
    task = ClassNames(("Shih-Tzu", "golden retriever"), ids := ("n02086240", "n02099601"), (155, 207))
    for labels in (["shih tzu", "Golden_Retriever"], list(ids), ["00000", "00001"], ["155", "207"],
                   ["00_Shih-Tzu", "01_golden-retriever"], ["Shih-Tzu, dog", "golden retriever"]):  # fmt: skip
        assert list(match_classes(labels, task).values()) == [0, 1]
    assert match_classes(["1", "0"], task) == {"1": 1, "0": 0}


def test_what_an_import_has_not_is_said(empty, folder):
    """Classes without a picture, since labels count among those that are there; labels of no class."""
    shutil.rmtree(folder / FOLDERS[1])
    (folder / "odd").mkdir()
    (folder / "odd" / "0.png").write_bytes(png(picture(0)))
    said = finish(empty.import_pool(folder, skip_unknown=True))[-1].message
    assert f'of 2 classes (no picture of "{empty.bundle.class_names[1]}")' in said
    assert said.endswith('; of no class and left out: "odd".')
    manifest = json.loads((empty.workspace.root / "pool" / importing.MANIFEST).read_text())
    assert manifest["labels_left_out"] == ["odd"]


def test_a_digit_that_is_no_number_is_no_class():
    with pytest.raises(importing.PoolImportError, match="²"):
        match_classes(["²"], ClassNames(("a", "b")))


def test_a_wrong_class_name_is_named_with_the_nearest(empty, folder):
    (folder / "boot").rename(folder / "boat")
    err = refused(empty, folder)
    assert '"boat" in "set" is no class of the task, which has 3: boot, T-shirt/top, dress' in err.problem
    assert err.fix.startswith('Did you mean "boot"? Rename the folder')
    finish(empty.import_pool(folder, skip_unknown=True))
    assert list(empty.pool.counts) == [0, 4, 4]


def test_two_folders_of_one_class_are_refused(empty, folder):
    (folder / "Boot").mkdir()
    (folder / "Boot" / "x.png").write_bytes(png(picture(0)))
    assert 'both stand for the class "boot"' in refused(empty, folder).problem


def test_pictures_outside_class_folders_are_refused(empty, folder):
    (folder / "loose.png").write_bytes(png(picture(0)))
    assert '"loose.png" outside the class folders' in refused(empty, folder).problem
    shutil.rmtree(folder)
    folder.mkdir()
    assert "holds no pictures" in refused(empty, folder).problem
    assert "There is nothing at" in refused(empty, folder / "x").problem


def test_links_are_refused(empty, folder, tmp_path):
    (tmp_path / "secret.png").write_bytes(png(picture(0)))
    (folder / "boot" / "link.png").symlink_to(tmp_path / "secret.png")
    err = refused(empty, folder)
    assert "is a link" in err.problem and "cp -rL" in err.fix


def test_pipes_and_folders_with_names_of_pictures_are_none(empty, folder, tmp_path, scored_workspace):
    os.mkfifo(folder / "boot" / "p.png")
    (folder / "boot" / "folder.png").mkdir()
    rows = {"image": [{"bytes": png(picture(0)), "path": None}], "label": ["boot"]}
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table(rows), tmp_path / "data" / "train-0.parquet")
    os.mkfifo(tmp_path / "data" / "train-1.parquet")
    shutil.copytree(scored_workspace / "pool", tmp_path / "other" / "pool")
    os.mkfifo(tmp_path / "other" / "pool" / "class=0" / "part-00009.parquet")
    with within(60):
        finish(empty.import_pool(folder))
        assert list(empty.pool.counts) == [4, 4, 4]
        finish(empty.import_pool(tmp_path / "data", replace=True))
        assert len(empty.pool) == 1
        assert 'part-00009.parquet" is no file.' in refused(empty, tmp_path / "other", replace=True).problem


def test_a_source_that_cannot_be_read_is_said_to_be_so(empty, folder, tmp_path):
    """Gone between the look at the source and its reading: the system refuses it as it does without permission."""
    rows = {"image": [{"bytes": png(picture(0)), "path": None}], "label": ["boot"]}
    table = tmp_path / "set.parquet"
    pq.write_table(pa.table(rows), table)
    for source, gone in ((folder, folder / "boot" / "0.png"), (table, table)):
        events = empty.import_pool(source)
        next(events)
        gone.unlink()
        with pytest.raises(importing.PoolImportError) as err:
            finish(events)
        assert err.value.problem == f'"{gone}" cannot be read: No such file or directory.'
        assert "The pool is as it was." in err.value.fix and len(empty.pool) == 0
    with pytest.raises(FileNotFoundError):  # not passed over, as `os.walk` would
        FolderSource.find(folder / "nothing", Reading())


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator reads anything")
@pytest.mark.parametrize("name", ["boot/0.png", "boot", "."])
def test_a_source_without_permission_is_said_to_be_so(empty, folder, name):
    (folder / name).chmod(0)
    try:
        problem = refused(empty, folder).problem
    finally:
        (folder / name).chmod(0o700)
    assert problem.startswith(f'"{folder}') and problem.endswith(" cannot be read: Permission denied.")


@pytest.mark.parametrize("packed", [False, True])
def test_pictures_of_kinds_that_are_not_read_are_counted(empty, folder, tmp_path, packed):
    for name in (
        "boot/a.heic",
        "boot/b.HEIC",
        "02_dress/c.tiff",
        "02_dress/.hidden.heic",
        "02_dress/notes.txt",
    ):
        (folder / name).write_bytes(b"a picture of another kind")
    (folder / "boot" / "0.png").write_bytes(b"broken")
    source = zipped(folder, tmp_path / "set.zip") if packed else folder
    said = finish(empty.import_pool(source, skip_broken=True))[-1].message
    assert said == (
        f'Imported 11 pictures of 3 classes from "{source.name}"; 1 left out; '
        "4 passed over (2 .heic, 1 .tiff, 1 .txt)."
    )


def test_pictures_of_other_kinds_alone_are_refused_with_their_kinds(empty, tmp_path):
    (tmp_path / "set" / "boot").mkdir(parents=True)
    (tmp_path / "set" / "boot" / "a.heic").touch()
    err = refused(empty, tmp_path / "set")
    assert err.problem.endswith("holds no pictures that are read: 1 passed over (1 .heic).")
    assert "convert those of other kinds to PNG" in err.fix


def test_broken_and_huge_pictures_are_named(empty, folder):
    (folder / "boot" / "0.png").write_bytes(png(picture(0))[:60])
    err = refused(empty, folder)
    assert '"boot/0.png" in "set" cannot be used' in err.problem and "--skip-broken" in err.fix
    for size, words in (((9000, 9000), "it has 9000 x 9000 pixels, more"), ((60_000, 20_000), "it has more")):
        Image.new("1", size).save(folder / "boot" / "0.png")
        assert f"{words} than 64 million" in refused(empty, folder).problem
    (folder / "boot" / "0.png").write_bytes(b"<svg/>")
    assert "it is none of PNG, JPEG" in refused(empty, folder).problem


def entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    return made


@pytest.mark.parametrize(
    ("info", "data", "words"),
    [
        (entry("../../outside/boot/0.png"), b"x", "a path that leads out of it"),
        (entry("/etc/boot/0.png"), b"x", "a path that leads out of it"),
        (entry("C:\\boot\\0.png"), b"x", "a path that leads out of it"),
        (entry("set/boot/0.png", stat.S_IFLNK | 0o777), b"/etc/passwd", "a link"),
        (entry("set/boot/0.png"), bytes(50 * 2**20), "unpacks to more than 100 times its size"),
    ],
)
def test_a_zip_made_to_harm_is_refused_before_anything_is_read(empty, tmp_path, info, data, words):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        info.compress_type = zipfile.ZIP_DEFLATED
        packed.writestr(info, data)
    err = refused(empty, tmp_path / "bad.zip")
    assert words in err.problem and "Nothing was unpacked" in err.fix


def test_a_damaged_zip_and_a_foreign_file(empty, folder, tmp_path):
    made = zipped(folder, tmp_path / "set.zip")
    data = bytearray(made.read_bytes())
    data[60:90] = b"\0" * 30
    made.write_bytes(data)
    assert "set.zip" in refused(empty, made).problem
    (tmp_path / "set.txt").write_text("text")
    assert "is none of what is read" in refused(empty, tmp_path / "set.txt").problem
    (tmp_path / "set.parquet").write_bytes(b"PAR1 cut off")
    assert "is damaged" in refused(empty, tmp_path / "set.parquet").problem


def test_a_full_disk_leaves_the_pool(tmp_path, tiny_bundle, folder, monkeypatch):
    from psr_studio.core import files as atomic

    with full_studio(tmp_path / "ws", tiny_bundle) as studio:
        before = studio.pool.content_hash()

        def full(fd: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(atomic.os, "fsync", full)
        with pytest.raises(WorkspaceError, match="The disk is full"):
            finish(studio.import_pool(folder, replace=True))
        monkeypatch.undo()
        assert studio.pool.content_hash() == before


# Pictures


def test_a_picture_is_covered_and_cut_around_its_centre():
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = 255
    fitted = read_picture(png(wide), (20, 20, 3))
    assert fitted.shape == (20, 20, 3) and fitted[:, 2:-2].min() == 255


def test_colour_transparency_and_orientation():
    clear = np.zeros((8, 8, 4), np.uint8)
    assert (read_picture(png(clear), (8, 8, 3)) == 255).all()
    assert read_picture(png(np.full((8, 8, 3), 7, np.uint8)), (8, 8, 1)).shape == (8, 8, 1)
    deep = np.full((8, 8), 65535, np.uint16)
    assert (read_picture(png(deep), (8, 8, 1)) == 255).all()
    image = Image.fromarray(np.r_[np.zeros((4, 8), np.uint8), np.full((4, 8), 255, np.uint8)])
    exif = image.getexif()
    exif[0x0112] = 3  # upside down
    stream = io.BytesIO()
    image.save(stream, "PNG", exif=exif)
    assert read_picture(stream.getvalue(), (8, 8, 1))[0, 0, 0] == 255


def test_a_text_is_no_picture():
    with pytest.raises(PictureError, match="it is none of PNG"):
        read_picture(b"hello", (8, 8, 1))


def test_count_in_equals_count_out_file_by_file(empty, folder):
    """Every file of the source stands in import.csv once: as a candidate, or with the reason why it is none."""
    (folder / "boot" / "notes.txt").write_text("about boots")
    (folder / "boot" / "9.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (folder / "hat").mkdir()
    (folder / "hat" / "0.png").write_bytes(png(picture(1)))
    finish(empty.import_pool(folder, limit=3, skip_unknown=True, skip_broken=True))
    rows = list(csv.reader((empty.workspace.root / "pool" / "import.csv").open(encoding="utf-8")))[1:]
    files = {path.relative_to(folder).as_posix() for path in folder.glob("*/*")}
    assert sorted(name for _, name, _ in rows) == sorted(files)
    assert [candidate for candidate, _, _ in rows if candidate] == [str(i) for i in empty.pool.candidate_ids]
    why = {name: reason for candidate, name, reason in rows if not candidate}
    assert why["boot/notes.txt"] == "it is no picture that is read (.txt)"
    assert why["hat/0.png"] == '"hat" is no class'
    assert why["boot/3.png"] == why["02_dress/3.png"] == "it is beyond the limit for its class"
    assert len(why) == 6 and why["boot/9.png"].startswith(("it is beyond the limit", "it cannot be used"))


def test_pictures_are_the_same_however_many_threads_decode_them(tmp_path, tiny_bundle, folder, monkeypatch):
    seen = []
    for n in (1, 5):
        monkeypatch.setattr(importing, "N_DECODERS", n)
        with Studio(tmp_path / f"by{n}", tiny_recipe(tiny_bundle)) as studio:
            finish(studio.import_pool(folder))
            seen.append(studio.pool.content_hash())
    assert seen[0] == seen[1]
