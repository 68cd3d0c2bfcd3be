"""Sources as people have them: what was taken is said, what goes in is counted, and a doubt is asked about."""

from __future__ import annotations

import io
import json
import os
import struct
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tiny import finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.core.errors import StudioError
from psr_studio.core.pictures import PictureError, looks_like_picture, read_picture
from psr_studio.stages.importing.classes import ClassNames, match_classes

TASK = ("boot", "T-shirt/top", "dress")  # of the tiny bundle


@pytest.fixture
def empty(tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        yield studio


def encoded(level: int, kind: str = "PNG", **more) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (12, 12), level).save(stream, kind, **more)
    return stream.getvalue()


def put(path: Path, data: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data or encoded(50))
    return path


def struct_column(levels) -> list[dict[str, bytes | str | None]]:
    return [{"bytes": encoded(level), "path": None} for level in levels]


def table(path: Path, columns: dict, features: dict | None = None) -> Path:
    made = pa.table(columns)
    if features is not None:
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path)
    return path


def message(studio: Studio, path: Path, **options) -> str:
    return finish(studio.import_pool(path, **options))[-1].message


def refused(studio: Studio, path: Path, **options) -> StudioError:
    with pytest.raises(StudioError) as err:
        finish(studio.import_pool(path, **options))
    assert len(studio.pool) == 0
    return err.value


def levels(studio: Studio) -> list[list[int]]:
    """The grey level of every candidate, by class."""
    pool = studio.pool
    means = pool.images_at(range(len(pool))).reshape(len(pool), -1).mean(axis=1).round().astype(int)
    return [means[pool.labels == c].tolist() for c in range(len(TASK))]


def manifest(studio: Studio) -> dict:
    return json.loads((studio.workspace.root / "pool" / "import.json").read_text())


# Columns by name


def test_the_column_called_label_is_taken_whatever_stands_before_it(empty, tmp_path):
    """An Image column "mask" and a ClassLabel "noisy_label" come first and are not what they seem."""
    names = {"_type": "ClassLabel", "names": list(TASK)}
    columns = {
        "mask": struct_column([255] * 3), "noisy_label": [2, 1, 0],
        "image": struct_column([10, 20, 30]), "label": [0, 1, 2],
    }  # fmt: skip
    image = {"_type": "Image"}
    features = {"mask": image, "noisy_label": names, "image": image, "label": names}
    said = message(empty, table(tmp_path / "noisy.parquet", columns, features))
    assert levels(empty) == [[10], [20], [30]]
    assert 'pictures from the column "image"; labels from the column "label"' in said
    assert manifest(empty)["taken"] == {"pictures": 'the column "image"', "labels": 'the column "label"'}


def test_several_columns_without_a_usual_name_are_asked_about(empty, tmp_path):
    names = {"_type": "ClassLabel", "names": list(TASK)}
    columns = {"img": struct_column([10, 20]), "fine_label": [0, 1], "coarse_label": [2, 2]}
    path = table(tmp_path / "two.parquet", columns, {"fine_label": names, "coarse_label": names})
    err = refused(empty, path)
    assert "several columns that may hold labels: fine_label, coarse_label" in err.problem
    assert "--label-column" in err.fix
    assert 'Did you mean "fine_label"?' in refused(empty, path, label_column="fine_labl").fix
    message(empty, path, label_column="fine_label")
    assert levels(empty) == [[10], [20], []]


def test_shards_must_have_the_same_columns(empty, tmp_path):
    table(tmp_path / "set" / "train-0.parquet", {"image": struct_column([10]), "label": [0]})
    table(tmp_path / "set" / "train-1.parquet", {"img": struct_column([10]), "y": [0]})
    assert "have other columns" in refused(empty, tmp_path / "set").problem
    table(tmp_path / "set" / "train-1.parquet", {"image": struct_column([10])})
    assert '"train-1.parquet" has no column of labels' in refused(empty, tmp_path / "set").problem


