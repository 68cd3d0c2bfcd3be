"""What the Curate tab draws that no slider changes: coordinates, signals, pictures, one candidate in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from psr_studio.app.studio import Studio
from psr_studio.core.errors import SelectionError
from psr_studio.core.kept import Kept
from psr_studio.stages.generate.targets import steered_to
from psr_studio.stages.importing.stage import has_seeds
from psr_studio.stages.select import figures
from psr_studio.stages.select.result import LiveResult
from psr_studio.stages.select.scored import ScoredPool
from psr_studio.storage.pool import Pool
from psr_studio.ui.curate.maps import Layout, MapService
from psr_studio.ui.curate.pack import pack
from psr_studio.ui.curate.sprites import SheetCache, sheet_columns, sheet_png, tile_size

N_NEIGHBOURS = 8


class PoolView:
    """The pool of one studio as packed arrays, PNG and JSON; only `sheet` and `duplicates` may run side by side."""

    def __init__(self, studio: Studio, maps: MapService) -> None:
        self.studio = studio
        self.maps = maps
        self.sheets = SheetCache()
        self._near: Kept[ScoredPool, np.ndarray] = Kept(1)

    def points(self, scored: ScoredPool, temperature: float, revision: int) -> bytes:
        """Coordinates, labels and signals of every candidate."""
        header = {"revision": revision, "n": scored.n, "temperature": temperature}
        now = scored.signals(temperature)
        layout = self.layout(scored)
        return pack(
            {**header, "kind": layout.kind},
            {
                "xy": ("f32", layout.xy),
                "label": ("u16", scored.labels),
                "reliability": ("f32", now.reliability),
                "entropy": ("f32", now.entropy),
                "difficulty": ("f32", scored.difficulty),
                "rel_n": ("f32", now.rel_n),
                "ent_n": ("f32", now.ent_n),
                "eligible": ("u8", scored.eligible),
            },
        )

    def duplicates(self, scored: ScoredPool) -> bytes:
        """How near the nearest other candidate of its class is to each; asked for when it is shown."""
        near = self._near.get(scored, lambda: figures.near_duplicates(scored))
        return pack({"threshold": figures.NEAR_DUPLICATE}, {"near": ("f32", near)})

    def layout(self, scored: ScoredPool, improve: bool = False) -> Layout:
        """The map as it is now; `improve` has a better one made."""
        return self.maps.layout(scored.embeddings, improve)

    def sprite(self, pool: Pool) -> dict[str, Any]:
        """How the sheets are laid out, and a version for their addresses."""
        columns = sheet_columns(pool.counts)
        tile = tile_size(pool.image_shape, columns)
        return {"tile": tile, "columns": columns, "version": pool.content_hash()[:16]}

    def sheet(self, pool: Pool, class_id: int) -> bytes:
        """All pictures of a class in pool order, as one PNG; an empty class is one dark tile."""
        columns = sheet_columns(pool.counts)
        tile = tile_size(pool.image_shape, columns)
        key = (pool.content_hash(), class_id, columns, tile)
        if (sheet := self.sheets.get(key)) is None:
            members = np.flatnonzero(pool.labels == class_id)
            sheet = sheet_png(pool.images_at(members, strict=False), tile, columns)
            self.sheets.put(key, sheet)
        return sheet

    def candidate(self, result: LiveResult, position: int) -> dict[str, Any]:
        """What the inspector shows of one candidate, beside the selection on screen."""
        scored, now = result.scored, result.signals
        class_id = int(scored.labels[position])
        candidate_id = int(scored.candidate_ids[position])
        ledger = self.studio.workspace.ledger
        pick = result.pick_info(position)
        seed = str(scored.pool.seeds[position])  # 63 bits: more than a JavaScript number holds
        return {
            "position": position,
            "candidate_id": candidate_id,
            "class_id": class_id,
            "class_name": scored.class_names[class_id],
            "seed": seed if has_seeds(self.studio.workspace) else "",
            "steered": steered_to(scored.pool, position),
            "parent": self._parent(scored, position),
            "origin": scored.pool.origin_at(position),
            "soft_labels": [round(float(q), 6) for q in now.soft_labels[position]],
            "own_labels": scored.pool.has_own_logits,
            "predicted": int(scored.predicted[position]),
            "reliability": float(now.reliability[position]),
            "entropy": float(now.entropy[position]),
            "difficulty": float(scored.difficulty[position]),
            "eligible": bool(scored.eligible[position]),
            "mark": ledger.marks().get(candidate_id),
            "reason": ledger.mark_reasons().get(candidate_id, ""),
            "tags": ledger.tags().get(candidate_id, []),
            "pick": pick and pick._asdict(),
            "neighbours": self._neighbours(scored, position),
        }

    def variations(self, scored: ScoredPool) -> dict[str, int]:
        """By position, as text, the number of the candidate that another one is a variation of."""
        return {str(at): int(scored.parents[at]) for at in np.flatnonzero(scored.parents >= 0)}

    def _parent(self, scored: ScoredPool, position: int) -> dict[str, Any] | None:
        """What a candidate is a variation of, its "position" None where it is not among the scored; None of others."""
        (parent,), (strength,) = scored.pool.parents_at([position])
        if parent < 0:
            return None
        at = scored.known_positions([int(parent)]).tolist()
        return {"candidate_id": int(parent), "position": at[0] if at else None, "strength": float(strength)}

    def _neighbours(self, scored: ScoredPool, position: int) -> list[dict[str, Any]]:
        """The nearest candidates of the class, and how far they lie, see `ScoredPool.apart`."""
        near = scored.neighbours(position, N_NEIGHBOURS)
        apart = scored.apart(scored.embeddings[position], scored.embeddings[near])
        return [{"position": p, "distance": round(float(d), 4)} for p, d in zip(near, apart, strict=True)]


def check_positions(scored: ScoredPool, positions: Sequence[int]) -> None:
    """Raise SelectionError for a position that is not there."""
    wrong = [p for p in positions if not 0 <= p < scored.n]
    if wrong:
        raise SelectionError(
            f"There is no candidate at position {wrong[0]}: the pool has {scored.n} candidates.",
            "Reload the page: the pool has changed since it was drawn.",
        )
