"""Targets of a guided pool: made of real images once per bundle and settings, and kept beside each pool they steer.

They are a part of the pool's identity. Workers and later runs read the file, so they need no real images. Of a
guidance by gradients the file holds the surrogate and the gradients of the classes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from psr_studio.bundles.bundle import CODEC
from psr_studio.bundles.sources import missing
from psr_studio.core.devices import pick_device
from psr_studio.core.disk import size_text
from psr_studio.core.errors import DamagedError, DiskError, RecipeError
from psr_studio.core.progress import Progress
from psr_studio.core.stopping import stop_if_asked
from psr_studio.core.words import duration, plural
from psr_studio.method.guidances.guidance import NO_INTERVAL, Real, Targets
from psr_studio.method.guidances.igd import IGD
from psr_studio.method.guidances.registry import GUIDANCES, NONE
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.batches import Stopwatch
from psr_studio.stages.generate import STAGE
from psr_studio.stages.task import named_outputs, named_part, softens_all
from psr_studio.storage.parquet import content_hash, read_part, stable_hash, write_part
from psr_studio.storage.pool import Pool
from psr_studio.storage.workspace import Workspace

if TYPE_CHECKING:
    import torch

    from psr_studio.bundles.bundle import Bundle
    from psr_studio.bundles.surrogates import Surrogate
    from psr_studio.method.guidance import Guide
    from psr_studio.models.codec import Codec
    from psr_studio.models.surrogate import GradientGap

LOG = logging.getLogger(__name__)
FOLDER = "targets"


def per_class(recipe: Recipe) -> int:
    """How many targets a class has, however large the pool: candidates take them in turn."""
    count = GUIDANCES[recipe.pool.guidance].count
    return int(getattr(recipe.pool.steering, count)) if count else 1


def settings(recipe: Recipe, bundle: Bundle, classes: Sequence[int]) -> dict[str, Any]:
    """What targets are made from, the real images aside: once made, targets outlast those."""
    guidance, steering = GUIDANCES[recipe.pool.guidance], recipe.pool.steering
    assert steering is not None
    values = {k: v for k, v in steering.read(recipe.pool.steps).items() if k not in (*_RULES, guidance.count)}
    return {
        "guidance": guidance.name,
        **values,
        "codec": bundle.identity(CODEC),
        **({"teacher": bundle.identity("teacher")} if guidance.reads_difficulty else {}),
        **named_outputs(guidance.reads_difficulty and softens_all(recipe, bundle, classes)),
        "counts of targets": [per_class(recipe)],
        **({"smoothed": "between ends of all"} if values.get("counts") == "smoothed" else {}),
        **named_part(classes, bundle.n_classes),
    }


_RULES = ("strength", "start", "stop", "pull", "deviation")  # they say how a step is pulled, not where to
COLUMNS = ("class", "target", "interval", "latent")
SURROGATE = -1  # stands for the class of the rows that hold its weights


def offered() -> list[tuple[str, str]]:
    """What may guide a pool, as a choice shows it: title and help, and the name."""
    told = [(f"{one.title}: {one.help}", name) for name, one in GUIDANCES.items()]
    return [("None: the class alone.", NONE), *told]


def need_real_images(bundle: Bundle) -> None:
    """Raise ModelError, with the ways to get them, where the real images of a bundle are known to lie elsewhere."""
    if source := bundle.missing_part("images"):
        raise missing(bundle.called, source)


def path(ws: Workspace, made_from: dict[str, Any]) -> Path:
    """Where the targets of some settings lie."""
    return ws.root / FOLDER / f"{stable_hash(made_from)}.parquet"


def identity(ws: Workspace, made_from: dict[str, Any]) -> str:
    """A hash of what the targets hold, "" while there are none or their file is damaged."""
    return _held(ws, path(ws, made_from))


def _held(ws: Workspace, file: Path) -> str:
    """A hash of what a file of targets holds, "" where there is none or it is damaged."""
    seen = ws.parts.look([file])[file]
    return "" if seen is None or seen.problem else seen.inputs_hash


def _files(ws: Workspace) -> list[Path]:
    return sorted((ws.root / FOLDER).glob("*.parquet"))


def _named(settings: dict[str, Any]) -> str:
    """The hash of the targets that a part was made from, or of its crops, by its settings; "" of a plain one."""
    return str(settings.get("steering", {}).get("targets") or settings.get("found", ""))


def write(
    ws: Workspace, made_from: dict[str, Any], columns: dict[str, np.ndarray], about: dict[str, Any]
) -> None:
    """Put targets, or crops, where they belong, and remove those of others that no part of the pool came of."""
    file, needed = path(ws, made_from), {_named(settings) for settings in ws.pool().part_settings} - {""}
    ws.write_targets(file, columns, content_hash(columns), about)
    for other in _files(ws):
        if other != file and _held(ws, other) not in needed:
            ws.discard_targets(other)


def keep(
    bundle: Bundle, made_from: dict[str, Any], columns: dict[str, np.ndarray], about: dict[str, Any]
) -> None:
    """Keep them for all workspaces, where this machine's folder can be written to."""
    file = _kept(bundle, made_from)
    try:
        write_part(file, columns, inputs_hash=content_hash(columns), settings=about)
    except DiskError as err:
        LOG.warning("%s is not kept for other workspaces: %s", file.name, err)