@pytest.mark.parametrize(
    "labels",
    [pa.array([0.0, 1.0, None]), pa.array([0, 1, None], pa.int64()), pa.array(["boot", "T-shirt/top", None])],
)
def test_a_row_without_a_label_is_counted_and_moves_no_other(empty, tmp_path, labels):
    path = table(tmp_path / "set.parquet", {"image": struct_column([10, 20, 30]), "label": labels})
    assert "1 passed over (1 rows without a label)" in message(empty, path)
    assert levels(empty) == [[10], [20], []]


def test_a_row_without_a_picture_is_left_out_when_asked(empty, tmp_path):
    rows = [*struct_column([10, 20]), None, {"bytes": None, "path": "a.png"}]
    path = table(tmp_path / "set.parquet", {"image": rows, "label": [0, 1, 2, 2]})
    assert "row 2" in refused(empty, path).problem
    assert "2 left out" in message(empty, path, skip_broken=True)
    assert levels(empty) == [[10], [20], []]


def test_pictures_as_plain_bytes_and_endings_in_capitals_and_feather(empty, tmp_path):
    columns = pa.table({"image": [encoded(10), encoded(20)], "label": [0, 1]})
    (tmp_path / "set").mkdir()
    pq.write_table(columns, tmp_path / "set" / "TRAIN.PARQUET")
    message(empty, tmp_path / "set")
    assert levels(empty) == [[10], [20], []]
    for name in ("set.arrow", "set.feather"):
        pyarrow.feather.write_feather(columns, str(tmp_path / name), compression="uncompressed")
        message(empty, tmp_path / name, replace=True)
        assert levels(empty) == [[10], [20], []]


@pytest.mark.parametrize("metadata", [None, [], {"info": None}, {"info": {"features": []}}])
def test_metadata_that_says_nothing_is_passed_by(empty, tmp_path, metadata):
    made = pa.table({"image": struct_column([10]), "label": [0]})
    pq.write_table(
        made.replace_schema_metadata({"huggingface": json.dumps(metadata)}), tmp_path / "s.parquet"
    )
    message(empty, tmp_path / "s.parquet")
    assert levels(empty) == [[10], [], []]


# Shards and splits


@pytest.mark.parametrize(
    "names", [("0000", "0001"), ("train_0", "train_1"), ("train-00000-of-00002", "train-00001-of-00002")]
)
def test_numbers_of_shards_are_no_splits(empty, tmp_path, names):
    for i, name in enumerate(names):
        table(tmp_path / "set" / f"{name}.parquet", {"image": struct_column([10 * i + 10]), "label": [i]})
    message(empty, tmp_path / "set")
    assert levels(empty) == [[10], [20], []]


def test_a_set_of_which_a_shard_is_missing_or_doubled_is_refused(empty, tmp_path):
    rows = {"image": struct_column([10]), "label": [0]}
    first = table(tmp_path / "set" / "train-00000-of-00002.parquet", rows)
    err = refused(empty, tmp_path / "set")
    assert "holds 1 of 2 files of the set; number 1 is missing" in err.problem
    table(tmp_path / "set" / "train-00001-of-00002.parquet", rows)
    copy = table(tmp_path / "set" / "train-00001-of-00002 (1).parquet", rows)
    assert "second copy" in refused(empty, tmp_path / "set").problem
    copy.unlink()
    message(empty, tmp_path / "set")
    assert levels(empty)[0] == [10, 10]
    message(empty, first, replace=True)  # as the first message advised
    assert levels(empty)[0] == [10]


def test_folders_may_say_the_label_of_their_rows(empty, tmp_path):
    for c in range(2):
        table(tmp_path / "set" / f"label={c}" / "part-0.parquet", {"image": struct_column([10 * c])})
    assert 'labels from the folders "label=..."' in message(empty, tmp_path / "set")
    assert levels(empty) == [[0], [10], []]


# Tables beside class folders


