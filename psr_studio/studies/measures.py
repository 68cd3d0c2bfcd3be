"""What the candidates of a pool measure, by class and on average, and where that is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from psr_studio.bundles.real_latents import finished, real_embeddings
from psr_studio.core.devices import pick_device
from psr_studio.core.files import write_bytes
from psr_studio.method.metrics import coverage, mean_pairwise_distance
from psr_studio.stages.score import stage as score
from psr_studio.stages.select.figures import vendi
from psr_studio.stages.select.scored import ScoredPool, is_over_all
from psr_studio.stages.task import named_outputs
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.workspace import Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.recipe.schema import Recipe

FILE = "measures.json"
NEIGHBOURS = 5  # of the coverage
MEASURES = ("n", "agreement", "difficulty", "diversity", "Vendi", "coverage")
ABOUT_MEASURES = (
    "Agreement: share of the candidates that the teacher takes for their class. Difficulty: mean of 1 minus the "
    "teacher's probability of the class. Diversity: mean distance between two candidates of a class in the teacher's "
    "features. Vendi: how many distinct pictures those of a class amount to, by the cosines of the same features "
    "(Friedman and Dieng 2023). Coverage: share of the real training images at hand that have a candidate as near as "
    f"their own {NEIGHBOURS}th nearest neighbour (Naeem et al. 2020), in the same features."
)


class Measures(NamedTuple):
    """What n candidates of a class, or of all on average, measure; None where it cannot be said."""

    n: int
    agreement: float
    difficulty: float
    diversity: float | None
    vendi: float | None
    coverage: float | None

    @property
    def cells(self) -> tuple[str, ...]:
        """As a table shows them."""
        return (str(self.n), *("" if value is None else f"{value:.3f}" for value in self[1:]))


def real_features(bundle: Bundle, classes: Sequence[int], device: str) -> dict[int, np.ndarray]:
    """The teacher's features of the real training images by class; {} where they are not on this machine."""
    if bundle.missing_part("images"):
        return {}
    return {c: finished(real_embeddings(bundle, c, pick_device(device))) for c in classes}


def measured(scored: ScoredPool, class_id: int, real: np.ndarray | None) -> Measures:
    """The candidates of one class."""
    own = scored.members(class_id)
    features, n = scored.embeddings[own], own.stop - own.start
    reached = None if real is None or len(real) <= NEIGHBOURS else coverage(real, features, NEIGHBOURS)
    spread = mean_pairwise_distance(features) if n > 1 else None
    agreement, difficulty = float(scored.eligible[own].mean()), float(scored.difficulty[own].mean())
    return Measures(n, agreement, difficulty, spread, vendi(scored, np.arange(own.start, own.stop)), reached)


def mean_of(found: Sequence[Measures]) -> Measures:
    """Of all classes: the candidates of all, and the mean over the classes."""
    columns = zip(*(one[1:] for one in found), strict=True)
    means = (None if None in column else float(np.mean(column)) for column in columns)
    return Measures(sum(one.n for one in found), *means)  # type: ignore[arg-type]


def note_measures(home: Workspace, scored: ScoredPool, n: int, device: str) -> None:
    """Measure the first n candidates of each class of a workspace, and keep that."""
    first = scored.first(n)
    real = real_features(scored.bundle, first.present, device)
    found = mean_of([measured(first, c, real.get(c)) for c in first.present])
    kept = {**_kept(home), _key(home, scored.bundle, n, scored.over_all): found}
    write_bytes(home.root / FILE, json.dumps(kept).encode(), home.place)


def read_measures(home: Workspace, recipe: Recipe, bundle: Bundle, n: int) -> Measures | None:
    """What was noted of just these candidates, scored by the same teacher, difficulty over the same outputs."""
    found = _kept(home).get(_key(home, bundle, n, is_over_all(recipe, bundle, home.pool())))
    return Measures(*found) if found else None


def _kept(home: Workspace) -> dict[str, Sequence]:
    path = home.root / FILE
    return json.loads(path.read_bytes()) if path.is_file() else {}


def _key(home: Workspace, bundle: Bundle, n: int, over_all: bool) -> str:
    named = [named_outputs(over_all)] if over_all else []
    return stable_hash([score.class_hashes(home.pool().first(n), bundle), n, *named])
