"""The distilled set as files: pictures in class folders, tables, and the layouts that other tools read.

The only folders of an export are the class folders, as `torchvision.datasets.ImageFolder` wants it; every other format
is files beside them. Every writer takes the set and an empty folder that is being filled, and writes equal bytes for
equal sets. Shape letters: n images, C classes.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from psr_studio.core.stopping import stop_if_asked

SHARD_SIZE = 1000  # images per WebDataset shard
PARQUET = "train-00000-of-00001.parquet"
DD_RANKING = "dd-ranking-"
WORD = re.compile(r"[^\w.+-]+")


@dataclass(frozen=True)
class ExportSet:
    """A distilled set, class by class, in pick order inside a class."""

    class_names: tuple[str, ...]
    pngs: list[bytes]  # n
    images: np.ndarray  # (n, H, W, ch) uint8, the same pictures
    labels: np.ndarray  # (n,) int64
    candidate_ids: np.ndarray  # (n,) int64
    seeds: np.ndarray  # (n,) int64
    logits: np.ndarray  # (n, C) float32, the teacher's, of the seed
    soft_labels: np.ndarray  # (n, C) float32, softmax(logits / temperature)
    temperature: float
    signals: dict[str, np.ndarray]  # reliability, entropy, difficulty: (n,)
    filled: np.ndarray  # (n,) bool
    tags: tuple[str, ...]  # of each picture, with "; " between them
    normalisation: tuple[Any, Any]  # mean and std of the pixels in [0, 1]: numbers, or float32 (ch, 1, 1)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def counts(self) -> dict[str, int]:
        """Images by class name."""
        return {name: int((self.labels == c).sum()) for c, name in enumerate(self.class_names)}

    @property
    def ranks(self) -> np.ndarray:
        """(n,) place of each image inside its class."""
        return np.array([int((self.labels[:i] == c).sum()) for i, c in enumerate(self.labels)], np.int64)

    @property
    def paths(self) -> list[str]:
        """Picture paths; folders sort into label order, files into pick order."""
        ids, ranks = self.candidate_ids, self.ranks
        return [
            f"{class_folder(self.class_names, int(c))}/{rank:05d}_{cid:010d}.png"
            for c, rank, cid in zip(self.labels, ranks, ids, strict=True)
        ]


def class_folder(class_names: tuple[str, ...], class_id: int) -> str:
    """A folder name that sorts by class number: class 0, "T-shirt/top", becomes "00_T-shirt-top"."""
    width = max(2, len(str(len(class_names) - 1)))
    word = WORD.sub("-", class_names[class_id]).strip("-.") or "class"
    return f"{class_id:0{width}d}_{word[:60]}"


def write_pictures(data: ExportSet, folder: Path) -> None:
    """One folder per class, as `torchvision.datasets.ImageFolder` reads it."""
    for name, png in zip(data.paths, data.pngs, strict=True):
        stop_if_asked()
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png)


def write_labels(data: ExportSet, folder: Path, with_pictures: bool) -> None:
    """soft_labels.safetensors and labels.csv, both in the order of the pictures."""
    arrays = {
        "soft_labels": data.soft_labels,
        "logits": data.logits,
        "labels": data.labels,
        "candidate_ids": data.candidate_ids,
    }
    about = {"temperature": data.temperature, "class_names": data.class_names}
    facts = {"psr_studio": json.dumps(about)}  # one key: safetensors writes several in any order
    whole = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    save_file(whole, folder / "soft_labels.safetensors", facts)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    soft = [f"soft_label_{c}" for c in range(len(data.class_names))]
    head = ["file", "label", "class_name", "candidate_id", "seed", *data.signals, "filled", "tags", *soft]
    writer.writerow(head)
    for i, path in enumerate(data.paths):
        label = int(data.labels[i])
        signals = [f"{values[i]:.6g}" for values in data.signals.values()]
        origin = [data.class_names[label], data.candidate_ids[i], data.seeds[i]]
        soft_label = [f"{q:.8g}" for q in data.soft_labels[i]]
        file = path if with_pictures else ""
        writer.writerow([file, label, *origin, *signals, int(data.filled[i]), data.tags[i], *soft_label])
    (folder / "labels.csv").write_text(text.getvalue(), encoding="utf-8")


def write_parquet(data: ExportSet, folder: Path) -> None:
    """train-00000-of-00001.parquet with Hugging Face features: image, label, soft labels, seed."""
    n_classes = len(data.class_names)
    columns: dict[str, tuple[pa.Array, dict[str, Any]]] = {
        "image": (
            pa.array(
                [{"bytes": png, "path": Path(p).name} for png, p in zip(data.pngs, data.paths, strict=True)],
                pa.struct({"bytes": pa.binary(), "path": pa.string()}),
            ),
            {"_type": "Image"},
        ),
        "label": (pa.array(data.labels), {"names": list(data.class_names), "_type": "ClassLabel"}),
        "soft_labels": _vectors(data.soft_labels, n_classes),
        "logits": _vectors(data.logits, n_classes),
        "candidate_id": (pa.array(data.candidate_ids), {"dtype": "int64", "_type": "Value"}),
        "seed": (pa.array(data.seeds), {"dtype": "int64", "_type": "Value"}),
    }
    features = {name: feature for name, (_, feature) in columns.items()}
    table = pa.table({name: array for name, (array, _) in columns.items()})
    table = table.replace_schema_metadata({b"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, folder / PARQUET, compression="none", write_page_checksum=True)


def _vectors(values: np.ndarray, width: int) -> tuple[pa.Array, dict[str, Any]]:
    flat = pa.array(np.ascontiguousarray(values, np.float32).reshape(-1))
    feature = {"feature": {"dtype": "float32", "_type": "Value"}, "length": width, "_type": "Sequence"}
    return pa.FixedSizeListArray.from_arrays(flat, width), feature


def write_webdataset(data: ExportSet, folder: Path) -> None:
    """shard-000000.tar and on: for each image .png, .cls (its label) and .json (the rest)."""
    for shard, start in enumerate(range(0, len(data), SHARD_SIZE)):
        with tarfile.open(folder / f"shard-{shard:06d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for i in range(start, min(start + SHARD_SIZE, len(data))):
                stop_if_asked()
                for ending, content in _sample(data, i).items():
                    member = tarfile.TarInfo(f"{i:08d}.{ending}")  # its time stays 0: equal sets, equal bytes
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))


def _sample(data: ExportSet, i: int) -> dict[str, bytes]:
    about = {
        "class_name": data.class_names[int(data.labels[i])],
        "candidate_id": int(data.candidate_ids[i]),
        "seed": int(data.seeds[i]),
        "soft_labels": [float(q) for q in data.soft_labels[i]],
    }
    return {
        "png": data.pngs[i],
        "cls": str(int(data.labels[i])).encode(),
        "json": json.dumps(about, sort_keys=True).encode(),
    }


def write_dd_ranking(data: ExportSet, folder: Path) -> None:
    """dd-ranking-*: normalised float images, class by class, label logits, labels, and a note on them."""
    mean, std = data.normalisation
    pixels = data.images.astype(np.float32).transpose(0, 3, 1, 2) / 255
    arrays = {
        "images": np.ascontiguousarray((pixels - mean) / std, np.float32),
        "soft_labels": np.ascontiguousarray(data.logits, np.float32),
        "hard_labels": np.ascontiguousarray(data.labels),
    }
    for name, values in arrays.items():
        key = "images" if name == "images" else "labels"
        save_file({key: values}, folder / f"{DD_RANKING}{name}.safetensors")
    shown = {name: np.ravel(value).tolist() for name, value in (("mean", mean), ("std", std))}
    words = {name: ", ".join(f"{v:g}" for v in values) for name, values in shown.items()}
    (folder / f"{DD_RANKING}note.md").write_text(DD_RANKING_NOTE.format(**words), encoding="utf-8")


DD_RANKING_NOTE = """# Tensors in the layout of DD-Ranking

- `dd-ranking-images.safetensors`: key `images`, float32 (n, channels, H, W), already normalised with mean {mean} and
  standard deviation {std}, class by class; with K images in every class, rows k*K to (k+1)*K are class k.
- `dd-ranking-soft_labels.safetensors`: key `labels`, float32 (n, classes): *logits* of the teacher, since the losses of
  DD-Ranking apply the softmax.
- `dd-ranking-hard_labels.safetensors`: key `labels`, int64 (n,).

Pass them as tensors (`image_tensor=`, `soft_labels=`, `hard_labels=`):

```python
from safetensors.torch import load_file
images = load_file("dd-ranking-images.safetensors")["images"]
soft_labels = load_file("dd-ranking-soft_labels.safetensors")["labels"]
```

No pickle is written. Where a `.pt` file is wanted: `torch.save(images, "images.pt")`.
"""

WRITERS = {"parquet": write_parquet, "webdataset": write_webdataset, "dd-ranking": write_dd_ranking}
# What `datasets.load_dataset` is to read of an export, the best first; the table of labels where it knows no other.
DATA_FILES = {"parquet": PARQUET, "folder": "*/*.png", "webdataset": "*.tar", "dd-ranking": "labels.csv"}