def test_a_table_without_pictures_beside_class_folders_is_said(empty, tmp_path):
    put(tmp_path / "set" / "boot" / "a.png")
    table(tmp_path / "set" / "metadata.parquet", {"file_name": ["boot/a.png"], "text": ["a boot"]})
    put(tmp_path / "set" / ".cache" / "x.parquet", b"PAR1junk")
    assert "1 passed over (1 metadata.parquet)" in message(empty, tmp_path / "set")
    assert levels(empty) == [[50], [], []]


def test_pictures_in_folders_and_in_tables_are_asked_about(empty, tmp_path):
    put(tmp_path / "set" / "boot" / "a.png")
    path = table(tmp_path / "set" / "more" / "train.parquet", {"image": struct_column([10]), "label": [0]})
    assert "in class folders and others in tables" in refused(empty, tmp_path / "set").problem
    message(empty, path)
    assert levels(empty) == [[10], [], []]


# Names of classes


def test_folders_counted_from_one_are_asked_about(empty, tmp_path):
    """Left to itself, "3" would be no class, and leaving it out would shift the other two."""
    for i in (1, 2, 3):
        put(tmp_path / "set" / str(i) / "a.png", encoded(10 * i))
    for options in ({}, {"skip_unknown": True}):
        err = refused(empty, tmp_path / "set", **options)
        assert 'whether 1 is the first class ("boot") or the second ("T-shirt/top")' in err.problem
        assert "--first-label" in err.fix
    assert '"1" is "boot", "2" is "T-shirt/top", "3" is "dress"' in message(
        empty, tmp_path / "set", first_label=1
    )
    assert levels(empty) == [[10], [20], [30]]
    assert manifest(empty)["classes"] == {"1": "boot", "2": "T-shirt/top", "3": "dress"}


def test_classes_that_differ_by_case_are_told_apart():
    """ImageNet-1K has a dog "Cardigan" and a garment "cardigan"; exports name them by number and name."""
    task = ClassNames(("Cardigan", "boot", "cardigan"), ("n1", "n2", "n3"))
    assert match_classes(["Cardigan", "cardigan"], task) == {"Cardigan": 0, "cardigan": 2}
    assert match_classes(["00_Cardigan", "01_boot", "02_cardigan"], task) == {
        "00_Cardigan": 0, "01_boot": 1, "02_cardigan": 2,
    }  # fmt: skip
    assert match_classes(["0_CARDIGAN", "n3", "Boot"], task) == {"0_CARDIGAN": 0, "n3": 2, "Boot": 1}
    with pytest.raises(StudioError, match='"CARDIGAN" may be any of "Cardigan", "cardigan"'):
        match_classes(["CARDIGAN"], task)


# Folders


@pytest.mark.parametrize("packed", [False, True])
def test_what_systems_leave_in_folders_is_no_class_and_no_picture(empty, tmp_path, packed):
    root = tmp_path / "set"
    put(root / "boot" / "a.png")
    put(root / "dress" / "a.png")
    for name in (
        "boot/.ipynb_checkpoints/a-checkpoint.png", ".ipynb_checkpoints/a.png", "dress/@eaDir/a.png/THUMB_M.jpg",
        "dress/.thumbnails/x.png", "__MACOSX/boot/._a.png", "boot/Thumbs.db", "boot/.DS_Store", "desktop.ini",
    ):  # fmt: skip
        put(root / name)
    source = root
    if packed:
        source = tmp_path / "set.zip"
        with zipfile.ZipFile(source, "w") as made:
            for path in sorted(p for p in root.rglob("*") if p.is_file()):
                made.write(path, path.relative_to(root))
    assert message(empty, source) == (
        f'Imported 2 pictures of 2 classes (no picture of "T-shirt/top") from "{source.name}".'
    )


