"""What the panels of the lab ask: difficulties, sufficiency, history, the command, and more candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from psr_studio.core.errors import RecipeError, SelectionError

if TYPE_CHECKING:
    from psr_studio.ui.screen import Screen


class Lab:
    """The lab behind one screen."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.studio = screen.studio

    def distributions(self, class_id: int | None = None) -> dict[str, Any]:
        """Ten bars of difficulty: original, pool, picked and target, before and after smoothing."""
        if class_id is not None:
            self._check_classes([class_id])
        with self.screen.curation.lock:
            self.screen.curation.shown()
            return self.studio.distributions(class_id)

    def sufficiency(self) -> list[dict[str, Any]]:
        """Whether each class's pool is large enough for its budget; beside the sliders, for it may take long."""
        return self.studio.sufficiency()

    def history(self, limit: int) -> list[dict[str, Any]]:
        """What was done, the newest first."""
        return self.studio.history(limit)

    def command(self) -> dict[str, str]:
        """The shell line that makes the selection on screen."""
        return {"command": self.studio.command()}

    def generate_more(self, classes: Sequence[int], pool_size: int) -> dict[str, int]:
        """Queue the steps that bring some classes to a larger pool, and score what is new.

        Raises:
            SelectionError: no class, or one that is not there.
            RecipeError: a size that no class would grow to.
            JobError: one of the steps already runs; the recipe stays as it was.
        """
        self._check_classes(classes)
        counts = self.studio.live.counts
        grown = sorted({c for c in classes if counts[c] < pool_size})
        if not grown:
            fewest = min(int(counts[c]) for c in classes)
            raise RecipeError(
                f"{pool_size} candidates per class are asked for, but these classes have {fewest} or more.",
                f"Ask for more than {fewest}.",
            )
        sizes = list(self.studio.recipe.pool.sizes or [0] * len(counts))
        for class_id in grown:
            sizes[class_id] = pool_size
        self.screen.worker.check_free("score")  # candidates without scores are of no use here
        job = self.screen.submit("pool", {"pool.sizes": sizes}, only=grown)
        self.screen.submit("score", {}, after=job)
        return {"job": job}

    def _check_classes(self, classes: Sequence[int]) -> None:
        n_classes = self.studio.bundle.n_classes
        wrong = [c for c in classes if not 0 <= c < n_classes]
        if wrong or not len(classes):
            problem = f"There is no class {wrong[0]}." if wrong else "No class is named."
            raise SelectionError(problem, f"Name classes from 0 to {n_classes - 1}.")
