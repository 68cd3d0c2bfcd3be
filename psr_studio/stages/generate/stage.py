"""Pool: an over-complete set of candidates per class, one seed per candidate (PSR section 3.1, eq. 5)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from psr_studio.core.devices import candidate_seed, own_stream, pick_device, pick_dtype
from psr_studio.core.errors import ModelError, WorkspaceError
from psr_studio.core.progress import Progress
from psr_studio.core.words import classes_listed, plural
from psr_studio.recipe.schema import CROPS, Recipe
from psr_studio.stages import speeds
from psr_studio.stages.batches import (
    N_PREVIEWS,
    Beside,
    Group,
    Stopwatch,
    Work,
    plan_work,
    preview_steps,
    spans,
    units_done,
)
from psr_studio.stages.generate import STAGE, crops, targets, tuned
from psr_studio.stages.generate.plan import Origin, PartPlan, classes_of, plan, sizes_of
from psr_studio.stages.importing import stage as importing
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.pool import candidate_id
from psr_studio.storage.workspace import PoolPart, StageStatus, Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.method.guidance import Guide
    from psr_studio.models.generator import Sampling
    from psr_studio.stages.cost import Cost


def scale(recipe: Recipe, bundle: Bundle) -> float:
    """The guidance scale of the recipe, the bundle's own when it names none."""
    return bundle.guidance if recipe.pool.guidance_scale is None else recipe.pool.guidance_scale


def guided_channels(recipe: Recipe, bundle: Bundle) -> int | None:
    """How many leading latent channels are guided, None for all; the bundle's own when the recipe says none."""
    channels = bundle.guided_channels if recipe.pool.guided_channels is None else recipe.pool.guided_channels
    return channels or None


def interval(recipe: Recipe) -> tuple[float, float]:
    """Between which shares of the noise guidance counts."""
    return recipe.pool.guided_from, recipe.pool.guided_to


def identity_of_targets(ws: Workspace, recipe: Recipe, bundle: Bundle) -> str:
    """A hash of where the pool is steered, or of its crops; "" while that is not found out, and of a plain pool."""
    if recipe.pool.source != CROPS and recipe.pool.steering is None:
        return ""
    made_by = crops.settings if recipe.pool.source == CROPS else targets.settings
    return targets.identity(ws, made_by(recipe, bundle, classes_of(recipe, bundle)))


class Given(NamedTuple):
    """What of the workspace a pool is made from: hashes, "" where there is no such thing.

    Attributes:
        targets: see `identity_of_targets`. generator: of the fine-tuned one.
    """

    targets: str = ""
    generator: str = ""


NOTHING = Given()