def taken(ws: Workspace, made_from: dict[str, Any], bundle: Bundle, names: Sequence[str]) -> bool:
    """Whether they were made before for another workspace, and are here now.

    Args:
        names: of their columns.
    """
    file = _kept(bundle, made_from)
    if not file.is_file():
        return False
    try:
        info, columns = read_part(file, names)
    except DamagedError as err:
        LOG.warning("%s, and is made anew.", err.problem)
        return False
    write(ws, made_from, columns, dict(info.settings))
    return True


def _kept(bundle: Bundle, made_from: dict[str, Any]) -> Path:
    from psr_studio.bundles.real_latents import kept_folder

    return kept_folder(bundle, FOLDER) / f"{stable_hash(made_from)}.parquet"


def prepare(
    ws: Workspace, recipe: Recipe, bundle: Bundle, classes: Sequence[int], total: int
) -> Iterator[Progress]:
    """Make the targets where they are not there; what was made before for another workspace is read.

    Raises:
        ModelError: no real images. RecipeError: a class has fewer of them than targets.
    """
    made_from = settings(recipe, bundle, classes)
    if identity(ws, made_from):
        return
    check(recipe, bundle, classes)
    guidance = GUIDANCES[recipe.pool.guidance]

    def event(message: str, **more: Any) -> Progress:
        return Progress(STAGE.name, 0, total, message, **more)

    found: dict[int, Targets] = {}
    if guidance.place is None:
        yield from _learn(recipe, bundle, classes, event, found)
        write(ws, made_from, *_columns(made_from, found))  # what it is made of is kept for all by itself
        return
    if taken(ws, made_from, bundle, COLUMNS):
        for words in report(bundle, _told(ws, made_from)):
            yield event(words, lasting=True)
        return
    yield from _read_real(recipe, bundle, classes, event)
    n, place = per_class(recipe), guidance.place

    def clustered() -> Iterator[tuple[int, int]]:
        for class_id in classes:
            real = _real(recipe, bundle, classes, class_id)
            found[class_id] = place(real, n, recipe.pool.steering, stop_if_asked)
            yield class_id, 1

    yield event(f"Finding {plural(n, 'target')} among the real images of each class.")
    yield from _with_cost(clustered(), len(classes), event, "cluster", "Clustered", CLASSES)
    made = _columns(made_from, found)
    write(ws, made_from, *made)
    keep(bundle, made_from, *made)
    for words in report(bundle, found):
        yield event(words, lasting=True)


