"""What the Curate tab asks and does, as plain answers: the routes only carry them.

Positions are indices into the pool order (0 to N - 1); lists "per class" are indexed by class id.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from psr_studio.errors import SelectionError, StudioError
from psr_studio.recipe import SelectRecipe, check_value
from psr_studio.stages.live import LiveResult, LiveSelection, resolve_weights
from psr_studio.studio import Studio
from psr_studio.ui.mapping import Layout, MapService
from psr_studio.ui.pack import pack
from psr_studio.ui.sprites import SheetCache, sheet_columns, sheet_png, tile_size

MARKS = {"pin": "pin", "veto": "veto", "clear": None}
N_NEIGHBOURS = 8
WEIGHTS = ("alpha", "beta", "gamma")
LARGEST_PRESET_BREAK = 1000  # images per class up to which the presets' steps are looked for


class Curation:
    """One curation of one workspace; safe to share between requests, which take turns."""

    def __init__(self, studio: Studio, maps: MapService) -> None:
        self.studio = studio
        self.maps = maps
        self.sheets = SheetCache()
        self.revision = 0
        self._shown: frozenset[int] = frozenset()
        self._on_screen: list[int] | None = None
        self._lock = threading.RLock()

    # Asking

    def state(self) -> dict[str, Any]:
        """What a page needs before anything else; n = 0 and a message when there is nothing to curate."""
        with self._lock:
            try:
                live = self.studio.live
            except StudioError as err:
                return {"revision": self.revision, "n": 0, "message": f"{err.problem} {err.fix}"}
            settings = self.studio.curate_settings()
            height, width, channels = self.studio.pool.image_shape
            return {
                "revision": self.revision,
                "n": live.n,
                "n_classes": len(live.class_names),
                "class_names": list(live.class_names),
                "image": {"width": width, "height": height, "channels": channels},
                "sprite": self._sprite(live),
                "weights": {name: settings[name] for name in WEIGHTS},
                "ipc": settings["ipc"],
                "temperature": settings["temperature"],
                "selector": settings["selector"],
                "normalize": self.studio.recipe.select.normalize,
                "ipc_presets": ipc_presets(),
                "map": {"kind": self._layout(live).kind, "revision": self._layout(live).kind},
                "counts": live.counts.tolist(),
                **self._marks(live),
            }

    def warm_up(self) -> None:
        """Do once what the first page would wait for."""
        with self._lock:
            live = self.studio.live
            self._layout(live)
            self._run(self.studio.curate_settings())

    def candidate_ids(self) -> list[int] | None:
        """The selection on screen, None before the first one; never waits."""
        return self._on_screen

    def points(self) -> bytes:
        """Coordinates, labels and signals of every candidate."""
        with self._lock:
            live = self.studio.live
            live.temperature = self.studio.curate_settings()["temperature"]
            header = {"revision": self.revision, "n": live.n, "temperature": live.temperature}
            return pack(
                {**header, "kind": self._layout(live).kind},
                {
                    "xy": ("f32", self._layout(live).xy),
                    "label": ("u16", live.labels),
                    "reliability": ("f32", live.reliability),
                    "entropy": ("f32", live.entropy),
                    "difficulty": ("f32", live.difficulty),
                    "rel_n": ("f32", live.rel_n),
                    "ent_n": ("f32", live.ent_n),
                    "eligible": ("u8", live.eligible),
                },
            )

    def newer_map(self, have: str) -> bytes | None:
        """The map, None while it is still of the kind that the page has."""
        with self._lock:
            layout = self._layout(self.studio.live)
        if layout.kind == have:
            return None
        return pack({"kind": layout.kind, "revision": layout.kind}, {"xy": ("f32", layout.xy)})

    def sheet(self, class_id: int) -> bytes:
        """All pictures of a class in pool order, as one PNG; an empty class is one dark tile."""
        pool = self.studio.pool
        columns = sheet_columns(pool.counts)
        tile = tile_size(pool.image_shape, columns)
        key = (pool.content_hash(), class_id, columns, tile)
        if (sheet := self.sheets.get(key)) is None:
            sheet = sheet_png(
                pool.images_at(np.flatnonzero(pool.labels == class_id), strict=False), tile, columns
            )
            self.sheets.put(key, sheet)
        return sheet

    def candidate(self, position: int) -> dict[str, Any]:
        """Everything the inspector shows of one candidate."""
        with self._lock:
            live = self.studio.live
            self._check(live, [position])
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
                "pick": pick and pick._asdict(),
                "why": live.why(position),
                "neighbours": live.neighbours(position, N_NEIGHBOURS),
            }

    # Doing: each answers with the new selection

    def select(self, settings: Mapping[str, Any]) -> bytes:
        """Move the sliders; values that are refused change nothing."""
        began = time.perf_counter()
        for key, value in settings.items():
            check_value(f"select.{key}", value)
        with self._lock:
            wanted = {**self.studio.curate_settings(), **settings}
            result = self._run(wanted)
            self.studio.set_curate_settings(**_as_presets(settings, wanted))
            return self._answer(result, began)

    def mark(self, positions: Sequence[int], mark: str, reason: str = "") -> bytes:
        """Pin, veto or clear; more pins than fit are refused and change nothing."""
        began = time.perf_counter()
        if mark not in MARKS:
            raise SelectionError(f'There is no mark "{mark}".', f"Use one of: {', '.join(MARKS)}.")
        with self._lock:
            live = self.studio.live
            self._check(live, positions)
            done = self.studio.mark([int(live.candidate_ids[p]) for p in positions], MARKS[mark], reason)
            try:
                result = self._run(self.studio.curate_settings())
            except SelectionError:
                if done:
                    self.studio.undo()
                raise
            return self._answer(result, began)

    def undo(self) -> bytes:
        """Take back the last mark or slider move."""
        return self._step(self.studio.undo)

    def redo(self) -> bytes:
        """Do it again."""
        return self._step(self.studio.redo)

    # Inside

    def _step(self, step: Callable[[], str | None]) -> bytes:
        began = time.perf_counter()
        with self._lock:
            step()
            return self._answer(self._run(self.studio.curate_settings()), began)

    def _run(self, settings: Mapping[str, Any]) -> LiveResult:
        live = self.studio.live
        weights = [settings[name] for name in WEIGHTS]
        rules = self.studio.recipe.select
        result = live.select(weights, settings["ipc"], settings["temperature"], settings["selector"], rules)
        self._on_screen = live.candidate_ids[result.positions].tolist()
        return result

    def _answer(self, result: LiveResult, began: float) -> bytes:
        live = self.studio.live
        self.revision += 1
        picks = result.positions
        shown, self._shown = self._shown, frozenset(picks.tolist())
        header = {
            "revision": self.revision,
            "n": live.n,
            "ipc": result.ipc,
            "temperature": result.temperature,
            "selector": result.selector,
            "weights": result.weights._asdict(),
            "picked": len(picks),
            "shortfall": [int(s) for s in result.shortfall],
            "counts": [len(p) for p in result.picks],
            "message": result.message,
            **self._marks(live),
        }
        arrays = {
            "picks": ("u32", picks),
            "pick_class": ("u16", live.labels[picks]),
            "scores": ("f32", np.concatenate([*result.scores, np.zeros(0)])),
            "terms": ("f32", np.concatenate([*result.terms, np.zeros((0, 3))])),
            "filled": ("u8", np.concatenate([*result.filled, np.zeros(0, bool)])),
            "added": ("u32", np.array(sorted(self._shown - shown), np.uint32)),
            "dropped": ("u32", np.array(sorted(shown - self._shown), np.uint32)),
            "diversity": ("f32", result.diversity),
        }
        total = 1000 * (time.perf_counter() - began)
        return pack({**header, "ms": {"select": 1000 * result.seconds, "total": total}}, arrays)

    def _marks(self, live: LiveSelection) -> dict[str, Any]:
        ledger = self.studio.workspace.ledger
        return {
            "pinned": _positions(live, ledger.pinned()),
            "vetoed": _positions(live, ledger.vetoed()),
            "undo": ledger.next_undo(),
            "redo": ledger.next_redo(),
        }

    def _layout(self, live: LiveSelection) -> Layout:
        return self.maps.layout(live.embeddings)

    def _sprite(self, live: LiveSelection) -> dict[str, Any]:
        pool = self.studio.pool
        columns = sheet_columns(pool.counts)
        tile = tile_size(pool.image_shape, columns)
        return {"tile": tile, "columns": columns, "version": pool.content_hash()[:16]}

    def _check(self, live: LiveSelection, positions: Sequence[int]) -> None:
        wrong = [p for p in positions if not 0 <= p < live.n]
        if wrong:
            raise SelectionError(
                f"There is no candidate at position {wrong[0]}: the pool has {live.n} candidates.",
                "Reload the page: the pool has changed since it was drawn.",
            )


def ipc_presets() -> list[dict[str, Any]]:
    """The weight presets by images per class: the largest budget of each, None for the last one."""
    rows: list[dict[str, Any]] = []
    plain = SelectRecipe()
    for ipc in range(1, LARGEST_PRESET_BREAK + 1):
        weights = resolve_weights(plain, ipc)._asdict()
        if not rows or rows[-1]["weights"] != weights:
            rows.append({"max_ipc": ipc, "weights": weights})
        rows[-1]["max_ipc"] = ipc
    rows[-1]["max_ipc"] = None
    return rows


def _as_presets(settings: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Weights that are just those of the preset are kept as "the preset", so that they follow the budget."""
    preset = resolve_weights(SelectRecipe(), wanted["ipc"])._asdict()
    if all(math.isclose(wanted[name], preset[name], abs_tol=1e-9) for name in WEIGHTS):
        return {**settings, **dict.fromkeys(WEIGHTS)}
    return dict(settings)


def _positions(live: LiveSelection, candidate_ids: Sequence[int]) -> list[int]:
    """Positions of candidates, in their order; those of another pool are left out."""
    places = {int(cid): i for i, cid in enumerate(candidate_ids)}
    found = np.flatnonzero(np.isin(live.candidate_ids, list(places)))
    return sorted((int(p) for p in found), key=lambda p: places[int(live.candidate_ids[p])])
