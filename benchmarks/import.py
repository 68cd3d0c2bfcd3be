"""How fast pictures become a pool: importing beside plain decoding loops, and scoring beside the teacher alone.

    python benchmarks/import.py FOLDER [--side 224] [--teacher FOLDER]

FOLDER holds a folder of JPEG photographs per class. Everything runs by the clock on all cores of this machine, taking
turns, and the median of the rounds counts. A peer's loop decodes the same files to the same side and keeps nothing:
Pillow with `draft` (which lets the JPEG decoder skip detail that would be scaled away), torchvision.io, and either in
as many threads as there are cores. An import hashes, encodes as PNG without loss and writes whole parts besides.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from timing import conditions, medians, write_results
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms.functional import center_crop, resize

from psr_studio.app.studio import Studio
from psr_studio.bundles.own_pictures import Description, teacher_facts, write_description
from psr_studio.core.pictures import read_picture
from psr_studio.stages.importing.look import look
from psr_studio.stages.importing.stage import N_DECODERS

ROUNDS = 3


def ours(side: int) -> Callable[[Path], Any]:
    """Our decoder alone."""
    return lambda path: read_picture(path.read_bytes(), (side, side, 3))


def pillow_draft(side: int) -> Callable[[Path], Any]:
    """Pillow, which asks the JPEG decoder for no more detail than the side needs."""

    def decode(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            image.draft("RGB", (side, side))
            return np.asarray(ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BICUBIC))

    return decode


def torchvision_io(side: int) -> Callable[[Path], Any]:
    """torchvision's own decoder; pictures of the side are left as they are."""

    def decode(path: Path) -> torch.Tensor:
        image = decode_jpeg(read_file(str(path)), ImageReadMode.RGB)
        return image if min(image.shape[1:]) == side else center_crop(resize(image, [side]), [side, side])

    return decode


def each(decode: Callable[[Path], Any], files: list[Path], threads: int) -> Callable[[], None]:
    """A loop over the files, in threads where there are several."""

    def run() -> None:
        if threads == 1:
            for path in files:
                decode(path)
            return
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(decode, files, chunksize=8):
                pass

    return run


def by_turns(decoders: dict[str, Callable[[Path], Any]], files: list[Path]) -> list[dict[str, Any]]:
    """Median CPU time of a picture by each decoder, and its ratio to the least, changing after every picture."""
    times: dict[str, list[float]] = {name: [] for name in decoders}
    for number in range(ROUNDS + 1):
        for path in files:
            for name, decode in decoders.items():
                began = time.thread_time()
                decode(path)
                if number:
                    times[name].append(time.thread_time() - began)
    found = {name: statistics.median(taken) for name, taken in times.items()}
    return [
        {"way": name, "cpu_ms_per_image": round(1e3 * took, 3), "ratio": round(took / min(found.values()), 2)}
        for name, took in found.items()
    ]


class Projects:
    """Workspaces of pictures only over one bundle file, a fresh one for every round."""

    def __init__(self, root: Path, folder: Path, side: int, teacher: str) -> None:
        names = tuple(look(folder).counts)
        facts = teacher_facts(teacher) if teacher else None
        rows = None if facts is None or not facts.wordnet_ids else tuple(map(facts.wordnet_ids.index, names))
        described = Description("benchmark", names, side, rows=rows, teacher=teacher)
        self.bundle = str(write_description(root / "benchmark.toml", described).path)
        self.root, self.folder, self.number = root, folder, count()

    def imported(self) -> Studio:
        """A workspace with the pictures as its pool."""
        studio = Studio(self.root / f"ws{next(self.number)}", bundle=self.bundle, device="cpu")
        for _ in studio.import_pool(self.folder):
            pass
        return studio

    def import_once(self) -> None:
        """And gone again."""
        with self.imported() as studio:
            root = studio.workspace.root
        shutil.rmtree(root)

    def import_and_score(self) -> None:
        """Both, one after the other."""
        with self.imported() as studio:
            for _ in studio.score():
                pass
            root = studio.workspace.root
        shutil.rmtree(root)

    def teacher_alone(self, images: np.ndarray) -> Callable[[], None]:
        """The teacher over pictures in memory."""
        with Studio(self.root / f"ws{next(self.number)}", bundle=self.bundle, device="cpu") as studio:
            teacher = studio.bundle.teacher(torch.device("cpu"))

        def run() -> None:
            teacher.predict(torch.from_numpy(images), batch_size=64)

        return run


def main() -> None:
    """Print the table and keep it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--teacher", default="", help="of ImageNet-1K, for the time with scoring")
    parser.add_argument("--decoders", action="store_true", help="only these, changing after every picture")
    args = parser.parse_args()
    files = sorted(args.photographs.rglob("*.JPEG")) + sorted(args.photographs.rglob("*.jpg"))
    decoders = {"ours": ours, "Pillow, draft": pillow_draft, "torchvision.io": torchvision_io}
    if args.decoders:
        rows = by_turns({name: make(args.side) for name, make in decoders.items()}, files)
        keep("import-decoders", rows, photographs=len(files), side=args.side, rounds=ROUNDS)
        return
    with tempfile.TemporaryDirectory() as place:
        projects = Projects(Path(place), args.photographs, args.side, args.teacher)
        ways: dict[str, Callable[[], None]] = {
            f"{name}, decoding only, {threads} thread{'s' * (threads > 1)}": each(
                make(args.side), files, threads
            )
            for name, make in decoders.items()
            for threads in dict.fromkeys((1, N_DECODERS))
        }
        ways["import to a pool on the disk"] = projects.import_once
        if args.teacher:
            images = np.stack([ours(args.side)(path) for path in files])
            ways["the teacher alone, pictures in memory"] = projects.teacher_alone(images)
            ways["import and score"] = projects.import_and_score
        seconds = medians(ways, ROUNDS)
    rows = [
        {
            "way": name,
            "images_per_s": round(len(files) / found.wall),
            "wall_ms_per_image": round(1e3 * found.wall / len(files), 2),
            "cpu_ms_per_image": round(1e3 * found.cpu / len(files), 2),
        }
        for name, found in seconds.items()
    ]  # fmt: skip
    keep("import", rows, photographs=len(files), side=args.side, threads=N_DECODERS, rounds=ROUNDS)


def keep(name: str, rows: list[dict[str, Any]], **facts: int) -> None:
    """Print a table, and write it beside the conditions of the run."""
    for row in rows:
        print(row)
    write_results(name, {"conditions": conditions(), **facts, "table": rows})


if __name__ == "__main__":
    main()
