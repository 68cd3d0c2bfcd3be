"""Export: a folder that other tools open, with labels, provenance and hashes; never over foreign files."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import tarfile
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny import CLASS_NAMES, SIZE, finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.core.errors import ExportError, WorkspaceError
from psr_studio.stages.export.formats import class_folder
from psr_studio.stages.export.target import write_zip
from psr_studio.storage.png import encode_png

FORMATS = ["folder", "parquet", "webdataset", "dd-ranking"]
FOLDERS = ["00_boot", "01_T-shirt-top", "02_dress"]


def exported(studio, **settings) -> Path:
    """The folder of an export of unrefined pictures."""
    finish(studio.export(**{"refined": False, **settings}))
    return studio.workspace.export_path(studio.recipe.export.name)


def pixels(path: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path))


@pytest.mark.parametrize("formats", [["folder"], FORMATS])
def test_image_folder_reads_it_in_label_order(studio, formats):
    from torchvision.datasets import ImageFolder

    found = ImageFolder(str(exported(studio, formats=formats)))
    assert found.classes == FOLDERS and found.targets == [0, 0, 1, 1, 2, 2]
    pool, chosen = studio.pool, studio.selection()
    for (path, _), position in zip(found.samples, chosen.positions, strict=True):
        assert np.array_equal(pixels(Path(path)), pool.images_at([position])[0, ..., 0])


@pytest.mark.parametrize("formats", [["folder"], FORMATS])
def test_datasets_opens_it(studio, formats, tmp_path, monkeypatch):
    from datasets import load_dataset

    folder = exported(studio, formats=formats)
    found = load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert found["label"] == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(np.asarray(found[0]["image"]), pixels(sorted((folder / FOLDERS[0]).iterdir())[0]))
    if "parquet" in formats:
        assert found.features["label"].names == ["boot", "T-shirt/top", "dress"]
        assert np.allclose(found["soft_labels"], studio.selection().soft_labels)


def test_datasets_opens_shards_and_never_takes_the_manifest_for_the_set(studio, tmp_path):
    """Of an export that holds no format that `datasets` knows, the table of labels is the data set."""
    from datasets import load_dataset

    shards = exported(studio, formats=["webdataset"], name="shards")
    found = load_dataset(str(shards), split="train", cache_dir=str(tmp_path / "cache"))
    assert found["cls"] == [0, 0, 1, 1, 2, 2]
    tensors = exported(studio, formats=["dd-ranking"], name="tensors")
    found = load_dataset(str(tensors), split="train", cache_dir=str(tmp_path / "cache"))
    assert (
        found["label"] == [0, 0, 1, 1, 2, 2]
        and found["candidate_id"] == studio.selection().candidate_ids.tolist()
    )


def test_what_systems_leave_in_an_export_is_nobodys_work(studio):
    folder = exported(studio)
    for name in (".DS_Store", "00_boot/._a.png", "Thumbs.db", "desktop.ini"):
        (folder / name).write_bytes(b"rubbish")
    finish(studio.select(ipc=1))
    assert len(list(exported(studio).rglob("*.png"))) == 3 and not (folder / "Thumbs.db").exists()


def test_unrefined_pictures_are_copied_byte_for_byte(studio):
    folder = exported(studio)
    files = [path for name in FOLDERS for path in sorted((folder / name).iterdir())]
    assert [p.read_bytes() for p in files] == [studio.pool.png(int(i)) for i in studio.selection().positions]


def test_refined_pictures_are_those_of_the_refinement(studio):
    finish(studio.refine())
    finish(studio.export(refined=True))
    folder = studio.workspace.export_path("set")
    files = [path for name in FOLDERS for path in sorted((folder / name).iterdir())]
    assert [p.read_bytes() for p in files] == [encode_png(image) for image in studio.refined().images]


def test_labels_stand_in_the_order_of_the_pictures(studio):
    folder = exported(studio)
    chosen = studio.selection()
    arrays = load_file(folder / "soft_labels.safetensors")
    assert np.allclose(arrays["soft_labels"], chosen.soft_labels)
    assert np.allclose(arrays["soft_labels"].sum(axis=1), 1)
    scaled = np.exp(arrays["logits"] / 1.5)
    assert np.allclose(scaled / scaled.sum(axis=1, keepdims=True), arrays["soft_labels"], atol=1e-6)
    assert arrays["candidate_ids"].tolist() == chosen.candidate_ids.tolist()
    rows = list(csv.DictReader((folder / "labels.csv").open(encoding="utf-8")))
    assert [int(r["candidate_id"]) for r in rows] == chosen.candidate_ids.tolist()
    assert [r["class_name"] for r in rows] == ["boot"] * 2 + ["T-shirt/top"] * 2 + ["dress"] * 2
    assert [int(r["seed"]) for r in rows] == studio.pool.seeds[chosen.positions].tolist()
    for row, q, label in zip(rows, chosen.soft_labels, chosen.labels, strict=True):
        assert (folder / row["file"]).is_file()
        assert [float(row[f"soft_label_{c}"]) for c in range(3)] == pytest.approx(q.tolist(), rel=1e-6)
        assert float(row["reliability"]) == pytest.approx(q[label], rel=1e-5)
        assert 0 <= float(row["entropy"]) <= 1 and 0 <= float(row["difficulty"]) <= 1


def test_the_manifest_has_the_hash_of_every_file(studio):
    folder = exported(studio, formats=FORMATS)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    on_disk = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {"manifest.json"}
    assert set(manifest["files"]) == on_disk
    for name, about in manifest["files"].items():
        data = (folder / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (about["sha256"], about["bytes"])
    assert manifest["provenance"]["bundle"] == "tiny" and manifest["writer"].startswith("PSR Studio ")


def test_the_state_counts_every_file_of_the_folder_its_manifest_too(studio):
    n = sum(path.is_file() for path in exported(studio).rglob("*"))
    assert studio.status()["export"].reason == f'"set" holds {n} files.'


def test_the_recipe_goes_with_it(studio):
    recipe = tomllib.loads((exported(studio) / "recipe.toml").read_text(encoding="utf-8"))
    assert recipe["select"]["ipc"] == 2 and recipe["export"]["refined"] is False


def test_the_data_card_says_where_it_came_from_and_what_it_reached(studio):
    folder = exported(studio)
    card = (folder / "README.md").read_text(encoding="utf-8")
    for part in ("6 images of 3 classes", "CC0-1.0 (random numbers)", '"sampler": "ddpm"', "shortfall: none"):
        assert part in card
    assert "No student was trained on this set yet." in card
    finish(studio.evaluate(arms=["selected"], n_seeds=1))
    card = (exported(studio) / "README.md").read_text(encoding="utf-8")
    assert "random real" in card and "teacher, tau 1.5" in card and "mean and standard deviation" in card


@pytest.fixture
def imported(tmp_path, tiny_bundle):
    """A studio on pictures from a folder, selected and refined."""
    for c, name in enumerate(CLASS_NAMES):
        folder = tmp_path / "private" / "photographs" / name.replace("/", "-")
        folder.mkdir(parents=True)
        for i in range(3):
            pixels = np.random.default_rng(10 * c + i).integers(0, 256, (SIZE, SIZE), np.uint8)
            (folder / f"{i}.png").write_bytes(encode_png(pixels[..., None]))
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        finish(studio.import_pool(tmp_path / "private" / "photographs"))
        for step in (studio.score, studio.select):
            finish(step())
        yield studio


def test_the_card_of_imported_pictures_names_their_source_and_claims_no_generator(imported):
    folder = exported(imported)
    card = (folder / "README.md").read_text(encoding="utf-8")
    origin = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["provenance"]
    assert ': imported from "photographs" (folder), chosen by the signals of a teacher.' in card
    assert origin["pictures"] == 'imported from "photographs" (folder), made elsewhere'
    assert "their licence is that of their source" in card and "Fill it in here before you publish" in card
    for claim in ("generated by", "are generated", "models and data this set was made from"):
        assert claim not in card
    for text in (card, json.dumps(origin)):
        assert imported.bundle.identity("generator") not in text and "private" not in text
    assert "The teacher that made the labels carries: CC0-1.0 (random numbers)." in card


def test_refined_imported_pictures_were_moved_by_the_generator(imported):
    finish(imported.refine())
    folder = exported(imported, refined=True)
    card = (folder / "README.md").read_text(encoding="utf-8")
    origin = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["provenance"]
    assert 'imported from "photographs" (folder), chosen by the signals of a teacher, then moved in' in card
    assert "generated by" not in card and "Fill it in here before you publish" in card
    assert "The generator and the codec that moved the pictures and the teacher" in card
    assert imported.bundle.identity("generator") in origin["moved by the generator"]
    assert "generator" not in origin


def test_an_imported_workspace_of_the_same_generator_is_generated(scored_workspace, tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        for events in (studio.import_pool(scored_workspace), studio.score(), studio.select()):
            finish(events)
        card = (exported(studio) / "README.md").read_text(encoding="utf-8")
        assert "generated by a diffusion model" in card and studio.bundle.identity("generator") in card


def test_the_card_of_a_part_says_how_its_labels_count(studio):
    assert "as a task of its own" not in (exported(studio) / "README.md").read_text(encoding="utf-8")
    live = studio.curation.scored
    studio.curation.save_candidates(
        "part", [int(live.candidate_ids[p]) for p in range(live.n) if live.labels[p] > 0][:8]
    )
    studio.set({"select.name": "part"})
    card = (exported(studio) / "README.md").read_text(encoding="utf-8")
    n = len(studio.workspace.ledger.selection("part").picks)
    assert n < 3 and f"It holds {n} of the 3 classes" in card


def test_webdataset_shards_hold_picture_label_and_the_rest(studio):
    folder = exported(studio, formats=["webdataset"])
    with tarfile.open(folder / "shard-000000.tar") as tar:
        names = tar.getnames()
        assert names[:3] == ["00000000.png", "00000000.cls", "00000000.json"] and len(names) == 18
        files = {name: tar.extractfile(name).read() for name in names}
    assert [int(files[f"{i:08d}.cls"]) for i in range(6)] == [0, 0, 1, 1, 2, 2]
    about = json.loads(files["00000003.json"])
    assert about["candidate_id"] == studio.selection().candidate_ids[3]
    assert about["soft_labels"] == pytest.approx(studio.selection().soft_labels[3].tolist())
    assert not (folder / "00_boot").exists(), "only what was asked for"


def test_dd_ranking_tensors_are_normalised_and_labels_are_logits(studio):
    folder = exported(studio, formats=["dd-ranking"])
    images = load_file(folder / "dd-ranking-images.safetensors")["images"]
    assert images.shape == (6, 1, 12, 12) and images.dtype == np.float32
    chosen = studio.selection()
    raw = studio.pool.images_at(chosen.positions).transpose(0, 3, 1, 2)
    assert np.allclose(images * 0.25 + 0.5, raw / 255, atol=1e-6)
    logits = load_file(folder / "dd-ranking-soft_labels.safetensors")["labels"]
    assert np.array_equal(logits, studio.scores.logits[chosen.positions])
    assert load_file(folder / "dd-ranking-hard_labels.safetensors")["labels"].tolist() == [0, 0, 1, 1, 2, 2]
    assert "No pickle is written" in (folder / "dd-ranking-note.md").read_text(encoding="utf-8")


def test_the_zip_holds_the_folder(studio):
    folder = exported(studio)
    with zipfile.ZipFile(folder.with_name("set.zip")) as packed:
        assert packed.testzip() is None
        names = {name.removeprefix("set/"): packed.read(name) for name in packed.namelist()}
    assert names == {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }
    exported(studio, name="plain", zip=False)
    assert not folder.with_name("plain.zip").exists()


def test_equal_sets_are_equal_bytes(studio):
    a, b = exported(studio, formats=FORMATS, name="a"), exported(studio, formats=FORMATS, name="b")
    for path in (
        p for p in a.rglob("*") if p.is_file() and p.name not in ("README.md", "recipe.toml", "manifest.json")
    ):
        assert path.read_bytes() == (b / path.relative_to(a)).read_bytes(), path


def test_the_dry_run_tells_what_will_be_written(studio):
    before = studio.export_summary(refined=False, formats=FORMATS)
    assert not before.folder.exists() and not before.replaces and before.zip_path is not None
    folder = exported(studio, formats=FORMATS)
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert before.n_files == len(files)
    assert before.picture_bytes == sum(p.stat().st_size for p in files if p.suffix == ".png")
    assert before.counts == {"boot": 2, "T-shirt/top": 2, "dress": 2}
    for name, count in before.folders.items():
        inside = [p for p in files if fnmatch(p.relative_to(folder).parts[0], name)]
        assert len(inside) == count, name
    assert studio.export_summary(refined=False).replaces


def test_our_own_export_is_replaced(studio):
    exported(studio)
    assert studio.status()["export"].state == "fresh"
    finish(studio.select(ipc=1))
    assert studio.status()["export"].state == "stale"
    folder = exported(studio)
    assert len(list(folder.rglob("*.png"))) == 3 and studio.status()["export"].state == "fresh"
    assert sorted(p.name for p in folder.parent.iterdir()) == ["set", "set.zip"]


@pytest.mark.parametrize("how", ["foreign folder", "foreign file in ours", "changed file of ours"])
def test_foreign_files_are_never_touched(studio, how):
    folder = studio.workspace.export_path("set")
    if how != "foreign folder":
        exported(studio)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ("labels.csv" if how == "changed file of ours" else "notes.txt")
    path.write_text("mine")
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    finish(studio.select(ipc=1))
    with pytest.raises(ExportError) as err:
        exported(studio)
    words = "already holds 1 file that PSR Studio did not write"
    if how == "changed file of ours":
        words = "holds 1 file that changed since the export"
    assert err.value.problem == f'The folder "exports/set" {words}, such as "{path.name}".'
    assert err.value.fix.endswith("Nothing was changed.")
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_file_where_the_folder_should_be(studio):
    path = studio.workspace.export_path("set")
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(ExportError, match='"exports/set" is a file'):
        exported(studio)
    assert path.read_text() == "mine"


def test_an_interrupted_export_leaves_the_old_one(studio):
    folder = exported(studio)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    finish(studio.select(ipc=1))
    events = studio.export(refined=False)
    while next(events).done < 1:
        pass
    events.close()
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert sorted(p.name for p in folder.parent.iterdir()) == ["set", "set.zip"]


def test_a_zip_of_somebody_else_is_not_touched(studio):
    path = studio.workspace.export_path("set").with_name("set.zip")
    path.parent.mkdir()
    path.write_bytes(b"mine")
    with pytest.raises(
        ExportError, match='"set.zip" beside the folder "set" is no zip that PSR Studio wrote'
    ):
        exported(studio)
    assert path.read_bytes() == b"mine" and not studio.workspace.export_path("set").exists()
    exported(studio, zip=False)
    assert path.read_bytes() == b"mine"


def test_a_zip_goes_with_the_export_it_holds(studio):
    """Without "Zip" no zip of the export before stays beside the new one; a zip that is missed is said."""
    zipped = exported(studio).with_name("set.zip")
    finish(studio.select(ipc=1))
    exported(studio, zip=False)
    assert not zipped.exists() and studio.status()["export"].state == "fresh"
    exported(studio, zip=True)
    zipped.unlink()
    assert studio.status()["export"].state == "partial"


def test_refined_pictures_that_are_not_there(studio):
    with pytest.raises(WorkspaceError, match="is not refined with these settings"):
        finish(studio.export(refined=True))
    assert not studio.workspace.export_path("set").exists()


def test_no_format_at_all(studio):
    with pytest.raises(ExportError, match="No format is asked for"):
        exported(studio, formats=[])


def test_folder_names_sort_into_label_order_and_are_safe():
    """With 120 classes three digits are needed, or "100" would sort before "11"."""
    names = tuple(f"class/{i}: x" for i in range(120))
    folders = [class_folder(names, i) for i in range(120)]
    assert folders == sorted(folders) and folders[11] == "011_class-11-x"
    assert class_folder(("...", "b"), 0) == "00_class"


def test_a_zip_is_written_by_a_clock_that_stands_in_1970(tmp_path):
    """A board without a battery: a zip knows no time before 1980."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "labels.csv").write_text("file")
    os.utime(tmp_path / "set" / "labels.csv", (0, 0))
    with zipfile.ZipFile(write_zip(tmp_path / "set")) as packed:
        assert packed.read("set/labels.csv") == b"file"
        assert packed.getinfo("set/labels.csv").date_time[0] == 1980
