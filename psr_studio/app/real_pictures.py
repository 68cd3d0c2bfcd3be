"""Real pictures of a new project: class folders used where they lie, or a file of them copied into the project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from psr_studio.bundles.bundle import HELD_OUT_EVERY
from psr_studio.bundles.described import TEST_SHARE
from psr_studio.bundles.real_images import SPLITS
from psr_studio.core.disk import writing
from psr_studio.core.files import absolute_path, sha256, whole_folder
from psr_studio.core.pictures import PictureError, ending_of, read_picture
from psr_studio.core.progress import Progress
from psr_studio.core.words import classes_listed
from psr_studio.stages.export.formats import class_folder
from psr_studio.stages.importing import STAGE
from psr_studio.stages.importing.classes import ClassNames
from psr_studio.stages.importing.folders import items_of, reading_source
from psr_studio.stages.importing.items import Item, PoolImportError, called
from psr_studio.stages.importing.look import Found, look
from psr_studio.stages.importing.reading import Reading
from psr_studio.stages.importing.sources import open_source, splits_of

EVENT_EVERY = 32  # pictures
NAMED = 4


@dataclass(frozen=True)
class RealPictures:
    """What real pictures there are, and how a project has them.

    Attributes:
        source: as it was named. classes: of the project.
        splits: names of the training and the test split, () where a share is drawn for the test.
        found: what the source holds, of each split.
        folder: where the class folders, or train/ and val/ of them, lie or will lie. folder_names: of the classes.
        is_copied: the source is a file, whose pictures are written into the folder when the project is made.
    """

    source: Path
    classes: ClassNames
    splits: tuple[str, ...]
    found: tuple[Found, ...]
    folder: Path
    folder_names: tuple[str, ...]
    is_copied: bool

    @property
    def lines(self) -> list[str]:
        """What was found, in words, a line each."""
        train, *test = self.found
        held_out = [f"For the test: {found.lines[0]}" for found in test]
        return [f"Real pictures in {called(self.source)}", *train.lines, *held_out]

    @property
    def notes(self) -> list[str]:
        """What is made of them, a sentence or two each."""
        if self.splits:
            words = (
                "The real pictures are split already: train/ for controls and tuning, the other for the test."
            )
        else:
            words = (
                f"The real pictures have no split: {TEST_SHARE:.0%} of each class are drawn for the test (seed 0, by "
                f"the names of the files), one of {HELD_OUT_EVERY} of the others is held out for tuning."
            )
        notes = [words]
        if self.is_copied:
            notes.append(f'They are copied into the project, to "{self.folder.name}" in it.')
        labels = {label for found in self.found for label in found.counts}
        if others := sorted(label for label in labels if self.classes.find(label) is None):
            notes.append(
                f"Real pictures of classes that the pictures have not are left aside: {listed(others)}."
            )
        return notes

    @property
    def places(self) -> tuple[tuple[str | None, Path], ...]:
        """Each split of the source, None for all of it, with its folder inside `folder`."""
        if not self.splits:
            return ((None, Path()),)
        return tuple(
            (split, Path(names[0])) for split, names in zip(self.splits, SPLITS.values(), strict=True)
        )


def look_at_real(given: str | Path, workspace: Path, classes: ClassNames) -> RealPictures:
    """Look at real pictures and say what a project of these classes would make of them; nothing is written.

    Args:
        given: a folder of class folders, with train/ and val/ or without, or a file that an import reads.

    Raises:
        PoolImportError: nothing there, class folders that do not lie in a folder at once, or a class with too few.
    """
    path = absolute_path(given)
    splits = splits_of(path, classes) or ()
    found = tuple(look(path, Reading(split), classes) for split in splits or (None,))
    for part in found:
        _check(_by_class(part.counts, classes), classes, path, drawn=not splits)
    if path.is_file():
        folder = workspace / f"real-{sha256(path)[:8]}"
        names = tuple(class_folder(classes.names, c) for c in range(len(classes)))
        return RealPictures(path, classes, splits, found, folder, names, is_copied=True)
    folder = (path / splits[0]).parent if splits else path
    inner = [path / split for split in splits] or [path]
    label_of = {classes.find(label): label for label in found[0].counts}
    names = tuple(label_of[c] for c in range(len(classes)))
    for place in inner:
        if lacking := next((name for name in names if not (place / name).is_dir()), None):
            raise PoolImportError(
                f'"{place}" has no folder "{lacking}" of real pictures at once.',
                "Name the folder that holds a folder for each class of the pictures, named alike.",
            )
    return RealPictures(path, classes, splits, found, folder, names, is_copied=False)


def copied(real: RealPictures, shape: tuple[int, int, int]) -> Iterator[Progress]:
    """Copy real pictures that came as a file into the project, whole or not at all; others stay where they lie.

    A folder that is there holds the pictures of an equal file. What cannot be read is left out and counted.

    Raises:
        PoolImportError: the source, or a class with too few pictures that can be read. DiskError: as the disk says.
    """
    if not real.is_copied or real.folder.is_dir():
        return
    total, done, left_out = sum(found.n for found in real.found), 0, 0
    with whole_folder(real.folder) as temp:
        for split, place in real.places:
            counts = Counter[int]()
            with reading_source(real.source):
                source = open_source(real.source, real.classes, Reading(split))
            with closing(source):
                for item in items_of(source):
                    done += 1
                    if done % EVENT_EVERY == 0:
                        yield Progress(STAGE.name, done, total, "Copying real pictures into the project.")
                    class_id = real.classes.find(item.label)
                    if class_id is None:
                        continue
                    if (data := _readable(item, shape)) is None:
                        left_out += 1
                        continue
                    file = f"{counts[class_id]:06d}{ending_of(data)}"
                    counts[class_id] += 1
                    with writing(real.folder):
                        target = temp / place / real.folder_names[class_id] / file
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(data)
            _check(counts, real.classes, real.source, drawn=split is None)
    broken = f", {left_out:,} that cannot be read left out" if left_out else ""
    yield Progress(
        STAGE.name, total, total, f"Copied real pictures into the project{broken}.", lasting=bool(left_out)
    )


def _readable(item: Item, shape: tuple[int, int, int]) -> bytes | None:
    """The bytes of a picture; None where they are none that can be used."""
    try:
        with reading_source(item.name):
            data = item.load()
        read_picture(data, shape)
    except PictureError:
        return None
    return data


def _by_class(counts: Mapping[str, int], classes: ClassNames) -> Counter[int]:
    found = Counter[int]()
    for label, n in counts.items():
        if (class_id := classes.find(label)) is not None:
            found[class_id] += n
    return found


def _check(counts: Counter[int], classes: ClassNames, path: Path, *, drawn: bool) -> None:
    """Raise PoolImportError where a class has no real pictures, or too few to draw some for the test."""
    lacking = [name for c, name in enumerate(classes.names) if not counts[c]]
    if lacking:
        raise PoolImportError(
            f'"{called(path)}" has no real pictures of {listed(lacking)}, of which there are pictures.',
            "Name real pictures with a folder for each class of the pictures, named alike.",
        )
    few = [name for c, name in enumerate(classes.names) if counts[c] < 2]
    if drawn and few:
        raise PoolImportError(
            f'"{called(path)}" has 1 real picture of {listed(few)}, but 2 are needed: one is drawn for the test.',
            "Add real pictures of that class; 20 of each are a good start.",
        )


def listed(names: Sequence[str]) -> str:
    """Some names in quotes, the others by their number."""
    return classes_listed(names, NAMED)
