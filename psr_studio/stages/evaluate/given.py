"""Sets and test images from anywhere: what an import reads, and the official files of a known data set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from psr_studio.bundles.data_sets import DATA_SETS, DataSet
from psr_studio.bundles.originals import read_official
from psr_studio.core.files import absolute_path, listing
from psr_studio.core.pictures import PictureError, read_picture
from psr_studio.core.words import printable
from psr_studio.recipe.schema import HELD_OUT, EvaluateRecipe
from psr_studio.stages.batches import ahead
from psr_studio.stages.importing.classes import ClassNames, match_classes
from psr_studio.stages.importing.folders import reading_source
from psr_studio.stages.importing.items import ImageSource, Item, PoolImportError
from psr_studio.stages.importing.reading import Reading
from psr_studio.stages.importing.soft_labels import SoftLabels, matched, read_soft_labels
from psr_studio.stages.importing.sources import open_source
from psr_studio.storage.parquet import stable_hash

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

TEST_SPLITS = ("test", "val", "valid", "validation")
N_DECODERS = 4
LABELS = "labels.csv"  # beside the pictures of a folder


@dataclass(frozen=True)
class GivenSet:
    """Pictures with classes at a path, counted but not read.

    Attributes:
        counts: of each class of the bundle that has some, ascending.
        labelled: soft labels came with them.
        identity: a hash of the files as they are listed: names, sizes and times of change.
    """

    path: Path
    counts: dict[int, int]
    identity: str
    labelled: bool = False


def look_at_set(path: str | Path, bundle: Bundle) -> GivenSet:
    """What is at a path, in the classes of a bundle.

    Raises:
        PoolImportError: nothing that is read, or labels that are no classes of the bundle.
    """
    root = absolute_path(path)
    return _looked_at(root, _listing(root), ClassNames.of(bundle), bundle.name)


@lru_cache(maxsize=64)
def _looked_at(root: Path, listing: str, names: ClassNames, of: str) -> GivenSet:
    with as_it_lies(), reading_source(root), closing(open_source(root, names)) as source:
        classes = match_classes(list(source.labels), names, where=f'"{printable(root.name)}"')
        counts = {classes[label]: n for label, n in source.labels.items()}
        labelled = (root / LABELS).is_file() or source.soft_labels() is not None
    identity = stable_hash([listing, sorted(classes.items())])
    return GivenSet(root, dict(sorted(counts.items())), identity, labelled)


@contextmanager
def as_it_lies() -> Iterator[None]:
    """Nothing is said of a set but its path: where an import would be told more, a way out that does without."""
    try:
        yield
    except PoolImportError as err:
        if not err.asks:
            raise
        fix = "Name a folder with a folder of pictures for each class, or a workspace that it was imported into."
        raise PoolImportError(err.problem, fix) from err


def check_given(settings: EvaluateRecipe, bundle: Bundle) -> None:
    """Raise PoolImportError where a set or the test images cannot be read, or are of the same files.

    No picture of them is read.
    """
    sets = [look_at_set(path, bundle).path for path in settings.sets]
    if settings.test_images is None or settings.test_set == HELD_OUT:
        return
    count_test_images(settings, bundle)
    tested = _test_folder(absolute_path(settings.test_images)).resolve()
    for path in sets:
        trained = path.resolve()
        if trained == tested or trained in tested.parents or tested in trained.parents:
            raise PoolImportError(
                f'The test images in "{printable(str(tested))}" are those of the set "{printable(str(path))}", which '
                "students are trained on: an accuracy on them says nothing.",
                'Name others in "evaluate.test_images" (--test), or leave it empty: the bundle has its own.',
            )


def read_set(given: GivenSet, bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """Its pictures at the bundle's shape, uint8 (n, H, W, ch), and labels int64 (n,), class by class in their order.

    Raises:
        PoolImportError: a picture that cannot be read, by name.
    """
    return _read(given.path, bundle, Reading(normalisation=bundle.normalisation))[:2]


def read_labelled_set(
    given: GivenSet, bundle: Bundle, temperature: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same with the soft labels that came with the pictures, as logits l, float32 (n, C).

    softmax(l / temperature) is the label: probabilities stay as they are, logits are softened.

    Raises:
        PoolImportError: labels that are not the pictures', or not of the classes.
    """
    images, labels, logits = _read(
        given.path, bundle, Reading(normalisation=bundle.normalisation), temperature
    )
    assert logits is not None
    return images, labels, logits


