"""How fast pictures become PNG, and how large: ours against what else encodes losslessly.

    python benchmarks/encode.py [folder of photographs]

One thread, CPU time, encoders taking turns over the same pictures; the median of the rounds. Pictures at
256 px are photographs (the shorter side scaled to 256, centre cut out), those at 28 px the demo pool's.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from timing import conditions, medians, write_results

from psr_studio.bundles.catalogue import load_bundle
from psr_studio.storage.png import decode_png, encode_png
from psr_studio.storage.pool import Pool

N_PHOTOS, N_SMALL, ROUNDS = 60, 600, 5


def pillow(level: int | None) -> Callable[[np.ndarray], bytes]:
    """Pillow at a level, None for its default, which is what `Image.save` and torchvision's `save_image` use."""

    def encode(image: np.ndarray) -> bytes:
        stream = io.BytesIO()
        options = {} if level is None else {"compress_level": level}
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(stream, "png", **options)
        return stream.getvalue()

    return encode


def encoders() -> dict[str, Callable[[np.ndarray], bytes]]:
    """By name."""
    return {"Pillow, default": pillow(None), "Pillow, level 1": pillow(1), "ours": encode_png}


def photographs(folder: Path) -> list[np.ndarray]:
    """Photographs at 256 x 256, colour."""
    pictures = []
    for path in sorted(folder.rglob("*.JPEG"))[:N_PHOTOS]:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        scale = 256 / min(image.size)
        image = image.resize([max(256, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS)
        left, top = (image.width - 256) // 2, (image.height - 256) // 2
        pictures.append(np.asarray(image.crop((left, top, left + 256, top + 256))))
    return pictures


def small_pictures() -> list[np.ndarray]:
    """The demo pool of the embedded bundle."""
    bundle = load_bundle("fashion-mnist")
    assert bundle.demo is not None
    return list(Pool(sorted(bundle.demo.rglob("pool/*/*.parquet"))).images[:N_SMALL])


def compare(pictures: list[np.ndarray]) -> list[dict[str, object]]:
    """One row per encoder: microseconds and bytes per picture, and both against Pillow's default."""
    ways = encoders()
    sizes = {}
    for name, encode in ways.items():
        coded = [encode(image) for image in pictures]
        assert (
            all(np.array_equal(decode_png(a), b) for a, b in zip(coded, pictures, strict=True))
            or "Open" in name
        )
        sizes[name] = sum(map(len, coded)) / len(coded)
    runs = {name: partial(_encode_all, encode, pictures) for name, encode in ways.items()}
    seconds = medians(runs, ROUNDS)
    base, small = seconds["Pillow, default"].cpu, sizes["Pillow, default"]
    return [
        {
            "encoder": name,
            "us_per_image": round(1e6 * seconds[name].cpu / len(pictures), 1),
            "images_per_s": round(len(pictures) / seconds[name].cpu),
            "times_faster": round(base / seconds[name].cpu, 1),
            "bytes": round(sizes[name]),
            "size_ratio": round(sizes[name] / small, 3),
        }
        for name in ways
    ]


def _encode_all(encode: Callable[[np.ndarray], bytes], pictures: list[np.ndarray]) -> list[bytes]:
    return [encode(image) for image in pictures]


def main() -> None:
    """Print both tables and keep them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "photographs", type=Path, nargs="?", help="a folder of photographs, for the large case"
    )
    args = parser.parse_args()
    results = {"28 px grey, demo pool": compare(small_pictures())}
    if args.photographs:
        results["256 px colour, photographs"] = compare(photographs(args.photographs))
    for name, rows in results.items():
        print(name)
        for row in rows:
            print("  ", row)
    write_results("encode", {"conditions": conditions(), "rounds": ROUNDS, "tables": results})


if __name__ == "__main__":
    main()
