"""What the Curate tab asks and does, as plain answers: the routes only carry them.

Positions are indices into the pool order (0 to N - 1); lists "per class" are indexed by class id.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psr_studio.app.curation import SelectChange
from psr_studio.app.studio import Studio
from psr_studio.core.errors import SelectionError, StudioError
from psr_studio.recipe.schema import SelectRecipe
from psr_studio.stages.select.result import LiveResult
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.records import SelectionRecord
from psr_studio.ui.curate.answer import Answers, asked_for, marks
from psr_studio.ui.curate.maps import MapService
from psr_studio.ui.curate.pack import pack
from psr_studio.ui.curate.pool_view import PoolView, check_positions
from psr_studio.ui.curate.selections import listed
from psr_studio.ui.words import on_screen

MARKS = {"pin": "pin", "veto": "veto", "clear": None}


class Curation:
    """One curation of one workspace; safe to share between requests, which take turns under `lock`."""

    def __init__(self, studio: Studio, maps: MapService) -> None:
        self.studio = studio
        self.lock = threading.RLock()
        self.answers = Answers()
        self.view = PoolView(studio, maps)
        self.sheets = self.view.sheets
        self.sheet = self.view.sheet
        self._on_screen: list[int] | None = None

    @property
    def revision(self) -> int:
        """Counts the selections that were answered."""
        return self.answers.revision

    # Asking

    def state(self) -> dict[str, Any]:
        """What a page needs before anything else; n = 0 and a message when there is nothing to curate."""
        with self.lock:
            try:
                live = self.studio.live
            except StudioError as err:
                return {"revision": self.revision, "n": 0, "message": on_screen(f"{err.problem} {err.fix}")}
            settings = self.studio.curate_settings()
            height, width, channels = self.studio.pool.image_shape
            kind = self.view.layout(live).kind
            return {
                "revision": self.revision,
                "project": self.studio.workspace.root.name,
                "n": live.n,
                "n_classes": len(live.class_names),
                "class_names": list(live.class_names),
                "image": {"width": width, "height": height, "channels": channels},
                "sprite": self.view.sprite(),
                "weights": self.studio.curate_rules().weights._asdict(),
                "ipc": settings["ipc"],
                "temperature": settings["temperature"],
                "selector": settings["selector"],
                "selectors": self.studio.selectors(),
                "normalize": self.studio.recipe.select.setting("normalize"),
                "ipc_presets": self.studio.ipc_presets(),
                "has_original": live.has_original,
                "map": {"kind": kind, "revision": kind},
                "counts": live.counts.tolist(),
                **asked_for(live, self._shown_or_none(), settings),
                "selections": listed(self.studio.workspace.ledger, self._on_screen),
                **marks(live, self.studio.workspace.ledger),
                "revision_hash": self._fingerprint(settings),
            }

    def warm_up(self) -> None:
        """Do once what the first page would wait for."""
        with self.lock:
            self.view.layout(self.studio.live)
            self.shown()

    def candidate_ids(self) -> list[int] | None:
        """The selection on screen, None before the first one; never waits."""
        return self._on_screen

    def shows(self, record: SelectionRecord) -> bool:
        """Whether a saved selection is what is on screen: the same images in the same order, labels as soft."""
        same = self._on_screen == record.candidate_ids
        return same and self.studio.curate_settings()["temperature"] == record.settings["temperature"]

    def points(self) -> bytes:
        """Coordinates, labels and signals of every candidate."""
        with self.lock:
            live = self.studio.live
            live.temperature = self.studio.curate_settings()["temperature"]
            return self.view.points(live, self.revision)

    def duplicates(self) -> bytes:
        """How near the nearest other candidate of its class is to each."""
        with self.lock:
            live = self.studio.live
        return self.view.duplicates(live)  # takes minutes in a very large pool: sliders go on meanwhile

    def newer_map(self, have: str) -> bytes | None:
        """The map, None while it is still of the kind that the page has; has a better one made."""
        with self.lock:
            live = self.studio.live
        layout = self.view.layout(live, improve=True)  # reads every embedding: sliders go on meanwhile
        if layout.kind == have:
            return None
        return pack({"kind": layout.kind, "revision": layout.kind}, {"xy": ("f32", layout.xy)})

    def candidate(self, position: int) -> dict[str, Any]:
        """Everything the inspector shows of one candidate."""
        with self.lock:
            return self.view.candidate(self.studio.live, position)

    def candidate_ids_at(self, positions: Sequence[int]) -> list[int]:
        """Candidates by position; SelectionError for a position that is not there."""
        live = self.studio.live
        check_positions(live, positions)
        return [int(live.candidate_ids[p]) for p in positions]

    def shown(self) -> LiveResult:
        """The selection on screen; made now when there is none of this pool yet."""
        live = self.studio.live
        return live.result or self._run(self.studio.curate_rules())

    # Doing: each answers with the new selection

    def select(self, change: SelectChange) -> bytes:
        """Move the sliders, set budgets by hand, lock classes; what is refused changes nothing."""
        with self.lock:
            rules, locked = self.studio.changed_rules(change), change.locked
            return self.act(None if locked is None else lambda: self.studio.set_locked(locked), rules)

    def mark(self, positions: Sequence[int], mark: str, reason: str = "") -> bytes:
        """Pin, veto or clear; more pins than fit are refused and change nothing."""
        if mark not in MARKS:
            raise SelectionError(f'There is no mark "{mark}".', f"Use one of: {', '.join(MARKS)}.")
        return self.act(lambda: self.studio.mark(self.candidate_ids_at(positions), MARKS[mark], reason))

    def swap(self, out: int, into: int) -> bytes:
        """Veto one candidate and pin another in its place, as one action."""
        return self.act(lambda: self.studio.swap(*self.candidate_ids_at([out, into])))

    def undo(self) -> bytes:
        """Take back the last action."""
        with self.lock:
            self.studio.undo()
            return self.act()

    def redo(self) -> bytes:
        """Do it again."""
        with self.lock:
            self.studio.redo()
            return self.act()

    def act(self, action: Callable[[], str | None] | None = None, rules: SelectRecipe | None = None) -> bytes:
        """Do something undoable, move sliders, and select again; what cannot be selected then is taken back.

        Args:
            action: returns what it did, None when it changed nothing.
            rules: where the sliders go; None leaves them.
        """
        began = time.perf_counter()
        with self.lock:
            done = action() if action else None
            try:
                result = self._run(rules or self.studio.curate_rules())
            except StudioError:
                if done:
                    self.studio.undo()
                raise
            if rules:
                self.studio.move_to(rules)
            settings, ledger = self.studio.curate_settings(), self.studio.workspace.ledger
            return self.answers.pack(self.studio.live, result, settings, ledger, began)

    # Inside

    def _run(self, rules: SelectRecipe) -> LiveResult:
        live = self.studio.live
        result = live.select(rules=rules)
        self._on_screen = live.candidate_ids[result.positions].tolist()
        return result

    def _shown_or_none(self) -> LiveResult | None:
        """The selection on screen; None where there can be none, which `select` then says."""
        try:
            return self.shown()
        except StudioError:
            return None

    def _fingerprint(self, settings: Mapping[str, Any]) -> str:
        """Names what is on screen: equal for the same pool, settings, marks and locks."""
        ledger = self.studio.workspace.ledger
        marked = [ledger.pinned(), ledger.vetoed(), sorted(ledger.locked().items())]
        return stable_hash([self.studio.pool.content_hash(), dict(settings), marked])[:12]
