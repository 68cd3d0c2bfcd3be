"""Import: pictures made elsewhere become the pool of a workspace, so that they can be scored, selected and refined.

The pictures are cut to the bundle's shape and kept without loss; their latents come from the codec's encoder and are
marked so in the settings of every part; without a codec there are none. Everything is written beside the pool first;
the pool, the recipe that fits it, and the end of all marks on the pool before are one commit, so an import is there
whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.bundles.bundle import CODEC
from psr_studio.core.disk import disk_error
from psr_studio.core.errors import WorkspaceError
from psr_studio.core.pictures import PictureError, read_picture
from psr_studio.core.progress import Progress
from psr_studio.core.stopping import stop_if_asked
from psr_studio.core.words import plural, printable
from psr_studio.recipe.schema import CROPS, Recipe
from psr_studio.recipe.variations import CANDIDATES_PER_CLASS
from psr_studio.stages.batches import Beside, Stopwatch, ahead
from psr_studio.stages.importing import STAGE
from psr_studio.stages.importing.classes import ClassNames, mapping_text, match_classes
from psr_studio.stages.importing.folders import items_of, kinds_text, reading_source
from psr_studio.stages.importing.items import ImageSource, Item, PoolImportError
from psr_studio.stages.importing.reading import Columns, Reading
from psr_studio.stages.importing.soft_labels import (
    SoftLabels,
    labels_text,
    largest_labels,
    matched,
    read_soft_labels,
)
from psr_studio.stages.importing.sources import open_source
from psr_studio.stages.importing.writer import FILES, MANIFEST, NO_CODEC, UNUSABLE, Part, PoolWriter
from psr_studio.stages.manifests import COUNTS, TEXT, TEXTS, read_manifest
from psr_studio.stages.select.budgets import by_class
from psr_studio.storage.changes import Change
from psr_studio.storage.parquet import IMPORT_AGAIN
from psr_studio.storage.workspace import StageStatus, Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.stages.cost import Cost

__all__ = ["FILES", "MANIFEST", "Options", "PoolImportError", "check", "run"]
LOCKED, BUDGETS = "locked", "budgets"  # among the settings of the ledger
EVENT_EVERY = 32  # pictures
NAMED = 5  # classes or labels that a sentence names
LOOKED_AT = 8  # pictures, to find a few that can be read and timed
N_DECODERS = min(8, os.cpu_count() or 1)
BEYOND_LIMIT = "it is beyond the limit for its class"


Written = tuple[str, tuple[np.ndarray, ...]]  # what was done, and pictures of it
KeepSettings = Callable[[Change, Mapping[str, Any]], object]


@dataclass(frozen=True)
class Options:
    """What of a source is taken.

    Attributes:
        split: of a source that has several.
        limit: pictures per class, the first ones; None for all.
        replace: give up the pool that is there, and what was marked, locked or budgeted by hand on it.
        skip_unknown: leave out labels that are no class of the task.
        skip_broken: leave out pictures that cannot be read.
        first_label: where labels are numbers, that of the first class, 0 or 1; None where the numbers say it.
        image_column, label_column: of a table or list; None where its own names leave no doubt.
        rule: how the names of files say their class, such as "{class}_*"; None where folders say it.
        values: what the numbers of tensors are; None where their range says it.
        labels: path of soft labels that come along, used instead of the teacher's.
    """

    split: str | None = None
    limit: int | None = None
    replace: bool = False
    skip_unknown: bool = False
    skip_broken: bool = False
    first_label: int | None = None
    image_column: str | None = None
    label_column: str | None = None
    rule: str | None = None
    values: str | None = None
    labels: str | Path | None = None

    def reading(self, bundle: Bundle) -> Reading:
        """What is said of the source."""
        columns = Columns(self.image_column, self.label_column)
        return Reading(
            self.split,
            columns=columns,
            rule=self.rule,
            values=self.values,
            normalisation=bundle.normalisation,
        )


def run(
    ws: Workspace,
    recipe: Recipe,
    bundle: Bundle,
    path: str | Path,
    *,
    keep: KeepSettings | None = None,
    **options: Any,
) -> Iterator[Progress]:
    """Make the pictures at `path` the pool of the workspace; `options` are those of `Options`.

    Args:
        keep: has a change put a recipe in place that has these settings; by default it is `recipe` with them.

    Raises:
        PoolImportError: the source, its classes or a picture; the pool is as it was then.
        WorkspaceError, ModelError: a pool that is there, the disk, the codec.
    """
    asked = Options(**options)
    if (n := len(ws.pool())) and not asked.replace:
        raise WorkspaceError(
            f"This workspace already holds a pool of {plural(n, 'candidate')}.",
            'Choose another workspace folder, or give up this pool with "Replace the pool" (--replace).',
        )
    source, classes, labels = _opened(recipe, bundle, path, asked)
    yield from take_in(ws, recipe, bundle, source, classes, asked, keep, labels)


def check(recipe: Recipe, bundle: Bundle, path: str | Path, **options: Any) -> str:
    """What an import would say in the end, as far as it is known before a picture is decoded; nothing is written.

    Raises:
        PoolImportError: the source, its classes, or its soft labels, as `run`.
    """
    asked = Options(**options)
    source, classes, labels = _opened(recipe, bundle, path, asked)
    with closing(source), reading_source(source.path):
        counts = _counts(source, classes, asked)
        about: dict[str, Any] = {}
        if labels is not None:
            table = largest_labels(labels.of(source), classes, bundle.n_classes, asked.limit)
            about["soft_labels"] = labels.agreeing(table, bundle.class_names)
        words = _words("Would import", source, classes, bundle, counts, about)
        unknown = [label for label in source.labels if label not in classes]
        n_left_out = source.n_items - sum(counts.values()) + len(source.others)
        return f"{words}{_left_out(n_left_out, unknown, source)}. Nothing is written yet."


def _opened(
    recipe: Recipe, bundle: Bundle, path: str | Path, asked: Options
) -> tuple[ImageSource, dict[str, int], SoftLabels | None]:
    """The source, the class of each of its labels, and soft labels that come along."""
    if asked.limit is not None and asked.limit < 1:
        raise PoolImportError(f"{asked.limit} pictures per class are asked for.", "Ask for 1 or more.")
    with reading_source(path):
        known = ClassNames.of(bundle)
        source = open_source(path, known, asked.reading(bundle))
    where = f'"{printable(source.path.name)}"'
    classes = match_classes(list(source.labels), known, asked.skip_unknown, asked.first_label, where)
    return source, classes, _labels(source, known, asked, recipe.select.temperature)


def _counts(source: ImageSource, classes: Mapping[str, int], how: Options) -> dict[int, int]:
    """Pictures by class that are taken, where all can be read."""
    counts: dict[int, int] = {}
    for label, n in source.labels.items():
        if label in classes:
            counts[classes[label]] = counts.get(classes[label], 0) + n
    return {class_id: min(n, how.limit or n) for class_id, n in counts.items()}


def _labels(source: ImageSource, known: ClassNames, how: Options, temperature: float) -> SoftLabels | None:
    """The soft labels that are asked for, else those that the pictures of another workspace have."""
    if how.labels is not None:
        with reading_source(how.labels):
            return read_soft_labels(how.labels, source, known, temperature)
    own = source.soft_labels()
    return None if own is None else matched(own, source, known, temperature, printable(source.path.name))


def take_in(
    ws: Workspace,
    recipe: Recipe,
    bundle: Bundle,
    source: ImageSource,
    classes: dict[str, int],
    options: Options,
    keep: KeepSettings | None = None,
    labels: SoftLabels | None = None,
) -> Iterator[Progress]:
    """Make the pictures of a source the pool, its folders taken for `classes`; as `run` otherwise."""
    clock, name, n = Stopwatch(), printable(source.path.name), len(ws.pool())
    counts = [min(n, options.limit or n) for label, n in source.labels.items() if label in classes]
    if max(counts) > CANDIDATES_PER_CLASS:
        raise PoolImportError(
            f'"{name}" holds {plural(max(counts), "picture")} of a class; a pool holds {CANDIDATES_PER_CLASS:,}.',
            'Take fewer with "At most per class" (--limit).',
        )
    total = sum(counts)
    yield Progress(
        STAGE.name,
        0,
        total,
        f"Taking in {plural(total, 'picture')} of {plural(len(classes), 'class', 'classes')}.",
    )
    try:
        with closing(source), ws.change() as change:
            writer = PoolWriter(ws.beside(change), recipe, bundle, source, labels)
            writer.classes = classes
            writer.unknown = [label for label in source.labels if label not in classes]
            if cost := _cost(source, classes, bundle, writer, counts):
                yield Progress(STAGE.name, 0, total, cost.text, lasting=True)
            clock.start()
            with Beside[Written](True) as beside:
                for done, message, previews in _read(source, classes, bundle, options, writer, beside):
                    yield Progress(STAGE.name, done, total, message, previews=previews, seconds=clock.seconds)
            writer.finish(options.split)
            settings = settings_after(ws, recipe, bundle, writer.counts, replaces=n > 0)
            if keep is None:
                ws.beside(change).save_recipe(recipe.with_values(settings))
            else:
                keep(change, settings)
            with change.commit():
                gone = _start_anew(ws, recipe, name, replaces=n > 0)
    except OSError as err:
        raise disk_error(err, ws.root / "pool", again="import again: the pool is as it was") from err
    words = _words("Imported", source, classes, bundle, writer.counts, writer.about)
    left_out = _left_out(len(writer.left_out), writer.unknown, source)
    yield Progress(
        STAGE.name,
        total,
        total,
        f"{words}{left_out}.{gone}",
        part_done=True,
        seconds=clock.seconds,
    )


def _words(
    done: str,
    source: ImageSource,
    classes: dict[str, int],
    bundle: Bundle,
    counts: Mapping[int, int],
    about: Mapping[str, Any],
) -> str:
    """What is or would be imported, `counts` pictures by class, with what was chosen and the soft labels in `about`."""
    n = plural(sum(counts.values()), "picture")
    return (
        f"{done} {n} of {plural(len(counts), 'class', 'classes')}{_absent(counts, bundle.class_names)}"
        f' from "{printable(source.path.name)}"{_taken(source, classes, bundle)}{_behind(labels_text(about))}'
    )


def _taken(source: ImageSource, classes: dict[str, int], bundle: Bundle) -> str:
    """What was chosen where a source leaves a choice: a column, a folder, the meaning of numbers."""
    columns = [f"{what} from {which}" for what, which in source.taken.items()]
    numbers = mapping_text(classes, bundle.class_names)
    return "".join(f"; {text}" for text in (*columns, numbers) if text)


def _behind(text: str) -> str:
    """A part of a sentence behind a semicolon; "" for none."""
    return f"; {text}" if text else ""


def _left_out(n: int, unknown: Sequence[str], source: ImageSource) -> str:
    """What of the source is not in the pool, and why."""
    text = f"; {n:,} left out" if n else ""
    if unknown:
        text += f"; of no class and left out: {_named(unknown)}"
    if source.passed_over:
        text += f"; {kinds_text(source.passed_over)}"
    return text


def _absent(counts: Collection[int], class_names: Sequence[str]) -> str:
    """What an import of some classes says of the others: its labels count among those that are there."""
    absent = [name for class_id, name in enumerate(class_names) if class_id not in counts]
    return f" (no picture of {_named(absent)})" if absent else ""


def _named(names: Sequence[str]) -> str:
    """Some of them by name, the rest by number."""
    shown = ", ".join(f'"{name}"' for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED:,} more" if len(names) > NAMED else "")


def _read(
    source: ImageSource,
    classes: dict[str, int],
    bundle: Bundle,
    options: Options,
    writer: PoolWriter,
    beside: Beside[Written],
) -> Iterator[tuple[int, str, tuple[np.ndarray, ...]]]:
    """Decode picture by picture, and write a part beside it; yields (pictures read, what was done, previews)."""
    for name, kind in source.others.items():
        writer.leave_out(name, f"it is no picture that is read ({kind})")
    done = 0
    items = items_of(source) if writer.labels is None else writer.labels.of(items_of(source))
    wanted = _wanted(items, classes, options, writer)
    for item, found in ahead(wanted, partial(_decoded, shape=bundle.image_shape), N_DECODERS):
        if isinstance(found, PictureError):
            if not options.skip_broken:
                raise PoolImportError(
                    f'"{item.name}" in "{printable(source.path.name)}" cannot be used: {found}.',
                    'Replace or remove it, or tick "Leave out pictures that cannot be read" (--skip-broken). The pool '
                    "is as it was.",
                ) from found
            writer.leave_out(item.name, f"{UNUSABLE}: {found}")
            continue
        class_id = classes[item.label]
        if options.limit is not None and writer.n_taken(class_id) >= options.limit:
            writer.leave_out(item.name, BEYOND_LIMIT)
            continue
        done += 1
        writer.add(class_id, item, *found)
        for class_id in writer.full():
            yield from ((done, *told) for told in beside.run(_written(writer, writer.cut(class_id), bundle)))
        if done % EVENT_EVERY == 0:
            yield done, f"Read {plural(done, 'picture')}.", ()
    for class_id in writer.waiting():
        yield from ((done, *told) for told in beside.run(_written(writer, writer.cut(class_id), bundle)))
    yield from ((done, *told) for told in beside.rest())


def _wanted(
    items: Iterable[Item], classes: Mapping[str, int], options: Options, writer: PoolWriter
) -> Iterator[Item]:
    """The items to be decoded; those of no class and those beyond the limit are noted instead."""
    for item in items:
        stop_if_asked()  # also where many pictures in turn are left out
        class_id = classes.get(item.label)
        if class_id is None:
            writer.leave_out(item.name, f'"{item.label}" is no class' if item.label else "it has no label")
        elif options.limit is not None and writer.n_taken(class_id) >= options.limit:
            writer.leave_out(item.name, BEYOND_LIMIT)
        else:
            yield item


def _decoded(item: Item, shape: tuple[int, int, int]) -> tuple[np.ndarray, str] | PictureError:
    """A picture as the pool keeps it, uint8 (H, W, ch), with a hash of its bytes; or why it cannot be used."""
    try:
        with reading_source(item.name):
            data = item.load()
        return read_picture(data, shape), hashlib.sha256(data).hexdigest()
    except PictureError as err:
        return err


def _written(writer: PoolWriter, part: Part, bundle: Bundle) -> Iterator[Written]:
    """Write a part; in words, with what there is to say about memory, and its first pictures."""
    shown = writer.write(part)
    said = (f'Wrote pictures of "{bundle.class_names[part.class_id]}".', writer.take_notice())
    yield " ".join(filter(None, said)), shown


def _cost(
    source: ImageSource, classes: dict[str, int], bundle: Bundle, writer: PoolWriter, counts: list[int]
) -> Cost | None:
    """What the import costs, from its first pictures; None when none of them can be read."""
    from psr_studio.stages.cost import import_cost

    with reading_source(source.path):
        near = [item for item in source.sample(LOOKED_AT) if item.label in classes]
        first = [item for item in near if not isinstance(_decoded(item, bundle.image_shape), PictureError)]
    if not first:  # the import itself says which and why
        return None

    def read(n: int) -> np.ndarray:
        found = (_decoded(item, bundle.image_shape) for item in first[:n])
        return np.stack([pixels[0] for pixels in found if not isinstance(pixels, PictureError)])

    size = writer.recipe.pool.part_size
    n_parts = sum(-(-n // size) for n in counts)
    return import_cost(read, writer.codec, writer.recipe.pool.batch_size, sum(counts), n_parts)


def _starts_anew(ws: Workspace, recipe: Recipe, replaces: bool) -> bool:
    """Whether there is anything by hand, or to undo, that names candidates or classes of the pool before."""
    return bool(ws.ledger.actions(1)) or (replaces and bool(recipe.select.budgets))


def _start_anew(ws: Workspace, recipe: Recipe, name: str, replaces: bool) -> str:
    """Forget marks, locks and budgets by hand: another pool has candidates of the same numbers.

    Undo would bring them back upon other pictures, so the whole history is put out of reach; sliders stay.

    Returns:
        What is forgotten, as a sentence behind a space; "" where there is nothing.
    """
    if not _starts_anew(ws, recipe, replaces):
        return ""
    gone = _by_hand(ws, recipe)
    kept = {key: value for key, value in ws.ledger.settings().items() if key not in (LOCKED, BUDGETS)}
    ws.ledger.start_anew({**kept, LOCKED: {}, BUDGETS: None}, f'new start with "{name}"')
    return f" Gone with the pool before: {gone}." if gone else ""


def _by_hand(ws: Workspace, recipe: Recipe) -> str:
    """What was marked, locked or budgeted on the pool that is there, in words."""
    budgets = ws.ledger.settings().get(BUDGETS, recipe.select.budgets)
    found = {
        ("pin", "pins"): len(ws.ledger.pinned()),
        ("veto", "vetoes"): len(ws.ledger.vetoed()),
        ("tagged candidate", "tagged candidates"): len(ws.ledger.tags()),
        ("locked class", "locked classes"): len(ws.ledger.locked()),
        ("own budget", "own budgets"): len(by_class(budgets)),
    }
    return ", ".join(plural(n, one, more) for (one, more), n in found.items() if n)


def has_seeds(ws: Workspace) -> bool:
    """Whether the seeds of the pool made its pictures: not those imported without latents, or cut from real images."""
    about = manifest(ws)
    if about is None:
        return ws.pool().settings.get("source") != CROPS
    return about.get("latents") == "generated"


def manifest(ws: Workspace) -> dict[str, Any] | None:
    """What is known of an imported pool; None where the pool was generated, or there is none.

    Raises:
        WorkspaceError: it is there and cannot be read: taken for none, the pictures would be generated over.
    """
    kinds = {"source": TEXT, "codec": TEXT, "counts": COUNTS, "parts": TEXTS}
    return read_manifest(ws.root / "pool" / MANIFEST, kinds, IMPORT_AGAIN)


def status_of(ws: Workspace, bundle: Bundle, about: dict[str, Any]) -> StageStatus:
    """Whether an imported pool is whole and its latents, where it has some, are those of the bundle's codec."""
    found = ws.compare(
        {ws.root / "pool" / name: digest for name, digest in about["parts"].items()}, "pool parts"
    )
    if found.state == "fresh" and about["codec"] not in (NO_CODEC, bundle.identity(CODEC)):
        return StageStatus(
            "stale", f'Imported from "{about["source"]}", but encoded by the codec of another bundle.'
        )
    return StageStatus(
        found.state, f'Imported from "{about["source"]}"{_behind(labels_text(about))}. {found.reason}'
    )


def settings_after(
    ws: Workspace, recipe: Recipe, bundle: Bundle, counts: Mapping[int, int], replaces: bool
) -> dict[str, Any]:
    """Settings that fit the imported pool: its size, its classes, and no more images per class than it has.

    Args:
        counts: pictures by class.
        replaces: another pool, whose budgets by hand go with it.
    """
    most = max(counts.values())
    ipc = min(recipe.select.ipc, most)
    budgets = None if _starts_anew(ws, recipe, replaces) else recipe.select.budgets
    return {
        "pool.pool_size": most,
        "pool.classes": None if len(counts) == bundle.n_classes else tuple(sorted(counts)),
        "select.ipc": ipc,
        "select.floor": recipe.select.floor and min(recipe.select.floor, ipc),
        "select.budgets": budgets and tuple(min(n, most) for n in budgets),
    }
