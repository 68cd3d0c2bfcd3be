"""The half of `Studio` that the Curate tab moves: sliders, marks, undo, and the selection they make."""

from __future__ import annotations

from typing import Any

from psr_studio.errors import RecipeError
from psr_studio.opening import OpenWorkspace
from psr_studio.recipe import Recipe, check_value
from psr_studio.records import SelectionRecord
from psr_studio.stages import select
from psr_studio.stages.live import LiveSelection, resolve_weights

CURATE_KEYS = ("alpha", "beta", "gamma", "ipc", "temperature", "selector")
SLIDER_SECONDS = 1.0  # one drag of a slider is one undo


class Curating(OpenWorkspace):
    """An open workspace that can be selected from, live."""

    _live: tuple[object, LiveSelection] | None = None

    @property
    def live(self) -> LiveSelection:
        """Selection without a save, for sliders; made anew when pool, scores or teacher change."""
        with self._lock:
            state = self._live_state()
            if self._live is None or self._live[0] != state:
                self._live = (state, LiveSelection(self.workspace, self.recipe, self.bundle))
            self._live[1].recipe = self.recipe
            return self._live[1]

    def curate_settings(self) -> dict[str, Any]:
        """Weights, images per class, temperature and selector as the sliders stand; weights are resolved."""
        chosen = self._curated().select
        return {**{key: getattr(chosen, key) for key in CURATE_KEYS}, **resolve_weights(chosen)._asdict()}

    def set_curate_settings(self, merge_within: float = SLIDER_SECONDS, **settings: Any) -> str | None:
        """Move sliders, as one undoable action; a weight of None follows the preset of the budget.

        Returns:
            What changed in words, or None when nothing did.
        """
        for key, value in settings.items():
            if key not in CURATE_KEYS:
                raise RecipeError(f'"{key}" has no slider.', f"Set one of {', '.join(CURATE_KEYS)}.", key)
            check_value(f"select.{key}", value)
        return self.workspace.ledger.set_settings(settings, merge_within=merge_within)

    def mark(self, candidate_ids: list[int], mark: str | None, reason: str = "") -> str | None:
        """Pin, veto or clear (None) candidates; returns what was done, None when nothing changed."""
        return self.workspace.ledger.set_marks(candidate_ids, mark, reason)  # type: ignore[arg-type]

    def undo(self) -> str | None:
        """Take back the last mark or slider move; returns what it was."""
        return self.workspace.ledger.undo()

    def redo(self) -> str | None:
        """Do it again; returns what it was."""
        return self.workspace.ledger.redo()

    def save_selection(self, name: str = "current") -> SelectionRecord:
        """Select as the sliders stand and save it under a name; the recipe takes their settings over."""
        chosen = self._curated().select
        values = {f"select.{key}": getattr(chosen, key) for key in CURATE_KEYS}
        self.set({**values, "select.name": name})
        for _ in select.run(self.workspace, self.recipe, self.bundle, live=self.live):
            pass
        return self.workspace.ledger.selection(name)

    def _curated(self) -> Recipe:
        """The recipe with the slider settings of the ledger over it."""
        moved = {f"select.{k}": v for k, v in self.workspace.ledger.settings().items() if k in CURATE_KEYS}
        if "select.ipc" in moved:  # the recipe's pool size says nothing about the pool on disk
            moved["pool.pool_size"] = max(self.recipe.pool.pool_size, moved["select.ipc"])
        return self.recipe.with_values(moved)

    def _live_state(self) -> object:
        """Changes whenever a file of the pool or of its scores does."""
        found = self.workspace.pool()
        teacher = self.bundle.teacher_id
        paths = [self.workspace.scores_part_path(teacher, p.class_id, p.part) for p in found.parts()]
        stats = [path.stat() if path.is_file() else None for path in paths]
        return id(found), teacher, tuple((s.st_mtime_ns, s.st_size) if s else None for s in stats)
