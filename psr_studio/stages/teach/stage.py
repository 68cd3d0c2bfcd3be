"""A teacher of one's own classes: features of a network that is there, and a calibrated linear head on them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

from psr_studio.bundles.shipped import IMAGENET_TEACHER, shipped_teachers
from psr_studio.bundles.sources import Source, download, locate
from psr_studio.core.devices import pick_device
from psr_studio.core.errors import ModelError, did_you_mean
from psr_studio.core.files import check_empty, check_path, whole_folder
from psr_studio.core.progress import Progress
from psr_studio.core.words import plural
from psr_studio.stages.batches import Stopwatch
from psr_studio.stages.importing.classes import ClassNames
from psr_studio.stages.teach import STAGE
from psr_studio.stages.teach.pictures import Pictures, PoolPictures, RealPictures
from psr_studio.stages.teach.report import CROSS_FITTED, HELD_OUT, POOL, Report

if TYPE_CHECKING:
    import torch

    from psr_studio.bundles.bundle import Bundle
    from psr_studio.models.head import Head
    from psr_studio.models.teacher import Teacher
    from psr_studio.recipe.schema import Recipe
    from psr_studio.storage.workspace import Workspace

FILES = ("config.json", "model.safetensors")
TEACHERS = "teachers"  # in a workspace
AGAIN = "teach it again: nothing was changed"
SAME = 1e-3  # of the largest logit: what rounding may change between a head and the network that has it


@dataclass(frozen=True)
class Options:
    """How a teacher is taught.

    Attributes:
        out: the folder of the teacher, not there or empty.
        backbone: a network that ships, a folder, or a name of timm's.
        shape: (H, W, ch) of the pictures that it will judge; None takes those that the backbone sees.
        download: fetch a backbone that is not on this machine.
        device: as in a recipe.
    """

    out: Path
    backbone: str = IMAGENET_TEACHER
    shape: tuple[int, int, int] | None = None
    download: bool = False
    device: str = "auto"


def run(
    ws: Workspace, recipe: Recipe, bundle: Bundle, images: str | Path | None = None,
    out: str | Path | None = None, backbone: str = IMAGENET_TEACHER, download: bool = False,
    device: str | None = None,
) -> Iterator[Progress]:  # fmt: skip
    """Teach the classes of a bundle on real pictures, or on the pool where `images` is None.

    Real pictures that the bundle draws for its test are not learned from: students are tested on them.

    Args:
        out: a folder that is not there or is empty; None takes the next free one in the workspace.
    """
    pictures: Pictures
    if images is None:
        pool = ws.pool()
        if not len(pool):
            raise ModelError(
                "There is no pool to teach a teacher on.",
                "Import pictures first, or name a folder of real ones.",
            )
        pictures = PoolPictures(pool, bundle.class_names)
    else:
        pictures = RealPictures(images, ClassNames.of(bundle), bundle.drawn_test(check_path(images)))
    folder = next_folder(ws.root) if out is None else check_path(out)
    return teach(pictures, Options(folder, backbone, bundle.image_shape, download, device or recipe.device))


def next_folder(root: Path) -> Path:
    """The first free folder for a teacher in a workspace."""
    return root / TEACHERS / f"teacher-{1 + max(map(_number, (root / TEACHERS).glob('*')), default=0)}"


def newest_folder(root: Path) -> Path | None:
    """That of the teacher taught last in a workspace."""
    found = sorted((root / TEACHERS).glob("teacher-*"), key=_number)
    return found[-1] if found else None


def _number(folder: Path) -> int:
    digits = folder.name.removeprefix("teacher-")
    return int(digits) if digits.isdecimal() else 0


def teach(pictures: Pictures, options: Options) -> Iterator[Progress]:
    """Features of every picture, then the head, then the folder, whole or not at all.

    Where the pictures have a part that is held out, the numbers are of it and the head is fitted to the others.
    Elsewhere the numbers are cross-fitted, and the head is then fitted to all.

    Raises:
        StudioError: a picture that cannot be used, a backbone that does not fit, a target that is in use.
    """
    import torch

    from psr_studio.models.head import cross_fit, fit_head
    from psr_studio.models.teacher import Teacher, picture_key

    clock, total = Stopwatch(started=False), pictures.n + 1

    def event(done: int, message: str, **more: object) -> Progress:
        return Progress(STAGE.name, done, total, message, seconds=clock.seconds, **more)  # type: ignore[arg-type]

    check_empty(options.out, AGAIN)
    yield event(0, "Opening the backbone.")
    source = backbone_source(options.backbone)
    if options.download and locate(source) is None:
        yield from download([source])
    backbone = Teacher.whole(_located(source), pick_device(options.device))
    shape = _shape(backbone, options)
    clock.start()
    features: list[list[torch.Tensor]] = [[], []]
    labels: list[list[torch.Tensor]] = [[], []]
    keys: list[bytes] = []  # of the pictures that are learned from
    done = 0
    for held_out, (images, classes) in pictures.parts(shape):
        features[held_out].append(backbone.predict(torch.from_numpy(images), len(images))[1])
        labels[held_out].append(torch.from_numpy(classes.copy()))
        keys += [] if held_out else map(picture_key, images)
        done += len(images)
        words = " ".join(filter(None, ("Looking at the pictures.", backbone.memory.take_notice())))
        yield event(done, words)
    shown = torch.from_numpy(images[:4])
    x, y = torch.cat(features[0]), torch.cat(labels[0])
    n_classes = len(pictures.class_names)
    yield event(pictures.n, f"Fitting the head to {plural(len(x), 'picture')}.")
    crossed = cross_fit(x, y, n_classes)
    head = fit_head(x, y, n_classes, crossed.penalty).cooled(crossed.temperature)
    fit = POOL if isinstance(pictures, PoolPictures) else HELD_OUT if features[1] else CROSS_FITTED
    unseen = (head(torch.cat(features[1])), torch.cat(labels[1])) if features[1] else (crossed.logits, y)
    report = Report.of(
        unseen[0].numpy(), unseen[1].numpy(), pictures.class_names, how=fit, n_taught=len(x),
        backbone=options.backbone, penalty=crossed.penalty, temperature=crossed.temperature,
        left_out=pictures.left_out,
    )  # fmt: skip
    save(backbone, head, shown, report, pictures.class_names, options.out, (keys, crossed.logits))
    yield event(
        total, f"{report.headline} {' '.join(report.warnings)}".strip(), part_done=True,
        metrics={"accuracy": report.accuracy, "ece": report.ece},
    )  # fmt: skip


def save(
    backbone: Teacher, head: Head, shown: torch.Tensor, report: Report, class_names: tuple[str, ...], out: Path,
    cross_fitted: tuple[list[bytes], torch.Tensor],
) -> None:  # fmt: skip
    """Put the head on its backbone and write both as a timm folder, with the report.

    The folder is opened again before it is put in place, and must answer as the head does.

    Args:
        shown: a few pictures as they are at rest, uint8 (n, H, W, ch).
        cross_fitted: keys and logits of the pictures it was taught on, for `Teacher.predict`.

    Raises:
        ModelError: a network whose classifier is not one linear layer on its features.
    """
    from psr_studio.models.levels import from_uint8
    from psr_studio.models.teacher import CROSS_FITTED_NAME, Teacher, write_cross_fitted
    from psr_studio.models.timm_folder import write_timm_folder

    expected = head(backbone.predict(shown)[1])
    with_head(backbone, head)
    config = backbone.config.model_copy(
        update={"n_classes": len(class_names), "class_indices": None, "calibration": 1.0}
    )
    with whole_folder(out, again=AGAIN) as temp:
        write_timm_folder(temp, backbone.backbone, config, label_names=class_names)
        report.write(temp)
        write_cross_fitted(temp / CROSS_FITTED_NAME, *cross_fitted)
        again = Teacher.from_timm_folder(temp, device=backbone.mean.device)
        found = again.predict(from_uint8(shown))[0]
        if (found - expected).abs().max() > SAME * max(1.0, float(expected.abs().max())):
            raise does_not_fit(report.backbone, "its outputs are not a linear layer on its features")


def with_head(backbone: Teacher, head: Head) -> None:
    """Replace the classifier of a network by a head of one's own; ModelError where it has none that is linear."""
    from torch import nn

    network, name = backbone.backbone, backbone.config.architecture
    try:
        network.reset_classifier(len(head.bias))  # type: ignore[operator]
        classifier = network.get_classifier()  # type: ignore[operator]
    except Exception as err:  # a network may refuse in any way
        raise does_not_fit(name, "its classifier cannot be replaced") from err
    if not isinstance(classifier, nn.Linear) or classifier.weight.shape != head.weight.shape:
        raise does_not_fit(name, f"its classifier is no linear layer on {head.weight.shape[1]} features")
    classifier.to(backbone.mean.device)
    classifier.weight.data.copy_(head.weight)
    classifier.bias.data.copy_(head.bias)
    backbone.requires_grad_(False)


