"""Export: the set as a folder that any training script reads, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from psr_studio.core.disk import writing
from psr_studio.core.errors import ExportError, SelectionError, StudioError
from psr_studio.core.files import sha256
from psr_studio.core.progress import Progress
from psr_studio.core.stopping import stop_if_asked
from psr_studio.core.version import __version__
from psr_studio.core.words import plural
from psr_studio.method.signals import difficulty, difficulty_over_all, predictive_entropy, reliability
from psr_studio.recipe.schema import Recipe
from psr_studio.recipe.toml import to_toml
from psr_studio.stages.batches import Stopwatch
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.stages.export import STAGE
from psr_studio.stages.export.card import origin_text, write_card
from psr_studio.stages.export.formats import (
    DD_RANKING,
    PARQUET,
    SHARD_SIZE,
    WRITERS,
    ExportSet,
    class_folder,
    write_labels,
    write_pictures,
)
from psr_studio.stages.export.target import (
    MANIFEST,
    check_target,
    is_our_zip,
    read_manifest,
    write_zip,
    zip_path,
)
from psr_studio.stages.importing import stage as importing
from psr_studio.stages.importing.soft_labels import labels_text
from psr_studio.stages.labels import soften
from psr_studio.stages.refine import stage as refine
from psr_studio.stages.score import stage as score
from psr_studio.stages.select import stage as select
from psr_studio.stages.task import in_task, named_outputs, named_part, softens_all
from psr_studio.stages.teach.report import report_of
from psr_studio.storage.parquet import FORMAT_VERSION, stable_hash
from psr_studio.storage.png import encode_png
from psr_studio.storage.records import SelectionRecord
from psr_studio.storage.workspace import StageStatus, Workspace

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle


@dataclass(frozen=True)
class Summary:
    """What an export would write. Bytes are those of the pictures, an estimate for the rest is left out."""

    folder: Path
    zip_path: Path | None
    n_images: int
    n_files: int
    picture_bytes: int
    counts: dict[str, int]  # images by class name
    folders: dict[str, int]  # entries of the folder by name or pattern, with the number of files of each
    refined: bool
    replaces: bool  # an earlier export of ours stands there


def inputs(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord) -> dict[str, Any]:
    """What an export is made from."""
    made = refine.expected(ws, recipe, bundle, record) if is_refined(recipe, bundle) else {}
    return {
        "stage": STAGE.name,
        "selection": [record.name, record.candidate_ids, record.settings],
        **named_part(record.picks, bundle.n_classes),
        **named_outputs(_is_over_all(ws, recipe, bundle, record)),
        "refined": sorted(made.values()),
        "formats": list(recipe.export.formats),
        "zip": recipe.export.zip,
    }


def _is_over_all(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord) -> bool:
    """Whether the difficulties that are written are over every output of the teacher."""
    return softens_all(recipe, bundle, sorted(record.picks)) and not ws.pool().has_own_logits


def is_refined(recipe: Recipe, bundle: Bundle) -> bool:
    """Whether the refined pictures are written; a bundle without a generator has none but those selected."""
    return recipe.export.refined and bundle.has("generator")


def status(ws: Workspace, recipe: Recipe, bundle: Bundle) -> StageStatus:
    """Whether the export of the recipe's name is there and holds the present selection."""
    folder = ws.export_path(recipe.export.name)
    manifest = read_manifest(folder)
    if manifest is None:
        return StageStatus("missing", f'There is no export "{recipe.export.name}".')
    try:
        record = select.require(ws, recipe.select.name, bundle)
    except SelectionError as err:
        return StageStatus("stale", err.problem)
    if manifest["inputs_hash"] != stable_hash(inputs(ws, recipe, bundle, record)):
        return StageStatus("stale", f'"{recipe.export.name}" holds another set or other formats.')
    if recipe.export.zip and not zip_path(folder).is_file():
        return StageStatus("partial", f'"{recipe.export.name}" is there without its zip.')
    n = len({*manifest["files"], MANIFEST})
    return StageStatus("fresh", f'"{recipe.export.name}" holds {plural(n, "file")}.')


