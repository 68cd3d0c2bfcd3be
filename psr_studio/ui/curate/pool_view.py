"""What the Curate tab draws that no slider changes: coordinates, signals, pictures, one candidate in words."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from psr_studio.app.studio import Studio
from psr_studio.core.errors import SelectionError
from psr_studio.stages.select import figures as lab
from psr_studio.stages.select.live import LiveSelection
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
        self._near: tuple[LiveSelection, np.ndarray] | None = None
        self._near_lock = threading.Lock()

    def points(self, live: LiveSelection, revision: int) -> bytes:
        """Coordinates, labels and signals of every candidate."""
        header = {"revision": revision, "n": live.n, "temperature": live.temperature}
        layout = self.layout(live)
        return pack(
            {**header, "kind": layout.kind},
            {
                "xy": ("f32", layout.xy),
                "label": ("u16", live.labels),
                "reliability": ("f32", live.reliability),
                "entropy": ("f32", live.entropy),
                "difficulty": ("f32", live.difficulty),
                "rel_n": ("f32", live.rel_n),
                "ent_n": ("f32", live.ent_n),
                "eligible": ("u8", live.eligible),
            },
        )

    def duplicates(self, live: LiveSelection) -> bytes:
        """How near the nearest other candidate of its class is to each; asked for when it is shown."""
        with self._near_lock:
            if self._near is None or self._near[0] is not live:
                self._near = (live, lab.near_duplicates(live))
            return pack({"threshold": lab.NEAR_DUPLICATE}, {"near": ("f32", self._near[1])})

    def layout(self, live: LiveSelection, improve: bool = False) -> Layout:
        """The map as it is now; `improve` has a better one made."""
        return self.maps.layout(live.embeddings, improve)

    def sprite(self) -> dict[str, Any]:
        """How the sheets are laid out, and a version for their addresses."""
        pool = self.studio.pool
        columns = sheet_columns(pool.counts)
        tile = tile_size(pool.image_shape, columns)
        return {"tile": tile, "columns": columns, "version": pool.content_hash()[:16]}

    def sheet(self, class_id: int) -> bytes:
        """All pictures of a class in pool order, as one PNG; an empty class is one dark tile."""
        pool = self.studio.pool
        columns = sheet_columns(pool.counts)
        tile = tile_size(pool.image_shape, columns)
        key = (pool.content_hash(), class_id, columns, tile)
        if (sheet := self.sheets.get(key)) is None:
            members = np.flatnonzero(pool.labels == class_id)
            sheet = sheet_png(pool.images_at(members, strict=False), tile, columns)
            self.sheets.put(key, sheet)
        return sheet

    def candidate(self, live: LiveSelection, position: int) -> dict[str, Any]:
        """Everything the inspector shows of one candidate."""
        check_positions(live, [position])
        class_id = int(live.labels[position])
        candidate_id = int(live.candidate_ids[position])
        pick = live.pick_info(position)
        return {
            "position": position,
            "candidate_id": candidate_id,
            "class_id": class_id,
            "class_name": live.class_names[class_id],
            "seed": str(live.seeds[position]),  # 63 bits: more than a JavaScript number holds
            "soft_labels": [round(float(q), 6) for q in live.soft_labels(position)],
            "predicted": int(live.predicted[position]),
            "reliability": float(live.reliability[position]),
            "entropy": float(live.entropy[position]),
            "difficulty": float(live.difficulty[position]),
            "eligible": bool(live.eligible[position]),
            "mark": self.studio.workspace.ledger.marks().get(candidate_id),
            "reason": self.studio.workspace.ledger.mark_reasons().get(candidate_id, ""),
            "pick": pick and pick._asdict(),
            "why": live.why(position),
            "neighbours": live.neighbours(position, N_NEIGHBOURS),
        }


def check_positions(live: LiveSelection, positions: Sequence[int]) -> None:
    """Raise SelectionError for a position that is not there."""
    wrong = [p for p in positions if not 0 <= p < live.n]
    if wrong:
        raise SelectionError(
            f"There is no candidate at position {wrong[0]}: the pool has {live.n} candidates.",
            "Reload the page: the pool has changed since it was drawn.",
        )