def read_test_images(path: str | Path, bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """Test images as `read_set` gives them: official files of a data set, or the test split of what an import reads.

    Raises:
        PoolImportError, ModelError: nothing that is read; labels that are no classes of the bundle.
    """
    root = absolute_path(path)
    known = _data_set_of(bundle)
    if known is not None and (found := read_official(root, "test", known)) is not None:
        return found
    return _read(_test_folder(root), bundle, _test_reading(root))[:2]


def test_images_of(settings: EvaluateRecipe, bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """What students are tested on, of all classes and before a part is chosen: uint8 (N, H, W, ch), labels int64 (N,).

    Raises:
        PoolImportError, ModelError: as `read_test_images`; the bundle's are not on this machine.
    """
    if settings.test_set == HELD_OUT:
        return bundle.held_out
    return bundle.test_set if settings.test_images is None else read_test_images(settings.test_images, bundle)


def count_test_images(settings: EvaluateRecipe, bundle: Bundle) -> int:
    """How many images `test_images_of` gives; none at a path is decoded."""
    if settings.test_set == HELD_OUT:
        return len(bundle.held_out[1])
    if settings.test_images is None:
        return len(bundle.test_set[1])
    root = absolute_path(settings.test_images)
    return _counted(root, _listing(root), ClassNames.of(bundle), _data_set_of(bundle))


@lru_cache(maxsize=64)
def _counted(root: Path, listing: str, names: ClassNames, known: DataSet | None) -> int:
    if known is not None and (found := read_official(root, "test", known)) is not None:
        return len(found[1])
    folder = _test_folder(root)
    reading = _test_reading(root)
    with as_it_lies(), reading_source(folder), closing(open_source(folder, names, reading)) as source:
        return sum(source.labels.values())


def _test_folder(root: Path) -> Path:
    """The folder of the test split, or the path itself."""
    return next((root / split for split in TEST_SPLITS if (root / split).is_dir()), root)


def _test_reading(root: Path) -> Reading:
    """A table may hold several splits, named in its files."""
    return Reading() if _test_folder(root) != root else Reading(split=_named_split(root))


def identity_of(path: str | Path) -> str:
    """A hash of what lies at a path, by names, sizes and times of change."""
    return stable_hash([_listing(absolute_path(path))])


def _data_set_of(bundle: Bundle) -> DataSet | None:
    """The known data set of just these classes and this shape."""
    return next(
        (
            data
            for data in DATA_SETS.values()
            if data.shape == bundle.image_shape and data.class_names == bundle.class_names
        ),
        None,
    )


def _named_split(root: Path) -> str | None:
    """Which of the test splits a table of several names in its files; None where none does."""
    names = [path.name for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file()]
    return next((split for split in TEST_SPLITS if any(name.startswith(split) for name in names)), None)


def _listing(root: Path) -> str:
    """Every file below a path with its size and its time of change."""
    with reading_source(root):
        return repr(listing(root, root.parent))


def _read(
    root: Path, bundle: Bundle, reading: Reading, temperature: float | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Pictures and labels; with a temperature, also the soft labels that came along, as logits."""
    names, images, labels, logits = ClassNames.of(bundle), [], [], []
    with reading_source(root), closing(open_source(root, names, reading)) as source:
        classes = match_classes(list(source.labels), names, where=f'"{printable(root.name)}"')
        decode = partial(_decoded, shape=bundle.image_shape, place=printable(root.name))
        items = source if temperature is None else _soft_labels(root, source, names, temperature).of(source)
        for item, image in ahead(items, decode, N_DECODERS):
            images.append(image)
            labels.append(classes[item.label])
            logits.append(item.logits)
    order = np.argsort(labels, kind="stable")
    soft = None if temperature is None else np.stack([row for row in logits if row is not None])[order]
    return np.stack(images)[order], np.array(labels, np.int64)[order], soft


def _soft_labels(root: Path, source: ImageSource, names: ClassNames, temperature: float) -> SoftLabels:
    """Those beside the pictures, as an export writes them, or those that are stored with them."""
    if (root / LABELS).is_file():
        return read_soft_labels(root / LABELS, source, names, temperature)
    rows = source.soft_labels()
    assert rows is not None  # asked for of labelled sets only
    return matched(rows, source, names, temperature, printable(root.name))


def _decoded(item: Item, shape: tuple[int, int, int], place: str) -> np.ndarray:
    try:
        return read_picture(item.load(), shape)
    except PictureError as err:
        raise PoolImportError(
            f'"{item.name}" in "{place}" cannot be used: {err}.', "Replace or remove it."
        ) from err