def summary(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Summary:
    """What `run` would write, without writing; raises what `run` would."""
    record = _check(ws, recipe, bundle)
    data = gather(ws, recipe, bundle, record)
    folder = ws.export_path(recipe.export.name)
    files = {"soft_labels.safetensors": 1, "labels.csv": 1, "README.md": 1, "recipe.toml": 1, MANIFEST: 1}
    if "folder" in recipe.export.formats:
        for label, class_id in enumerate(sorted(record.picks)):
            files[class_folder(data.class_names, label)] = len(record.picks[class_id])
    extra = {
        "parquet": (PARQUET, 1),
        "webdataset": ("shard-*.tar", -(-len(data) // SHARD_SIZE)),
        "dd-ranking": (f"{DD_RANKING}*", 4),
    }
    files |= dict(extra[name] for name in recipe.export.formats if name in extra)
    return Summary(
        folder=folder,
        zip_path=zip_path(folder) if recipe.export.zip else None,
        n_images=len(data),
        n_files=sum(files.values()),
        picture_bytes=sum(map(len, data.pngs)),
        counts=data.counts,
        folders=dict(sorted(files.items())),
        refined=is_refined(recipe, bundle),
        replaces=folder.is_dir() and any(folder.iterdir()),
    )


def run(ws: Workspace, recipe: Recipe, bundle: Bundle) -> Iterator[Progress]:
    """Write the set to exports/<name>, with its zip, all or nothing; an earlier export of ours is replaced.

    Raises:
        ExportError: the folder holds files that we did not write, or changed ones.
        SelectionError, WorkspaceError: no selection, not refined though that is asked for, the disk.
    """
    clock = Stopwatch()
    names = [name for name in recipe.export.formats if name in WRITERS]
    total = 3 + len(names) + int(recipe.export.zip)

    def event(done: int, message: str, **more: Any) -> Progress:
        return Progress(STAGE.name, done, total, message, seconds=clock.seconds, **more)

    folder = ws.export_path(recipe.export.name)
    record = _check(ws, recipe, bundle)
    yield event(0, "Reading the pictures.")
    data = gather(ws, recipe, bundle, record)
    done = 0
    with (
        writing(folder, again="export again: nothing was changed"),
        ws.change(folder.parent) as change,
    ):
        made = change.new / folder.name
        made.mkdir()
        with_pictures = "folder" in recipe.export.formats
        if with_pictures:
            write_pictures(data, made)
        write_labels(data, made, with_pictures)
        done += 1
        wrote = f"Wrote {plural(len(data), 'picture')} and labels." if with_pictures else "Wrote the labels."
        yield event(done, wrote)
        for name in names:
            WRITERS[name](data, made)
            done += 1
            yield event(done, f"Wrote {name}.")
        _write_about(ws, recipe, bundle, record, data, made)
        done += 1
        yield event(done, "Wrote the data card and the manifest.")
        if recipe.export.zip:
            yield event(done, "Packing the zip.")
            write_zip(made)
            done += 1
        elif is_our_zip(folder):  # of the export that is replaced
            change.remove(zip_path(folder).name)
        with change.commit():
            pass
    yield event(total, f'Exported {plural(len(data), "image")} to "{folder}".', part_done=True)


def gather(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord) -> ExportSet:
    """The set of a selection, as it is written.

    Its task is the classes it holds: labels count among them, and the teacher's logits are restricted to them,
    so that a part of the bundle's classes reads like any other data set.
    """
    pool, ids, tags = ws.pool(), record.candidate_ids, ws.ledger.tags()
    at = pool.positions(ids)
    task = sorted(record.picks)
    over_all = _is_over_all(ws, recipe, bundle, record)
    scores = ws.scores(bundle.teacher_id, require_all=False, beyond=over_all and score.knows_more(bundle))
    scored = scores.logits_at(at)
    labels, tau = in_task(pool.labels[at], task), float(record.settings["temperature"])
    if is_refined(recipe, bundle):
        images = ws.refined(record.name).images_of(ids)
        pngs = [_encoded(image) for image in images]
        taught = refine.labelled_anew(recipe, bundle, images, scored)[:, task]
    else:
        images, pngs = pool.images_at(at), [pool.png(int(position)) for position in at]
        taught = scored[:, task]
    logits = scored[:, task]
    hard = difficulty(logits, labels)
    if over_all:
        hard = difficulty_over_all(
            scored, None if scores.beyond is None else scores.beyond[at], pool.labels[at]
        )
    return ExportSet(
        class_names=tuple(bundle.class_names[c] for c in task),
        pngs=pngs,
        images=images,
        labels=np.array(labels, np.int64),
        candidate_ids=np.array(ids, np.int64),
        seeds=np.array(pool.seeds[at], np.int64),
        logits=np.array(taught, np.float32),
        soft_labels=soften(taught, tau),
        temperature=tau,
        signals={
            "reliability": reliability(logits, labels, tau),
            "entropy": predictive_entropy(logits, tau),
            "difficulty": hard,
        },
        filled=np.array([f for c in sorted(record.filled) for f in record.filled[c]], bool),
        tags=tuple("; ".join(tags.get(cid, ())) for cid in ids),
        normalisation=bundle.normalisation,
    )


def _encoded(image: np.ndarray) -> bytes:
    stop_if_asked()
    return encode_png(image)


def _check(ws: Workspace, recipe: Recipe, bundle: Bundle) -> SelectionRecord:
    """Everything that can be wrong, before anything is written."""
    record = select.require(ws, recipe.select.name, bundle)
    score.require_fresh(ws, recipe, bundle)
    if is_refined(recipe, bundle):
        refine.require_fresh(ws, recipe, bundle)
    if not recipe.export.formats:
        raise ExportError("No format is asked for.", 'Set "export.formats" to "folder" or another one.')
    check_target(ws.export_path(recipe.export.name), ws.root, recipe.export.zip)
    return record


def _write_about(
    ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord, data: ExportSet, folder: Path
) -> None:
    """recipe.toml, README.md, and last the manifest over everything."""
    (folder / "recipe.toml").write_text(to_toml(recipe), encoding="utf-8")
    card = write_card(
        recipe.export.name, data, bundle, recipe.export.formats, is_refined(recipe, bundle),
        provenance(ws, recipe, bundle, record), _rows(ws, recipe, bundle), _imported(ws),
    )  # fmt: skip
    (folder / "README.md").write_text(card, encoding="utf-8")
    files = {
        path.relative_to(folder).as_posix(): {"sha256": sha256(path), "bytes": path.stat().st_size}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    manifest = {
        "format_version": FORMAT_VERSION,
        "writer": f"PSR Studio {__version__}",
        "inputs_hash": stable_hash(inputs(ws, recipe, bundle, record)),
        "provenance": provenance(ws, recipe, bundle, record),
        "files": files,
    }
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def provenance(ws: Workspace, recipe: Recipe, bundle: Bundle, record: SelectionRecord) -> dict[str, Any]:
    """Where the set came from, for the card and the manifest."""
    imported, generator = _imported(ws), f"{bundle.identity('generator')} (hash of its files)"
    if imported is None:
        origin = {"generator": generator}
    else:
        origin = {"pictures": f"{origin_text(imported)}, made elsewhere"}
        if is_refined(recipe, bundle):
            origin["moved by the generator"] = generator
    found = {
        "bundle": bundle.name,
        **origin,
        "teacher": f"{bundle.identity('teacher')} (hash of its files)",
        **({"teacher's origin": report.origin} if (report := report_of(bundle)) else {}),
        **({"soft labels": labelled} if (labelled := labels_text(importing.manifest(ws))) else {}),
        "pool": ws.pool().settings,
        "candidates": len(ws.pool()),
        "selection": {k: v for k, v in record.settings.items() if k != select.POOL_HASH},
        "marks by hand": {mark: ids for mark, ids in record.marks.items() if ids} or "none",
        "shortfall": {bundle.class_names[c]: n for c, n in record.shortfall.items() if n} or "none",
    }
    if is_refined(recipe, bundle):
        found["refinement"] = recipe.refine.read()
    return found


def _imported(ws: Workspace) -> dict[str, Any] | None:
    """What is known of pictures that another generator, or none, made; None where the bundle's did.

    A workspace that the same generator filled keeps its latents when it is imported.
    """
    about = importing.manifest(ws)
    return None if about is None or about.get("latents") == "generated" else about


def _rows(ws: Workspace, recipe: Recipe, bundle: Bundle) -> list[evaluate.Row]:
    """Results of the present recipe; an export does not need any."""
    try:
        return evaluate.table(ws, recipe, bundle)
    except StudioError:
        return []