def test_folders_inside_class_folders_belong_to_the_class(empty, tmp_path):
    for c, name in enumerate(("boot", "dress")):
        put(tmp_path / "set" / "train" / name / "images" / "0.png", encoded(10 * c))
        put(tmp_path / "set" / "train" / name / "1.png", encoded(10 * c + 1))
        put(tmp_path / "set" / "train" / name / "more" / "deep" / "2.png", encoded(10 * c + 2))
    message(empty, tmp_path / "set")
    assert [sorted(own) for own in levels(empty)] == [[0, 1, 2], [], [10, 11, 12]]
    put(tmp_path / "set" / "train" / "boot" / "dress" / "x.png")
    with pytest.raises(StudioError, match="in the folders of two classes"):
        message(empty, tmp_path / "set", replace=True)


def test_folders_of_pictures_in_unknown_classes_are_named_by_the_class(empty, tmp_path):
    put(tmp_path / "set" / "n01443537" / "images" / "0.png")
    assert '"n01443537" in "set" is no class' in refused(empty, tmp_path / "set").problem


def test_pictures_are_known_by_their_bytes_where_the_ending_says_nothing(empty, tmp_path):
    jpeg = encoded(50, "JPEG")
    for name in ("a.jpg", "b", "c.jpe", "d.jpg?w=200", "e.jfif"):
        put(tmp_path / "set" / "boot" / name, jpeg)
    for name in ("notes.txt", "list"):
        put(tmp_path / "set" / "boot" / name, b"no picture")
    said = message(empty, tmp_path / "set")
    assert "Imported 5 pictures" in said
    assert said.endswith("2 passed over (1 .txt, 1 without an ending).")


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_names_that_are_no_utf8_come_through(empty, tmp_path):
    folder = tmp_path / "set" / "boot"
    folder.mkdir(parents=True)
    with open(os.fsencode(folder) + b"/b\xe9ret.png", "wb") as file:
        file.write(encoded(10))
    message(empty, tmp_path / "set")
    assert "boot/b\\xe9ret.png" in (empty.workspace.root / "pool" / "import.csv").read_text(encoding="utf-8")


# Zips


def zipped(path: Path, entries: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as made:
        for name, data in entries.items():
            made.writestr(zipfile.ZipInfo(name) if "\\" in name else name, data)
    return path


def test_backslashes_part_folders_as_windows_tools_write_them(empty, tmp_path):
    message(
        empty, zipped(tmp_path / "a.zip", {"set\\boot\\a.png": encoded(10), "set\\dress\\a.png": encoded(20)})
    )
    assert levels(empty) == [[10], [], [20]]


def test_honest_zips_are_no_bombs(empty, tmp_path):
    """A bitmap of one colour packs a thousand times smaller; a colon is no drive."""
    stream = io.BytesIO()
    Image.new("RGB", (1200, 1000), (9, 9, 9)).save(stream, "BMP")
    path = zipped(tmp_path / "a.zip", {"run 12:30/boot/a.bmp": stream.getvalue()}, zipfile.ZIP_DEFLATED)
    message(empty, path)
    assert levels(empty) == [[9], [], []]


def test_a_picture_with_a_wrong_checksum_is_left_out_when_asked(empty, tmp_path):
    path = zipped(tmp_path / "a.zip", {"boot/a.png": encoded(10), "boot/b.png": encoded(20)})
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 6] ^= 255
    path.write_bytes(data)
    assert "cannot be unpacked" in refused(empty, path).problem
    assert "1 left out" in message(empty, path, skip_broken=True)
    assert levels(empty) == [[20], [], []]


def test_half_a_zip_is_said_to_be_half(empty, tmp_path):
    path = zipped(tmp_path / "a.zip", {"boot/a.png": encoded(10)})
    path.write_bytes(path.read_bytes()[:60])
    assert "a zip whose end is missing" in refused(empty, path).problem


def test_tables_in_a_zip_are_named_and_come_in_from_the_folder(empty, tmp_path):
    path = table(tmp_path / "set" / "train-0.parquet", {"image": struct_column([10]), "label": [0]})
    packed = zipped(tmp_path / "set.zip", {"set/train-0.parquet": path.read_bytes()})
    err = refused(empty, packed)
    assert 'tables such as "set/train-0.parquet"' in err.problem and err.fix.startswith("Unpack it")
    message(empty, tmp_path / "set")
    assert levels(empty) == [[10], [], []]


