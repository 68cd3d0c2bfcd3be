"""`psr-studio study`: a table or figure of the papers from one command; without a name, which there are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from psr_studio.cli.console import ProgressLine, consume
from psr_studio.cli.flags import DONE, add_command, add_studio_flags, add_worker_flags
from psr_studio.cli.studio import open_studio
from psr_studio.core.files import absolute_path
from psr_studio.recipe.load import load_recipe
from psr_studio.stages.study import STAGE
from psr_studio.storage.workspace import is_one
from psr_studio.studies.study import Study
from psr_studio.studies.table import STUDIES, find_study


def add_commands(commands: Any) -> None:
    """`study`."""
    parser = add_command(commands, "study", STAGE.help, _study)
    parser.add_argument("name", nargs="?", help="the study; all are listed when left out")
    add_studio_flags(parser, budget=False)
    add_worker_flags(parser)
    add = parser.add_argument
    add("--budgets", type=int, nargs="+", metavar="K", help="images per class (study.budgets)")
    add("--students", nargs="+", metavar="S", help="networks to train (study.students)")
    add("--seeds", type=int, metavar="N", help="students per number (evaluate.n_seeds)")
    add("--epochs", type=int, metavar="N", help="passes over each set (evaluate.epochs)")
    add(
        "--dry-run",
        action="store_true",
        help="say what is finished, what is left and how long; write nothing",
    )
    parser.epilog = f"Studies: {', '.join(STUDIES)}."


def _study(args: argparse.Namespace) -> int:
    if args.name is None:
        for study in STUDIES.values():
            print(f"{study.name:<16} {study.place:<22} {study.title}")
        return DONE
    study = find_study(args.name)
    given = {
        "study.budgets": args.budgets,
        "study.students": args.students,
        "evaluate.n_seeds": args.seeds,
        "evaluate.epochs": args.epochs,
        "pool.pool_size": _standing_size(args),
    }
    values = {key: value for key, value in given.items() if value is not None}
    if args.dry_run:
        return _foreseen(args, study, values)
    with open_studio(args, values=values) as studio:
        said = consume(studio.study(study.name), ProgressLine(sys.stderr, args.quiet))
        print(studio.study_table(study.name))
        print(f"\n{said}")
    return DONE


def _foreseen(args: argparse.Namespace, study: Study, values: Mapping[str, Any]) -> int:
    """Print the cells and what is left to do; nothing is made where there is no workspace yet, nor saved in one."""
    from psr_studio.studies.report import standing

    with TemporaryDirectory() as nowhere:
        is_new = not is_one(absolute_path(args.workspace))
        args.workspace = nowhere if is_new else args.workspace
        with open_studio(args, create=is_new, values=values, keep=False) as studio:
            found = studio.study_results(study.name)
            for result in found:
                known = f"{result.trained} of {result.wanted} students" if result.wanted else "not chosen yet"
                print(f"{result.cell}: {'finished' if result.finished else known}")
            print(" ".join(filter(None, ("\n" + standing(found), studio.study_outlook(study.name)))))
    return DONE


def _standing_size(args: argparse.Namespace) -> int | None:
    """Candidates per class that the workspace has already, where a preset is named that would have fewer."""
    saved = Path(args.workspace) / "recipe.toml"
    if args.preset is None or args.replace_recipe or not saved.is_file():
        return None
    standing, given = (int(load_recipe(source).pool.pool_size) for source in (saved, args.preset))
    return standing if standing > given else None
