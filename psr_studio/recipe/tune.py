"""The table [tune] of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.fields import documented

PROXIES = ("knn", "student")


@dataclass(frozen=True)
class TuneRecipe:
    """Searching the weights and the selector by a proxy; how a short student is trained stands in [evaluate]."""

    trials: int = documented(30, "Settings to try, those tried before included.", "trials", 1, 1000)
    proxy: str = documented(
        "knn",
        "What a trial is judged by, on real images that no control uses: nearest neighbours in the teacher's "
        "features (knn), or a student trained for a short time (student).",
        choices=PROXIES,
    )
    selectors: tuple[str, ...] = documented(
        tuple(SELECTORS), "Selectors to choose among.", choices=tuple(SELECTORS)
    )
    weights: bool = documented(True, "Search alpha, beta and gamma of the selector psr; otherwise they stay.")
    student_epochs: int = documented(40, "Passes over the set by the short student.", "epochs", 1, 100_000)
    neighbours: int = documented(5, "Neighbours that vote in knn.", "images", 1, 1000)
    seed: int = documented(0, "Seed of the search: the same one tries the same settings.", "", 0, 2**63 - 1)
