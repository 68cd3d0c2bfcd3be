"""Import: pictures made elsewhere become the pool of a workspace, so that they can be scored, selected and refined.

The pictures are cut to the bundle's shape and kept without loss; their latents come from the codec's encoder and are
marked so in the settings of every part. Everything is written beside the pool first and put in its place by one
rename at the end, so an import is there whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.bundles.bundle import CODEC
from psr_studio.core.errors import WorkspaceError
from psr_studio.core.pictures import PictureError, read_picture
from psr_studio.core.progress import Progress
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.batches import Stopwatch
from psr_studio.stages.importing.classes import match_classes
from psr_studio.stages.importing.folders import PictureFiles, kinds_text, unreadable
from psr_studio.stages.importing.items import ImageSource, Item, PoolImportError
from psr_studio.stages.importing.sources import open_source
from psr_studio.stages.importing.writer import FILES, MANIFEST, STAGE, STAGING, PoolWriter
from psr_studio.storage.pool import CANDIDATES_PER_CLASS
from psr_studio.storage.workspace import StageStatus, Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.stages.cost import Cost

__all__ = ["FILES", "MANIFEST", "STAGE", "STAGING", "Options", "PoolImportError", "run"]
ASIDE = ".import-old"
LOCKED, BUDGETS = "locked", "budgets"  # among the settings of the ledger
EVENT_EVERY = 32  # pictures
NAMED = 5  # classes or labels that a sentence names
LOOKED_AT = 32  # pictures at most, to find a few that can be read and timed


@dataclass(frozen=True)
class Options:
    """What of a source is taken.

    Attributes:
        split: of a source that has several.
        limit: pictures per class, the first ones; None for all.
        replace: give up the pool that is there, and what was marked, locked or budgeted by hand on it.
        skip_unknown: leave out labels that are no class of the task.
        skip_broken: leave out pictures that cannot be read.
    """

    split: str | None = None
    limit: int | None = None
    replace: bool = False
    skip_unknown: bool = False
    skip_broken: bool = False


def run(
    ws: Workspace, recipe: Recipe, bundle: Bundle, path: str | Path, **options: Any
) -> Iterator[Progress]:
    """Make the pictures at `path` the pool of the workspace; `options` are those of `Options`.

    Raises:
        PoolImportError: the source, its classes or a picture; the pool is as it was then.
        WorkspaceError, ModelError: a pool that is there, the disk, the codec.
    """
    how, clock = Options(**options), Stopwatch()
    if how.limit is not None and how.limit < 1:
        raise PoolImportError(f"{how.limit} pictures per class are asked for.", "Ask for 1 or more.")
    recover(ws.root)
    if (n := len(ws.pool())) and not how.replace:
        raise WorkspaceError(
            f"This workspace already holds a pool of {n:,} candidates.",
            'Choose another workspace folder, or give up this pool with "Replace the pool" (--replace).',
        )
    with _reading(path):
        source = open_source(path, how.split)
    classes = match_classes(
        list(source.labels),
        bundle.class_names,
        bundle.index.get("wordnet_ids", ()),
        bundle.index.get("class_indices"),
        how.skip_unknown,
        f'"{source.path.name}"',
    )
    counts = [min(n, how.limit or n) for label, n in source.labels.items() if label in classes]
    if max(counts) > CANDIDATES_PER_CLASS:
        raise PoolImportError(
            f'"{source.path.name}" holds {max(counts):,} pictures of a class; a pool holds {CANDIDATES_PER_CLASS:,}.',
            "Take fewer with --limit.",
        )
    total = sum(counts)
    yield Progress(STAGE, 0, total, f"Opening the codec for {total:,} pictures of {len(classes)} classes.")
    writer = PoolWriter(ws, recipe, bundle, source)
    writer.unknown = [label for label in source.labels if label not in classes]
    try:
        if cost := _cost(source, classes, bundle, writer, counts):
            yield Progress(STAGE, 0, total, cost.text, lasting=True)
        clock.start()
        for done, message, previews in _read(source, classes, bundle, how, writer):
            yield Progress(STAGE, done, total, message, previews=previews, seconds=clock.seconds)
        writer.finish(how.split)
        with _new_start(ws, recipe, source.path.name, replaces=n > 0) as gone:
            _put_in_place(ws.root)
    except OSError as err:
        raise WorkspaceError(
            f"The import could not be written: {err.strerror or err}.",
            "Free space or give yourself write permission there. The pool is as it was.",
        ) from err
    finally:
        shutil.rmtree(ws.root / STAGING, ignore_errors=True)
    words = f"Imported {writer.n_written:,} pictures of {len(writer.counts)} classes"
    words += _absent(writer.counts, bundle.class_names)
    left_out = f"; {len(writer.left_out):,} left out" if writer.left_out else ""
    if writer.unknown:
        left_out += f"; of no class and left out: {_named(writer.unknown)}"
    if isinstance(source, PictureFiles) and source.passed_over:
        left_out += f"; {kinds_text(source.passed_over)}"
    yield Progress(
        STAGE,
        total,
        total,
        f'{words} from "{source.path.name}"{left_out}.{gone}',
        part_done=True,
        seconds=clock.seconds,
    )


def _absent(counts: Collection[int], class_names: Sequence[str]) -> str:
    """What an import of some classes says of the others: its labels count among those that are there."""
    absent = [name for class_id, name in enumerate(class_names) if class_id not in counts]
    return f" (no picture of {_named(absent)})" if absent else ""


def _named(names: Sequence[str]) -> str:
    """Some of them by name, the rest by number."""
    shown = ", ".join(f'"{name}"' for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")


def _read(
    source: ImageSource, classes: dict[str, int], bundle: Bundle, how: Options, writer: PoolWriter
) -> Iterator[tuple[int, str, tuple[np.ndarray, ...]]]:
    """Decode picture by picture; yields (pictures read, what was done, previews)."""
    taken: dict[int, int] = dict.fromkeys(classes.values(), 0)
    done = 0
    for item in _items(source):
        if how.limit is not None and min(taken.values()) >= how.limit:
            break
        class_id = classes.get(item.label)
        if class_id is None or (how.limit is not None and taken[class_id] >= how.limit):
            continue
        try:
            pixels = read_picture(item.data, bundle.image_shape)
        except PictureError as err:
            if not how.skip_broken:
                raise PoolImportError(
                    f'"{item.name}" in "{source.path.name}" cannot be used: {err}.',
                    "Replace or remove it, or leave out such pictures with --skip-broken. The pool is as it was.",
                ) from err
            writer.left_out.append(item.name)
            continue
        taken[class_id] += 1
        done += 1
        writer.add(class_id, item, pixels)
        if full := writer.full():
            yield done, *_written(writer, full[0], bundle)
        elif done % EVENT_EVERY == 0:
            yield done, f"Read {done:,} pictures.", ()
    for class_id in writer.waiting():
        yield done, *_written(writer, class_id, bundle)


def _written(writer: PoolWriter, class_id: int, bundle: Bundle) -> tuple[str, tuple[np.ndarray, ...]]:
    """Write what waits of a class; in words, with what there is to say about memory, and its first pictures."""
    shown = writer.write(class_id)
    said = (f'Encoded pictures of "{bundle.class_names[class_id]}".', writer.said())
    return " ".join(filter(None, said)), shown


def _cost(
    source: ImageSource, classes: dict[str, int], bundle: Bundle, writer: PoolWriter, counts: list[int]
) -> Cost | None:
    """What the import costs, from its first pictures; None when none of them can be read."""
    from psr_studio.stages.cost import DRAWN, import_cost

    first = []
    for item in islice((item for item in _items(source) if item.label in classes), LOOKED_AT):
        with suppress(PictureError):  # the import itself says which and why
            read_picture(item.data, bundle.image_shape)
            first.append(item.data)
        if len(first) == DRAWN:
            break
    if not first:
        return None

    def read(n: int) -> np.ndarray:
        return np.stack([read_picture(data, bundle.image_shape) for data in first[:n]])

    size = writer.recipe.pool.part_size
    n_parts = sum(-(-n // size) for n in counts)
    codec = None if writer.keeps_latents else writer.codec
    return import_cost(read, codec, writer.recipe.pool.batch_size, sum(counts), n_parts)


@contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    """What the system says while a source is read is said of the source, not of the workspace."""
    try:
        yield
    except OSError as err:
        raise unreadable(err.filename or path, err) from err


def _items(source: ImageSource) -> Iterator[Item]:
    with _reading(source.path):
        yield from source


@contextmanager
def _new_start(ws: Workspace, recipe: Recipe, name: str, replaces: bool) -> Iterator[str]:
    """Forget marks, locks and budgets by hand while one pool replaces another, whose candidates have the same numbers.

    Undo would bring them back upon other pictures. So the whole history is taken back first, and done again
    should the pool not be replaced; the one action that follows puts it out of reach, with the sliders as they stood.

    Yields:
        What is forgotten, as a sentence behind a space; "" where there is nothing.
    """
    ledger = ws.ledger
    if not ledger.actions(1) and not (replaces and recipe.select.budgets):
        yield ""
        return
    gone = _by_hand(ws, recipe)
    sliders = {key: value for key, value in ledger.settings().items() if key not in (LOCKED, BUDGETS)}
    n_undone = 0
    while ledger.undo() is not None:
        n_undone += 1
    try:
        yield f" Gone with the pool before: {gone}." if gone else ""
    except BaseException:
        for _ in range(n_undone):
            ledger.redo()
        raise
    ledger.change({}, {**sliders, LOCKED: {}, BUDGETS: None}, f'new start with "{name}"')


def _by_hand(ws: Workspace, recipe: Recipe) -> str:
    """What was marked, locked or budgeted on the pool that is there, in words."""
    budgets = ws.ledger.settings().get(BUDGETS, recipe.select.budgets) or ()
    found = {
        ("pin", "pins"): len(ws.ledger.pinned()),
        ("veto", "vetoes"): len(ws.ledger.vetoed()),
        ("locked class", "locked classes"): len(ws.ledger.locked()),
        ("own budget", "own budgets"): sum(n > 0 for n in budgets),
    }
    return ", ".join(f"{n:,} {one if n == 1 else more}" for (one, more), n in found.items() if n)


def _put_in_place(root: Path) -> None:
    """The old pool steps aside, the new one takes its place, and only then the old one goes."""
    pool, aside = root / "pool", root / ASIDE
    if pool.exists():
        os.replace(pool, aside)
    os.replace(root / STAGING / "pool", pool)
    shutil.rmtree(aside, ignore_errors=True)


def recover(root: Path) -> None:
    """Finish or undo what a killed import left; call it when the workspace is opened for work."""
    pool, aside = root / "pool", root / ASIDE
    shutil.rmtree(root / STAGING, ignore_errors=True)
    if aside.is_dir() and pool.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
    elif aside.is_dir():
        os.replace(aside, pool)


def manifest(ws: Workspace) -> dict[str, Any] | None:
    """What is known of an imported pool; None where the pool was generated, or there is none."""
    try:
        found = json.loads((ws.root / "pool" / MANIFEST).read_text(encoding="utf-8"))
        return found if {"source", "codec", "counts", "parts"} <= found.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def status(ws: Workspace, bundle: Bundle, about: dict[str, Any]) -> StageStatus:
    """Whether an imported pool is whole and its latents are those of the bundle's codec."""
    found = ws.compare(
        {ws.root / "pool" / name: digest for name, digest in about["parts"].items()}, "pool parts"
    )
    if found.state == "fresh" and about["codec"] != bundle.identity(CODEC):
        return StageStatus(
            "stale", f'Imported from "{about["source"]}", but encoded by the codec of another bundle.'
        )
    return StageStatus(found.state, f'Imported from "{about["source"]}". {found.reason}')


def nothing_to_generate(about: dict[str, Any]) -> Progress:
    """The one event of generating in a workspace whose pool was imported."""
    n = sum(about["counts"].values())
    words = f'This pool was imported from "{about["source"]}"; to generate one, choose another workspace.'
    return Progress("pool", n, n, words, part_done=True, resumed=n)


def settings_after(ws: Workspace, recipe: Recipe, bundle: Bundle) -> dict[str, Any]:
    """Settings that fit the imported pool: its size, its classes, and no more images per class than it has.

    Budgets by hand stay those that the ledger has, none after another pool was replaced.
    """
    about = manifest(ws)
    assert about is not None, "called after an import"
    counts = {int(class_id): n for class_id, n in about["counts"].items()}
    most = max(counts.values())
    everything = len(counts) == bundle.n_classes
    ipc = min(recipe.select.ipc, most)
    budgets = ws.ledger.settings().get(BUDGETS, recipe.select.budgets)
    return {
        "pool.pool_size": most,
        "pool.classes": None if everything else tuple(sorted(counts)),
        "select.ipc": ipc,
        "select.floor": min(recipe.select.floor, ipc),
        "select.budgets": budgets and tuple(min(n, most) for n in budgets),
    }
