"""The steps of the pipeline, all of them in a row, the search beside them, and where they stand."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from psr_studio.cli.console import ProgressLine, consume, says_what_stands
from psr_studio.cli.flags import DONE, add_command, add_studio_flags, add_worker_flags
from psr_studio.cli.studio import open_studio
from psr_studio.core.errors import StudioError
from psr_studio.core.files import absolute_path
from psr_studio.core.words import plural
from psr_studio.method.protocols import PROTOCOLS
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.schema import LABELS, Recipe
from psr_studio.stages import evaluate, export, finetune, generate, select, tune
from psr_studio.stages.table import PIPELINE

if TYPE_CHECKING:
    from psr_studio.app.studio import Studio
    from psr_studio.stages.evaluate.stage import Row


def add_commands(commands: Any) -> None:
    """One for each stage of the pipeline, `run`, `status` and `tune`."""
    for stage in PIPELINE:
        step = add_command(commands, stage.command, stage.help, _step, stage=stage)
        add_studio_flags(step)
        if stage.shared:
            add_worker_flags(step)
        if stage is export.STAGE:
            step.set_defaults(stopped="Stopped. The export is as it was.")
            step.add_argument(
                "--dry-run", action="store_true", help="say what would be written, write nothing"
            )
        if stage is select.STAGE:
            step.epilog = f"Selectors: {', '.join(SELECTORS)}. `psr-studio selectors` explains them."
        if stage is evaluate.STAGE:
            step.add_argument("--all", action="store_true", help="print every result, train nothing")
            step.set_defaults(run=_evaluate)
            step.add_argument(
                "sets", nargs="*", metavar="SET",
                help="sets to train on as they are: folders, archives, tables, tensors, workspaces (evaluate.sets)",
            )  # fmt: skip
            step.add_argument(
                "--real",
                metavar="P",
                help="real pictures for controls and test, as `psr-studio new` takes them; makes a bundle file",
            )
            step.add_argument(
                "--set-labels", action="store_true",
                help="train on the sets by the soft labels that came with them (evaluate.set_labels)",
            )  # fmt: skip
            step.add_argument("--test", metavar="PATH", help="other test images (evaluate.test_images)")
            step.add_argument(
                "--full", action="store_true", help="all real training images, too (evaluate.full)"
            )
            step.add_argument("--protocol", metavar="P", help="how students are trained (evaluate.protocol)")
            step.add_argument("--labels", metavar="L", help=f"{', '.join(LABELS)} (evaluate.labels)")
            step.epilog = f"Protocols: {', '.join(PROTOCOLS)}. `psr-studio protocols` explains them."
            step.add_argument("--by-class", action="store_true", help="print each row by class, too")
    search = add_command(commands, tune.STAGE.command, tune.STAGE.help, _tune)
    add_studio_flags(search)
    search.add_argument("--trials", type=int, metavar="N", help="settings to try (tune.trials)")
    search.add_argument("--proxy", metavar="X", help="what judges them: knn or student (tune.proxy)")
    tuning = add_command(commands, finetune.STAGE.command, finetune.STAGE.help, _finetune)
    add_studio_flags(tuning)
    tuning.epilog = "Its settings are those of [finetune]; `psr-studio presets --keys` lists them."
    whole = add_command(commands, "run", "Do all steps and print the table.", _run)
    add_studio_flags(whole)
    add_worker_flags(whole)
    add_studio_flags(add_command(commands, "status", "Say which steps are fresh, stale or missing.", _status))


def _step(args: argparse.Namespace) -> int:
    dry = getattr(args, "dry_run", False)
    with open_studio(args, create=args.stage is generate.STAGE, keep=not dry) as studio:
        if dry:
            print(_summary_text(studio))
            return DONE
        with _export_watched(args, studio) if args.stage is export.STAGE else nullcontext():
            consume(studio.runs[args.stage.name](), ProgressLine(sys.stderr, args.quiet))
        if args.stage is select.STAGE:
            print(_selection_text(studio))
    return DONE


def _evaluate(args: argparse.Namespace) -> int:
    makes = bool(args.sets) and not args.all
    with open_studio(args, create=makes, values=_evaluated(args), keep=not args.all) as studio:
        if not args.all:
            consume(studio.evaluate(), ProgressLine(sys.stderr, args.quiet))
        rows = _rows(studio, args.all)
        print(_compared_text(rows, args.all))
        if args.by_class:
            print(_by_class_text(studio, args.all))
    return DONE


def _compared_text(rows: Sequence[Row], everything: bool) -> str:
    """The table; below it what sets are ahead of their controls, or of all results the scores of DD-Ranking."""
    from psr_studio.stages.evaluate.comparing import format_comparisons, format_rankings
    from psr_studio.stages.evaluate.stage import format_table

    below = format_rankings(rows) if everything else format_comparisons(rows)
    return "\n\n".join(filter(None, (format_table(rows), below)))


def _evaluated(args: argparse.Namespace) -> dict[str, Any]:
    """What the flags of `evaluate` set; with real pictures also the preset, which they make."""
    given = {
        "evaluate.protocol": args.protocol,
        "evaluate.labels": args.labels,
        "evaluate.sets": tuple(str(absolute_path(path)) for path in args.sets) or None,
        "evaluate.test_images": None if args.test is None else str(absolute_path(args.test)),
        "evaluate.full": args.full or None,
        "evaluate.set_labels": args.set_labels or None,
    }
    if args.real is not None:
        args.preset = _recipe_beside(args)
    return {key: value for key, value in given.items() if value is not None}


def _recipe_beside(args: argparse.Namespace) -> Recipe:
    from psr_studio.app.new_project import recipe_for_set

    if not args.sets or args.preset is not None:
        raise StudioError(
            "Real pictures (--real) make a bundle for sets that are named, in place of a preset.",
            "Name the set, or leave out --real: a preset's bundle has its own.",
        )
    return recipe_for_set(args.workspace, args.sets[0], args.real)


def _export_watched(args: argparse.Namespace, studio: Studio) -> AbstractContextManager[None]:
    from psr_studio.stages.standing import Standing

    place = studio.workspace.export_path(studio.recipe.export.name)
    return says_what_stands(args, Standing(studio.workspace, place, "export"))


def _tune(args: argparse.Namespace) -> int:
    from psr_studio.stages.tune.stage import format_table

    given = {"trials": args.trials, "proxy": args.proxy}
    with open_studio(args, create=False) as studio:
        events = studio.tune(**{key: value for key, value in given.items() if value is not None})
        consume(events, ProgressLine(sys.stderr, args.quiet))
        print(format_table(studio.trials()))
        print(f"\n{studio.tune_trust()}")
    return DONE


def _finetune(args: argparse.Namespace) -> int:
    with open_studio(args) as studio:
        consume(studio.runs[finetune.STAGE.name](), ProgressLine(sys.stderr, args.quiet))
        name = studio.recipe.finetune.name
    print(
        f"Use it with: psr-studio generate -w {shlex.quote(args.workspace)} --set pool.generator={shlex.quote(name)}"
    )
    return DONE


def _run(args: argparse.Namespace) -> int:
    with open_studio(args) as studio:
        line = ProgressLine(sys.stderr, args.quiet)
        off = {name: found.reason for name, found in studio.status().items() if found.state == "off"}
        for stage in PIPELINE:
            if stage.name in off:
                print(f"{stage.name:<8} off. {off[stage.name]}", file=sys.stderr)
            else:
                consume(studio.runs[stage.name](), line)
        print(_compared_text(studio.table(), everything=False))
        print(f"\nThe set is in {studio.workspace.export_path(studio.recipe.export.name)}")
    return DONE


def _status(args: argparse.Namespace) -> int:
    with open_studio(args, create=False) as studio:
        for stage, found in studio.status().items():
            print(f"{stage:<9} {found.state:<8} {found.reason}")
    return DONE


def _by_class_text(studio: Studio, everything: bool) -> str:
    from psr_studio.core.errors import SelectionError
    from psr_studio.stages.evaluate.by_class import format_by_class

    texts = []
    for row in _rows(studio, everything):
        try:
            found = format_by_class(row, studio.bundle.class_names)
        except SelectionError as err:
            found = err.problem
        texts.append(f"\n{row.name}, {row.label_regime}\n{found}")
    return "\n".join(texts)


def _rows(studio: Studio, everything: bool) -> list[Row]:
    from psr_studio.stages.evaluate.stage import history

    return history(studio.workspace) if everything else studio.table()


def _selection_text(studio: Studio) -> str:
    from psr_studio.stages.select.reasons import shortage_text

    record = studio.selection()
    filled = {c: record.filled[record.labels == c] for c in record.shortfall}
    names, selector = studio.bundle.class_names, record.settings["selector"]
    short = shortage_text(names, selector, record.shortfall, filled)
    left_out = [f"Left out: {broken.reason}" for broken in studio.pool.broken]
    told = [f'Selected {plural(len(record), "image")} as "{record.name}".', short, *left_out]
    return "\n".join(text for text in told if text)


def _summary_text(studio: Studio) -> str:
    found = studio.export_summary()
    pictures = f"{plural(found.n_images, 'image')} of {found.picture_bytes:,} bytes"
    lines = [
        f"{found.folder}: {plural(found.n_files, 'file')}, {pictures}",
        *(f"  {name}: {plural(n, 'file')}" for name, n in found.folders.items()),
    ]
    if found.replaces:
        lines.append("It replaces the export that is there.")
    return "\n".join(lines)
