"""The command line: the steps of the pipeline, all of them in a row, and what is needed around them.

Exit status: 0 done, 1 something unforeseen or something missing (doctor), 2 an error the user can act on, 130
stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psr_studio import __version__
from psr_studio.cli import models as cli_models
from psr_studio.cli.console import ProgressLine, consume, error_text
from psr_studio.core.allocator import keep_freed_memory
from psr_studio.core.errors import StudioError, did_you_mean
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.keys import SELECT_KEYS, facts, keys, renamed
from psr_studio.recipe.load import load_recipe, parse_assignment, presets
from psr_studio.recipe.schema import Recipe
from psr_studio.recipe.toml import to_toml, toml_value
from psr_studio.ui.launch import add_flags as add_app_flags
from psr_studio.ui.launch import add_worker_flags, launch

if TYPE_CHECKING:
    from psr_studio.app.studio import Studio

DONE, UNFORESEEN, REFUSED, STOPPED = 0, 1, 2, 130
DEFAULT_WORKSPACE = "workspace"
SHARED = ("generate", "score", "refine")  # steps that workers can share
STEPS = {
    "generate": ("pool", "Generate the missing parts of the pool."),
    "score": ("score", "Score the pool with the teacher."),
    "select": ("select", "Choose K images per class and save the selection."),
    "refine": ("refine", "Refine the latents of the selection."),
    "evaluate": ("evaluate", "Train students on the selection and its controls, and print the table."),
    "export": ("export", "Write the set out as a folder."),
}
LEFT = "Stopped. The pool is as it was."
KEPT = "Stopped. What was written is kept: run the same command again to go on."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    keep_freed_memory()
    args = build_parser().parse_args(argv)
    try:
        status = args.run(args)
        sys.stdout.flush()
        return status
    except StudioError as err:
        print(error_text(err), file=sys.stderr)
        return REFUSED
    except BrokenPipeError:  # `psr-studio status | head`: who listened has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        print(f"\n{LEFT if args.command == 'import' else KEPT}", file=sys.stderr)
        return STOPPED
    except Exception as err:  # the last line of defence: a log for us, one line for the user
        print(_log(args, err), file=sys.stderr)
        return UNFORESEEN


def build_parser() -> argparse.ArgumentParser:
    """All commands with their flags."""
    parser = argparse.ArgumentParser(
        prog="psr-studio", description="Generative dataset distillation by curation: pool, select, refine."
    )
    parser.add_argument("--version", action="version", version=f"psr-studio {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="<command>")
    add_app_flags(_command(commands, "app", "Open the studio in the browser.", _app))
    for name, (stage, text) in STEPS.items():
        step = _command(commands, name, text, _run_step, stage=stage)
        _workspace_flags(step)
        if name in SHARED:
            add_worker_flags(step)
        if name == "export":
            step.add_argument(
                "--dry-run", action="store_true", help="say what would be written, write nothing"
            )
        if name == "select":
            step.epilog = f"Selectors: {', '.join(SELECTORS)}. `psr-studio selectors` explains them."
        if name == "evaluate":
            step.add_argument("--all", action="store_true", help="print every result, train nothing")
    _tune_flags(
        _command(commands, "tune", "Search selector and weights by a proxy, print the trials.", _tune)
    )
    all_steps = _command(commands, "run", "Do all steps and print the table.", _run_all)
    _workspace_flags(all_steps)
    add_worker_flags(all_steps)
    _workspace_flags(_command(commands, "status", "Say which steps are fresh, stale or missing.", _status))
    _bench_flags(_command(commands, "bench", "Measure how fast this machine does each step.", _bench))
    _doctor_flags(_command(commands, "doctor", "Say what is here, what is missing, how to get it.", _doctor))
    _selectors_flags(_command(commands, "selectors", "List the selectors with their parameters.", _selectors))
    _preset_flags(_command(commands, "presets", "List the presets, or show one with all settings.", _presets))
    _train_flags(_command(commands, "train-bundle", "Train an embedded bundle from its data.", _train_bundle))
    cli_models.add_commands(commands, _command, _workspace_flags, _open)
    return parser


def _command(
    commands: Any, name: str, text: str, run: Callable[..., int], **more: Any
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=text, description=text)
    made.set_defaults(run=run, command=name, **more)
    return made


def _workspace_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-w", "--workspace", default=DEFAULT_WORKSPACE, metavar="W",
        help='folder of the run, made when missing (default: "%(default)s")',
    )  # fmt: skip
    parser.add_argument(
        "-p", "--preset", metavar="P",
        help="preset by name, or a TOML file (default: the recipe of the workspace, else fashion-mnist)",
    )  # fmt: skip
    parser.add_argument(
        "--replace-recipe", action="store_true", help="take the preset although parts would be made anew"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments",
        help="change a setting, such as select.psr.gamma=2; may be given again and again",
    )  # fmt: skip
    parser.add_argument("--ipc", type=int, metavar="K", help="images per class (select.ipc)")
    parser.add_argument("--device", metavar="D", help="auto, cpu, cuda or mps")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.add_argument(
        "--download", action="store_true", help="first fetch weights that are not on this machine"
    )


def _tune_flags(parser: argparse.ArgumentParser) -> None:
    _workspace_flags(parser)
    parser.add_argument("--trials", type=int, metavar="N", help="settings to try (tune.trials)")
    parser.add_argument("--proxy", metavar="X", help="what judges them: knn or student (tune.proxy)")


def _doctor_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-w", "--workspace", default=DEFAULT_WORKSPACE, metavar="W", help="whose disk to look at"
    )


def _bench_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p", "--preset", default="fashion-mnist", metavar="P", help='preset (default: "%(default)s")'
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="change a setting, such as pool.steps=25; may be given again and again",
    )
    parser.add_argument(
        "--images", type=int, default=20, metavar="N", help="candidates per class (default: 20)"
    )
    parser.add_argument("--out", metavar="FILE", help="also write the figures and their conditions as JSON")


def _selectors_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="the selector to explain; all when left out")


def _preset_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="the preset to show, or a TOML file")
    parser.add_argument("--keys", action="store_true", help="list every setting with its range and its help")


def _train_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help='the bundle, such as "fashion-mnist"')
    parser.add_argument(
        "--data", metavar="D", help="folder of the data set's own files (default: found or downloaded)"
    )
    parser.add_argument("--work", default="build/bundle", metavar="W", help="checkpoints, to resume from")
    parser.add_argument("--out", metavar="O", help="where the bundle goes (default: assets/<name>)")
    parser.add_argument("--seed", type=int, default=0)


def _open(args: argparse.Namespace) -> Studio:
    from psr_studio.app.studio import Studio  # loads torch, so only when there is work

    values = renamed(dict(map(parse_assignment, args.assignments)), "--set")
    values |= {"select.ipc": args.ipc} if args.ipc is not None else {}
    values |= {"device": args.device} if args.device is not None else {}
    staff: dict[str, Any] = {key: getattr(args, key, None) for key in ("workers", "ray")}
    studio = Studio(args.workspace, args.preset, replace_recipe=args.replace_recipe, **staff, **values)
    if args.download:
        try:
            cli_models.download(studio, args.quiet)
        except BaseException:
            studio.close()
            raise
    return studio


def _app(args: argparse.Namespace) -> int:
    launch(args)
    return DONE


def _run_step(args: argparse.Namespace) -> int:
    with _open(args) as studio:
        if getattr(args, "dry_run", False):
            print(_summary_text(studio))
            return DONE
        if not getattr(args, "all", False):
            consume(studio.runs[args.stage](), ProgressLine(sys.stderr, args.quiet))
        if args.stage == "evaluate":
            print(_table_text(studio, args.all))
        if args.stage == "select":
            print(_selection_text(studio))
    return DONE


def _tune(args: argparse.Namespace) -> int:
    from psr_studio.stages.tune.stage import format_table

    given = {"tune.trials": args.trials, "tune.proxy": args.proxy}
    with _open(args) as studio:
        studio.set({key: value for key, value in given.items() if value is not None})
        consume(studio.runs["tune"](), ProgressLine(sys.stderr, args.quiet))
        print(format_table(studio.trials()))
        print(f"\n{studio.tune_trust()}")
    return DONE


def _run_all(args: argparse.Namespace) -> int:
    with _open(args) as studio:
        line = ProgressLine(sys.stderr, args.quiet)
        for stage, _ in STEPS.values():
            consume(studio.runs[stage](), line)
        print(_table_text(studio, everything=False))
        print(f"\nThe set is in {studio.workspace.export_path(studio.recipe.export.name)}")
    return DONE


def _status(args: argparse.Namespace) -> int:
    with _open(args) as studio:
        for stage, found in studio.status().items():
            print(f"{stage:<9} {found.state:<8} {found.reason}")
    return DONE


def _table_text(studio: Studio, everything: bool) -> str:
    from psr_studio.stages.evaluate.stage import format_table, history

    return format_table(history(studio.workspace) if everything else studio.table())


def _selection_text(studio: Studio) -> str:
    from psr_studio.stages.select.reasons import shortage_text

    chosen = studio.selection()
    filled = {c: chosen.filled[chosen.labels == c] for c in chosen.shortfall}
    names, selector = studio.bundle.class_names, chosen.settings["selector"]
    short = shortage_text(names, selector, chosen.shortfall, filled)
    left_out = [f"Left out: {broken.reason}" for broken in studio.pool.broken]
    told = [f'Selected {len(chosen)} images as "{chosen.name}".', short, *left_out]
    return "\n".join(text for text in told if text)


def _summary_text(studio: Studio) -> str:
    found = studio.export_summary()
    pictures = f"{found.n_images} images of {found.picture_bytes:,} bytes"
    lines = [
        f"{found.folder}: {found.n_files} files, {pictures}",
        *(f"  {name}: {n} file{'s' if n != 1 else ''}" for name, n in found.folders.items()),
    ]
    if found.replaces:
        lines.append("It replaces the export that is there.")
    return "\n".join(lines)


def _bench(args: argparse.Namespace) -> int:
    import json

    from psr_studio.cli.bench import bench, conditions

    recipe = load_recipe(args.preset).with_values(
        renamed(dict(map(parse_assignment, args.assignments)), "--set")
    )
    if args.images < 2:
        raise StudioError(
            f"{args.images} candidates per class are asked for, but bench needs 2.", "Raise --images."
        )
    figures = []
    for figure in bench(recipe, args.images):
        figures.append(figure)
        print(f"{figure.name:40} {figure.value:10.1f} {figure.unit}", flush=True)
    stated = conditions(recipe)
    print(", ".join(f"{key} {value}" for key, value in stated.items()))
    if args.out:
        rows = [{"name": f.name, "value": round(f.value, 3), "unit": f.unit} for f in figures]
        made = {"command": "psr-studio " + " ".join(sys.argv[1:]), **stated, "figures": rows}
        Path(args.out).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    return DONE


def _doctor(args: argparse.Namespace) -> int:
    from psr_studio.cli.doctor import examine, report

    found = examine(Path(args.workspace))
    print(report(found))
    return UNFORESEEN if any(item.needed_is_missing for item in found) else DONE


def _presets(args: argparse.Namespace) -> int:
    if args.keys:
        recipe = load_recipe(args.name or "fashion-mnist")
        for key in keys():
            known = facts(key)
            unit = f" {known.unit}" if known.unit else ""
            print(f"{key} = {recipe.value(key)}{unit}  ({known.range or 'any'})  {known.help}")
    elif args.name:
        print(to_toml(load_recipe(args.name)), end="")
    else:
        for name, path in presets().items():
            print(f"{name}  {path}")
    return DONE


def _selectors(args: argparse.Namespace) -> int:
    if args.name is not None and args.name not in SELECTORS:
        fix = did_you_mean(args.name, SELECTORS) + "`psr-studio selectors` lists them all."
        raise StudioError(f'There is no selector "{args.name}". Selectors: {", ".join(SELECTORS)}.', fix)
    for name in [args.name] if args.name else SELECTORS:
        selector = SELECTORS[name]
        print(f"{name}: {selector.title} ({selector.source}). {selector.help}")
        for key in SELECT_KEYS:
            if key.startswith(f"select.{name}."):
                known, value = facts(key), Recipe().value(key)
                shown = "none" if value is None else toml_value(value)
                print(f"    {key} = {shown}  ({known.range or 'true, false'})  {known.help}")
    return DONE


def _train_bundle(args: argparse.Namespace) -> int:
    from psr_studio.core.resources import resource_dir
    from psr_studio.training.build import build_bundle

    out = args.out or resource_dir("assets") / args.name
    for text in build_bundle(args.name, args.data, args.work, out, seed=args.seed):
        print(text, flush=True)
    return DONE


def _log(args: argparse.Namespace, err: Exception) -> str:
    """Append the traceback to <workspace>/log.txt; the line for the user says where it is, or holds it."""
    details = "".join(traceback.format_exception(err))
    words = f'Something unforeseen stopped "{args.command}": {type(err).__name__}: {err}'
    path = Path(getattr(args, "workspace", DEFAULT_WORKSPACE)) / "log.txt"
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"psr-studio {__version__} {args.command}\n{details}\n")
    except OSError:
        return f"{details}\n{words}"
    return f"{words}\nThe details are in {path}."


if __name__ == "__main__":
    sys.exit(main())
