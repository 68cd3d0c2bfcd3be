"""How fast pictures become a pool: importing beside plain decoding loops, and scoring beside the teacher alone.

    python benchmarks/import.py FOLDER [--side 224] [--teacher FOLDER]
    python benchmarks/import.py FOLDER --teacher FOLDER --copies 9469       # once: the teacher alone, import and score
    python benchmarks/import.py --teacher FOLDER --side 32 --memory 20000 100000

FOLDER holds a folder of JPEG photographs per class. Everything runs by the clock on all cores of this machine, taking
turns, and the median of the rounds counts. A peer's loop decodes the same files to the same side and keeps nothing:
Pillow with `draft` (which lets the JPEG decoder skip detail that would be scaled away), torchvision.io, and either in
as many threads as there are cores. An import hashes, encodes as PNG without loss and writes whole parts besides.

`--copies` makes that many photographs of those in FOLDER, cut a little and encoded anew, and takes each way once: the
teacher alone sees half of them, decoded beforehand, before the import and half after it. `--memory` makes so many PNG
files of noise, imports and scores them in a process each by the teacher at their own size, and says its peaks.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
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
from psr_studio.core.devices import peak_memory
from psr_studio.core.pictures import read_picture
from psr_studio.core.progress import Progress
from psr_studio.stages.importing.look import look
from psr_studio.stages.importing.stage import N_DECODERS
from psr_studio.storage.png import encode_png

ROUNDS = 3
MOST_CUT = 8  # pixels at an edge of a copy
QUALITY = 92  # of its JPEG
N_CLASSES = 10  # of the pictures of noise
CPU = torch.device("cpu")


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

    def opened(self) -> Studio:
        """A new workspace."""
        return Studio(self.root / f"ws{next(self.number)}", bundle=self.bundle, device="cpu")

    def imported(self) -> Studio:
        """A workspace with the pictures as its pool."""
        studio = self.opened()
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
        with self.opened() as studio:
            teacher = studio.bundle.teacher(CPU)

        def run() -> None:
            teacher.predict(torch.from_numpy(images), batch_size=64)

        return run


def copied(files: list[Path], n: int, side: int, folder: Path) -> list[Path]:
    """n photographs in class folders, each a given one without a few pixels at its edges."""
    rng, made = np.random.default_rng(0), []
    for i in range(n):
        path = files[i % len(files)]
        left, top, right, bottom = rng.integers(0, MOST_CUT + 1, 4)
        made.append(folder / path.parent.name / f"{i:06d}.jpg")
        made[-1].parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            inside = image.convert("RGB").crop((left, top, image.width - right, image.height - bottom))
            inside.resize((side, side), Image.Resampling.BICUBIC).save(made[-1], quality=QUALITY)
    return made


def timed(run: Callable[[], None]) -> np.ndarray:
    """Seconds by the clock, and of CPU time."""
    began = time.perf_counter(), time.process_time()
    run()
    return np.array([time.perf_counter() - began[0], time.process_time() - began[1]])


def beside_the_teacher(
    place: Path, files: list[Path], n: int, side: int, source: str
) -> list[dict[str, Any]]:
    """What the teacher alone takes over n copies of the photographs, and what import and score take."""
    made = copied(files, n, side, place / "copies")
    projects = Projects(place, place / "copies", side, source)
    images = np.stack([ours(side)(path) for path in made])
    projects.teacher_alone(images[:64])()
    alone = timed(projects.teacher_alone(images[: n // 2]))
    both = timed(projects.import_and_score)
    alone += timed(projects.teacher_alone(images[n // 2 :]))
    return [
        {"way": name, "wall_s": round(wall, 1), "cpu_s": round(cpu, 1), "cpu_ratio": round(cpu / alone[1], 3),
         "wall_ratio": round(wall / alone[0], 3)}
        for name, (wall, cpu) in {
            "the teacher alone, pictures in memory": alone.tolist(), "import and score": both.tolist(),
        }.items()
    ]  # fmt: skip


def noise(folder: Path, n: int, side: int, names: tuple[str, ...]) -> None:
    """n PNG files in class folders."""
    rng = np.random.default_rng(0)
    for name in names:
        (folder / name).mkdir(parents=True)
    for i in range(n):
        picture = rng.integers(0, 256, (side, side, 3), np.uint8)
        (folder / names[i % len(names)] / f"{i:06d}.png").write_bytes(encode_png(picture))


def peaks(place: Path, folder: Path, side: int, source: str) -> dict[str, int]:
    """Most MiB of this process at once: before, importing and scoring."""
    found = {"before": 0, "import": 0, "score": 0}

    def follow(stage: str, events: Iterable[Progress]) -> None:
        for _ in events:  # a measured cost starts the peak anew
            found[stage] = max(found[stage], (peak_memory(CPU) or 0) >> 20)
        found[stage] = max(found[stage], (peak_memory(CPU) or 0) >> 20)  # what comes after the last event

    projects = Projects(place, folder, side, source)
    found["before"] = (peak_memory(CPU) or 0) >> 20
    with projects.opened() as studio:
        follow("import", studio.import_pool(folder))
        print(found, file=sys.stderr, flush=True)
        follow("score", studio.score())
    return found


def small_teacher(source: Path, side: int, folder: Path) -> Path:
    """The same network, which sees pictures of this side as they are."""
    shutil.copytree(source, folder)
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    about["pretrained_cfg"] |= {"input_size": [3, side, side], "crop_pct": 1.0}
    (folder / "config.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


def in_memory(place: Path, numbers: list[int], side: int, source: str) -> list[dict[str, Any]]:
    """The peaks of a process for each number of pictures."""
    teacher = small_teacher(Path(source), side, place / "teacher")
    names = teacher_facts(str(teacher)).wordnet_ids[:N_CLASSES]
    rows = []
    for n in numbers:
        folder = place / f"noise-{n}"
        noise(folder, n, side, names)
        command = [
            sys.executable,
            __file__,
            str(folder),
            "--peaks",
            "--side",
            str(side),
            "--teacher",
            str(teacher),
        ]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(
            {"pictures": n, **{f"{k}_mib": v for k, v in json.loads(run.stdout.splitlines()[-1]).items()}}
        )
        print(rows[-1], flush=True)
        shutil.rmtree(folder)
    return rows


def main() -> None:
    """Print the table and keep it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path, nargs="?", default=Path())
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--teacher", default="", help="of ImageNet-1K, for the time with scoring")
    parser.add_argument("--decoders", action="store_true", help="only these, changing after every picture")
    parser.add_argument(
        "--copies", type=int, default=0, help="of the photographs, for the teacher's time at scale"
    )
    parser.add_argument(
        "--memory", type=int, nargs="+", default=[], help="pictures; a process for each number"
    )
    parser.add_argument("--peaks", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peaks:
        with tempfile.TemporaryDirectory() as place:
            print(json.dumps(peaks(Path(place), args.photographs, args.side, args.teacher)))
        return
    if args.memory:
        with tempfile.TemporaryDirectory() as place:
            rows = in_memory(Path(place), args.memory, args.side, args.teacher)
        keep("import-memory", rows, side=args.side)
        return
    files = sorted(args.photographs.rglob("*.JPEG")) + sorted(args.photographs.rglob("*.jpg"))
    decoders = {"ours": ours, "Pillow, draft": pillow_draft, "torchvision.io": torchvision_io}
    if args.decoders:
        rows = by_turns({name: make(args.side) for name, make in decoders.items()}, files)
        keep("import-decoders", rows, photographs=len(files), side=args.side, rounds=ROUNDS)
        return
    if args.copies:
        with tempfile.TemporaryDirectory() as place:
            rows = beside_the_teacher(Path(place), files, args.copies, args.side, args.teacher)
        keep("import-full", rows, photographs=args.copies, side=args.side)
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