def first(recipe: Recipe) -> list[str]:
    """What is done before targets are found, each in words that follow "first": nothing of it is counted beforehand."""
    done = ["real images are read"]
    if recipe.pool.steering is not None and GUIDANCES[recipe.pool.guidance].place is None:
        done.append(f"a surrogate is trained in {plural(_igd(recipe).epochs, 'pass', 'passes')}")
    return done


def uncounted(done: Sequence[str]) -> str:
    """Such words, one at least, as a clause."""
    *others, last = done
    return f"First {', '.join(others)}{' and ' if others else ''}{last}, which is not counted"


def check(recipe: Recipe, bundle: Bundle, classes: Sequence[int]) -> None:
    """Raise what keeps targets from being made: no real images, or fewer than targets; a surrogate that is too deep."""
    from psr_studio.bundles.real_latents import n_real

    if GUIDANCES[recipe.pool.guidance].place is None:
        _check_depth(recipe, bundle)
    n, guidance = per_class(recipe), recipe.pool.guidance
    for class_id in classes:
        there, name = n_real(bundle, class_id), bundle.class_names[class_id]
        if not there:
            raise RecipeError(
                f'Class "{name}" has no real images, but "pool.guidance" needs {n} or more of each class.',
                'Name the other classes in "pool.classes", or set "pool.guidance" to "none".',
                "pool.guidance",
            )
        if there < n:
            key = f"pool.{guidance}.{GUIDANCES[guidance].count}"
            raise RecipeError(
                f'Class "{name}" has {plural(there, "real image")}, but {n} targets are asked for.',
                f'Set "{key}" to {there} or less: candidates take the targets in turn.',
                key,
            )


def _check_depth(recipe: Recipe, bundle: Bundle) -> None:
    from psr_studio.models.students import most_halvings

    size, depth = bundle.image_shape[0], _igd(recipe).depth
    if depth is not None and depth > (most := most_halvings(size)):
        raise RecipeError(
            f"The surrogate halves its pictures {depth} times, but those of {size} pixels can be halved {most} times.",
            f'Set "pool.igd.depth" to {most} or less, or leave it out.',
            "pool.igd.depth",
        )


def _igd(recipe: Recipe) -> IGD:
    assert isinstance(recipe.pool.steering, IGD)
    return recipe.pool.steering


def _surrogate(recipe: Recipe, bundle: Bundle, classes: Sequence[int]) -> Surrogate:
    from psr_studio.bundles.surrogates import surrogate_of

    return surrogate_of(bundle, classes, _igd(recipe).depth, _igd(recipe).epochs)


def _learn(
    recipe: Recipe,
    bundle: Bundle,
    classes: Sequence[int],
    event: Callable[..., Progress],
    found: dict[int, Targets],
) -> Iterator[Progress]:
    """Train the surrogate where none is kept, with the cost after the first epoch, and find what classes teach it."""
    from torch import from_numpy

    from psr_studio.bundles.real_latents import finished

    surrogate, device = _surrogate(recipe, bundle, classes), pick_device(recipe.device)
    needed = f"The surrogate and the gradients of {plural(len(classes), *CLASSES)} take {size_text(surrogate.n_bytes)}"
    yield event(f"{needed} of memory, and of the disk.", lasting=True)
    clock, n, left = Stopwatch(), len(surrogate.rows), 0
    for epoch in surrogate.weights(device):
        if not left:
            left = surrogate.epochs - epoch + 1
            cost = f"Cost: {plural(left, 'pass', 'passes')} of a surrogate over {plural(n, 'real image')}"
            yield event(
                f"{cost}, about {duration(clock.seconds * left)}, kept for all workspaces.", lasting=True
            )
        yield event(f"Trained the surrogate in {epoch} of {plural(surrogate.epochs, 'pass', 'passes')}.")
    weights = finished(surrogate.weights(device))
    read = ((c, n) for c in classes for n in surrogate.gradient(c, weights, device))
    what = ("take gradients of", "Took gradients of")
    yield from _with_cost(read, surrogate.left_to_read(weights), event, *what)
    rows = {SURROGATE: weights} | {c: finished(surrogate.gradient(c, weights, device)) for c in classes}
    none = np.full(len(weights), NO_INTERVAL, np.int64)
    found |= {class_id: Targets(from_numpy(values), none) for class_id, values in rows.items()}


