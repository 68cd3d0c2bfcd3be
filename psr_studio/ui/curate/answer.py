"""The answer to everything that selects: the new picks, what came and went, and the settings behind them.

Positions are indices into the pool order (0 to N - 1); lists "per class" are indexed by class id.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from psr_studio.stages.select import figures, reasons
from psr_studio.stages.select.budgets import by_class
from psr_studio.stages.select.result import LiveResult
from psr_studio.stages.select.scored import ScoredPool
from psr_studio.storage.ledger import Ledger
from psr_studio.storage.pool import contents
from psr_studio.ui.curate.pack import pack


class Answers:
    """Packs selections and remembers the last one, to say what the next one changes."""

    def __init__(self) -> None:
        self.revision = 0
        self._shown: frozenset[int] = frozenset()  # candidate ids
        self._of: ScoredPool | None = None
        self._before: dict[str, Any] | None = None
        self._means: dict[str, float | None] = {}

    def pack(
        self, result: LiveResult, settings: Mapping[str, Any], ledger: Ledger, fingerprint: str, began: float
    ) -> bytes:
        """The answer to a request that arrived at `began`, on the clock of `time.perf_counter`.

        `fingerprint` names the selection, see `Workbench.fingerprint`.
        """
        self.revision += 1
        picks, scored = result.positions, result.scored
        self.note_pool(scored)
        shown, self._shown = self._shown, frozenset(result.candidate_ids)
        before, self._means = self._means, figures.means(scored, picks, result.rules.temperature)
        header = {
            "revision": self.revision,
            "shown": fingerprint,
            "n": scored.n,
            "ipc": result.rules.ipc,
            "temperature": result.rules.temperature,
            "selector": result.selector,
            "weights": result.weights._asdict(),
            "picked": len(picks),
            "shortfall": [int(s) for s in result.shortfall],
            "counts": [len(p) for p in result.picks],
            "substituted": result.substituted,
            "message": result.message,
            "short_because": reasons.short_because(result.selector),
            "means": {name: [before.get(name, now), now] for name, now in self._means.items()},
            **asked_for(result, settings, ledger),
            **marks(scored, ledger),
        }
        arrays = {
            "picks": ("u32", picks),
            "pick_class": ("u16", scored.labels[picks]),
            "scores": ("f32", np.concatenate([*result.scores, np.zeros(0)])),
            "terms": ("f32", np.concatenate([*result.terms, np.zeros((0, 3))])),
            "filled": ("u8", np.concatenate([*result.filled, np.zeros(0, bool)])),
            "added": ("u32", scored.known_positions(sorted(self._shown - shown))),
            "dropped": ("u32", scored.known_positions(sorted(shown - self._shown))),
            "diversity": ("f32", result.diversity),
        }
        total = 1000 * (time.perf_counter() - began)
        return pack({**header, "ms": {"select": 1000 * result.seconds, "total": total}}, arrays)

    def note_pool(self, scored: ScoredPool) -> dict[str, Any] | None:
        """Take note of the pool that is shown from now on.

        Returns:
            What a page had on screen before the pool grew: its "pool" (`ScoredPool.content_hash`), and by position now
            its "picks" and what is "fresh" since. None where the pool has not grown since the first answer, or has been
            replaced.
        """
        if self._of is not scored:
            earlier, self._of, self._before = self._of, scored, None
            if earlier is not None and contents(earlier.pool.parts()) <= contents(scored.pool.parts()):
                picks = scored.known_positions(sorted(self._shown)).tolist()
                fresh = np.flatnonzero(~np.isin(scored.candidate_ids, earlier.candidate_ids)).tolist()
                self._before = {"pool": earlier.content_hash, "picks": picks, "fresh": fresh}
            else:
                self._shown = frozenset()
        return self._before


def asked_for(result: LiveResult | None, settings: Mapping[str, Any], ledger: Ledger) -> dict[str, Any]:
    """The settings, what each class gets, and at least by gain, what is said of it, and which classes were set by hand
    or are locked.
    """
    return {
        "settings": {name: value for name, value in settings.items() if name != "budgets"},
        "budgets": [int(n) for n in result.budgets] if result else [],
        "least": result.rules.least if result else 1,
        "spread": result.spread if result else "",
        "own_budgets": {str(class_id): n for class_id, n in by_class(settings.get("budgets")).items()},
        "locked": sorted(ledger.locked()),
    }


def marks(scored: ScoredPool, ledger: Ledger) -> dict[str, Any]:
    """Pins and vetoes as positions, the candidates by tag, counted and as positions, and the next undo and redo."""
    return {
        "pinned": scored.known_positions(ledger.pinned()).tolist(),
        "vetoed": scored.known_positions(ledger.vetoed()).tolist(),
        "tags": ledger.tag_counts(),
        "tagged": {tag: scored.known_positions(own).tolist() for tag, own in ledger.tagged().items()},
        "undo": ledger.next_undo(),
        "redo": ledger.next_redo(),
    }
