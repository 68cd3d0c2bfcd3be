"""Fine-tunes a bundle's DiT to be representative and diverse (Minimax; DGS eq. 2 to 4), as a step of a workspace.

Learning rate, batch, weights, memories and the trained part are those of the authors' code; what differs is said
where it does. All randomness of a step comes from its number, so a run that was stopped goes on to the same weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from psr_studio.bundles.bundle import CODEC, Bundle
from psr_studio.bundles.real_latents import finished, real_latents
from psr_studio.core.checkpoints import Checkpoint
from psr_studio.core.devices import candidate_generator, candidate_seed, pick_device, reproducible
from psr_studio.core.errors import ModelError
from psr_studio.core.progress import Progress
from psr_studio.core.stopping import Stopped, stop_if_asked
from psr_studio.core.words import duration, plural
from psr_studio.method.minimax import diffusion_loss, minimax_losses, predicted_clean, remember
from psr_studio.method.variational import variational_bound
from psr_studio.models.generator import Generator
from psr_studio.models.tuning import Delta, Tuned, read_facts, write_delta
from psr_studio.recipe.schema import FinetuneRecipe, Recipe
from psr_studio.stages.batches import Stopwatch
from psr_studio.stages.finetune import STAGE
from psr_studio.stages.generate import tuned
from psr_studio.stages.generate.plan import classes_of
from psr_studio.stages.generate.targets import encode_real, need_real_images
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.workspace import StageStatus, Workspace
from psr_studio.training.loop import mixed_precision

REPORT = 10  # steps between two events
TIMED = 5  # steps after which the cost is known
NOISE, ORDER = 0, 1  # what a seed is for
OTHER = "A fine-tuning with other settings was begun and is not taken up."
LOSSES = ("loss", "noise", "representativeness", "diversity")


def run(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Iterator[Progress]:
    """Fine-tune, and keep what changed as a generator of the workspace; stopped at any moment, it goes on from there.

    The metrics of its events are the mean losses since the last one: the whole, the noise error, representativeness
    and diversity. A unit of `done` is a step.

    Raises:
        ModelError: no real images, a generator that is no DiT, one of that name made otherwise, losses that diverge.
    """
    settings, file = recipe.finetune, tuned.path(ws, recipe.finetune.name)
    bundle.require("generator", "Fine-tuning takes a generator")
    facts = facts_of(recipe, bundle)
    if file.is_file():
        _check_same(file, settings, facts, bundle)
        yield Progress(STAGE.name, 1, 1, f'"{settings.name}" is fine-tuned already.', part_done=True)
        return
    need_real_images(bundle)
    device = pick_device(recipe.device)

    def event(message: str, **more: Any) -> Progress:
        return Progress(STAGE.name, 0, 1, message, **more)

    yield event("Opening the generator.")
    _dit(bundle, device)
    for mirrored in (False, True)[: 1 + settings.mirrored]:
        yield from encode_real(bundle, facts["classes"], device, event, mirrored)
    kept, data = _checkpoint(file, facts, bundle), bundle.identity("data")
    if any(path != kept for path in _begun(file)):
        yield event(OTHER, lasting=True)
    training = FineTuning(recipe, bundle, kept, device)
    yield from _steps(training)
    facts |= {"data": data, "images": len(training.labels), "steps": training.n_steps}
    write_delta(file, Delta(training.average.values, training.rows, facts))
    for begun in _begun(file):  # with other settings too: the name is taken now
        begun.unlink(missing_ok=True)
    told = f'Fine-tuned "{settings.name}" on {plural(len(training.labels), "real image")}.'
    yield Progress(STAGE.name, training.n_steps, training.n_steps, told, part_done=True)


def status(ws: Workspace, recipe: Recipe, bundle: Bundle) -> StageStatus:
    """Whether the generator of that name is there, and was fine-tuned with these settings."""
    name = recipe.finetune.name
    file = tuned.path(ws, name)
    if not file.is_file():
        begun = _begun(file)
        if begun and _checkpoint(file, facts_of(recipe, bundle), bundle) in begun:
            return StageStatus("partial", f'"{name}" is begun.')
        more = f" {OTHER}" if begun else ""
        return StageStatus("missing", f'"{name}" is not fine-tuned yet.{more}')
    try:
        _check_same(file, recipe.finetune, facts_of(recipe, bundle), bundle)
    except ModelError as err:
        return StageStatus("stale", err.problem)
    return StageStatus("fresh", f'"{name}" is fine-tuned.')


def facts_of(recipe: Recipe, bundle: Bundle) -> dict[str, Any]:
    """What a fine-tuned generator is made from, the real images aside."""
    return {
        "base": bundle.identity("generator"),
        "codec": bundle.identity(CODEC),
        "classes": list(classes_of(recipe, bundle)),
        "settings": recipe.finetune.read(),
    }


def _checkpoint(file: Path, facts: Mapping[str, Any], bundle: Bundle) -> Path:
    """Where a fine-tuning stands that is not finished, beside the file that it makes."""
    return file.with_name(f"{file.stem}-{stable_hash([facts, bundle.identity('data')])[:16]}.pt")


def _begun(file: Path) -> list[Path]:
    """The checkpoints of that name, whatever their settings."""
    ours = re.compile(rf"{re.escape(file.stem)}-[0-9a-f]{{16}}\.pt")
    return [path for path in file.parent.glob("*.pt") if ours.fullmatch(path.name)]


def _check_same(file: Path, settings: FinetuneRecipe, facts: Mapping[str, Any], bundle: Bundle) -> None:
    """Raise ModelError where the fine-tuned generator of that name was made otherwise.

    Real images count where they are at hand, and where the file says which ones it was made from.
    """
    found = read_facts(file)
    fix = 'Choose another "finetune.name", or move its file out of the folder "generators" of the workspace.'
    before, now = ({**one, **one.get("settings", {})} for one in (found, facts))
    if differing := [key for key in now if key != "settings" and before.get(key) != now[key]]:
        key = differing[0]
        raise ModelError(
            f'The generator "{settings.name}" was fine-tuned with other settings: {key} is {now[key]} now and was '
            f"{before.get(key)}.",
            fix,
        )
    images = found.get("data")
    if images and bundle.missing_part("images") is None and images != bundle.identity("data"):
        raise ModelError(
            f'The generator "{settings.name}" was fine-tuned on other real images, or these were moved or changed '
            "since.",
            fix,
        )


def _dit(bundle: Bundle, device: torch.device) -> Generator:
    """The bundle's generator; ModelError where it is no DiT."""
    found = bundle.generator(device, torch.float32)
    if not isinstance(found, Generator):
        raise ModelError(
            f'The generator of "{bundle.name}" is no class-conditional DiT, and only these can be fine-tuned.',
            'Choose a bundle with a DiT, or steer the pool instead: "Steered to" on the Pool tab.',
        )
    return found


