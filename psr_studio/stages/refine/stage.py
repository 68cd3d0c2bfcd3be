"""Refine: soft-label-guided refinement of the selected latents (PSR section 3.3, eq. 9 and 10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.core.devices import pick_device
from psr_studio.core.errors import ModelError, SelectionError, WorkspaceError
from psr_studio.core.progress import Progress
from psr_studio.core.words import plural
from psr_studio.method.protocols import DSA_CUTOUT
from psr_studio.recipe.schema import PLAIN, Recipe, RefineRecipe
from psr_studio.stages import speeds
from psr_studio.stages.batches import N_PREVIEWS, Stopwatch, Work, plan_work, preview_steps, spans, units_done
from psr_studio.stages.encoding import encode, latents_at
from psr_studio.stages.generate import tuned
from psr_studio.stages.labels import soften
from psr_studio.stages.refine import STAGE
from psr_studio.stages.score import stage as score
from psr_studio.stages.select import stage as select
from psr_studio.stages.stage import Held
from psr_studio.stages.task import in_task, named_part
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.pool import Pool
from psr_studio.storage.records import SelectionRecord
from psr_studio.storage.workspace import RefinedPart, StageStatus, Workspace, discard

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from psr_studio.bundles.bundle import Bundle
    from psr_studio.stages.cost import Cost
    from psr_studio.stages.refine.loop import Networks, Selected
    from psr_studio.stages.refine.matching import Matching

MOST_GROWTH = 2.0  # of a latent's length; steps of a size that serves move it by a few hundredths
LOOK_EVERY = 10  # steps; each look at a loss waits for a GPU


def inputs(
    pool: Pool, recipe: Recipe, bundle: Bundle, record: SelectionRecord, class_id: int
) -> dict[str, Any]:
    """What the refined picks of a class are made from."""
    return {
        **named_part(record.picks, bundle.n_classes),
        "stage": STAGE.name,
        "picks": record.picks[class_id],
        "pool": score.picked_hash(pool, bundle, record.picks[class_id]),
        "generator": bundle.identity("generator"),
        "temperature": record.settings["temperature"],
        **how(recipe),
        **(
            {"real images": bundle.identity("data"), **DSA_CUTOUT}
            if recipe.refine.objective == "match"
            else {}
        ),
    }


def how(recipe: Recipe) -> dict[str, Any]:
    """The settings of the recipe that make a difference to refined pictures; the batch size makes one of rounding."""
    settings = recipe.refine.read()
    settings.pop("batch_size", None)
    if settings.get("variant") == PLAIN:  # as before there was a choice
        del settings["variant"]
    mirrored = recipe.evaluate.mirrored or recipe.refine.objective != "match"
    return {"settings": settings, **({} if mirrored else {"mirrored": False})}


def class_hash(pool: Pool, recipe: Recipe, bundle: Bundle, record: SelectionRecord, class_id: int) -> str:
    """The inputs hash of the refined picks of one class."""
    return stable_hash(inputs(pool, recipe, bundle, record, class_id))


def expected(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord) -> dict[Path, str]:
    """Every file of the refined selection and its inputs hash."""
    classes = sorted(record.picks)
    pool = ws.pool()  # asked for once: it looks at every file
    return {ws.refined_path(record.name, c): class_hash(pool, recipe, bundle, record, c) for c in classes}


def status(ws: Workspace, recipe: Recipe, bundle: Bundle) -> StageStatus:
    """Whether the selection of the recipe's name is refined, with these settings."""
    try:
        require_generator(bundle)
    except ModelError as err:
        return StageStatus("off", f"{err.problem} {err.fix}")
    try:
        record = select.require(ws, recipe.select.name, bundle)
    except SelectionError as err:
        return StageStatus("missing", err.problem)
    return ws.compare(expected(ws, recipe, bundle, record), "refined classes")


def require_generator(bundle: Bundle) -> None:
    """Raise ModelError, saying what would turn it on, where the bundle cannot refine."""
    bundle.require("generator", "Latents are refined by a generator")


def require_fresh(ws: Workspace, recipe: Recipe, bundle: Bundle) -> None:
    """Raise WorkspaceError unless every class of the selection is refined with the recipe's settings."""
    require_generator(bundle)
    found = status(ws, recipe, bundle)
    if found.state != "fresh":
        raise WorkspaceError(
            f'The selection "{recipe.select.name}" is not refined with these settings: {found.reason}',
            'Press "Refine" (or run `psr-studio refine`) first, or use the selected images as they are.',
        )


