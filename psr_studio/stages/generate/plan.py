"""Which parts a pool is written in, and the way back from a candidate to its part."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psr_studio.core.errors import RecipeError
from psr_studio.recipe.schema import CROPS, Recipe
from psr_studio.recipe.variations import CANDIDATES_PER_CLASS, FIRST_VARIATION, Variations

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle


@dataclass(frozen=True)
class Origin:
    """What the candidates of a part are variations of: a candidate, the part it lies in, and how strong they are."""

    parent: int
    strength: float
    part: PartPlan


@dataclass(frozen=True)
class PartPlan:
    """One part to be written: candidates `start` to `start + n` of a class, drawn anew without an `origin`."""

    class_id: int
    part: int
    start: int
    n: int
    origin: Origin | None = None

    def holds(self, candidate: int) -> bool:
        """Whether a candidate is one of these."""
        class_id, index = divmod(candidate, CANDIDATES_PER_CLASS)
        return class_id == self.class_id and self.start <= index < self.start + self.n


def classes_of(recipe: Recipe, bundle: Bundle) -> tuple[int, ...]:
    """The classes of the pool, ascending; RecipeError when the bundle has no such class."""
    if recipe.pool.classes is None:
        return tuple(range(bundle.n_classes))
    wanted = tuple(sorted(set(recipe.pool.classes)))
    unknown = [c for c in wanted if c >= bundle.n_classes]
    if unknown or not wanted:
        what = f"names class {unknown[0]}" if unknown else "names no class"
        raise RecipeError(
            f'"pool.classes" {what}, but the classes of "{bundle.name}" are 0 to {bundle.n_classes - 1}.',
            'Correct "pool.classes", or leave it out to generate all classes.',
            "pool.classes",
        )
    return wanted


def sizes_of(recipe: Recipe, bundle: Bundle) -> list[int]:
    """Candidates of every class of the bundle, variations aside; RecipeError for another number of sizes."""
    given = recipe.pool.sizes or (0,) * bundle.n_classes
    if len(given) != bundle.n_classes:
        raise RecipeError(
            f'"pool.sizes" has {len(given)} numbers, but "{bundle.name}" has {bundle.n_classes} classes.',
            f"Write {bundle.n_classes} numbers, 0 for a class of pool_size, or leave it out.",
            "pool.sizes",
        )
    return [max(recipe.pool.pool_size, size) for size in given]


def plan(recipe: Recipe, bundle: Bundle) -> list[PartPlan]:
    """All parts of the pool, by class, then number; last those of variations, each after the part it hangs on."""
    sizes, step = sizes_of(recipe, bundle), recipe.pool.part_size
    drawn = [
        PartPlan(class_id, number, start, min(step, sizes[class_id] - start))
        for class_id in classes_of(recipe, bundle)
        for number, start in enumerate(range(0, sizes[class_id], step))
    ]
    return with_variations(recipe, drawn)


def with_variations(recipe: Recipe, drawn: Sequence[PartPlan]) -> list[PartPlan]:
    """Some parts, and after them those of their variations.

    Variations are numbered by class in the order they were asked for, from `FIRST_VARIATION`, and a part has the number
    of its first: nothing moves when the pool grows or shrinks. Variations of what is not in the pool are left out.
    """
    if recipe.pool.source == CROPS:  # they have no latents to begin at
        return list(drawn)
    varied: list[PartPlan] = []
    of_class = defaultdict[int, list[PartPlan]](list)
    for part in drawn:
        of_class[part.class_id].append(part)
    begun = Counter[int]()
    for asked in recipe.pool.varied:
        own, first = of_class[asked.class_id], FIRST_VARIATION + begun[asked.class_id]
        begun[asked.class_id] += asked.count
        holder = next((part for part in own if part.holds(asked.parent)), None)
        if holder is not None:
            made = list(_of(asked, holder, first, recipe.pool.part_size))
            own += made
            varied += made
    return [*drawn, *varied]


def _of(asked: Variations, holder: PartPlan, first: int, part_size: int) -> Iterator[PartPlan]:
    """The parts of some variations, of which the first has that index."""
    origin, until = Origin(asked.parent, asked.strength, holder), first + asked.count
    for start in range(first, until, part_size):
        yield PartPlan(asked.class_id, start, start, min(part_size, until - start), origin)
