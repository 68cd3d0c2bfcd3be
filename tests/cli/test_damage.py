"""Damage inside a file is found, named by the status, and mended by the step that made the file, to the same bytes."""

import os
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import problem_and_fix
from steps import bytes_of
from tiny import finish, tiny_recipe
from worker_threads import ThreadWorkers

from psr_studio.app.studio import Studio
from psr_studio.core.errors import DamagedError
from psr_studio.stages import score
from psr_studio.storage import parts
from psr_studio.storage.parquet import read_part, write_part
from psr_studio.storage.png import decode_png, encode_png
from psr_studio.storage.pool import candidate_id
from psr_studio.storage.workspace import Workspace
from psr_studio.workers import driver

NAMES = {"pool": ["candidate_id", "class", "seed", "image", "latent", "generator"],
         "scores": ["candidate_id", "logits", "embedding"]}  # fmt: skip
PARTS = {
    "latent": ("pool", "generate"),
    "image": ("pool", "generate"),
    "logits": ("scores", "score"),
    "embedding": ("scores", "score"),
}


def stored_at(path: Path, name: str) -> int:
    """Where in a file the first value of a column lies: in its page, which ends its chunk; heads hold values, too."""
    first = read_part(path, [name])[1][name][0]
    needle = first if isinstance(first, bytes) else np.asarray(first).tobytes()
    group = pq.read_metadata(path).row_group(0)
    (chunk,) = (
        found
        for found in map(group.column, range(group.num_columns))
        if found.path_in_schema.split(".")[0] == name and not found.path_in_schema.endswith(".path")
    )
    end = chunk.data_page_offset + chunk.total_compressed_size
    return path.read_bytes().rindex(needle, 0, end) + len(needle) // 2


def flip(path: Path, name: str, rot: bool = False) -> None:
    """Flip one bit of a column; `rot` leaves the time of change as it was, as a disk that rots does."""
    stamp = path.stat()
    data = bytearray(path.read_bytes())
    data[stored_at(path, name)] ^= 1
    path.write_bytes(data)
    if rot:
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


@pytest.fixture(scope="module")
def refined_workspace(tmp_path_factory, scored_workspace, tiny_bundle) -> Path:
    root = Path(shutil.copytree(scored_workspace, tmp_path_factory.mktemp("refined") / "ws"))
    with Studio(root, tiny_recipe(tiny_bundle)) as studio:
        finish(studio.refine())
    return root


@pytest.fixture
def refined(tmp_path, refined_workspace) -> Path:
    """A copy in which all is fresh, on the path that `call` uses."""
    return Path(shutil.copytree(refined_workspace, tmp_path / "ws"))


def part_of(root: Path, kind: str) -> Path:
    if kind == "refined":
        return root / "refined" / "current" / "class=2.parquet"
    return next(root.glob(f"{kind}/**/class=2/part-00001.parquet"))


# Named, and mended by the step


@pytest.mark.parametrize(
    ("kind", "name", "command", "what"),
    [(*(PARTS[name][0], name, PARTS[name][1]), "part 1 of class 2") for name in PARTS]
    + [("refined", "latent", "refine", "class 2"), ("refined", "image", "refine", "class 2")],
)
def test_a_flipped_bit_is_named_by_the_status_and_mended(call, refined, kind, name, command, what):
    before = bytes_of(refined)
    path = part_of(refined, kind)
    flip(path, name)
    stage = {"generate": "pool", "score": "score", "refine": "refine"}[command]
    lines = {line.split()[0]: line for line in call("status")[1].splitlines()}
    assert lines[stage].split()[1] == "partial"
    assert re.search(rf"are there. Damaged: {what} \(.*(CRC|checksum).*\)\.$", lines[stage])
    assert call(command, "-q")[0] == 0
    assert bytes_of(refined) == before
    lines = {line.split()[0]: line for line in call("status")[1].splitlines()}
    assert lines[stage].split()[1] == "fresh"


@pytest.mark.parametrize(
    ("kind", "name", "reader", "command"),
    [
        ("scores", "logits", "select", "score"),
        ("scores", "embedding", "export", "score"),
        ("pool", "latent", "refine", "generate"),
        ("pool", "image", "export", "generate"),
        ("refined", "image", "export", "refine"),
    ],
)
def test_what_rots_unseen_is_found_by_the_step_that_reads_it(call, refined, kind, name, reader, command):
    """All files look as when they were whole, and all are damaged; what the message says to do mends them in one go."""
    assert call("status")[0] == 0
    before = bytes_of(refined / kind)
    for path in (refined / kind).rglob("*.parquet"):
        flip(path, name, rot=True)
    if reader == "refine":
        shutil.rmtree(refined / "refined")
    flags = ("-q", "--set", f"export.refined={str(kind == 'refined').lower()}")
    problem, fix = problem_and_fix(call(reader, *flags)[2])
    assert "is damaged: " in problem and fix.startswith(f"Run the {command} step")
    assert " Damaged: " in call("status")[1]
    assert call(command, "-q")[0] == 0 and bytes_of(refined / kind) == before
    assert call(reader, *flags)[0] == 0