def held(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Held:
    """The selection that is refined."""
    record = select.require(ws, recipe.select.name, bundle)
    return Held((record,), {"record": record})


def begin(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord | None = None) -> Work:
    """Remove the refined classes that the selection no longer has; returns what is `left`.

    Raises:
        ModelError: the bundle has no generator. SelectionError: as `left`.
    """
    require_generator(bundle)
    record = record or select.require(ws, recipe.select.name, bundle)
    _discard_other_classes(ws, record)
    return left(ws, recipe, bundle, record)


def left(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord | None = None) -> Work:
    """The classes of the selection that are not refined yet.

    Units are classes.

    Args:
        record: the selection as it was when the step began, where one of its name may have been saved since.

    Raises:
        SelectionError: no selection of the recipe's name, or one of another pool.
    """
    record = record or select.require(ws, recipe.select.name, bundle)
    lacking = ws.lacking(expected(ws, recipe, bundle, record))
    missing = {c for c in record.picks if ws.refined_path(record.name, c) in lacking}
    return plan_work(
        {c: len(record.picks[c]) for c in sorted(record.picks)},
        missing,
        recipe.refine.batch_size,
        lambda group: f'the picks from "{bundle.class_names[group[0]]}" on',
    )


def run(ws: Workspace, recipe: Recipe, bundle: Bundle, *, share: Work | None = None) -> Iterator[Progress]:
    """Refine the classes of the selection that are not refined yet; a killed run goes on to the same bytes.

    Args:
        share: what to do, when that was found out already: the share of one process among several.

    Raises:
        SelectionError: no selection of the recipe's name, or one of another pool.
        WorkspaceError, ModelError: scores, weights, the disk; a refinement that diverges.
    """
    clock = Stopwatch(started=False)
    work = begin(ws, recipe, bundle) if share is None else share
    record = select.require(ws, recipe.select.name, bundle)

    def event(done: int, message: str, **more: Any) -> Progress:
        return Progress(
            STAGE.name, done, work.total, message, seconds=clock.seconds, resumed=work.found, **more
        )

    if not work.groups:
        yield event(work.total, whole(ws, recipe, bundle, record), part_done=True)
        return
    yield event(work.found, "Opening generator, codec and teacher.")
    refiner = Refiner(ws, recipe, bundle, record)

    def encoding(classes: Sequence[int], done: int) -> Iterator[Progress]:
        for part in encode(ws, recipe, bundle, _picked(record, classes)):
            yield event(done, f'Encoded pictures of "{bundle.class_names[part.class_id]}".')

    if share is None:
        yield from encoding(work.missing, work.found)
        yield event(work.found, refiner.cost(work.missing).text, lasting=True)
    clock.start()
    done = work.found
    for group in work.groups:
        wanted = list(group.units)
        yield from encoding(wanted, done)
        whose = " to ".join(dict.fromkeys(f'"{bundle.class_names[c]}"' for c in (wanted[0], wanted[-1])))
        for computed, loss, step, previews in refiner.refine(wanted):
            words = f"{whose}: {step}, {group.new} latents, mean loss {loss:.4g}."
            words = " ".join(filter(None, (words, refiner.nets.take_notice())))
            now = units_done(done, group.new, computed)
            yield event(now, words, class_id=wanted[0], previews=previews, metrics={"loss": loss})
        written = 0
        for class_id, columns in refiner.columns(wanted):
            if class_id not in group.missing:
                continue
            refiner.write(class_id, columns)
            written += len(columns.candidate_ids)
            now = units_done(done, group.new, 1, written)
            # The counter holds most of a group back until it is written, so the words give no other number.
            words = f'Refined the images of "{bundle.class_names[class_id]}".'
            yield event(
                now, words, class_id=class_id, part_done=True, previews=tuple(columns.images[:N_PREVIEWS])
            )
        done += group.new
    if share is None:
        speeds.learn(ws, STAGE.name, recipe, size_of(recipe, bundle, work.total - work.found), clock.seconds)
        yield event(work.total, whole(ws, recipe, bundle, record))


def whole(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord | None = None) -> str:
    """What there is when nothing is left."""
    record = record or select.require(ws, recipe.select.name, bundle)
    of = plural(len(record.picks), "class", "classes")
    return f'"{record.name}" is refined: {plural(len(record.candidate_ids), "picture")} of {of}.'


class Refiner:
    """Networks and labels, opened once, and the latents of the group at hand."""

    def __init__(self, ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord) -> None:
        self.ws, self.recipe, self.bundle, self.record = ws, recipe, bundle, record
        self.temperature = float(record.settings["temperature"])
        self.pool = ws.pool()
        score.require_fresh(ws, recipe, bundle)
        self.scores = ws.scores(bundle.teacher_id, require_all=False)
        self.nets = open_networks(ws, recipe, bundle)
        self.latents = np.zeros(0, np.float32)
        self.traces = np.zeros((0, 0), np.float32)

    def refine(self, classes: list[int]) -> Iterator[tuple[float, float, str, tuple[np.ndarray, ...]]]:
        """Refine the picks of some classes together; yields (share done, mean loss, step in words, pictures)."""
        import torch

        from psr_studio.stages.refine.loop import refine_batch

        device = self.nets.generator.device
        selected = self.selected_rows([cid for c in classes for cid in self.record.picks[c]])
        settings = self.recipe.refine
        batches = batches_of(selected, settings)
        shown_after = preview_steps(settings.n_steps)
        every = 1 if device.type == "cpu" else LOOK_EVERY
        looked_at = {*range(every, settings.n_steps, every), *shown_after, settings.n_steps}
        kept, traces = [], []
        for number, rows in enumerate(batches):
            trace: list[Tensor] = []
            start = _lengths(selected.latents[rows])
            which = f" of batch {number + 1} of {len(batches)}" if len(batches) > 1 else ""
            for step, latents, losses in refine_batch(
                self.nets, selected.take(rows), settings, self.temperature
            ):
                trace.append(losses)
                if step not in looked_at:
                    continue
                growth = float((_lengths(latents).cpu() / start).max())
                self._check(classes, torch.stack(trace, dim=1), growth)
                shown = latents[: N_PREVIEWS * (step in shown_after)]
                previews = tuple(self.nets.codec.decode_uint8(shown)) if len(shown) else ()
                share = (number + step / settings.n_steps) / len(batches)
                yield share, float(losses.mean()), f"step {step} of {settings.n_steps}{which}", previews
            kept.append(latents.cpu().numpy())
            traces.append(torch.stack(trace, dim=1).cpu().numpy())
        self.latents, self.traces = np.concatenate(kept), np.concatenate(traces).astype(np.float32)

    def cost(self, classes: list[int]) -> Cost:
        """What refining the picks of some classes costs here, from a short measurement."""
        from psr_studio.stages.cost import refine_cost

        selected = self.selected_rows([cid for c in classes for cid in self.record.picks[c]])
        measured = refine_cost(self.nets, selected, self.recipe.refine, self.temperature)
        size = size_of(self.recipe, self.bundle, len(selected.classes))
        return speeds.said(self.ws, STAGE.name, self.recipe, size, measured)

    def columns(self, classes: list[int]) -> Iterator[tuple[int, RefinedPart]]:
        """Decode the latents of the group, class by class."""
        import torch

        start = 0
        for class_id in classes:
            ids = np.array(self.record.picks[class_id], np.int64)
            rows = slice(start, start + len(ids))
            start = rows.stop
            images = self.nets.codec.decode_uint8(torch.from_numpy(self.latents[rows]))
            yield class_id, RefinedPart(ids, self.latents[rows], images, self.traces[rows])

    def write(self, class_id: int, columns: RefinedPart) -> None:
        """Put one class on the disk, whole."""
        self.ws.write_refined(
            self.record.name,
            class_id,
            columns=columns,
            inputs_hash=class_hash(self.pool, self.recipe, self.bundle, self.record, class_id),
            settings={**self.recipe.refine.read(), "temperature": self.temperature},
            class_names=self.bundle.class_names,
        )

    def selected_rows(self, candidate_ids: list[int]) -> Selected:
        """What refinement reads of some candidates, in the order given."""
        import torch

        from psr_studio.stages.refine.loop import Selected

        at, task = self.pool.positions(candidate_ids), sorted(self.record.picks)
        labels = self.pool.labels[at]
        soft = soften(self.scores.logits_at(at)[:, task], self.temperature)
        return Selected(
            latents=torch.from_numpy(np.array(latents_at(self.ws, self.bundle, self.pool, at))),
            classes=torch.from_numpy(np.array(labels)),
            task=torch.tensor(task),
            soft_labels=torch.from_numpy(soft),
            confidence=torch.from_numpy(soft[np.arange(len(at)), in_task(labels, task)]),
            noise_seeds=[int(s) for s in self.pool.seeds[at]],
        )

    def _check(self, classes: list[int], losses: Tensor, growth: float) -> None:
        """Raise ModelError where latents have diverged: losses (n, steps so far), the most that one's length grew."""
        broken = (~losses.isfinite()).sum(dim=0).tolist()
        if broken[-1] or not growth <= MOST_GROWTH:  # a latent that is no finite number has no growth either
            step = next((i for i, n in enumerate(broken) if n), len(broken) - 1)
            what = (
                f"left the finite numbers in step {step + 1} ({broken[step]} of {len(losses)} losses)"
                if broken[step] or not isfinite(growth)
                else f"diverged by step {step + 1}: a latent has {growth:.3g} times its length, "
                f"{MOST_GROWTH:g} is the most"
            )
            key, value = self.recipe.refine.step_size
            raise ModelError(
                f'Refining from class "{self.bundle.class_names[classes[0]]}" on {what}.',
                f'Lower "{key}" (now {value:g}); classes that are done are kept.',
            )


def batches_of(selected: Selected, settings: RefineRecipe) -> list[slice]:
    """The latents that are refined together: so many, or each class whole where these are matched as sets."""
    if settings.objective != "match":
        return spans(len(selected.classes), settings.batch_size)
    counts = selected.classes.unique_consecutive(return_counts=True)[1].tolist()
    ends = list(accumulate(counts))
    return [slice(end - n, end) for n, end in zip(counts, ends, strict=True)]


def labelled_anew(recipe: Recipe, bundle: Bundle, images: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The teacher's logits that label refined pictures uint8 (n, H, W, ch): those of the selected ones (n, C) as given,
    or of what they have become.
    """
    if not recipe.refine.relabels:
        return logits
    import torch

    found, _ = bundle.teacher(pick_device(recipe.device)).predict(torch.from_numpy(np.array(images)))
    return found.numpy()


def _lengths(latents: Tensor) -> Tensor:
    """The length of each latent (n, c, h, w): (n,)."""
    return latents.flatten(1).norm(dim=1)


def open_networks(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Networks:
    """Generator, codec and teacher; float32 on a CPU, where the batch is small, bfloat16 products on a GPU.

    A pool that a fine-tuned generator made is refined by that one.
    """
    import torch

    from psr_studio.models.generator import Generator
    from psr_studio.stages.refine.loop import Networks

    device = pick_device(recipe.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    generator = tuned.opened(ws, bundle, device, dtype, str(ws.pool().settings.get(tuned.KEY, "")))
    if isinstance(generator, Generator):
        generator.compiled = False  # it may be the one that a pool was sampled with
    return Networks(
        generator, bundle.codec(device), bundle.teacher(device), dtype is torch.bfloat16,
        _matching(recipe, bundle, device) if recipe.refine.objective == "match" else None,
    )  # fmt: skip


def _matching(recipe: Recipe, bundle: Bundle, device: torch.device) -> Matching:
    """The real training images that controls have, too: none of those that are held out."""
    import torch

    from psr_studio.models.levels import NormalisedImages, at_rest
    from psr_studio.stages.refine.matching import Matching

    images, labels = bundle.train_subset
    rows = {c: torch.from_numpy(np.flatnonzero(labels == c)) for c in range(bundle.n_classes)}
    kept = NormalisedImages.of(at_rest(images, device), bundle.normalisation, device)
    return Matching(kept, rows, recipe.refine.match.real_images, recipe.evaluate.mirrored)


def _discard_other_classes(ws: Workspace, record: SelectionRecord) -> None:
    """Remove refined classes that an older selection of this name had and this one has not."""
    for class_id, path in ws.refined_files(record.name).items():
        if class_id not in record.picks:
            discard(path)


def cost(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Cost:
    """What refining the missing classes costs on this device; opens the networks and measures for a second."""
    require_generator(bundle)
    record = select.require(ws, recipe.select.name, bundle)
    missing = left(ws, recipe, bundle, record).missing or sorted(record.picks)
    for _ in encode(ws, recipe, bundle, _picked(record, missing)):
        pass
    return Refiner(ws, recipe, bundle, record).cost(missing)


def size(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord | None = None) -> speeds.Size:
    """How many pictures of the selection are not refined."""
    require_generator(bundle)
    work = left(ws, recipe, bundle, record)
    return size_of(recipe, bundle, work.total - work.found)


def size_of(recipe: Recipe, bundle: Bundle, n: int) -> speeds.Size:
    """How much refining n pictures is."""
    settings = recipe.refine
    # A step with the label takes longer.
    pulled = round(min(settings.label_steps, settings.n_steps) / settings.n_steps, 3)
    # Each class is matched whole, with as many real images whatever its budget.
    at_once = (
        (recipe.select.ipc, settings.match.real_images)
        if settings.objective == "match"
        else (settings.batch_size,)
    )
    kind = (bundle.identity("generator"), bundle.teacher_id, settings.objective, pulled, *at_once)
    return speeds.Size(n, n * settings.n_steps, kind)


def _picked(record: SelectionRecord, classes: Sequence[int]) -> list[int]:
    return [candidate for c in classes for candidate in record.picks[c]]
