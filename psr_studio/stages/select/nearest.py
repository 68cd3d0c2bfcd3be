"""What lies near in the teacher's features: real images near a candidate, and what a query can look near to."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from psr_studio.bundles.real_latents import finished, has_real_embeddings, real_embeddings, real_rows
from psr_studio.core.errors import SelectionError
from psr_studio.core.files import write_bytes
from psr_studio.core.pictures import PictureError, read_picture
from psr_studio.stages.generate.targets import need_real_images
from psr_studio.stages.score.stage import predict
from psr_studio.storage.png import decode_png, encode_png

if TYPE_CHECKING:
    import torch

    from psr_studio.bundles.bundle import Bundle
    from psr_studio.stages.select.scored import ScoredPool
    from psr_studio.storage.workspace import Workspace

FOLDER = Path("cache", "pictures")
NAME = re.compile(r"picture-[0-9a-f]{12}")
N_REAL = 8


@dataclass(frozen=True)
class NearReal:
    """The real training images of its class that are nearest to a candidate, the nearest first.

    Attributes:
        rows: in `Bundle.train_subset`. distances: to them, in the unit of `ScoredPool.apart`.
        known: whether the teacher has looked at the real images of the class; else nothing is found.
    """

    rows: list[int]
    distances: list[float]
    known: bool


def near_real(scored: ScoredPool, position: int, device: torch.device, *, look: bool) -> NearReal:
    """The real images nearest to a candidate.

    Args:
        look: have the teacher look at the real images of the class where it has not yet, which may take minutes; it is
            kept for all workspaces. Without it no picture is read.

    Raises:
        ModelError: the real images, or for a `look` the teacher, are not on this machine.
    """
    bundle, class_id = scored.bundle, int(scored.labels[position])
    need_real_images(bundle)
    if not look and not has_real_embeddings(bundle, class_id):
        return NearReal([], [], False)
    apart = scored.apart(scored.embeddings[position], finished(real_embeddings(bundle, class_id, device)))
    nearest = np.argsort(apart, kind="stable")[:N_REAL]
    return NearReal(real_rows(bundle, class_id)[nearest].tolist(), apart[nearest].tolist(), True)


def add_picture(ws: Workspace, bundle: Bundle, data: bytes) -> str:
    """Keep a picture from elsewhere, cut to the shape at rest, for queries to look near to; returns its name.

    Raises:
        SelectionError: it is no usable picture. DiskError: why it cannot be written.
    """
    try:
        pixels = read_picture(data, bundle.image_shape)
    except PictureError as err:
        raise SelectionError(
            f"That file cannot be looked near to: {err}.", "Choose another picture."
        ) from err
    name = f"picture-{hashlib.sha256(pixels.tobytes()).hexdigest()[:12]}"
    write_bytes(_path(ws, name), encode_png(pixels), ws.place)
    return name


def picture_png(ws: Workspace, name: str) -> bytes:
    """A picture by its name; SelectionError where there is none."""
    if not NAME.fullmatch(name) or not _path(ws, name).is_file():
        raise SelectionError(f'There is no picture "{name}".', "Choose it again.")
    return _path(ws, name).read_bytes()


def embedding_of(ws: Workspace, scored: ScoredPool, device: torch.device, name: str) -> np.ndarray:
    """The teacher's features (D,) of a candidate by its number, or of a picture by its name.

    Raises:
        SelectionError: there is none of that name. ModelError: for a picture, the teacher is not on this machine.
    """
    if NAME.fullmatch(name) and _path(ws, name).is_file():
        pixels = decode_png(picture_png(ws, name))
        return predict(scored.bundle.teacher(device), np.array(pixels)[None], scored.bundle)[1][0]
    number = int(name) if name.isdecimal() and len(name) <= len(str(np.iinfo(np.int64).max)) - 1 else -1
    found = scored.known_positions([number])
    if not len(found):
        raise SelectionError(
            f'There is no candidate or picture "{name}" to look near to.',
            'Write "near" with the number of a candidate, or choose a picture again.',
        )
    return scored.embeddings[found[0]]


def _path(ws: Workspace, name: str) -> Path:
    return ws.root / FOLDER / f"{name}.png"