def given(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Given:
    """What of the workspace the pool of a recipe is made from."""
    return Given(identity_of_targets(ws, recipe, bundle), tuned.made_from(ws, recipe))


def inputs(recipe: Recipe, bundle: Bundle, of_workspace: Given = NOTHING) -> dict[str, Any]:
    """What every part is made from. The batch size, the device and its dtype change nothing but rounding."""
    settings = recipe.pool
    if settings.source == CROPS:
        cut = {"source": CROPS, **settings.crops.model_dump(), "seed": settings.seed}
        return {
            "stage": STAGE.name,
            **cut,
            "teacher": bundle.identity("teacher"),
            "found": of_workspace.targets,
        }
    channels = guided_channels(recipe, bundle)
    return {
        "stage": STAGE.name,
        "generator": bundle.identity("generator"),
        **({tuned.KEY: of_workspace.generator} if of_workspace.generator else {}),
        "sampler": settings.sampler,
        "steps": settings.steps,
        "guidance": scale(recipe, bundle),
        "seed": settings.seed,
        **({} if channels is None else {"guided_channels": channels}),
        **({} if interval(recipe) == (0.0, 1.0) else {"interval": interval(recipe)}),
        **_steering(recipe, of_workspace.targets),
    }


def _steering(recipe: Recipe, steered: str) -> dict[str, Any]:
    """The guidance with all that it reads; nothing of a pool without one, which is as it was before there were any."""
    if recipe.pool.steering is None:
        return {}
    settings = recipe.pool.steering.read(recipe.pool.steps)
    return {"steering": {"guidance": recipe.pool.guidance, **settings, "targets": steered}}


def part_hash(recipe: Recipe, bundle: Bundle, part: PartPlan, of_workspace: Given = NOTHING) -> str:
    """The inputs hash of one part; that of variations holds the one of the part of their parent."""
    made_from = {
        **inputs(recipe, bundle, of_workspace),
        "class": part.class_id,
        "start": part.start,
        "n": part.n,
    }
    if (origin := part.origin) is not None:
        made_from |= {"parent": origin.parent, "strength": origin.strength}
        made_from["parent's part"] = part_hash(recipe, bundle, origin.part, of_workspace)
    return stable_hash(made_from)


def expected(ws: Workspace, recipe: Recipe, bundle: Bundle) -> dict[Path, str]:
    """Every file of the pool and its inputs hash."""
    found = given(ws, recipe, bundle)
    return {
        ws.pool_part_path(part.class_id, part.part): part_hash(recipe, bundle, part, found)
        for part in plan(recipe, bundle)
    }


def status(ws: Workspace, recipe: Recipe, bundle: Bundle) -> StageStatus:
    """Whether the pool is there, whole, and was made by this recipe; an imported one only needs to be whole."""
    if (imported := importing.manifest(ws)) is not None:
        return importing.status_of(ws, bundle, imported)
    if recipe.pool.source != CROPS and not bundle.has("generator") and not len(ws.pool()):
        return StageStatus("missing", "No pictures are imported yet.")
    found = ws.compare(expected(ws, recipe, bundle), "pool parts")
    if (
        broken := ws.pool().broken
    ) and found.state == "fresh":  # whole by themselves, but not with the others
        return StageStatus("partial", f"{found.reason} {broken[0].reason}")
    return found


def require_source(ws: Workspace, recipe: Recipe, bundle: Bundle) -> None:
    """Raise ModelError or RecipeError, saying what would turn it on, where what fills the pool is not there."""
    if recipe.pool.source != CROPS:
        bundle.require("generator", "A pool is generated by a generator")
        tuned.require(ws, recipe)


def require_real_images(ws: Workspace, recipe: Recipe, bundle: Bundle) -> None:
    """Raise what keeps real images from filling or steering the pool, as far as that is known before any are read.

    Raises:
        ModelError: they are not on this machine. RecipeError: too few of a class, a surrogate that does not fit them.
    """
    from psr_studio.bundles.real_latents import are_at_hand

    steered = recipe.pool.source != CROPS and recipe.pool.steering is not None
    if importing.manifest(ws) is not None or (not steered and recipe.pool.source != CROPS):
        return
    known = bool(identity_of_targets(ws, recipe, bundle))
    if not known:
        targets.need_real_images(bundle)
    if not steered:
        crops.check(recipe, bundle, crops.at_most(recipe, bundle), sizes_of(recipe, bundle))
    elif not known:
        targets.check(recipe, bundle, classes_of(recipe, bundle) if are_at_hand(bundle) else ())


def require_generated(ws: Workspace) -> None:
    """Raise WorkspaceError where the pool was imported: no generator adds to it."""
    if (about := importing.manifest(ws)) is not None:
        raise WorkspaceError(
            f'The pool was imported from "{about["source"]}", so nothing can be generated into it.',
            'Import a larger set with "Replace the pool", or generate a pool in another workspace.',
        )


def prepare(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Iterator[Progress]:
    """Find out where a guided pool is steered, or what crops there are, once; the parts are made from that."""
    if recipe.pool.source == CROPS and importing.manifest(ws) is None:
        yield from crops.prepare(ws, recipe, bundle, classes_of(recipe, bundle), sizes_of(recipe, bundle))
    elif recipe.pool.steering is not None and importing.manifest(ws) is None:
        total = sum(part.n for part in plan(recipe, bundle))
        if recipe.pool.idle:
            yield Progress(STAGE.name, 0, total, recipe.pool.idle, lasting=True)
        yield from targets.prepare(ws, recipe, bundle, classes_of(recipe, bundle), total)


def begin(ws: Workspace, recipe: Recipe, bundle: Bundle, only: Sequence[int] | None = None) -> Work:
    """Remove parts beyond a smaller pool, of all classes or of `only`; returns what is `left`."""
    if importing.manifest(ws) is None:
        require_source(ws, recipe, bundle)
        kept = defaultdict[int, set[int]](set)
        for part in plan(recipe, bundle):
            kept[part.class_id].add(part.part)
        for class_id, numbers in kept.items():
            if only is None or class_id in only:
                ws.discard_pool_parts(class_id, numbers)
    return left(ws, recipe, bundle, only)


def left(ws: Workspace, recipe: Recipe, bundle: Bundle, only: Sequence[int] | None = None) -> Work:
    """What is missing of the pool, or of the classes `only`.

    Units are positions in `plan`. Parts that are damaged or made from other settings count as missing. Variations wait
    for the part of their parent.
    """
    if (imported := importing.manifest(ws)) is not None:
        n = sum(imported["counts"].values())
        return Work(n, n, ())
    parts = dict(enumerate(plan(recipe, bundle)))
    touched = {i: part for i, part in parts.items() if only is None or part.class_id in only}
    paths = {i: ws.pool_part_path(part.class_id, part.part) for i, part in touched.items()}
    found = given(ws, recipe, bundle)
    lacking = ws.lacking({paths[i]: part_hash(recipe, bundle, part, found) for i, part in touched.items()})
    lacking |= {broken.path for broken in ws.pool().broken}
    missing = {i for i, path in paths.items() if path in lacking}
    # Groups are those of the whole pool, so that a class alone comes out as it would among the others.
    work = plan_work(
        {i: part.n for i, part in parts.items()},
        missing,
        recipe.pool.batch_size,
        lambda group: _words(bundle, [parts[i] for i in group]),
        alone={i for i, part in parts.items() if part.origin},
    )
    absent = {parts[i] for i in missing}

    def waits(group: Group) -> bool:
        origin = parts[group.units[0]].origin
        return origin is not None and origin.part in absent

    elsewhere = sum(part.n for part in parts.values()) - sum(part.n for part in touched.values())
    return replace(
        work,
        total=work.total - elsewhere,
        found=work.found - elsewhere,
        groups=tuple(group for group in work.groups if not waits(group)),
        waiting=tuple(group for group in work.groups if waits(group)),
    )


def replaced(ws: Workspace, work: Work) -> int:
    """How many candidates of the pool that is here would go, for others or for none, when what is `left` is done."""
    return max(0, len(ws.pool()) - work.found)


def run(
    ws: Workspace,
    recipe: Recipe,
    bundle: Bundle,
    only: Sequence[int] | None = None,
    *,
    share: Work | None = None,
) -> Iterator[Progress]:
    """Generate the missing parts, whole ones at a time; a killed run goes on to the same bytes.

    Parts that are damaged or made from other settings are replaced one by one; parts beyond a smaller pool
    are removed.

    Args:
        only: touch these classes and no other.
        share: what to do, when that was found out already: the share of one process among several.

    Raises:
        RecipeError, ModelError, WorkspaceError: a class the bundle lacks; weights; the disk.
    """
    if (imported := importing.manifest(ws)) is not None:
        n = sum(imported["counts"].values())
        words = (
            f'This pool was imported from "{imported["source"]}"; to generate one, choose another workspace.'
        )
        yield Progress(STAGE.name, n, n, words, part_done=True, resumed=n)
        return
    clock = Stopwatch(started=False)
    if share is None:
        yield from prepare(ws, recipe, bundle)
    work = begin(ws, recipe, bundle, only) if share is None else share
    parts, resumed = plan(recipe, bundle), work.found

    def event(done: int, message: str, **more: Any) -> Progress:
        return Progress(STAGE.name, done, work.total, message, seconds=clock.seconds, resumed=resumed, **more)

    if share is None and (words := orphans(recipe, parts)):
        yield event(work.found, words, lasting=True)
    if not work.groups:
        yield event(work.total, whole(ws, recipe, bundle, only), part_done=True)
        return
    yield event(
        work.found, f"Opening {'the real images' if recipe.pool.source == CROPS else 'the generator'}."
    )
    maker = _maker(ws, recipe, bundle)
    if share is None:
        yield event(work.found, _said(maker, work).text, lasting=True)
    size = size_of(recipe, bundle, work) if share is None else None
    clock.start()
    yield from _make(maker, parts, work, event)
    while work.waiting:
        work, before = left(ws, recipe, bundle, only), work
        if work.found <= before.found:  # what was written is no part of the pool: its status says why
            return
        yield from _make(maker, parts, work, event)
    if size is not None:
        speeds.learn(ws, STAGE.name, recipe, size, clock.seconds)
        yield event(work.total, whole(ws, recipe, bundle, only))


def whole(ws: Workspace, recipe: Recipe, bundle: Bundle, only: Sequence[int] | None = None) -> str:
    """What there is when nothing is left, of all classes or of `only`."""
    sizes = [
        (part.class_id, part.n) for part in plan(recipe, bundle) if only is None or part.class_id in only
    ]
    n, classes = sum(n for _, n in sizes), len({class_id for class_id, _ in sizes})
    what = "The pool is" if only is None else f"{'This class is' if classes == 1 else 'These classes are'}"
    return f"{what} complete: {plural(n, 'candidate')} of {plural(classes, 'class', 'classes')}."


def _make(
    maker: _Maker, parts: Sequence[PartPlan], work: Work, event: Callable[..., Progress]
) -> Iterator[Progress]:
    """Make and write the groups of some work, all of them when it ends."""

    def wrote(part: PartPlan, columns: PoolPart, now: int) -> Progress:
        words = f'Wrote {plural(part.n, "candidate")} of "{maker.bundle.class_names[part.class_id]}".'
        shown = tuple(columns.images[:N_PREVIEWS])
        return event(now, words, class_id=part.class_id, part_done=True, previews=shown)

    done = work.found
    with Beside[tuple[PartPlan, PoolPart]](maker.overlaps) as beside:
        for group in work.groups:
            wanted = [parts[i] for i in group.units]
            missing = {parts[i] for i in group.missing}
            first = wanted[0].class_id
            known = sum(part.n for part in wanted) - group.new
            words = f"Denoising {group.name}" + (f", {known} of them here already." if known else ".")
            for computed, previews in maker.denoise(wanted, missing):
                message = " ".join(filter(None, (words, maker.take_notice())))
                yield event(units_done(done, group.new, computed), message, class_id=first, previews=previews)
            written = 0
            for part, columns in beside.run(maker.store(wanted, missing)):
                written += part.n
                now = units_done(done, group.new, 1, 0 if maker.overlaps else written)
                yield wrote(part, columns, now)
            done += group.new
        for part, columns in beside.rest():
            yield wrote(part, columns, done)


def orphans(recipe: Recipe, parts: Sequence[PartPlan]) -> str:
    """What is said of variations whose parent is not in the pool; "" where there are none."""
    made = {part.origin.parent for part in parts if part.origin}
    left_out = [asked for asked in recipe.pool.varied if asked.parent not in made]
    if not left_out:
        return ""
    n, first = sum(asked.count for asked in left_out), left_out[0].parent
    why = "crops have no latents to begin at" if recipe.pool.source == CROPS else "they are not in this pool"
    return f"Without {plural(n, 'variation')} of candidates such as {first}: {why}."


def overlaps(device_type: str) -> bool:
    """Whether pictures are decoded and written beside the next batch; on a CPU both would want the same cores."""
    return device_type != "cpu"


class _Maker(ABC):
    """What makes candidates and writes them."""

    def __init__(self, ws: Workspace, recipe: Recipe, bundle: Bundle) -> None:
        self.ws, self.recipe, self.bundle = ws, recipe, bundle
        self.given = given(ws, recipe, bundle)
        self.overlaps = False
        made_from = inputs(recipe, bundle, self.given)
        self.settings = {k: v for k, v in made_from.items() if k != "stage"} | {"bundle": bundle.name}

    def denoise(
        self, parts: Sequence[PartPlan], missing: Collection[PartPlan]
    ) -> Iterator[tuple[float, tuple[np.ndarray, ...]]]:
        """What comes before the pictures of some parts; yields the share done, and pictures of missing ones."""
        yield from ()

    @abstractmethod
    def store(
        self, parts: Sequence[PartPlan], missing: Collection[PartPlan]
    ) -> Iterator[tuple[PartPlan, PoolPart]]:
        """Make the pictures of the group at hand, part by part, and write those that are missing."""

    def take_notice(self) -> str:
        """What there is to say about memory and compilation, once."""
        return ""

    @abstractmethod
    def cost(self, work: Work, parts: Sequence[PartPlan]) -> Cost:
        """What the missing parts cost here, from a short measurement."""

    def columns(self, part: PartPlan, images: np.ndarray, **more: Any) -> PoolPart:
        """The candidates of a part."""
        ids = [candidate_id(part.class_id, part.start + i) for i in range(part.n)]
        return PoolPart(np.array(ids, np.int64), np.array(self._seeds(part), np.int64), images, **more)

    def write(self, part: PartPlan, columns: PoolPart) -> None:
        """Put one part on the disk, whole."""
        self.ws.write_pool_part(
            part.class_id,
            part.part,
            columns=columns,
            inputs_hash=part_hash(self.recipe, self.bundle, part, self.given),
            settings=self._settings_of(part),
            class_names=self.bundle.class_names,
        )

    def _settings_of(self, part: PartPlan) -> dict[str, Any]:
        """What made a part; nothing steers variations."""
        if part.origin is None:
            return self.settings
        return {k: v for k, v in self.settings.items() if k != "steering"} | {
            "strength": part.origin.strength
        }

    def _seeds(self, part: PartPlan) -> list[int]:
        base = self.recipe.pool.seed
        return [candidate_seed(base, part.class_id, part.start + i) for i in range(part.n)]


def _maker(ws: Workspace, recipe: Recipe, bundle: Bundle) -> _Maker:
    """The one that the recipe names."""
    return (_Cropper if recipe.pool.source == CROPS else _Sampler)(ws, recipe, bundle)


class _Cropper(_Maker):
    """Real images, and the crops of them that are candidates."""

    def __init__(self, ws: Workspace, recipe: Recipe, bundle: Bundle) -> None:
        super().__init__(ws, recipe, bundle)
        classes = classes_of(recipe, bundle)
        self.crops = crops.Crops(ws, recipe, bundle, classes) if self.given.targets else None

    def store(
        self, parts: Sequence[PartPlan], missing: Collection[PartPlan]
    ) -> Iterator[tuple[PartPlan, PoolPart]]:
        """Cut the parts that are missing."""
        assert self.crops is not None  # the step prepares them
        for part in parts:
            if part in missing:
                cut = self.crops.candidates(part.class_id, part.start, part.n)
                columns = self.columns(part, cut.images, origins=cut.origins)
                self.write(part, columns)
                yield part, columns

    def cost(self, work: Work, parts: Sequence[PartPlan]) -> Cost:
        """What cutting and writing cost; the scoring of crops says its own before."""
        from psr_studio.stages.cost import import_cost

        images = self.bundle.train_subset[0]
        n = max(1, work.total - work.found)
        return import_cost(lambda k: np.array(images[:k]), None, 1, n, len(work.missing))


class _Sampler(_Maker):
    """The networks, opened once, and the latents of the group at hand."""

    def __init__(self, ws: Workspace, recipe: Recipe, bundle: Bundle) -> None:
        from psr_studio.models.generator import Generator, Sampling

        super().__init__(ws, recipe, bundle)
        device = pick_device(recipe.device)
        dtype = pick_dtype(device)
        self.generator = tuned.opened(
            ws, bundle, device, dtype, self.given.generator, classes_of(recipe, bundle)
        )
        self.codec = bundle.codec(device)
        settings = recipe.pool
        if isinstance(self.generator, Generator):
            self.generator.compiled = settings.compiled
        self._sampling = Sampling(
            sampler=settings.sampler,
            steps=settings.steps,
            guidance=scale(recipe, bundle),
            guided_channels=guided_channels(recipe, bundle),
            interval=interval(recipe),
            skipped=settings.skipped,
        )
        self.steered: targets.Steered | None = None
        if self.given.targets:
            self.steered = targets.Steered(ws, recipe, bundle, classes_of(recipe, bundle), self.codec)
        self.beside = own_stream(device)
        self.overlaps = overlaps(device.type)
        self.settings |= {"device": device.type, "dtype": str(dtype).removeprefix("torch.")}
        self.latents = np.zeros(0, np.float32)

    def denoise(
        self, parts: Sequence[PartPlan], missing: Collection[PartPlan]
    ) -> Iterator[tuple[float, tuple[np.ndarray, ...]]]:
        """Sample the latents of some parts together; yields the share done, at times pictures of missing ones."""
        sampling, origin = self.sampling_of(parts[0]), parts[0].origin
        classes = [p.class_id for p in parts for _ in range(p.n)]
        seeds = [seed for p in parts for seed in self._seeds(p)]
        numbers = [p.start + i for p in parts for i in range(p.n)]
        new = np.array([p in missing for p in parts for _ in range(p.n)])
        steering = self.recipe.pool.steering
        whole = steering is not None and steering.joins_candidates  # a group holds whole parts
        batches = spans(len(seeds), len(seeds) if whole else self.recipe.pool.batch_size)
        taken, skipped = sampling.taken, sampling.skipped
        shown_after = {1, *preview_steps(taken)}
        kept = []
        for number, rows in enumerate(batches):
            guide = self._guide(origin, classes[rows], numbers[rows])
            looked_at = np.flatnonzero(new[rows])[:N_PREVIEWS].tolist()
            for step, latents in self.generator.sample(classes[rows], seeds[rows], sampling, guide):
                shown = latents[looked_at if step - skipped in shown_after else []]
                share = (number + (step - skipped) / taken) / len(batches)
                yield share, tuple(self.codec.decode_uint8(shown)) if len(shown) else ()
            kept.append(latents.cpu().numpy())
        self.latents = np.concatenate(kept)

    def sampling_of(self, part: PartPlan) -> Sampling:
        """How a part is sampled: variations by the last steps alone, at least one."""
        return replace(self._sampling, skipped=skipped_of(self.recipe, part))

    def _guide(self, origin: Origin | None, classes: Sequence[int], numbers: Sequence[int]) -> Guide | None:
        """Where candidates are steered; variations begin at their parent with noise on it, and nothing steers them."""
        if origin is None:
            return None if self.steered is None else self.steered.guide(classes, numbers)
        import torch

        from psr_studio.method.guidance import Guide, no_pull

        _, stored = self.ws.parts.read(
            self.ws.pool_part_path(origin.part.class_id, origin.part.part), ["candidate_id", "latent"]
        )
        parent = stored["latent"][stored["candidate_id"] == origin.parent]
        return Guide(
            no_pull, torch.tensor(classes), torch.from_numpy(np.repeat(parent, len(classes), axis=0))
        )

    def store(
        self, parts: Sequence[PartPlan], missing: Collection[PartPlan]
    ) -> Iterator[tuple[PartPlan, PoolPart]]:
        """Decode the latents of the group at hand, part by part, and write those that are missing."""
        return self._store(parts, missing, self.latents)  # they are bound now, the work may begin later

    def _store(
        self, parts: Sequence[PartPlan], missing: Collection[PartPlan], latents: np.ndarray
    ) -> Iterator[tuple[PartPlan, PoolPart]]:
        import torch

        start = 0
        for part in parts:
            held = latents[start : start + part.n]
            start += part.n
            if part not in missing:
                continue
            self._check(part, held)
            with self.beside():
                images = self.codec.decode_uint8(torch.from_numpy(held))
            columns = self.columns(part, images, latents=held, **self._beginning(part))
            self.write(part, columns)
            yield part, columns

    def _beginning(self, part: PartPlan) -> dict[str, np.ndarray | None]:
        """The columns that say where the candidates of a part began or were steered."""
        if part.origin is not None:
            return {"parents": np.full(part.n, part.origin.parent, np.int64)}
        if self.steered is None:
            return {}
        numbers = range(part.start, part.start + part.n)
        return dict(zip(("targets", "intervals"), self.steered.columns(part.class_id, numbers), strict=True))

    def take_notice(self) -> str:
        """What there is to say about memory and compilation, once."""
        of_generator = getattr(self.generator, "take_notice", str)  # not every adapter has it
        return " ".join(filter(None, (of_generator(), self.codec.memory.take_notice())))

    def cost(self, work: Work, parts: Sequence[PartPlan]) -> Cost:
        """What the missing parts cost here, from a short measurement."""
        from psr_studio.stages.cost import pool_cost

        units = [parts[i] for group in (*work.groups, *work.waiting) for i in group.units]
        each = passes(self.recipe, self.bundle, self._sampling.skipped)
        denoised = size_of(self.recipe, self.bundle, work).units / each
        sizes = (self.recipe.pool.batch_size, work.total - work.found, len(work.missing), denoised)
        cost = pool_cost(self.generator, self.codec, self._sampling, *sizes)
        steered = sum(part.n for part in units if part.origin is None)
        return replace(cost, seconds=cost.seconds + self._steering_seconds(steered))

    def _steering_seconds(self, n: int) -> float:
        """What the gradients of a guidance cost for n candidates; the pulls of the others cost next to nothing."""
        steering = self.recipe.pool.steering
        if steering is None or self.steered is None or self.steered.gap is None:
            return 0.0
        import torch

        from psr_studio.stages.cost import per_row

        gap, device = self.steered.gap, self.generator.device
        clean = torch.zeros(1, *self.generator.latent_shape, device=device)
        classes = torch.tensor([min(gap.wanted)], device=device)
        total = n * steering.gradients(self.recipe.pool.steps)
        return total * per_row(lambda _: gap(clean, classes), 1, device, total)

    def _check(self, part: PartPlan, latents: np.ndarray) -> None:
        broken = int((~np.isfinite(latents)).reshape(len(latents), -1).any(axis=1).sum())
        if broken:
            raise ModelError(
                f'The generator of "{self.bundle.name}" made {broken} of {part.n} latents of class '
                f'"{self.bundle.class_names[part.class_id]}" that are not finite numbers.',
                'Lower "pool.guidance_scale", or check the weights with `psr-studio doctor`.',
            )


def _words(bundle: Bundle, parts: Sequence[PartPlan]) -> str:
    """The group in words: '24 candidates of "boot" and "dress"'."""
    names = list(dict.fromkeys(bundle.class_names[p.class_id] for p in parts))
    return f"{plural(sum(p.n for p in parts), 'candidate')} of {classes_listed(names)}"


def cost(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Cost:
    """What generating the missing parts costs on this device; opens the networks and measures for a second."""
    return _said(_maker(ws, recipe, bundle), left(ws, recipe, bundle))


def _said(maker: _Maker, work: Work) -> Cost:
    recipe, bundle = maker.recipe, maker.bundle
    measured = maker.cost(work, plan(recipe, bundle))
    return speeds.said(maker.ws, STAGE.name, recipe, size_of(recipe, bundle, work), measured)


def size(ws: Workspace, recipe: Recipe, bundle: Bundle, only: Sequence[int] | None = None) -> speeds.Size:
    """How much of the pool is left to make, or of the classes `only`."""
    return size_of(recipe, bundle, left(ws, recipe, bundle, only))


def size_of(recipe: Recipe, bundle: Bundle, work: Work) -> speeds.Size:
    """How much some work is: passes through the generator, those for what is only computed beside it included."""
    settings, new = recipe.pool, work.total - work.found
    if settings.source == CROPS:
        return speeds.Size(new, new, (CROPS, settings.crops.factor, bundle.image_shape))
    parts = plan(recipe, bundle)
    computed = [parts[i] for group in (*work.groups, *work.waiting) for i in group.units]
    units = sum(part.n * passes(recipe, bundle, skipped_of(recipe, part)) for part in computed)
    slower = settings.steering is not None and settings.steering.gradients(settings.steps) > 0
    guidance = settings.guidance if slower else ""
    generator = (bundle.identity("generator"), settings.generator, settings.compiled)
    return speeds.Size(new, units, (*generator, settings.batch_size, guidance))


def again_of(recipe: Recipe, bundle: Bundle, work: Work) -> int:
    """How many candidates that are here are computed again, since they share a batch with missing ones."""
    if recipe.pool.source == CROPS:
        return 0
    parts = plan(recipe, bundle)
    groups = (*work.groups, *work.waiting)
    return sum(parts[i].n for group in groups for i in group.units) - (work.total - work.found)


def skipped_of(recipe: Recipe, part: PartPlan) -> int:
    """First steps that a part leaves out: of variations all but the last ones, of which one at least is taken."""
    if part.origin is None:
        return recipe.pool.skipped
    return recipe.pool.steps - max(1, round(recipe.pool.steps * part.origin.strength))


def passes(recipe: Recipe, bundle: Bundle, skipped: int) -> float:
    """Passes through the generator per image: a guided step takes two."""
    settings = recipe.pool
    taken, (low, high) = 1 - skipped / settings.steps, interval(recipe)
    share = 0.0 if scale(recipe, bundle) == 1 else max(0.0, min(high, taken) - low)
    return settings.steps * (taken + share)