def _read_real(
    recipe: Recipe, bundle: Bundle, classes: Sequence[int], event: Callable[..., Progress]
) -> Iterator[Progress]:
    """Encode and score the real images that were not before."""
    from psr_studio.bundles.real_latents import left_to_score, real_difficulty, real_uncertainty

    device = pick_device(recipe.device)
    yield from encode_real(bundle, classes, device, event)
    if GUIDANCES[recipe.pool.guidance].reads_difficulty:
        joins = recipe.pool.steering is not None and recipe.pool.steering.joins_uncertainty
        signals = {"difficulty": real_difficulty, **({"uncertainty": real_uncertainty} if joins else {})}
        over_all = softens_all(recipe, bundle, classes)
        for name, signal in signals.items():
            n_left = left_to_score(name, bundle, classes, over_all)
            rows = ((c, n) for c in classes for n in signal(bundle, c, classes, device, over_all))
            yield from _with_cost(rows, n_left, event, "score", "Scored")


def encode_real(
    bundle: Bundle, classes: Sequence[int], device: torch.device, event: Callable[..., Progress],
    mirrored: bool = False,
) -> Iterator[Progress]:  # fmt: skip
    """Encode the real images that were not before."""
    from psr_studio.bundles.real_latents import left_to_encode, real_latents

    rows = ((c, n) for c in classes for n in real_latents(bundle, c, device, mirrored))
    yield from _with_cost(rows, left_to_encode(bundle, classes, mirrored), event, "encode", "Encoded")


IMAGES, CLASSES = ("real image", "real images"), ("class", "classes")


def _with_cost(
    rows: Iterable[tuple[int, int]], n_left: int, event: Callable[..., Progress], verb: str, done_words: str,
    nouns: tuple[str, str] = IMAGES,
) -> Iterator[Progress]:  # fmt: skip
    """Say how far some work is, with its cost after the second piece: networks were opened for the first.

    Args:
        rows: does the work; yields a class and how many more are done. n_left: how many there are to do.
    """
    clock, first, done = Stopwatch(started=False), 0, 0
    for class_id, n in rows:
        done += n
        if not first:
            first = done
            clock.start()
        elif done == first + n:
            seconds = duration(clock.seconds * (n_left - first) / n)
            yield event(
                f"Cost: {plural(n_left, *nouns)} to {verb}, about {seconds}, kept for all workspaces.",
                lasting=True,
            )
        yield event(f"{done_words} {done} of {n_left} {nouns[1]}.", class_id=class_id)


def _real(recipe: Recipe, bundle: Bundle, classes: Sequence[int], class_id: int) -> Real:
    """The real images of a class, as they are kept."""
    import torch

    from psr_studio.bundles.real_latents import finished, real_difficulty, real_latents, real_uncertainty

    device = pick_device(recipe.device)
    latents = torch.from_numpy(finished(real_latents(bundle, class_id, device)))
    if not GUIDANCES[recipe.pool.guidance].reads_difficulty:
        return Real(latents)
    original, over_all = None, softens_all(recipe, bundle, classes)
    if bundle.has_original_difficulty(classes, over_all):
        values, owners = bundle.original_difficulty(classes, over_all)
        original = values[owners == class_id]
    hard = finished(real_difficulty(bundle, class_id, classes, device, over_all))
    assert recipe.pool.steering is not None
    if not recipe.pool.steering.joins_uncertainty:
        return Real(latents, hard, original)
    return Real(latents, hard, None, finished(real_uncertainty(bundle, class_id, classes, device, over_all)))