def test_a_worker_that_meets_damage_has_it_remembered(refined, tiny_bundle):
    """It has no ledger of its own: the process that hands out the work keeps what it says."""
    shutil.rmtree(refined / "scores")
    with Studio(refined, tiny_recipe(tiny_bundle)) as studio:
        before = bytes_of(refined / "pool")
        assert studio.status()["pool"].state == "fresh"
        flip(part_of(refined, "pool"), "image", rot=True)
        with pytest.raises(DamagedError, match="1 part of the pool could not be scored."):
            finish(driver.run(ThreadWorkers(), score.STAGE, studio.workspace, studio.recipe, studio.bundle))
        assert "Damaged: part 1 of class 2 (" in studio.status()["pool"].reason
        finish(studio.generate())
        finish(studio.score())
        assert bytes_of(refined / "pool") == before and studio.status()["score"].state == "fresh"


def test_a_picture_that_was_never_whole_is_made_anew(refined, tiny_bundle):
    """Its checksum is right, for it was written so: only who decodes it can tell."""
    path = part_of(refined, "pool")
    before = path.read_bytes()
    table = pq.read_table(path, partitioning=None)
    pictures = table.column("image").to_pylist()
    pictures[1]["bytes"] = pictures[1]["bytes"][:40]
    at = table.column_names.index("image")
    column = pa.array(pictures, table.schema.field("image").type)
    pq.write_table(table.set_column(at, table.schema.field("image"), column), path)
    with Studio(refined, tiny_recipe(tiny_bundle)) as studio:
        assert studio.status()["pool"].state == "fresh"
        with pytest.raises(DamagedError, match="cannot be read"):
            studio.pool.images_at(studio.pool.positions([candidate_id(2, 4)]))
        assert (
            "Damaged: part 1 of class 2 (the picture of candidate 2000004" in studio.status()["pool"].reason
        )
        finish(studio.generate())
    assert path.read_bytes() == before