def does_not_fit(name: str, why: str) -> ModelError:
    """The error for a network that no linear head can be put on."""
    return ModelError(
        f'The backbone "{name}" cannot carry a head: {why}.',
        f'Name another one, such as "{IMAGENET_TEACHER}", which ships with PSR Studio.',
    )


def _shape(backbone: Teacher, options: Options) -> tuple[int, int, int]:
    """(H, W, ch) of the pictures as they are at rest."""
    config = backbone.config
    side = floor(config.input_size / config.crop_pct)
    shape = options.shape or (side, side, config.in_chans)
    if shape[2] != config.in_chans or shape[2] not in (1, 3):
        raise ModelError(
            f'The backbone "{options.backbone}" sees {plural(config.in_chans, "channel")}, but the pictures have '
            f"{shape[2] if options.shape else '1 or 3'}.",
            "Name a backbone for such pictures.",
        )
    return shape


def backbone_source(name: str) -> Source:
    """Where a backbone comes from: it ships, is a folder, or lies on the Hugging Face hub under a name of timm's.

    Raises:
        ModelError: none of these.
    """
    from psr_studio.models.teacher import hub_id

    if name in shipped_teachers() or check_path(name).is_dir():
        return Source("teacher", name, FILES)
    found = hub_id(name)
    if not found:
        raise ModelError(
            f'There is no backbone "{name}": it neither ships with PSR Studio, nor is it a folder or a name of '
            "timm's with weights on the Hugging Face hub.",
            f'{did_you_mean(name, shipped_teachers())}Name "{IMAGENET_TEACHER}", a folder with {" and ".join(FILES)}, '
            "or one of timm.list_models(pretrained=True).",
        )
    return Source("teacher", found, FILES)


def _located(source: Source) -> Path:
    found = locate(source)
    if found is not None:
        return found
    if source.is_hub_id:
        raise ModelError(
            f'The backbone "{source.name}" is not on this machine, and nothing is downloaded unasked.',
            'Tick "Fetch the backbone" (--download), or name a folder that holds it.',
        )
    raise ModelError(
        f'The folder "{source.name}" of the backbone lacks {" or ".join(FILES)}.',
        "Name a teacher folder as timm or PSR Studio writes it; `psr-studio convert-weights --teacher` makes one.",
    )


def use_command(folder: Path, bundle: str = "") -> str:
    """What is typed to judge with a taught teacher in a bundle as a command calls it, any where none is named."""
    called = shlex.quote(bundle) if bundle else "BUNDLE"
    return f"psr-studio weights {called} --teacher {shlex.quote(str(folder))}"
