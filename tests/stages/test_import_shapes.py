"""Every shape that pictures come in: the same pictures become the same pool, and what leaves a doubt is asked about."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import CLASS_NAMES, SIZE, finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.core.errors import StudioError
from psr_studio.core.pictures import read_picture
from psr_studio.stages.importing.reading import label_by_rule

FOLDERS = ("boot", "T-shirt top", "dress")
N = 3


def picture(c: int, i: int) -> np.ndarray:
    return np.random.default_rng([c, i]).integers(0, 256, (SIZE, SIZE), np.uint8)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


EXPECTED = np.stack([picture(c, i) for c in range(3) for i in range(N)])[..., None]
LABELS = np.repeat(np.arange(3), N)


@pytest.fixture
def empty(tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        yield studio


def whole(studio, path: Path, **options) -> str:
    """Import a source, hold its pool against the pictures that went in, and return what was said."""
    said = finish(studio.import_pool(path, **options))[-1].message
    assert np.array_equal(studio.pool.labels, LABELS)
    assert np.array_equal(studio.pool.images, EXPECTED)
    return said


def refused(studio, path: Path, **options) -> StudioError:
    with pytest.raises(StudioError) as err:
        finish(studio.import_pool(path, **options))
    assert not len(studio.pool)
    return err.value


def tar(target: Path, files: dict[str, bytes | tarfile.TarInfo], mode: str = "w") -> Path:
    with tarfile.open(target, mode) as packed:
        for name, data in files.items():
            member = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(data, bytes):
                member.size = len(data)
            packed.addfile(member, io.BytesIO(data) if isinstance(data, bytes) else None)
    return target


def in_folders(root: str = "set") -> dict[str, bytes]:
    return {f"{root}/{FOLDERS[c]}/{i}.png": png(picture(c, i)) for c in range(3) for i in range(N)}


def samples(classes=range(3)) -> dict[str, bytes]:
    found = {}
    for c in classes:
        for i in range(N):
            found |= {
                f"{c}{i}.seg.png": png(picture(c, i)),
                f"{c}{i}.cls": str(c).encode(),
                f"{c}{i}.txt": b"a caption",
            }
    return found


# Archives


PACKED = {"set.tar": "w", "set.tar.gz": "w:gz", "set.tgz": "w:gz", "set.tar.xz": "w:xz"}


@pytest.mark.parametrize(("name", "mode"), PACKED.items())
def test_a_tar_of_class_folders(empty, tmp_path, name, mode):
    files = {**in_folders(), "set/boot/notes.txt": b"about boots", "set/.hidden/x.png": b""}
    assert "1 passed over (1 .txt)" in whole(empty, tar(tmp_path / name, files, mode))


def test_a_webdataset_shard_and_a_folder_of_shards(empty, tmp_path):
    whole(empty, tar(tmp_path / "one.tar", samples()))
    shards = tmp_path / "shards"
    shards.mkdir()
    for number in range(3):
        tar(shards / f"train-{number:06d}.tar", samples([number]))
    tar(shards / "val-000000.tar", samples([0]))
    with pytest.raises(StudioError, match="holds 2 splits: train, val"):
        finish(empty.import_pool(shards, replace=True))
    whole(empty, shards, split="train", replace=True)


def test_labels_in_the_tables_of_a_shard_and_samples_without_one(empty, tmp_path):
    files = {}
    for c in range(3):
        for i in range(N):
            files |= {
                f"{c}{i}.png": png(picture(c, i)),
                f"{c}{i}.json": json.dumps({"label": CLASS_NAMES[c]}).encode(),
            }
    files["zz.png"] = png(picture(9, 9))
    assert "1 passed over (1 samples without a label)" in whole(empty, tar(tmp_path / "set.tar", files))
    rows = list(csv.reader((empty.workspace.root / "pool" / "import.csv").open()))
    assert ["", "set.tar, zz.png", "it has no label"] in rows


def test_our_own_shards_and_tensors_come_back(scored_workspace, tmp_path, tiny_bundle):
    """The WebDataset and DD-Ranking layouts of an export are read by the import: the same pictures and classes."""
    with Studio(scored_workspace) as studio:
        finish(studio.export(formats=["webdataset", "dd-ranking"], refined=False, zip=False, name="back"))
        chosen = studio.selection()
        images = studio.pool.images_at(chosen.positions)
        folder = studio.workspace.export_path("back")
    sources: dict[str, dict] = {
        "shard-000000.tar": {},
        "dd-ranking-images.safetensors": {"values": "normalised"},
    }
    for name, options in sources.items():
        with Studio(tmp_path / name, tiny_recipe(tiny_bundle)) as other:
            finish(other.import_pool(folder / name, **options))
            assert np.array_equal(other.pool.labels, chosen.labels) and np.array_equal(
                other.pool.images, images
            )


def linked() -> tarfile.TarInfo:
    made = tarfile.TarInfo("set/boot/9.png")
    made.type, made.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return made


@pytest.mark.parametrize(
    ("files", "mode", "words"),
    [
        ({"../boot/0.png": b"x"}, "w", "a path that leads out of it"),
        ({"/boot/0.png": b"x"}, "w", "a path that leads out of it"),
        ({"set/boot/9.png": linked()}, "w", "a link"),
        ({"set/boot/0.png": bytes(8 * 2**20)}, "w:gz", "more than 100 times its size"),
        ({"a.png": b"x", "a.jpg": b"x", "a.cls": b"0"}, "w", 'several pictures under the key "/a"'),
    ],
)
def test_a_tar_made_to_harm_is_refused_before_a_picture_is_read(empty, tmp_path, files, mode, words):
    assert words in refused(empty, tar(tmp_path / "set.tar", files, mode)).problem


def test_half_a_tar_is_damaged_and_leaves_the_pool(empty, tmp_path):
    made = tar(tmp_path / "set.tar.gz", in_folders(), "w:gz")
    made.write_bytes(made.read_bytes()[:-200])
    assert "is a damaged tar" in refused(empty, made).problem


# Tensors


def tensors(form: str) -> tuple[torch.Tensor, torch.Tensor]:
    pixels, labels = torch.from_numpy(EXPECTED), torch.from_numpy(LABELS)
    first = pixels.movedim(-1, 1).float() / 255
    return {
        "bytes": pixels,
        "unit": first,
        "signed": first * 2 - 1,
        "large": first * 255,
        "half": first.half(),
        "last": pixels.float() / 255,
    }[form], labels


@pytest.mark.parametrize("form", ["bytes", "unit", "signed", "large", "half", "last"])
def test_tensors_are_read_by_their_range(empty, tmp_path, form):
    images, labels = tensors(form)
    (tmp_path / "set").mkdir()
    torch.save(images, tmp_path / "set" / "images.pt")
    torch.save(labels, tmp_path / "set" / "labels.pt")
    said = whole(empty, tmp_path / "set" / "images.pt")
    assert 'labels from "labels"' in said and '"0" is "boot"' in said
    whole(empty, tmp_path / "set", replace=True)


def test_normalised_tensors_are_asked_about_and_then_read(empty, tmp_path):
    images, labels = tensors("unit")
    torch.save({"image_syn": (images - 0.5) / 0.25, "label_syn": labels.float()}, tmp_path / "set.pt")
    err = refused(empty, tmp_path / "set.pt")
    assert "numbers from -2 to 2" in err.problem and "--values" in err.fix and '"normalised"' in err.fix
    whole(empty, tmp_path / "set.pt", values="normalised")
    with pytest.raises(StudioError, match="no way to read numbers"):
        finish(empty.import_pool(tmp_path / "set.pt", values="zscore", replace=True))


def test_npz_soft_labels_and_dd_rankings_layout(empty, tmp_path):
    """A distribution over classes is the label of its largest share; hard labels go before soft ones."""
    images, labels = tensors("unit")
    soft = torch.nn.functional.one_hot(labels, 3) * 4.0 - 1
    np.savez(tmp_path / "set.npz", x_train=EXPECTED[..., 0], y_train=soft.numpy())
    whole(empty, tmp_path / "set.npz")
    ranked = tmp_path / "ranked"
    ranked.mkdir()
    for name, values in (("images", images), ("hard_labels", labels), ("soft_labels", soft.flip(1))):
        torch.save(values, ranked / f"{name}.pt")
    whole(empty, ranked, replace=True)


class Harm:
    def __reduce__(self):
        return Path.touch, (Path("harm"),)


def test_no_tensor_file_runs_code_and_what_is_not_plain_is_said(empty, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"images": Harm()}, tmp_path / "images.pt")
    np.savez(tmp_path / "set.npz", images=np.array([Harm()], object), labels=np.zeros(1))
    for name in ("images.pt", "set.npz"):
        assert "no plain tensors" in refused(empty, tmp_path / name).problem
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"images": torch.zeros(4, 5, 5, 5), "labels": torch.zeros(4)}, "has the shape (4, 5, 5, 5)"),
        (
            {"images": torch.zeros(4, 1, 5, 5), "labels": torch.zeros(3)},
            "4 pictures, which need one label each",
        ),
        ({"images": torch.full((4, 1, 5, 5), torch.nan), "labels": torch.zeros(4)}, "not finite"),
        ({"images": torch.zeros(4, 1, 5, 5)}, "no tensor of labels"),
        ({"images": torch.full((4, 1, 5, 5), -3), "labels": torch.zeros(4)}, "whole numbers from -3"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(empty, tmp_path, found, words):
    torch.save(found, tmp_path / "set.pt")
    assert words in refused(empty, tmp_path / "set.pt").problem


# Lists


def write_flat(folder: Path) -> list[str]:
    """All pictures in one folder, named by class and number."""
    folder.mkdir(parents=True)
    names = []
    for c in range(3):
        for i in range(N):
            names.append(f"{FOLDERS[c].replace(' ', '_')}_{i:03d}.png")
            (folder / names[-1]).write_bytes(png(picture(c, i)))
    return names


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "bare"])
def test_a_list_of_paths_and_labels(empty, tmp_path, kind):
    names = write_flat(tmp_path / "set" / "all")
    rows = [(f"all/{name}", int(c)) for name, c in zip(names, LABELS, strict=True)]
    if kind == "jsonl":
        text = "\n".join(json.dumps({"file_name": file, "label": label, "note": "x"}) for file, label in rows)
    else:
        mark = "\t" if kind == "tsv" else ","
        head = [] if kind == "bare" else [("id", "path", "class")]
        lines = [*head, *(rows if kind == "bare" else [(i, *row) for i, row in enumerate(rows)])]
        text = "\n".join(mark.join(map(str, line)) for line in lines)
    file = tmp_path / "set" / f"list.{'csv' if kind == 'bare' else kind}"
    file.write_text(text + "\n")
    whole(empty, file)
    whole(empty, tmp_path / "set", replace=True)  # the only list of a folder without class folders


def test_what_is_odd_in_a_list_is_said(empty, tmp_path):
    names = write_flat(tmp_path / "set")
    file = tmp_path / "set" / "list.csv"
    good = [f"{name},{c}" for name, c in zip(names, LABELS, strict=True)]
    file.write_text("\n".join(["file,label", *good, good[0], "lost.png,1", f"{names[1]},"]))
    assert '"lost.png" in "list.csv" cannot be used: the list names it' in refused(empty, file).problem
    said = whole(empty, file, skip_broken=True)
    assert "1 left out" in said and "1 listed twice" in said and "1 rows without a label" in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("../secret.png,0", "no path below the folder of the list"),
        ("/etc/secret.png,0", "no path below the folder of the list"),
        ("boot_000.png,1", 'gives "boot_000.png" two labels, "0" and "1"'),
    ],
)
def test_a_list_that_leads_elsewhere_or_contradicts_itself(empty, tmp_path, line, words):
    write_flat(tmp_path / "set")
    (tmp_path / "set" / "list.csv").write_text(f"file,label\nboot_000.png,0\n{line}\n")
    assert words in refused(empty, tmp_path / "set" / "list.csv").problem


def test_a_list_without_known_columns_asks(empty, tmp_path):
    names = write_flat(tmp_path / "set")
    lines = [f"{name},{c}" for name, c in zip(names, LABELS, strict=True)]
    (tmp_path / "set" / "list.csv").write_text("\n".join(["where,what", *lines]))
    err = refused(empty, tmp_path / "set" / "list.csv")
    assert "its columns are where, what" in err.problem and "--image-column" in err.fix
    whole(empty, tmp_path / "set" / "list.csv", image_column="where", label_column="what")


# Names and links


def test_a_flat_folder_by_a_naming_rule(empty, tmp_path):
    write_flat(tmp_path / "set")
    (tmp_path / "set" / "cover.png").write_bytes(png(picture(9, 9)))
    assert "--rule" in refused(empty, tmp_path / "set").fix
    assert 'must hold "{class}" once' in refused(empty, tmp_path / "set", rule="*_#").problem
    assert 'is as "{class}-#" says' in refused(empty, tmp_path / "set", rule="{class}-#").problem
    said = whole(empty, tmp_path / "set", rule="{class}_#")
    assert 'classes from names as "{class}_#"' in said and "1 of other names" in said


@pytest.mark.parametrize(
    ("rule", "name", "label"),
    [
        ("{class}_#", "black_cat_12.png", "black_cat"),
        ("{class}_*", "black_cat_12.png", "black_cat"),  # a class of the task, so not "black"
        ("{class}_*", "grey_dog_1.png", "grey"),
        ("*-{class}", "0001-dog.jpeg", "dog"),
        ("{class}/im*/*", "set/dog/images/7.png", "dog"),
        ("{class}_#", "dog.png", None),
        ("a+b ({class})", "a+b (dog).png", "dog"),
    ],
)
def test_a_naming_rule_is_what_it_looks_like(rule, name, label):
    assert label_by_rule(rule, name, lambda text: text in ("black_cat", "dog")) == label


def test_linked_class_folders_are_read_and_said(empty, tmp_path):
    for name, data in in_folders("away").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "set").mkdir()
    for name in FOLDERS:
        (tmp_path / "set" / name).symlink_to(tmp_path / "away" / name)
    said = whole(empty, tmp_path / "set")
    assert f'"boot" from the link to "{tmp_path / "away" / "boot"}"' in said
    (tmp_path / "set" / "all").symlink_to(tmp_path)  # it holds the named folder: pictures would come twice
    with pytest.raises(StudioError, match="is a link"):
        finish(empty.import_pool(tmp_path / "set", replace=True))


# Pictures of every kind, each by its rule: golden pixels


def encoded(image: Image.Image, kind: str, **more) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **more)
    return stream.getvalue()


RED, BLUE = (255, 0, 0), (0, 0, 255)


def first_frame() -> dict[str, bytes]:
    frames = [Image.new("RGB", (4, 4), RED), Image.new("RGB", (4, 4), BLUE)]
    how = {"save_all": True, "append_images": frames[1:], "duration": 50}
    return {
        "GIF": encoded(frames[0], "GIF", **how),
        "WEBP": encoded(frames[0], "WEBP", lossless=True, **how),
        "PNG": encoded(frames[0], "PNG", **how),
    }


def palette(transparency: int | None) -> bytes:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 255, 255, 0, 0])
    return encoded(image, "PNG", **({} if transparency is None else {"transparency": transparency}))


def deep(value: int) -> bytes:
    return encoded(Image.fromarray(np.full((4, 4), value, np.uint16)), "PNG")


def deep_colour(value: int) -> bytes:
    """A PNG of 16 bits for each of three channels, which Pillow does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + struct.pack(">3H", value, 0, 0xFFFF) * 4 for _ in range(4))
    head = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def turned() -> bytes:
    """Red above blue, saved on its side with the orientation that says so."""
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2], pixels[2:] = RED, BLUE
    exif = Image.Exif()
    exif[0x0112] = 8
    return encoded(Image.fromarray(np.rot90(pixels, -1)), "PNG", exif=exif)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        *((data, RED) for data in first_frame().values()),  # of an animation the first frame
        (palette(None), RED),
        (palette(1), (255, 255, 255)),  # what is transparent becomes white
        (encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG"), (255, 255, 255)),
        (encoded(Image.new("RGBA", (4, 4), (255, 0, 0, 51)), "PNG"), (255, 204, 204)),  # a fifth of red over white
        (encoded(Image.new("LA", (4, 4), (0, 255)), "PNG"), (0, 0, 0)),
        (deep(257 * 100), (100, 100, 100)),  # 65535 is 255
        (deep(257 * 100 + 129), (101, 101, 101)),  # and rounded: 100.502
        (deep_colour(0x64FF), (0x64, 0, 255)),  # in colour the upper 8 of 16 bits
        (encoded(Image.new("1", (4, 4), 1), "PNG"), (255, 255, 255)),
    ],
)  # fmt: skip
def test_every_kind_of_picture_by_its_rule(data, expected):
    found = read_picture(data, (4, 4, 3))
    assert found.shape == (4, 4, 3) and (found == np.array(expected)).all(), found[0, 0]


def test_cmyk_is_the_plain_subtraction_of_inks():
    """255 less cyan less black, and so on; JPEG loses a few levels."""
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    found = read_picture(data, (16, 16, 3)).astype(int)
    assert np.abs(found - np.array(RED)).max() <= 4


def test_exif_turns_a_picture_upright():
    found = read_picture(turned(), (4, 4, 3))
    assert (found[:2] == RED).all() and (found[2:] == BLUE).all()


def test_a_large_jpeg_is_scaled_as_if_every_detail_had_been_decoded():
    """Detail that is left out is far finer than what is kept: 3 of 255 levels on average; of the size kept, none."""
    y, x = np.mgrid[:600, :800]
    waves = np.stack([127 + 120 * np.sin(x / 40 + c) * np.cos(y / 55) for c in range(3)], axis=-1).astype(
        np.uint8
    )
    data = encoded(Image.fromarray(waves), "JPEG", quality=95)
    whole = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    exact = read_picture(png(whole), (48, 64, 3)).astype(int)
    assert np.abs(read_picture(data, (48, 64, 3)) - exact).mean() < 3
    assert np.array_equal(read_picture(data, (600, 800, 3)), whole)