@pytest.fixture
def empty(tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        yield studio


@pytest.fixture
def folder(tmp_path, empty):
    """Four pictures of each class."""
    pictures = np.random.default_rng(0).integers(
        0, 256, (len(empty.bundle.class_names), 4, 16, 16, 1), np.uint8
    )
    for name, of_class in zip(empty.bundle.class_names, pictures, strict=True):
        class_folder = tmp_path / "set" / name.replace("/", " ")
        class_folder.mkdir(parents=True)
        for i, picture in enumerate(of_class):
            (class_folder / f"{i}.png").write_bytes(encode_png(picture))
    return tmp_path / "set"


def test_an_imported_part_comes_back_from_a_backup(empty, folder):
    """No step can make it anew, and the message says what can."""
    finish(empty.import_pool(folder))
    path = empty.workspace.pool_paths()[0]
    backup = path.read_bytes()
    flip(path, "image")
    finish(empty.generate())
    assert "Damaged: part 0 of class 0 (" in empty.status()["pool"].reason
    with pytest.raises(DamagedError) as err:
        _ = empty.pool.images
    assert err.value.fix == "Put a backup of this file in its place, or import the pictures again."
    with pytest.raises(DamagedError) as err:
        finish(empty.score())
    assert err.value.fix.startswith("Put a backup of that file in its place, or import the pictures again")
    path.write_bytes(backup)
    finish(empty.score())
    assert [empty.status()[stage].state for stage in ("pool", "score")] == ["fresh", "fresh"]


# What is looked at, and when


@pytest.fixture
def examined(monkeypatch) -> list[Path]:
    """The files that are read through, in any order; they are really read."""
    found: list[Path] = []
    check = parts.check_part
    monkeypatch.setattr(parts, "check_part", lambda path: found.append(path) or check(path))
    return found


def test_a_file_is_read_through_once_for_each_of_its_states(filled, examined):
    expected = dict.fromkeys(filled.pool_paths(), "h0")
    assert filled.compare(expected, "parts").state == "fresh" and not examined, (
        "written here: known to be whole"
    )
    root = filled.root
    filled.close()
    with Workspace.open(root) as again:
        assert again.compare(expected, "parts").state == "fresh" and not examined, "remembered"
    for path in expected:
        os.utime(path)
    with Workspace.open(root) as again:
        again.compare(expected, "parts")
        assert sorted(examined) == sorted(expected), "another time of change"
        again.compare(expected, "parts")
        assert len(again.pool()) == 18 and len(examined) == 6
    with Workspace.open(root) as again:
        again.compare(expected, "parts")
    assert len(examined) == 6


def test_a_ledger_that_cannot_be_written_to_costs_the_memory_alone(filled, caplog):
    path = filled.pool_paths()[0]
    os.utime(path)
    filled.ledger._db.execute("PRAGMA query_only = 1")
    assert filled.compare({path: "h0"}, "parts").state == "fresh" and "is not kept" in caplog.text


# What is damage


def read_all(path: Path, names: list[str]) -> tuple:
    info, columns = read_part(path, names)
    return info, {k: v.tobytes() if isinstance(v, np.ndarray) else v for k, v in columns.items()}


@pytest.mark.parametrize("kind", ["pool", "scores"])
def test_no_flipped_bit_passes_as_data(refined, kind, tmp_path):
    """Bits all over the file, pages and foot alike: the part is refused, or reads as before."""
    path = part_of(refined, kind)
    data, good, odd = path.read_bytes(), read_all(path, NAMES[kind]), tmp_path / "odd"
    chosen = random.Random(0)
    refusals = 0
    for _ in range(300):
        flipped = bytearray(data)
        flipped[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        odd.write_bytes(flipped)
        try:
            assert read_all(odd, NAMES[kind]) == good
        except DamagedError:
            refusals += 1
    assert refusals > 100


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["latent", "logits", "embedding"])
def test_values_that_no_step_writes_are_damage(filled, name, value):
    """They are whole as bytes, with checksums; nothing may choose, show or export them."""
    kind, step = PARTS[name]
    path = filled.root / ("pool" if kind == "pool" else "scores/teacher@0") / "class=1" / "part-00001.parquet"
    _rewrite(path, name, lambda values: values.__setitem__((1, 0), value))
    expected = {path: read_part(path, [])[0].inputs_hash}
    assert filled.compare(expected, "parts").reason == (
        f'0 of 1 parts are there. Damaged: part 1 of class 1 ("{name}" in 1 of 3 rows is not a finite number).'
    )
    with pytest.raises(DamagedError) as err:
        read_part(path, [name])
    assert err.value.fix == f"Run the {step} step again: only this part is made anew, all others are kept."


def test_a_candidate_twice_in_a_part_is_damage(filled):
    path = filled.pool_part_path(1, 0)
    _rewrite(path, "candidate_id", lambda values: values.__setitem__(2, values[0]))
    assert "it holds candidate 1000000 twice" in filled.pool().broken[0].reason
    assert not filled.has_part(1, 0)


def _rewrite(path: Path, name: str, change) -> None:
    """Write a part again with other values in a column, and nothing else wrong with it."""
    info, columns = read_part(path, pq.read_schema(path).names)
    if "image" in columns:
        columns["image"] = np.stack([decode_png(data) for data in columns["image"]])
    values = columns[name] = columns[name].copy()
    change(values)
    write_part(path, columns, inputs_hash=info.inputs_hash, settings=info.settings)


def test_parts_without_checksums_still_open(filled):
    """As older versions and other programs write them."""
    before, latents = filled.pool().candidate_ids, filled.pool().latents
    for path in filled.pool_paths():
        table = pq.read_table(path, partitioning=None)
        about = {k: v for k, v in table.schema.metadata.items() if k != b"psr_studio_seal"}
        pq.write_table(table.replace_schema_metadata(about), path)
    assert filled.compare(dict.fromkeys(filled.pool_paths(), "h0"), "parts").state == "fresh"
    assert np.array_equal(filled.pool().candidate_ids, before) and np.array_equal(
        filled.pool().latents, latents
    )


def test_what_a_part_says_about_itself_is_sealed(filled):
    path = filled.pool_part_path(0, 0)
    table = pq.read_table(path, partitioning=None)
    about = table.schema.metadata[b"psr_studio"].replace(b"ddim", b"ddpm")
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"psr_studio": about}), path)
    assert "what it says about itself was changed" in filled.pool().broken[0].reason


ODD_JSON = ["", "{", "[]", "null", '{"source": 7}', "[" * 5000, '{"counts": ' + "9" * 5000 + "}"]


@pytest.mark.parametrize("content", ODD_JSON)
def test_an_imported_pool_with_a_damaged_manifest_is_not_generated_over(empty, folder, content):
    """Taken for a pool of our own making, its pictures would be replaced; importing again mends it."""
    finish(empty.import_pool(folder))
    before = bytes_of(empty.workspace.root / "pool")
    path = empty.workspace.root / "pool" / "import.json"
    path.write_text(content)
    for step in (empty.generate, empty.status):
        with pytest.raises(DamagedError) as err:
            list(step())
        assert str(path) in err.value.problem
        assert err.value.fix == "Put a backup of this file in its place, or import the pictures again."
    assert bytes_of(empty.workspace.root / "pool") == before
    finish(empty.import_pool(folder, replace=True))
    assert empty.status()["pool"].state == "fresh" and bytes_of(empty.workspace.root / "pool") == before


@pytest.mark.parametrize(
    "content", [*ODD_JSON, '{"files": {"a": 1}, "inputs_hash": "", "format_version": 1}']
)
def test_an_export_with_a_damaged_manifest_is_left_alone(call, scored, content):
    export = ("export", "--set", "export.refined=false", "-q")
    assert call(*export, workspace=scored)[0] == 0
    (scored / "exports" / "set" / "manifest.json").write_text(content)
    problem, fix = problem_and_fix(call(*export, workspace=scored)[2])
    assert (
        "files that PSR Studio did not write" in problem
        and fix == "Choose an empty folder. Nothing was changed."
    )