@pytest.mark.parametrize("name", ["images.pt", "set.npz", "data.mdb", "set.tar.gz"])
def test_other_formats_are_named(empty, tmp_path, name):
    put(tmp_path / "set" / name, b"\0" * 64)
    for path in (tmp_path / "set", tmp_path / "set" / name):
        assert f'"{name}"' in refused(empty, path).problem


# Pictures


def exif(*entries: bytes, tail: bytes = b"") -> bytes:
    """A little-endian EXIF block of one directory."""
    head = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    return head + b"".join(entries) + b"\0\0\0\0" + tail


UPSIDE_DOWN = struct.pack("<HHII", 0x0112, 3, 1, 3)


def half(kind: str, **more) -> bytes:
    """Black above, white below."""
    stream = io.BytesIO()
    rows = np.r_[np.zeros((8, 16), np.uint8), np.full((8, 16), 255, np.uint8)]
    Image.fromarray(rows).save(stream, kind, **more)
    return stream.getvalue()


@pytest.mark.parametrize(
    "block",
    [
        exif(UPSIDE_DOWN),
        exif(UPSIDE_DOWN, struct.pack("<HHII", 0x011A, 10, 1, 38), tail=struct.pack("<ii", -1, 0)),  # -1/0
        exif(UPSIDE_DOWN, struct.pack("<HHII", 0x8769, 4, 1, 0xFFFFFFF0)),  # a directory outside the block
        exif(UPSIDE_DOWN, struct.pack("<HHI4s", 0x0005, 1, 1, b"\0\0\0\0")),
    ],
)
def test_the_orientation_is_read_whatever_else_the_block_holds(block):
    assert read_picture(half("JPEG", exif=block), (16, 16, 1))[0, 0, 0] > 250


@pytest.mark.parametrize(
    "block",
    [
        exif(),
        b"Exif\0\0" + bytes(20),
        b"junk",
        exif(struct.pack("<HHII", 0x0112, 3, 1, 0)),
        exif(UPSIDE_DOWN)[:20],
    ],
)
def test_a_block_that_says_no_orientation_turns_nothing(block):
    for kind in ("JPEG", "PNG"):
        assert read_picture(half(kind, exif=block), (16, 16, 1))[0, 0, 0] < 5


def test_an_orientation_in_xmp_counts():
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    assert read_picture(half("JPEG", xmp=packet), (16, 16, 1))[0, 0, 0] > 250


def test_whatever_a_decoder_stumbles_over_is_a_broken_picture():
    """Bytes changed at random: a picture, or a `PictureError`, and nothing else."""
    rng = np.random.default_rng(0)
    whole = [half("JPEG", exif=exif(UPSIDE_DOWN)), half("PNG"), half("WEBP"), half("BMP")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as under PYTHONWARNINGS=error
        for i in range(400):
            data = bytearray(whole[i % len(whole)])
            for place in rng.integers(0, len(data), 8):
                data[place] = rng.integers(0, 256)
            try:
                assert read_picture(bytes(data), (8, 8, 1)).shape == (8, 8, 1)
            except PictureError:
                continue


def test_first_bytes_tell_every_kind_that_is_read():
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "PPM"):
        assert looks_like_picture(half(kind)[:16]), kind
    for other in (b"GIF", b"<!DOCTYPE html>", b"PAR1", b"", b"Put it here"):
        assert not looks_like_picture(other)


def test_odd_metadata_is_passed_over_in_silence_and_other_warnings_are_not(recwarn):
    """Pillow warns of a palette with transparency in bytes; only its own modules are kept quiet, for all threads."""
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 255, 255, 0, 0])
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=b"\x10\xff")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: read_picture(stream.getvalue(), (4, 4, 3)), range(16)))
    assert not recwarn.list
    warnings.warn("somebody else's", stacklevel=1)
    assert [str(found.message) for found in recwarn.list] == ["somebody else's"]
