"""A project from nothing but pictures: looked at first, then a bundle file, a workspace and its pool, made at once."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psr_studio.app.real_pictures import NAMED, RealPictures, copied, listed, look_at_real
from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.own_pictures import (
    Description,
    TeacherFacts,
    imagenet_classes,
    shipped_teacher,
    teacher_facts,
    write_description,
)
from psr_studio.core.errors import ModelError, WorkspaceError
from psr_studio.core.files import absolute_path
from psr_studio.core.progress import Progress
from psr_studio.core.words import plural
from psr_studio.method.protocols import PROTOCOLS, convnet_depth
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.evaluate.given import as_it_lies
from psr_studio.stages.importing.classes import ClassNames
from psr_studio.stages.importing.items import PoolImportError, called
from psr_studio.stages.importing.look import Found, look
from psr_studio.stages.importing.reading import Reading
from psr_studio.storage.names import part_files

LARGEST_SIDE = 1024
SMALL, AS_THEY_ARE = "psr-kd-64", "psr-kd"  # the protocols of pictures beyond 64 px, and of the others
SHOWN = 3600  # pictures of 64 px that a student is shown; of smaller ones as many as cost as much
FEWEST_EPOCHS = 40
UNREFINED = {"export.refined": False, "evaluate.arms": ("selected",)}  # nothing refines imported pictures


@dataclass(frozen=True)
class Training:
    """How students are trained: the side that they see in pixels, by which protocol, for how many epochs."""

    seen: int
    protocol: str
    epochs: int

    @classmethod
    def for_minutes(cls, side: int, n: int) -> Training:
        """Of n pictures of a side so that a CPU trains a dozen students in minutes.

        Pictures beyond 64 px are brought to it. A student is shown as much as 3,600 pictures of 64 px, in 40 epochs at
        least, which large sets need whatever they cost, and in those of the protocol at most.
        """
        size = PROTOCOLS[SMALL].size or side
        protocol, seen = (SMALL, size) if side > size else (AS_THEY_ARE, side)
        shown, most = SHOWN * (size / seen) ** 2, int(PROTOCOLS[protocol].epochs)
        return cls(seen, protocol, min(most, max(FEWEST_EPOCHS, round(shown / n))))

    @property
    def settings(self) -> dict[str, Any]:
        """As a recipe has them."""
        return {
            "evaluate.protocol": self.protocol,
            "evaluate.epochs": self.epochs,
            "evaluate.student": _student(self.seen),
        }


@dataclass(frozen=True)
class Plan:
    """What would be made, before anything is.

    Attributes:
        workspace: the folder. reading: what was said of the pictures, such as their split.
        first_label: where folders are numbers, that of the first class.
        notes: what else there is to know, a sentence or two each.
    """

    workspace: Path
    pictures: Found
    real: RealPictures | None
    description: Description
    reading: Reading
    first_label: int | None
    notes: tuple[str, ...]

    @property
    def bundle_file(self) -> Path:
        """Where the description of the bundle goes."""
        return self.workspace / f"{self.workspace.name}.toml"

    @property
    def training(self) -> Training:
        """How students are trained on as many of the pictures as a recipe chooses at first."""
        of_class = min(Recipe().select.ipc, max(self.pictures.counts.values()))
        return Training.for_minutes(self.description.side, of_class * len(self.pictures.counts))

    @property
    def lines(self) -> list[str]:
        """In words, a line each."""
        made = self.description
        lines = [f"Pictures in {called(self.pictures.path)}", *self.pictures.lines]
        if self.real is not None:
            lines += self.real.lines
        lines.append(
            f"They become {made.side} x {made.side}; the teacher is {made.teacher or 'still to come'}."
        )
        trained = self.training
        lines.append(
            f"Students will see {trained.seen} x {trained.seen} pixels for {trained.epochs} epochs (protocol "
            f"{trained.protocol}), which suits a CPU; what that costs is said before it begins."
        )
        return [*lines, *self.notes]


def plan(
    workspace: str | Path, pictures: str | Path, *, real: str | Path | None = None, side: int | None = None,
    teacher: str | None = None, reading: Reading | None = None,
) -> Plan:  # fmt: skip
    """Look at pictures and say what would be made of them; nothing is written.

    Args:
        pictures: anything that an import reads. real: a folder of class folders, with train/ and val/ or without, or
            a file that an import reads, which is copied into the project.
        side: of the pictures at rest; None takes the one that their own sizes propose.
        teacher: a folder, a hub id or a name of timm; None takes the one that ships with PSR Studio where it knows the
            classes.
        reading: what is said of the pictures where they leave a choice: split, naming rule, values.

    Raises:
        WorkspaceError: the workspace has a pool, or belongs to another bundle.
        PoolImportError: the pictures, or their classes. ModelError: the teacher knows other classes.
    """
    root = absolute_path(workspace)
    if part_files(root / "pool"):
        raise WorkspaceError(f'The workspace "{root}" holds a pool already.', "Choose another name.")
    found = look(pictures, reading)
    labels = _ordered(found)
    first = _first_label(labels)
    if side is not None and not 8 <= side <= LARGEST_SIDE:
        raise PoolImportError(
            f"Pictures of {side} x {side} are asked for.", f"Ask for a side from 8 to {LARGEST_SIDE} pixels."
        )
    file = shlex.quote(str(root / f"{root.name}.toml"))
    known, note = _judged_by(teacher, labels)
    names = _names(labels, known)
    single = [name for name, label in zip(names, labels, strict=True) if found.counts[label] == 1]
    seen = None if real is None else look_at_real(real, root, ClassNames(names, known.wordnet_ids))
    if not known.source:
        note = f"{note} {_ways_to_a_teacher(root, file, seen)}"
    notes = [note] if note else []
    if single:
        notes.append(
            f"Of {listed(single)} there is one picture only: it is taken whatever a selection is made by."
        )
    if seen is not None:
        notes += seen.notes
    else:
        notes.append(
            "No real pictures are named: evaluation and tuning wait for them, "
            f'"Weights" on its Pool tab names them later (`psr-studio weights {file} --images FOLDER`).'
        )
    made = Description(
        title=f"{root.name}: {plural(len(names), 'class', 'classes')} of one's own pictures",
        class_names=names,
        side=side or found.side,
        wordnet_ids=known.wordnet_ids,
        rows=known.rows,
        teacher=known.source,
        real=str(seen.folder) if seen is not None else "",
        folder_names=seen.folder_names if seen is not None else (),
    )
    return Plan(root, found, seen, made, reading or Reading(), first, tuple(notes))


def make(plan: Plan) -> Iterator[Progress]:
    """Write the bundle file, copy real pictures that came as a file, make the workspace and import the pictures.

    The same again goes on where it ended.

    Raises:
        StudioError: as an import. The bundle file and an empty workspace may be there then, and no pool.
    """
    yield from _described(plan)
    settings = {"name": plan.workspace.name, "bundle": str(plan.bundle_file)}
    recipe = Recipe().with_values({**settings, **UNREFINED, **plan.training.settings})
    with Studio(plan.workspace, recipe, replace_recipe=True) as studio:
        yield from studio.import_pool(
            plan.pictures.path, split=plan.reading.split, rule=plan.reading.rule, values=plan.reading.values,
            first_label=plan.first_label, skip_broken=True,
        )  # fmt: skip


def recipe_for_set(workspace: str | Path, pictures: str | Path, real: str | Path) -> Recipe:
    """The recipe that judges a set of pictures beside real ones, and its bundle file in the workspace; imports nothing.

    The file that is there is taken as it is. Raises as `plan`.
    """
    root = absolute_path(workspace)
    file = root / f"{root.name}.toml"
    if not file.is_file():
        with as_it_lies():
            planned = plan(root, pictures, real=real)
        for _ in _described(planned):
            pass
    side = load_bundle(str(file)).image_shape[0]
    settings = {"name": root.name, "bundle": str(file), "evaluate.student": _student(side)}
    return Recipe().with_values({**settings, **UNREFINED})


def _described(plan: Plan) -> Iterator[Progress]:
    """Copy real pictures that are to be copied, and write the bundle file."""
    if plan.real is not None:
        yield from copied(plan.real, (plan.description.side, plan.description.side, 3))
    write_description(plan.bundle_file, plan.description)


def _student(side: int) -> str:
    return f"convnet-{min(6, convnet_depth(side))}"


@dataclass(frozen=True)
class _Judge:
    """A teacher with the rows of its outputs that are the classes, and what ImageNet calls these."""

    source: str
    rows: tuple[int, ...] | None = None
    names: tuple[str, ...] = ()
    wordnet_ids: tuple[str, ...] = ()


def _ordered(found: Found) -> list[str]:
    """The labels in the order of the classes: by name, numbers by their size.

    Raises:
        PoolImportError: numbers with gaps, which say nothing of the classes.
    """
    labels = list(found.counts)
    if not all(label.isdecimal() for label in labels):
        return labels
    labels.sort(key=int)
    numbers = [int(label) for label in labels]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))) or numbers[0] > 1:
        raise PoolImportError(
            f'The classes of "{called(found.path)}" are the numbers {", ".join(labels[:NAMED])} and so on, with gaps.',
            "Rename the folders to the names of their classes.",
        )
    return labels


def _first_label(labels: Sequence[str]) -> int | None:
    return int(labels[0]) if all(label.isdecimal() for label in labels) else None


def _names(labels: Sequence[str], known: _Judge) -> tuple[str, ...]:
    """WordNet ids become names where the teacher has some; all else is called as it lies there."""
    ids = set(known.wordnet_ids)
    return tuple(known.names[i] if label in ids else label for i, label in enumerate(labels))


def _ways_to_a_teacher(root: Path, file: str, real: RealPictures | None) -> str:
    folder = "FOLDER" if real is None else shlex.quote(str(real.folder))
    return (
        'Once the project is made, teach one on real pictures of these classes, "Teacher of your own classes" on its '
        f"Pool tab (`psr-studio teach -w {shlex.quote(str(root))} --images {folder} --use`), or name one, "
        f'"Weights" there (`psr-studio weights {file} --teacher FOLDER`).'
    )


def _judged_by(teacher: str | None, labels: Sequence[str]) -> tuple[_Judge, str]:
    """The teacher that is named, or the shipped one where it knows the classes; and a note on it.

    Raises:
        ModelError: the one that is named knows other classes.
    """
    facts = teacher_facts(teacher) if teacher else shipped_teacher()
    judge, unknown = _rows(facts, labels) if facts else (None, list(labels))
    if judge is not None:
        ordered = judge.rows is None and facts is not None and not facts.names
        note = (
            f"The teacher does not say what its outputs are called: they are taken for the classes in this order, "
            f"{', '.join(labels[:NAMED])}{' and so on' if len(labels) > NAMED else ''}."
        )
        return judge, note if ordered else ""
    some = listed(unknown)
    if facts is not None and teacher:
        raise ModelError(
            f'The teacher "{teacher}" has {facts.n_outputs:,} outputs and knows no {some}.',
            "Name a teacher of these classes, or leave it out and name it later.",
        )
    return _Judge(""), f"No teacher that is here knows {some}."


def _rows(facts: TeacherFacts, labels: Sequence[str]) -> tuple[_Judge | None, list[str]]:
    """A teacher's rows of the classes; None, and the labels that it does not know, where it cannot judge them."""
    names, wordnet_ids = facts.names, facts.wordnet_ids
    if not facts.n_outputs:  # its files are still to be fetched: networks of timm's know ImageNet
        names, wordnet_ids = imagenet_classes()
    if not names:
        fits = facts.n_outputs == len(labels)
        return (_Judge(facts.source), []) if fits else (None, list(labels))
    table = ClassNames(names, wordnet_ids)
    found = {label: table.find(label) for label in labels if not label.isdecimal()}
    unknown = [label for label in labels if found.get(label) is None]
    rows = [row for row in found.values() if row is not None]
    if unknown or len(set(rows)) < len(rows):
        return None, unknown or list(labels)
    whole = rows == list(range(len(names)))
    return _Judge(
        facts.source,
        None if whole else tuple(rows),
        tuple(names[row] for row in rows),
        tuple(wordnet_ids[row] for row in rows) if wordnet_ids else (),
    ), []