def _steps(training: FineTuning) -> Iterator[Progress]:
    """The steps that are left, with their mean losses; where it is stopped between two, that is written down."""
    clock, first = Stopwatch(), training.checkpoint.step
    losses: list[Tensor] = []  # left on the device: a look at each would have it wait

    def event(done: int, message: str, **more: Any) -> Progress:
        return Progress(
            STAGE.name, done, training.n_steps, message, seconds=clock.seconds, resumed=first, **more
        )

    try:
        for index in range(first, training.n_steps):
            stop_if_asked()
            losses.append(training.step(index))
            done = index + 1
            training.checkpoint.reached(done, final=done == training.n_steps, check=training.check_finite)
            if done == first + TIMED:
                left = training.n_steps - first
                words = f"Cost: {plural(left, 'step')}, about {duration(clock.seconds / TIMED * left)}."
                yield event(done, words, lasting=True)
            if done % REPORT == 0 or done == training.n_steps:
                metrics = _mean(losses, done)
                losses = []
                words = f"Step {done:,} of {training.n_steps:,}: " + ", ".join(
                    f"{name} {value:.4g}" for name, value in metrics.items()
                )
                yield event(done, f"{words}.", metrics=metrics, part_done=True)
    except (GeneratorExit, Stopped):
        if training.checkpoint.is_finite:
            training.checkpoint.reached(training.checkpoint.step, final=True)
        raise
    except Diverged:
        training.checkpoint.remove()
        raise


