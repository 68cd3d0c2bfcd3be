"""What is written is whole, comes back equal, opens elsewhere, and a damaged file costs only itself."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import CLASS_NAMES, EMBEDDING, LATENT, N_CLASSES, PICTURE

from psr_studio.core import disk
from psr_studio.core import files as atomic
from psr_studio.core.errors import RecipeError, WorkspaceError
from psr_studio.recipe.schema import Recipe
from psr_studio.storage.parquet import content_hash, read_part, stable_hash, write_part
from psr_studio.storage.png import decode_png, encode_png
from psr_studio.storage.pool import candidate_id
from psr_studio.storage.workspace import PoolPart, RefinedPart, ScorePart, Workspace

TEACHER = "teacher@0"


def refused(call, *args, **kwargs) -> WorkspaceError:
    with pytest.raises(WorkspaceError) as caught:
        call(*args, **kwargs)
    return caught.value


def snapshot(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.suffix in (".parquet", ".toml") or p.name.startswith(".tmp-")
    }


def flip(path: Path, needle: bytes) -> None:
    """Flip one bit inside the stored bytes of `needle`."""
    data = bytearray(path.read_bytes())
    at = data.index(needle) + len(needle) // 2
    data[at] ^= 1
    path.write_bytes(data)


def in_subprocess(code: str, *args: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *args], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout.strip()


# What is written comes back


def test_the_pool_comes_back_in_order_of_class_and_index(workspace, pool_part):
    """Parts are written in any order, also across 10 classes, where text order is not number order."""
    parts = {(c, p): pool_part(c, 3 * p) for c in (11, 2, 0) for p in (1, 0)}
    for (class_id, part), columns in parts.items():
        workspace.write_pool_part(class_id, part, columns=columns, inputs_hash="h")
    pool = workspace.pool()
    ordered = [parts[key] for key in sorted(parts)]
    for stored, field in (
        (pool.candidate_ids, "candidate_ids"),
        (pool.seeds, "seeds"),
        (pool.latents, "latents"),
        (pool.images, "images"),
    ):
        expected = np.concatenate([getattr(part, field) for part in ordered])
        assert stored.dtype == expected.dtype and stored.shape == expected.shape
        assert np.array_equal(stored, expected)
    assert pool.labels.tolist() == [0] * 6 + [2] * 6 + [11] * 6
    assert pool.counts.tolist() == [6, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 6]
    assert len(pool) == 18 and pool.broken == [] and pool.image_shape == PICTURE


def test_some_positions_are_the_same_rows_as_all(filled):
    pool = filled.pool()
    positions = np.array([17, 0, 5, 5, 9])
    assert np.array_equal(pool.latents_at(positions), pool.latents[positions])
    assert np.array_equal(pool.images_at(positions), pool.images[positions])
    assert np.array_equal(decode_png(pool.png(9)), pool.images_at([9])[0])
    assert np.array_equal(pool.positions(pool.candidate_ids[positions]), positions)
    err = refused(pool.positions, [0, 999, 7])
    assert err.problem == "Candidates 999, 7 are not in the pool of 18 candidates."


def test_an_empty_pool_is_no_error(workspace):
    pool = workspace.pool()
    assert len(pool) == 0 and pool.latents.shape == (0, 0, 0, 0) and pool.images.shape == (0, 0, 0, 0)
    assert pool.counts.tolist() == [] and pool.settings == {}


def test_shared_arrays_cannot_be_written_to(filled):
    with pytest.raises(ValueError):
        filled.pool().latents[0] = 0
    with pytest.raises(ValueError):
        filled.scores(TEACHER).logits[0] = 0


def test_opening_a_pool_reads_neither_pictures_nor_latents(filled, monkeypatch):
    from psr_studio.storage.parts import Parts

    asked: list[str] = []
    read = Parts.read
    spy = lambda self, path, names: asked.extend(names) or read(self, path, names)  # noqa: E731
    monkeypatch.setattr(Parts, "read", spy)
    pool = filled.pool()
    assert set(asked) == {"candidate_id", "seed"}
    pool.png(0)
    pool.png(1)
    assert asked.count("image") == 1, "the pictures of a part are read once"


def test_the_pool_is_read_again_only_when_files_change(filled, pool_part):
    pool = filled.pool()
    assert filled.pool() is pool
    filled.write_pool_part(0, 2, columns=pool_part(0, 6), inputs_hash="h0")
    assert len(filled.pool()) == len(pool) + 3


def test_scores_come_back_in_pool_order(workspace, pool_part):
    """Scores written for the classes in reverse, and one row of a candidate that is not in the pool."""
    logits = {}
    for class_id in (2, 0, 1):
        columns = pool_part(class_id)
        workspace.write_pool_part(class_id, 0, columns=columns, inputs_hash="h")
        ids = np.append(columns.candidate_ids, candidate_id(class_id, 77))
        logits[class_id] = np.random.default_rng(class_id).normal(size=(4, 3)).astype(np.float32)
        embeddings = np.full((4, EMBEDDING), class_id, np.float32)
        workspace.write_scores_part(
            "hf_hub:timm/x@1",
            class_id,
            0,
            columns=ScorePart(ids, logits[class_id], embeddings),
            inputs_hash="s",
        )
    scores = workspace.scores("hf_hub:timm/x@1")
    assert np.array_equal(scores.candidate_ids, workspace.pool().candidate_ids)
    assert np.array_equal(scores.logits, np.concatenate([logits[c][:3] for c in range(3)]))
    assert np.array_equal(scores.embeddings[:, 0], workspace.pool().labels)
    assert scores.scored.all() and (workspace.root / "scores" / "hf_hub_timm_x@1").is_dir()


def test_refined_latents_come_back_in_pick_order(workspace):
    rng = np.random.default_rng(1)
    written = {}
    for class_id, steps in ((1, 4), (0, 6)):
        ids = np.array([candidate_id(class_id, i) for i in (5, 2)], np.int64)
        written[class_id] = RefinedPart(
            ids,
            rng.normal(size=(2, *LATENT)).astype(np.float32),
            rng.integers(0, 256, (2, *PICTURE), np.uint8),
            rng.random((2, steps), np.float32),
        )
        workspace.write_refined("current", class_id, columns=written[class_id], inputs_hash=f"r{class_id}")
    refined = workspace.refined("current")
    assert refined.candidate_ids.tolist() == [5, 2, 1_000_005, 1_000_002]
    assert refined.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(refined.latents, np.concatenate([written[0].latents, written[1].latents]))
    assert np.array_equal(refined.images, np.concatenate([written[0].images, written[1].images]))
    assert np.array_equal(refined.traces[2:, :4], written[1].traces)
    assert np.isnan(refined.traces[2:, 4:]).all() and refined.inputs_hashes == {0: "r0", 1: "r1"}
    assert refused(workspace.refined, "other").problem == "There are no refined latents."


@pytest.mark.parametrize("channels", [1, 3])
def test_png_is_lossless(channels):
    image = np.random.default_rng(0).integers(0, 256, (28, 17, channels), np.uint8)
    assert np.array_equal(decode_png(encode_png(image)), image)


def test_the_recipe_comes_back(workspace):
    assert workspace.recipe is None
    recipe = Recipe().with_values({"select.ipc": 3, "pool.sampler": "ddim"})
    workspace.save_recipe(recipe)
    assert workspace.recipe == recipe
    (workspace.root / "recipe.toml").write_text("[select]\nipc = 0\n")
    with pytest.raises(RecipeError, match=r'recipe.toml: "select.ipc" is 0, .*\n.* \(line 2\)'):
        _ = workspace.recipe


# Opened by others


def test_datasets_reads_pictures_and_class_names(filled, tmp_path):
    datasets = pytest.importorskip("datasets")
    files = [str(path) for path in filled.pool_paths()]
    rows = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert isinstance(rows.features["image"], datasets.Image)
    assert rows.features["class"].names == list(CLASS_NAMES)
    assert rows["class"] == filled.pool().labels.tolist()
    pool = filled.pool()
    assert np.array_equal(np.asarray(rows[7]["image"])[..., None], pool.images_at([7])[0])
    assert np.array_equal(np.float32(rows[7]["latent"]), pool.latents[7].reshape(-1))
    assert rows[0]["generator"] == "sampler=ddim, steps=4"


def test_pandas_reads_a_whole_stage(filled):
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(filled.root / "scores" / "teacher@0", partitioning=None)
    assert len(frame) == 18 and len(frame["logits"][0]) == N_CLASSES


# Hashes and status


def test_hash_knows_values_not_order_of_keys():
    assert stable_hash({"a": 1, "b": [1.5, None]}) == stable_hash({"b": (1.5, None), "a": 1})
    assert stable_hash({"a": np.float64(0.5), "n": np.arange(2)}) == stable_hash({"a": 0.5, "n": [0, 1]})
    different = [1, 1.5, "1", True, None, [1], {"1": 1}]
    assert len({stable_hash(value) for value in different}) == len(different)
    with pytest.raises(TypeError):
        stable_hash(object())


def test_content_hash_changes_with_any_value(pool_part):
    def columns() -> dict[str, np.ndarray]:
        return {name: values for name, values in vars(pool_part(0)).items() if values is not None}

    part = columns()
    first = content_hash(part)
    assert content_hash(columns()) == first
    for name in part:
        changed = {**part, name: part[name].copy()}
        changed[name].flat[0] += 1
        assert content_hash(changed) != first, name


def test_content_hash_of_a_class_follows_only_that_class(filled, pool_part):
    before = [filled.pool().content_hash(c) for c in range(N_CLASSES)]
    filled.write_pool_part(1, 1, columns=pool_part(1, 30), inputs_hash="h0")
    after = [filled.pool().content_hash(c) for c in range(N_CLASSES)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]


def test_status_follows_the_files(workspace, pool_part):
    expected = {workspace.pool_part_path(0, part): "h0" for part in range(3)}

    def status(changes=()):
        return workspace.compare(expected | dict(changes), "parts")

    assert (status().state, status().reason) == ("missing", "None of 3 parts is there.")
    workspace.write_pool_part(0, 1, columns=pool_part(0, 3), inputs_hash="h0")
    assert (status().state, status().reason) == ("partial", "1 of 3 parts are there.")
    assert not workspace.has_part(0, 0) and workspace.has_part(0, 1) and not workspace.has_part(0, 1, "h1")
    for part in (0, 2):
        workspace.write_pool_part(0, part, columns=pool_part(0, 3 * part), inputs_hash="h0")
    assert (status().state, status().reason) == ("fresh", "All 3 parts are there.")
    stale = status({workspace.pool_part_path(0, 2): "h1"})
    assert (stale.state, stale.reason) == ("stale", "1 of 3 parts were made from other inputs.")
    workspace.pool_part_path(0, 2).write_bytes(b"PAR1")
    assert status().state == "partial", "a damaged part counts as missing, so the next run mends it"


def test_parts_of_a_larger_pool_are_discarded(filled):
    assert filled.discard_pool_parts(1, keep=[0]) == 1
    assert filled.pool().counts.tolist() == [6, 3, 6]


# Damaged files


def test_a_truncated_part_is_named_and_the_rest_stays_usable(filled):
    path = filled.pool_part_path(1, 0)
    path.write_bytes(path.read_bytes()[:-100])
    pool = filled.pool()
    assert pool.counts.tolist() == [6, 3, 6]
    assert [broken.path for broken in pool.broken] == [path]
    assert pool.broken[0].reason.startswith(f'The file "{path}" is damaged: ')
    assert pool.images.shape == (15, *PICTURE) and pool.latents.shape == (15, *LATENT)
    assert len(filled.scores(TEACHER).logits) == 15
    err = refused(read_part, path, [])
    assert err.fix == ("Run the generate step again: only this part is made anew, all others are kept.")
    assert not filled.has_part(1, 0), "so that the next run makes it anew"


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"PAR1" + b"\0" * 500 + b"PAR1", b"not parquet at all" * 30]
)
def test_any_rubbish_is_named(filled, content):
    path = filled.pool_part_path(0, 1)
    path.write_bytes(content)
    assert [broken.path for broken in filled.pool().broken] == [path]
    assert len(filled.pool()) == 15


def test_parquet_of_others_is_named_not_read(filled):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = filled.pool_part_path(0, 1)
    pq.write_table(pa.table({"x": [1]}), path)
    assert filled.pool().broken[0].reason == f'The file "{path}" is damaged: PSR Studio did not write it.'


def test_a_flipped_bit_in_the_latents_is_found(filled):
    path = filled.pool_part_path(2, 1)
    flip(path, read_part(path, ["latent"])[1]["latent"].tobytes())
    pool = filled.pool()
    err = refused(lambda: pool.latents)
    assert err.problem.startswith(f'The file "{path}" is damaged: ')
    assert pool.latents_at([0, 1]).shape == (2, *LATENT), "other parts are still read"


def test_a_corrupt_picture_is_named_and_the_rest_stays_usable(filled, pool_part):
    """The part is whole as Parquet; one PNG in it was already damaged when it was written."""
    part = pool_part(1, 3)
    path = filled.pool_part_path(1, 1)
    _write_with_picture(path, part, bad_row=2)
    pool = filled.pool()
    position = int(pool.positions([candidate_id(1, 5)])[0])
    err = refused(lambda: pool.images)
    assert err.problem.startswith(
        f'The file "{path}" is damaged: the picture of candidate 1000005 cannot be read'
    )
    assert " object at " not in err.problem
    images = pool.images_at(None, strict=False)
    assert (images[position] == 128).all() and [b.path for b in pool.broken] == [path]
    good = np.delete(np.arange(18), position)
    assert np.array_equal(pool.images_at(good), images[good])
    pool.images_at(None, strict=False)
    assert len(pool.broken) == 1, "named once"


def _write_with_picture(path: Path, part: PoolPart, bad_row: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path, partitioning=None)
    pictures = [{"bytes": encode_png(image), "path": None} for image in part.images]
    pictures[bad_row]["bytes"] = pictures[bad_row]["bytes"][:40]
    at = table.column_names.index("image")
    column = pa.array(pictures, table.schema.field("image").type)
    pq.write_table(table.set_column(at, table.schema.field("image"), column), path)


def test_a_part_of_another_shape_does_not_mix(filled):
    other = PoolPart(
        np.array([candidate_id(2, 9)], np.int64),
        np.zeros(1, np.int64),
        np.zeros((1, 16, 16, 3), np.uint8),
        np.zeros((1, *LATENT), np.float32),
    )
    path = filled.write_pool_part(2, 2, columns=other, inputs_hash="x")
    pool = filled.pool()
    assert len(pool) == 18 and pool.broken[0].path == path and "its shapes are" in pool.broken[0].reason


def test_a_part_that_repeats_candidates_does_not_count_twice(filled, pool_part):
    path = filled.write_pool_part(0, 7, columns=pool_part(0, 5), inputs_hash="x")
    pool = filled.pool()
    assert len(np.unique(pool.candidate_ids)) == len(pool) == 18
    assert (
        pool.broken[0].path == path
        and "repeats candidates of another part, such as 5" in pool.broken[0].reason
    )


def test_missing_and_damaged_scores_are_named(filled):
    path = filled.scores_part_path(TEACHER, 0, 1)
    path.write_bytes(path.read_bytes()[:50])
    err = refused(filled.scores, TEACHER)
    assert err.problem.startswith("3 of 18 candidates have no teacher scores, such as 3, 4, 5. The file ")
    assert str(path) in err.problem and err.fix == "Run the score step: it scores only what is missing."
    some = filled.scores(TEACHER, require_all=False)
    assert np.flatnonzero(~some.scored).tolist() == [3, 4, 5] and some.broken[0].path == path
    assert np.isnan(some.logits[3:6]).all() and np.isfinite(some.logits[some.scored]).all()
    assert refused(filled.scores, "nobody").problem.startswith("18 of 18 candidates have no teacher scores")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", ["logits", "embeddings"])
def test_scores_that_are_not_finite_name_the_candidates(workspace, pool_part, value, column):
    ids = pool_part(1).candidate_ids
    arrays = {"logits": np.zeros((3, 3), np.float32), "embeddings": np.zeros((3, 5), np.float32)}
    arrays[column][[0, 2], 1] = value
    err = refused(
        workspace.write_scores_part, TEACHER, 1, 0, columns=ScorePart(ids, **arrays), inputs_hash="s"
    )
    assert err.problem == "The teacher's outputs of 2 candidates are not finite numbers: 1000000, 1000002."
    assert not workspace.scores_part_path(TEACHER, 1, 0).exists(), "nothing was written"


def test_stored_scores_that_are_not_finite_are_found_on_reading(filled, pool_part):
    columns = {
        "candidate_id": pool_part(0).candidate_ids,
        "logits": np.full((3, 3), np.nan, np.float32),
        "embedding": np.zeros((3, EMBEDDING), np.float32),
    }
    write_part(filled.scores_part_path(TEACHER, 0, 0), columns, inputs_hash="s")
    problem = refused(filled.scores, TEACHER).problem
    assert problem.startswith("3 of 18 candidates have no teacher scores, such as 0, 1, 2. The file ")
    assert problem.endswith('is damaged: "logits" in 3 of 3 rows is not a finite number.')
    path = filled.scores_part_path(TEACHER, 0, 0)
    assert filled.lacking({path: "s"}) == {path}, "so that the score step makes it anew"


def test_a_damaged_refined_class_costs_only_itself(workspace):
    for class_id in (0, 1):
        part = RefinedPart(
            np.array([candidate_id(class_id, 0)], np.int64),
            np.zeros((1, *LATENT), np.float32),
            np.zeros((1, *PICTURE), np.uint8),
            np.zeros((1, 2), np.float32),
        )
        workspace.write_refined("current", class_id, columns=part, inputs_hash="r")
    path = workspace.refined_path("current", 0)
    path.write_bytes(path.read_bytes()[:-9])
    refined = workspace.refined("current")
    assert refined.labels.tolist() == [1] and refined.broken[0].path == path


def test_a_part_of_a_newer_format_is_left_alone(filled, monkeypatch):
    from psr_studio.storage import parquet

    monkeypatch.setattr(parquet, "FORMAT_VERSION", 3)
    path = filled.pool_part_path(0, 0)
    columns = {"candidate_id": np.zeros(1, np.int64)}
    write_part(path, columns, inputs_hash="h")
    monkeypatch.undo()
    problem = filled.pool().broken[0].reason
    assert problem == f'"{path}" has format version 3; this PSR Studio reads versions up to 1.'


# Names that are none

COPIES = (
    "part-00000 (1).parquet",
    "part-00000 (Ann's conflicted copy 2024-05-01).parquet",
    "part-00000.sync-conflict-20240501-120000-ABCDEFG.parquet",
    "part-00000-LAPTOP.parquet",
    "part-00000 copy.parquet",
)


def fresh(ws: Workspace) -> str:
    found = ws.compare(dict.fromkeys(ws.pool_paths(), "h0"), "parts")
    assert found.state == "fresh"
    return found.reason


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_that_a_sync_program_made_is_not_read_and_said_once(filled, name):
    """The copy holds the candidates of another part, so that its reading would be seen."""
    paths, path = filled.pool_paths(), filled.pool_part_path(1, 0)
    path.with_name(name).write_bytes(filled.pool_part_path(2, 0).read_bytes())
    assert filled.pool_paths() == paths and len(filled.pool()) == 18 and filled.pool().broken == []
    assert [part.part for part in filled.pool().parts()] == [0, 1] * 3
    assert fresh(filled) == (
        f'All 6 parts are there. "pool/class=1/{name}" is not read: by its name it is a copy of '
        '"part-00000.parquet", as sync programs make them. That one is whole, so the copy may be moved away.'
    )
    assert filled.discard_pool_parts(1, keep=[]) == 2 and path.with_name(name).exists()


def test_what_may_be_the_only_one_is_not_called_a_copy(filled):
    path = filled.pool_part_path(1, 0)
    path.rename(path.with_name("part-00000 (1).parquet"))
    assert fresh(filled).endswith(
        '"pool/class=1/part-00000 (1).parquet" is not read: give it the name "part-00000.parquet" if it is that '
        "one, of which there is no other."
    )


@pytest.mark.parametrize(
    "name",
    [
        "class=1/part-x.parquet",
        "class=1/part-²²²²².parquet",
        "class=1/part-0.parquet",
        "class=1 (1)/",
        "class=01/",
    ],
)
def test_a_name_that_is_none_is_never_read(filled, name):
    path = filled.root / "pool" / name
    if name.endswith("/"):
        path.mkdir()
        (path / "part-00000.parquet").write_bytes(b"")
    else:
        path.write_bytes(b"")
    assert len(filled.pool()) == 18 and len(filled.pool_paths()) == 6 and filled.pool().broken == []
    assert f'"pool/{name.rstrip("/")}" is not read: nothing of a workspace is called so.' in fresh(filled)
    (filled.pool_part_path(2, 0).with_name("part-y.parquet")).touch()
    assert fresh(filled).endswith(
        "is not read: nothing of a workspace is called so. 1 more are not read either."
    )


def test_refined_classes_count_by_their_exact_names(workspace):
    part = RefinedPart(
        np.array([candidate_id(0, 0)], np.int64),
        np.zeros((1, *LATENT), np.float32),
        np.zeros((1, *PICTURE), np.uint8),
        np.zeros((1, 2), np.float32),
    )
    path = workspace.write_refined("current", 0, columns=part, inputs_hash="r")
    path.with_name("class=0 (1).parquet").write_bytes(path.read_bytes())
    assert workspace.refined_files("current") == {0: path} and len(workspace.refined("current")) == 1
    assert "is a copy of" in workspace.compare({path: "r"}, "classes").reason


# A disk that refuses


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing_half_written(filled, pool_part, monkeypatch, call):
    """Only the operating system's last call is replaced: the part was written, then the disk said no."""
    before = snapshot(filled.root)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, call, full)
    err = refused(filled.write_pool_part, 0, 0, columns=pool_part(0, 0), inputs_hash="new")
    new = refused(filled.write_pool_part, 0, 5, columns=pool_part(0, 15), inputs_hash="new")
    monkeypatch.undo()
    path = filled.pool_part_path(0, 0)
    assert err.problem.startswith(f'The disk is full: writing "{path}" needs ')
    assert err.fix == "Free at least 256.0 MiB there, then run the step again: whole parts are kept."
    assert new.problem.startswith("The disk is full")
    assert snapshot(filled.root) == before
    assert len(filled.pool()) == 18 and filled.pool().broken == []


