"""Latents of pictures that came without: encoded by the codec of the bundle when a step first needs them, and kept.

A pool that was generated, or encoded by the same codec when it was imported, holds its own. Others are encoded part by
part into `latents/<codec>/`, only the parts in which candidates lie that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.bundles.bundle import CODEC
from psr_studio.core.devices import pick_device
from psr_studio.core.errors import ModelError
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.batches import spans
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.pool import PartView, Pool
from psr_studio.storage.workspace import Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.models.codec import Codec


def encoded(codec: Codec, images: np.ndarray, batch_size: int, name: str) -> np.ndarray:
    """Pictures uint8 (n, H, W, ch) as latents float32 (n, c, h, w); ModelError, naming the bundle, for rubbish."""
    parts = [codec.encode_uint8(images[rows]) for rows in spans(len(images), batch_size)]
    latents = np.concatenate(parts).astype(np.float32)
    if not np.isfinite(latents).all():
        raise ModelError(
            f'The codec of "{name}" encoded pictures to latents that are not finite numbers.',
            "Check its weights with `psr-studio doctor`.",
        )
    return latents


def encode(ws: Workspace, recipe: Recipe, bundle: Bundle, candidate_ids: Sequence[int]) -> Iterator[PartView]:
    """Encode the parts that candidates lie in and that have no latents of this codec yet; yields each when done.

    Raises:
        ModelError: the bundle has no codec, or its files are not on this machine.
    """
    pool = ws.pool()
    if _are_in(pool, bundle):
        return
    bundle.require(CODEC, "The pictures of this pool have no latents")
    expected = {_path(ws, bundle, part): part for part in _parts_of(pool, candidate_ids)}
    hashes: dict[Path, str | None] = {path: _hash(bundle, part) for path, part in expected.items()}
    lacking = ws.lacking(hashes)
    codec = bundle.codec(pick_device(recipe.device)) if lacking else None
    for path, part in expected.items():
        if codec is not None and path in lacking:
            images = pool.images_at(pool.positions(part.candidate_ids))
            ws.write_latents_part(
                bundle.identity(CODEC), part.class_id, part.part, candidate_ids=part.candidate_ids,
                latents=encoded(codec, images, recipe.pool.batch_size, bundle.name),
                inputs_hash=_hash(bundle, part),
            )  # fmt: skip
            yield part


def latents_at(ws: Workspace, bundle: Bundle, pool: Pool, positions: np.ndarray) -> np.ndarray:
    """Latents (n, c, h, w) float32 of some positions of a pool, of which `encode` has made what lacked.

    Raises:
        WorkspaceError: a part of them is damaged or not there.
    """
    if _are_in(pool, bundle):
        return pool.latents_at(positions)
    ids = pool.candidate_ids[positions]
    found: dict[int, np.ndarray] = {}
    for part in _parts_of(pool, ids):
        _, stored = ws.parts.read(_path(ws, bundle, part), ["candidate_id", "latent"])
        found |= zip(stored["candidate_id"].tolist(), stored["latent"], strict=True)
    return np.stack([found[candidate] for candidate in ids.tolist()])


def _are_in(pool: Pool, bundle: Bundle) -> bool:
    """Whether the pool itself holds latents of the codec that is in use."""
    made_by: Any = pool.settings.get(
        "codec"
    )  # a generated pool says nothing of it: its status looks after it
    return pool.has_latents and made_by in (None, bundle.identity(CODEC))


def _parts_of(pool: Pool, candidate_ids: Sequence[int] | np.ndarray) -> list[PartView]:
    return [part for part in pool.parts() if np.isin(part.candidate_ids, candidate_ids).any()]


def _path(ws: Workspace, bundle: Bundle, part: PartView) -> Path:
    return ws.latents_part_path(bundle.identity(CODEC), part.class_id, part.part)


def _hash(bundle: Bundle, part: PartView) -> str:
    return stable_hash({"stage": "encode", "pool": part.content_hash, "codec": bundle.identity(CODEC)})