def _mean(losses: list[Tensor], step: int) -> dict[str, float]:
    means = torch.stack(losses).mean(dim=0)
    if not means.isfinite().all():
        raise Diverged(step, "a loss")
    return dict(zip(LOSSES, means.tolist(), strict=True))


class Diverged(ModelError):
    """A number of the training is no longer finite."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(
            f"Fine-tuning diverged by step {step}: {what} is no finite number.",
            'Lower "finetune.lr", or the weights of representativeness and diversity.',
        )


class Average:
    """The running average of trained values, which begins at the values before the first step."""

    def __init__(self, values: Mapping[str, Tensor], decay: float) -> None:
        self.values = {name: value.detach().clone() for name, value in values.items()}
        self.decay = decay

    @torch.no_grad()
    def follow(self, values: Mapping[str, Tensor]) -> None:
        """One step towards the values as they are now; no warm-up, as published."""
        torch._foreach_lerp_(list(self.values.values()), list(values.values()), 1 - self.decay)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages."""
        return self.values

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take those of a checkpoint."""
        for name, value in self.values.items():
            value.copy_(state[name])


class Memories:
    """Flat real latents and predicted clean latents of each class, the newest `size` of each."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.size, self.device = size, device
        self.real: dict[int, Tensor] = {}
        self.generated: dict[int, Tensor] = {}

    def take(self, labels: list[int], real: Tensor, generated: Tensor) -> None:
        """Remember a batch: labels (N,), flat latents (N, D) each."""
        for memory, rows in ((self.real, real), (self.generated, generated)):
            for class_id in sorted(set(labels)):
                members = rows[[row for row, label in enumerate(labels) if label == class_id]]
                memory[class_id] = remember(memory.get(class_id), members, self.size)

    def state_dict(self) -> dict[str, dict[int, Tensor]]:
        """Both memories by class."""
        return {"real": self.real, "generated": self.generated}

    def load_state_dict(self, state: Mapping[str, Mapping[int, Tensor]]) -> None:
        """Take those of a checkpoint."""
        self.real, self.generated = (
            {c: rows.to(self.device) for c, rows in state[name].items()} for name in ("real", "generated")
        )