def test_a_real_write_limit_leaves_nothing_half_written(tmp_path):
    """The kernel's own limit on file size cuts the writing in the middle (POSIX)."""
    pytest.importorskip("resource")
    code = """
        import resource, sys
        import numpy as np
        from pathlib import Path
        from psr_studio.core.errors import WorkspaceError
        from psr_studio.core.files import write_bytes
        path = Path(sys.argv[1]) / "part"
        write_bytes(path, b"old")
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            write_bytes(path, b"n" * 2**24)
        except WorkspaceError as err:
            print(err.problem)
        print(path.read_bytes(), len(list(path.parent.iterdir())))
    """
    problem, rest = in_subprocess(code, str(tmp_path)).splitlines()
    assert problem.endswith('part" cannot be written: this process may write files of 9.8 KiB at most.')
    assert rest == "b'old' 1"


def test_a_cancelled_write_leaves_nothing(filled, monkeypatch):
    before = snapshot(filled.root)

    def cancelled(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", cancelled)
    with pytest.raises(KeyboardInterrupt):
        filled.save_recipe(Recipe())
    assert snapshot(filled.root) == before


def test_files_of_dead_writers_are_swept_and_those_of_living_ones_kept(tmp_path):
    root = tmp_path / "ws"
    Workspace.open(root).close()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder = root / "pool" / "class=0"
    folder.mkdir(parents=True)
    host = disk.this_host()
    names = {
        f".tmp-{dead.pid}-{host}-00": False,
        f".tmp-{os.getpid()}-{host}-00": True,
        ".tmp-1-elsewhere-00": True,
        ".tmp-2-elsewhere-00": False,
        "mine.txt": True,
    }
    for name in names:
        (folder / name).write_text("x")
    long_ago = time.time() - 2 * atomic.FOREIGN_TEMP_SECONDS
    os.utime(folder / ".tmp-2-elsewhere-00", (long_ago, long_ago))
    Workspace.open(root).close()
    assert {name: (folder / name).exists() for name in names} == names


def test_a_killed_writer_leaves_whole_parts_only(tmp_path):
    """A process killed while it writes parts without pause: what is there is whole, the rest is swept."""
    code = """
        import sys, numpy as np
        from psr_studio.storage.workspace import PoolPart, Workspace
        ws, n = Workspace.open(sys.argv[1]), 400
        for part in range(10_000):
            ids = np.arange(part * n, part * n + n)
            columns = PoolPart(ids, ids, np.zeros((n, 8, 8, 1), np.uint8), np.zeros((n, 4, 8, 8), np.float32))
            ws.write_pool_part(0, part, columns=columns, inputs_hash="h")
            print(part, flush=True)
    """
    root = tmp_path / "ws"
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(root)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for _ in range(3):
        writer.stdout.readline()
    time.sleep(0.013)
    writer.kill()
    writer.communicate()
    with Workspace.open(root) as ws:
        pool = ws.pool()
        assert pool.broken == [] and len(pool) >= 1200 and len(pool) % 400 == 0
        assert pool.latents.shape == (len(pool), 4, 8, 8)
        assert not list(root.rglob(".tmp-*"))


# Opening


def test_a_second_process_on_the_same_workspace_is_refused(workspace):
    code = """
        import sys
        from psr_studio.core.errors import WorkspaceError
        from psr_studio.storage.workspace import Workspace
        try:
            Workspace.open(sys.argv[1])
        except WorkspaceError as err:
            print(err)
        Workspace.open(sys.argv[1], lock=False).close()  # a worker of the owner may come in
    """
    problem, fix = in_subprocess(code, str(workspace.root)).splitlines()
    assert problem == (
        f'The workspace "{workspace.root}" is already open in another process (number {os.getpid()}).'
    )
    assert fix == "Close the PSR Studio that runs there, or choose another workspace folder."


def test_a_second_opening_in_this_process_is_refused_until_the_first_closes(tmp_path):
    with Workspace.open(tmp_path) as first:
        err = refused(Workspace.open, tmp_path)
        assert err.problem == f'The workspace "{tmp_path}" is already open in this process.'
        assert first.ledger.marks() == {}, "the first one is not disturbed"
    Workspace.open(tmp_path).close()


def test_a_lock_dies_with_its_process(tmp_path):
    code = """
        import os, sys
        from psr_studio.storage.workspace import Workspace
        held = Workspace.open(sys.argv[1])
        os._exit(0)
    """
    in_subprocess(code, str(tmp_path / "ws"))
    Workspace.open(tmp_path / "ws").close()


READ_ONLY = """
    import os, sys
    from psr_studio.core.errors import WorkspaceError
    from psr_studio.storage.workspace import Workspace
    if os.getuid() == 0:  # permissions do not bind root
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    try:
        Workspace.open(sys.argv[1])
    except WorkspaceError as err:
        print(err)
"""


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
@pytest.mark.parametrize("inside", ["", "new"])
def test_a_read_only_workspace_is_said(tmp_path, inside):
    root = tmp_path / "ws"
    Workspace.open(root).close()
    base = Path(tempfile.gettempdir())
    for folder in (root, tmp_path, *tmp_path.parents):  # the subprocess is another user
        if folder != base and folder.is_relative_to(base):
            folder.chmod(0o755)
    root.chmod(0o555)
    (root / ".lock").chmod(0o444)
    problem, fix = in_subprocess(READ_ONLY, str(root / inside)).splitlines()
    root.chmod(0o755)
    assert problem == f'The folder "{root}" cannot be written to (Permission denied).'
    assert fix == (
        "Give yourself write permission there, then open the workspace again, or choose another folder: "
        "nothing was changed."
    )


def test_a_newer_format_is_refused_and_nothing_is_changed(tmp_path):
    Workspace.open(tmp_path).close()
    db = sqlite3.connect(tmp_path / "studio.sqlite")
    db.execute("PRAGMA user_version = 2")
    db.close()
    err = refused(Workspace.open, tmp_path)
    assert err.problem == f'"{tmp_path}" has format version 2; this PSR Studio reads versions up to 1.'
    assert err.fix == "Update PSR Studio, or choose another workspace folder. Nothing was changed."
    again = refused(Workspace.open, tmp_path)
    assert again.problem == err.problem, "the lock was let go"


def test_a_missing_workspace_or_a_file_is_said(tmp_path):
    err = refused(Workspace.open, tmp_path / "none", create=False)
    assert err.problem == f'There is no workspace "{tmp_path / "none"}".'
    assert not (tmp_path / "none").exists()
    (tmp_path / "empty").mkdir()
    err = refused(Workspace.open, tmp_path / "empty", create=False)
    assert err.problem == f'There is no workspace "{tmp_path / "empty"}".'
    assert list((tmp_path / "empty").iterdir()) == []
    (tmp_path / "file").write_text("x")
    assert (
        refused(Workspace.open, tmp_path / "file").problem
        == f'The workspace "{tmp_path / "file"}" is a file.'
    )


def test_a_hundred_thousand_candidates_open(tmp_path):
    """Ten classes of five parts of 2,000; how fast is of benchmarks/large_workspace.py."""
    n = 2000
    blank = np.zeros((n, 1, 1, 1), np.uint8)
    with Workspace.open(tmp_path) as ws:
        for class_id in range(10):
            for part in range(5):
                ids = np.arange(n) + candidate_id(class_id, part * n)
                columns = {
                    "candidate_id": ids,
                    "seed": ids,
                    "image": blank,
                    "latent": blank.astype(np.float32),
                }
                write_part(ws.pool_part_path(class_id, part), columns, inputs_hash="h")
        pool = ws.pool()
        assert len(pool) == 100_000 and np.bincount(pool.labels).tolist() == [10_000] * 10


def test_metadata_says_what_a_part_was_made_from(filled):
    import pyarrow.parquet as pq

    meta = pq.read_schema(filled.pool_part_path(0, 0)).metadata
    about = json.loads(meta[b"psr_studio"])
    assert about["format_version"] == 1 and about["inputs_hash"] == "h0"
    assert about["settings"] == {"sampler": "ddim", "steps": 4} and about["shapes"]["latent"] == list(LATENT)


def test_the_docs_name_every_column(filled):
    import pyarrow.parquet as pq

    text = (Path(__file__).resolve().parents[2] / "docs" / "workspace.md").read_text(encoding="utf-8")
    for path in (filled.pool_part_path(0, 0), filled.scores_part_path(TEACHER, 0, 0)):
        for name in pq.read_schema(path).names:
            assert f"`{name}`" in text, name


def test_a_disk_without_locks_is_said(tmp_path, monkeypatch):
    """Only the system call is replaced: some network disks answer it with ENOLCK."""
    fcntl = pytest.importorskip("fcntl")

    def unsupported(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    err = refused(Workspace.open, tmp_path)
    assert err.problem.startswith(f'The disk of "{tmp_path}" offers no file locks')
    assert err.fix == "Put the workspace on a local disk."


def test_sizes_are_in_words():
    assert [disk.size_text(n) for n in (512, 2**20, 3 * 2**29)] == ["0.5 KiB", "1.0 MiB", "1.50 GiB"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files in bytes")
@pytest.mark.parametrize("place", ["lat\udce9n", "lat\udce9n/ws", "lat\udce9n/new/ws"])
def test_a_path_in_another_encoding_is_refused_before_anything_is_done(tmp_path, monkeypatch, place):
    """Parquet, the ledger's records and the page name files in UTF-8; pictures to import may lie there."""
    (tmp_path / "lat\udce9n").mkdir()
    monkeypatch.chdir(tmp_path / "lat\udce9n")
    for named in (tmp_path / place, "ws"):
        error = refused(Workspace.open, named)
        assert "lat\\xe9n" in error.problem and "no UTF-8" in error.problem and error.problem.isprintable()
        assert error.fix.startswith("Rename that folder")
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_recipe_that_windows_saved_opens_the_workspace(tmp_path, encoding):
    with Workspace.open(tmp_path / "ws") as ws:
        ws.save_recipe(Recipe().with_values({"select.ipc": 7}))
    path = tmp_path / "ws" / "recipe.toml"
    path.write_bytes(path.read_text(encoding="utf-8").replace("\n", "\r\n").encode(encoding))
    with Workspace.open(tmp_path / "ws") as ws:
        assert ws.recipe.select.ipc == 7