def _columns(
    made_from: dict[str, Any], found: dict[int, Targets]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The columns of a file of targets, and what it says of them."""
    columns = {
        "class": np.repeat(list(found), [len(one.intervals) for one in found.values()]).astype(np.int64),
        "target": np.concatenate([np.arange(len(one.intervals)) for one in found.values()]),
        "interval": np.concatenate([one.intervals for one in found.values()]),
        "latent": np.concatenate([one.latents.numpy() for one in found.values()]),
    }
    about = {
        **made_from,
        "shares": {str(c): list(one.shares) for c, one in found.items()},
        "asked": {str(c): list(one.asked) for c, one in found.items()},
        "ends": {str(c): list(one.ends) for c, one in found.items() if one.ends},
        "moved": {str(c): one.moved for c, one in found.items() if one.moved},
    }
    return columns, about


def _told(ws: Workspace, made_from: dict[str, Any]) -> dict[int, Targets]:
    """What a file of targets says of the intervals of each class, for `report`; without the targets themselves."""
    import torch

    about = ws.parts.read(path(ws, made_from), [])[0].settings
    nothing, moved = (torch.zeros(0), np.zeros(0, np.int64)), about.get("moved", {})
    return {
        int(c): Targets(*nothing, shares, about["asked"][c], moved.get(c, ()))
        for c, shares in about["shares"].items()
    }


def report(bundle: Bundle, found: dict[int, Targets]) -> Iterator[str]:
    """What rounding, and intervals with too few images, did to the shares of the intervals, in a sentence each."""
    rounded = [
        (c, k, share)
        for c, one in found.items()
        for k, (share, n) in enumerate(zip(one.shares, one.asked, strict=True))
        if share > 0 and n == 0
    ]
    if rounded:
        c, k, share = rounded[0]
        n = sum(found[c].asked)
        yield (
            f'Difficulty {interval(k)} of "{bundle.class_names[c]}" gets no target: {share:.1%} of its real images '
            f"have it, and {share:.1%} of {plural(n, 'target')} is {share * n:.2g}, rounded to 0.{_also(len(rounded))}"
        )
    moves = [(c, *move) for c, one in found.items() for move in one.moved]
    if moves:
        c, short, giver, n = moves[0]
        yield (
            f'Difficulty {interval(short)} of "{bundle.class_names[c]}" has fewer real images here than targets, so '
            f"{n} of them {'come' if n > 1 else 'comes'} from difficulty {interval(giver)}.{_also(len(moves))}"
        )


def _also(n: int) -> str:
    """How many other intervals a sentence on one of n holds for."""
    return f" The same holds for {plural(n - 1, 'more interval')}." if n > 1 else ""


def steered_to(pool: Pool, position: int) -> str:
    """Where a candidate was steered, in words; "" where nothing steered it."""
    if pool.is_variation[position]:
        return ""
    target, k = (int(values[0]) for values in pool.steering_at([position]))
    guidance = GUIDANCES.get(str(pool.settings.get("steering", {}).get("guidance")))
    if target < 0:
        return guidance.title if guidance and guidance.place is None else ""
    title = guidance.title if guidance else "guided"
    measure = "smoothed difficulty" if is_smoothed(pool) else "difficulty"
    return f"{title}, target {target + 1}" + ("" if k == NO_INTERVAL else f", {measure} {interval(k)}")


class Asked(NamedTuple):
    """What a pool by difficulty was to have in a class.

    Attributes:
        counts: candidates in each interval (10,), as Algorithm 2 asks for, before intervals with too few images pass
            targets on. ends: see `Targets.ends`.
    """

    counts: np.ndarray
    ends: tuple[float, float] | None


def asked(ws: Workspace, pool: Pool, class_id: int) -> Asked | None:
    """What was asked for in a class; None of a pool without intervals, or whose ends were not kept."""
    made = _named(pool.settings)
    for file in _files(ws):
        if made and _held(ws, file) == made:
            about = ws.parts.read(file, [])[0].settings
            n = int(((pool.labels == class_id) & ~pool.is_variation).sum())
            shares = np.array(about.get("asked", {}).get(str(class_id), ()), np.float64)
            ends = about.get("ends", {}).get(str(class_id))
            if not len(shares) or (is_smoothed(pool) and ends is None):
                return None
            return Asked(shares / shares.sum() * n, ends)
    return None


def is_smoothed(pool: Pool) -> bool:
    """Whether the intervals that steered a pool are of smoothed difficulty."""
    return pool.settings.get("steering", {}).get("counts") == "smoothed"


def interval(k: int) -> str:
    """An interval of difficulty in words."""
    return f"{k / 10:.1f} to {(k + 1) / 10:.1f}"


@dataclass(frozen=True, eq=False)
class ClassTargets:
    """The targets of one class: latents (k, c, h, w) float32, intervals (k,) int64."""

    latents: np.ndarray
    intervals: np.ndarray


class Steered:
    """The targets of a pool, opened; the codec is asked where gradients stand in their place."""

    def __init__(
        self, ws: Workspace, recipe: Recipe, bundle: Bundle, classes: Sequence[int], codec: Codec
    ) -> None:
        assert recipe.pool.steering is not None
        guidance = GUIDANCES[recipe.pool.guidance]
        self.rule = guidance.rule(recipe.pool.steering, recipe.pool.steps)
        self.part_size = recipe.pool.part_size
        _, stored = ws.parts.read(path(ws, settings(recipe, bundle, classes)), COLUMNS)
        self.of_class = {
            int(c): ClassTargets(*(stored[name][stored["class"] == c] for name in ("latent", "interval")))
            for c in np.unique(stored["class"])
        }
        self.gap: GradientGap | None = None
        if guidance.place is None:
            self.gap = self._gap(recipe, bundle, classes, codec)

    def _gap(self, recipe: Recipe, bundle: Bundle, classes: Sequence[int], codec: Codec) -> GradientGap:
        from torch import from_numpy

        from psr_studio.models.surrogate import GradientGap, new_surrogate

        device = next(codec.parameters()).device
        depth = _surrogate(recipe, bundle, classes).depth
        network = new_surrogate(depth, len(classes), bundle.image_shape).to(device)
        held = {c: from_numpy(one.latents) for c, one in self.of_class.items()}
        return GradientGap(network, held.pop(SURROGATE).to(device), held, classes, codec.decode)

    def columns(
        self, class_id: int, numbers: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
        """Target and interval of candidates by their number in the class, int64 (n,) each; None without targets."""
        if self.gap is not None:
            return None, None
        own = self.of_class[class_id]
        targets = np.asarray(numbers, np.int64) % len(own.intervals)
        return targets, own.intervals[targets]

    def guide(self, classes: Sequence[int], numbers: Sequence[int]) -> Guide:
        """What steers candidates that are sampled together."""
        import torch

        from psr_studio.method.guidance import Guide

        of_row = torch.tensor(list(classes))
        if self.gap is not None:
            parts = [(c, i // self.part_size) for c, i in zip(classes, numbers, strict=True)]
            groups = torch.from_numpy(np.unique(parts, axis=0, return_inverse=True)[1].reshape(-1))
            rule = partial(self.rule, gap=self.gap, groups=groups)
            return Guide(rule, of_row, torch.empty(len(parts), 0))
        rows = [
            self.of_class[c].latents[i % len(self.of_class[c].latents)]
            for c, i in zip(classes, numbers, strict=True)
        ]
        return Guide(self.rule, of_row, torch.from_numpy(np.stack(rows)))