class FineTuning:
    """The trained part of a generator with all that its training changes, on one device.

    Attributes:
        latents: (N, c, h, w), codec means; the authors draw from the encoder's posterior instead.
        labels: (N,) their classes, by place among the classes of the pool.
        rows: of the generator's class table that are trained, the null class last.
    """

    def __init__(self, recipe: Recipe, bundle: Bundle, kept: Path, device: torch.device) -> None:
        self.settings, self.device = recipe.finetune, device
        classes = classes_of(recipe, bundle)
        views = [
            (i, c, flip)
            for i, c in enumerate(classes)
            for flip in (False, True)[: 1 + self.settings.mirrored]
        ]
        found = [finished(real_latents(bundle, c, device, flip)) for _, c, flip in views]
        self.latents = torch.cat([torch.from_numpy(rows) for rows in found]).to(device)
        self.labels = [i for (i, *_), rows in zip(views, found, strict=True) for _ in rows]
        base = _dit(bundle, device)
        self.rows, self.learns_variance = (
            (*(base.rows[c] for c in classes), base.rows[-1]),
            base.learns_variance,
        )
        self.alpha_bars = base.alphas_cumprod
        self._order = (-1, torch.empty(0))  # of the pass that was asked for last
        self.tuned = Tuned(base.transformer, self.rows, self.settings.scaled_share)
        self.average = Average(self.tuned.parameters, self.settings.ema_decay)
        self.optimizer = torch.optim.AdamW(
            self.tuned.parameters.values(), lr=self.settings.lr, weight_decay=0.0
        )
        self.memories = Memories(self.settings.memory, device)
        parts = {
            "tuned": self.tuned,
            "average": self.average,
            "optimizer": self.optimizer,
            "memories": self.memories,
        }
        self.checkpoint = Checkpoint(kept, parts, "Remove that file to begin anew.")

    @cached_property
    def batch(self) -> int:
        """Images in a step."""
        return min(self.settings.batch_size, len(self.labels))

    @cached_property
    def n_steps(self) -> int:
        """All steps; what is left of the images at the end of a pass is left out."""
        return self.settings.epochs * (len(self.labels) // self.batch)

    def step(self, index: int) -> Tensor:
        """One step: (4,) its losses as in LOSSES, not yet waited for."""
        rows = self.rows_of(index)
        labels = [self.labels[row] for row in rows]
        with reproducible(self.device):
            losses, clean = self._losses(index, self.latents[rows], labels)
            self.optimizer.zero_grad(set_to_none=True)
            losses[0].backward()
            self.optimizer.step()
            self.average.follow(self.tuned.parameters)
        self.memories.take(labels, self.latents[rows].flatten(1), clean)  # after they were used
        return losses.detach()

    def check_finite(self) -> None:
        """Raise Diverged where a number that a checkpoint would keep is not finite."""
        if not self.checkpoint.is_finite:
            raise Diverged(self.checkpoint.step, "a weight")

    def rows_of(self, index: int) -> list[int]:
        """The images of a step: each pass has an order of its own."""
        epoch, place = divmod(index, len(self.labels) // self.batch)
        if self._order[0] != epoch:
            drawn = candidate_generator(candidate_seed(self.settings.seed, ORDER, epoch))
            self._order = epoch, torch.randperm(len(self.labels), generator=drawn)
        return self._order[1][place * self.batch : (place + 1) * self.batch].tolist()

    def _losses(self, index: int, latents: Tensor, labels: list[int]) -> tuple[Tensor, Tensor]:
        """The losses (4,) of a batch, and the predicted clean latents, flat."""
        n, generator = len(labels), candidate_generator(candidate_seed(self.settings.seed, NOISE, index))
        t = torch.randint(len(self.alpha_bars), (n,), generator=generator)
        dropped = torch.rand(n, generator=generator) < self.settings.label_dropout
        noise = torch.randn(latents.shape, generator=generator).to(self.device)
        alpha_bar, before = (values.view(-1, 1, 1, 1).to(self.device) for values in self._alpha_bars(t))
        y = torch.where(dropped, len(self.rows) - 1, torch.tensor(labels))
        z_t = alpha_bar.sqrt() * latents + (1 - alpha_bar).sqrt() * noise
        with mixed_precision(self.device):
            output = self.tuned.network(
                z_t, timestep=t.to(self.device), class_labels=y.to(self.device)
            ).sample
        output = output.float()
        eps, share = output[:, : latents.shape[1]], output[:, latents.shape[1] :]
        clean = predicted_clean(z_t, eps, alpha_bar)
        error = diffusion_loss(eps, noise)
        near, far = minimax_losses(clean.flatten(1), labels, self.memories.real, self.memories.generated)
        whole = error + self.settings.representativeness * near + self.settings.diversity * far
        if self.learns_variance:
            whole = whole + variational_bound(latents, z_t, clean, share, alpha_bar, before).mean()
        return torch.stack([whole, error, near, far]), clean.flatten(1).detach()

    def _alpha_bars(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha-bar of each t, and of the step before it, 1 at t = 0: (n,) each."""
        before = torch.cat([torch.ones(1), self.alpha_bars[:-1]])
        return self.alpha_bars[t], before[t]
