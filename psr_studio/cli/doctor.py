"""`psr-studio doctor`: what is here, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import importlib
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from psr_studio.bundles.catalogue import UnmadeBundleError, load_bundle
from psr_studio.bundles.described import external_bundles
from psr_studio.bundles.embedded import bundles
from psr_studio.bundles.shipped import differences, read_teacher_index, shipped_teachers
from psr_studio.bundles.sources import locate, missing, size_words
from psr_studio.cli.flags import DONE, FAILED, add_command, add_workspace_flag
from psr_studio.core.errors import StudioError
from psr_studio.core.version import __version__
from psr_studio.core.words import plural
from psr_studio.recipe.load import load_recipe, presets
from psr_studio.storage.workspace import rescue_ledger

NEEDED = ("torch", "torchvision", "diffusers", "timm", "numpy", "numba", "pyarrow", "pillow", "safetensors")
SCREEN = ("gradio", "plotly", "umap-learn")
IMPORT_NAMES = {"pillow": "PIL", "umap-learn": "umap"}
IMPORTED = ("torch", "torchvision", "diffusers", "timm")  # pairs of builds that may not fit each other
FREE_BYTES = 2**30
INSTALL = "Run `pip install -e . -c constraints.txt` in the folder of PSR Studio."


def add_commands(commands: Any) -> None:
    """`doctor`."""
    parser = add_command(commands, "doctor", "Say what is here, what is missing, how to get it.", _doctor)
    add_workspace_flag(parser, "whose disk to look at")
    parser.add_argument(
        "--rescue", action="store_true",
        help="replace a damaged studio.sqlite there by what can be read of it; the damaged file is kept",
    )  # fmt: skip


def _doctor(args: argparse.Namespace) -> int:
    if args.rescue:
        print(_rescued_text(*rescue_ledger(args.workspace)))
        return DONE
    found = examine(Path(args.workspace))
    print(report(found))
    return FAILED if any(item.needed_is_missing for item in found) else DONE


def _rescued_text(kept: Path, rows: dict[str, int]) -> str:
    found = ", ".join(f"{n:,} {table}" for table, n in rows.items())
    return f'The ledger was made anew with what can be read: {found}.\nThe file before is kept as "{kept}".'


@dataclass(frozen=True)
class Finding:
    """One line of the report. `fix` is "" where all is well."""

    name: str
    found: str
    fix: str = ""
    needed: bool = True

    @property
    def needed_is_missing(self) -> bool:
        """Whether something will not work without it."""
        return bool(self.fix) and self.needed


def examine(workspace: Path) -> list[Finding]:
    """Look at versions, device, presets, bundles and the disk of the workspace; reads, never writes."""
    return [
        Finding("PSR Studio", __version__),
        _python(),
        *(package_finding(name) for name in NEEDED),
        *(package_finding(name, needed=False) for name in SCREEN),
        _device(),
        *_presets(),
        *_bundles(),
        *teachers(),
        *_weights(),
        _disk(workspace),
    ]


def report(findings: list[Finding]) -> str:
    """The findings as text, a line each, and the fix below where there is one."""
    width = max(len(item.name) for item in findings)
    lines = []
    for item in findings:
        word = "ok" if not item.fix else "MISSING" if item.needed else "absent"
        lines.append(f"{word:<8}{item.name:<{width}}  {item.found}")
        lines += [f"{'':8}{'':{width}}  {item.fix}"] if item.fix else []
    missing = [item.name for item in findings if item.needed_is_missing]
    lines += ["", f"Missing: {', '.join(missing)}." if missing else "All that is needed is here."]
    return "\n".join(lines)


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    new_enough = sys.version_info >= (3, 11)
    return Finding("Python", found, "" if new_enough else "Install Python 3.11 or newer.")


def package_finding(name: str, needed: bool = True) -> Finding:
    """The version of a package; those whose builds must fit each other are really imported."""
    try:
        found = version(name)
        if name in IMPORTED:
            importlib.import_module(IMPORT_NAMES.get(name, name))
    except PackageNotFoundError:
        return Finding(name, "not installed", INSTALL, needed)
    except (ImportError, RuntimeError, OSError) as err:  # such as torchvision built for another torch
        return Finding(
            name, f"installed, but it cannot be imported ({str(err).splitlines()[0]})", INSTALL, needed
        )
    return Finding(name, found)


def _device() -> Finding:
    try:
        import torch

        from psr_studio.core.devices import pick_device, pick_dtype

        device = pick_device("auto")
        dtype = str(pick_dtype(device)).removeprefix("torch.")
    except (ImportError, OSError, StudioError) as err:
        return Finding("Device", f"unknown ({str(err).splitlines()[0]})", INSTALL)
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        where = f"{torch.cuda.get_device_name(device)}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    else:
        where = f"{device.type}, {torch.get_num_threads()} threads; no GPU is needed"
    return Finding("Device", f"{where}; sampling in {dtype}")


def _presets() -> list[Finding]:
    try:
        return [preset_finding(name) for name in presets()]
    except StudioError as err:
        return [Finding("Presets", err.problem, err.fix)]


def preset_finding(name: str) -> Finding:
    """A preset with its bundle, and whether the networks it needs are here; without them it is "absent"."""
    label = f'Preset "{name}"'
    try:
        bundle = load_bundle(load_recipe(name).bundle)
        lacking = [source.part for source in bundle.missing_parts() if source.part != "images"]
    except UnmadeBundleError as err:
        return Finding(label, err.problem, err.fix, needed=False)
    except StudioError as err:
        return Finding(label, err.problem, err.fix)
    if not lacking:
        return Finding(label, f"bundle {bundle.name}")
    found = f"bundle {bundle.name}, weights missing: {', '.join(lacking)}"
    fix = f"To fetch them: `psr-studio weights {bundle.name} --download`."
    return Finding(label, found, fix, needed=False)


def _bundles() -> list[Finding]:
    try:
        names = list(bundles())
    except StudioError as err:
        return [Finding("Bundles", err.problem, err.fix)]
    if not names:
        fix = "Clone the whole repository, or make it: `psr-studio train-bundle fashion-mnist`."
        return [Finding("Bundles", "none is embedded", fix)]
    return [bundle_finding(name) for name in names]


def bundle_finding(name: str) -> Finding:
    """A bundle with its size, or what of it is missing or differs from its SHA-256."""
    label = f'Bundle "{name}"'
    try:
        bundle = load_bundle(name)
        problems = bundle.verify()
    except (StudioError, OSError, ValueError, KeyError) as err:
        return Finding(label, str(err).splitlines()[0], f"Restore assets/{name} from the repository.")
    again = f"Restore assets/{name} from the repository, or `psr-studio train-bundle {name}`."
    return _verified(label, bundle.path, bundle.files, problems, again)


def teachers() -> list[Finding]:
    """The teachers that ship without a bundle of their own."""
    found = []
    for name, folder in shipped_teachers().items():
        label, again = f'Teacher "{name}"', f"Restore assets/{name} from the repository."
        try:
            files = read_teacher_index(folder)["files"]
            found.append(_verified(label, folder, files, differences(folder, files), again))
        except StudioError as err:
            found.append(Finding(label, err.problem, again))
    return found


def _verified(label: str, folder: Path, files: dict[str, str], problems: list[str], again: str) -> Finding:
    """Files with their size, or the first of the problems with them."""
    if problems:
        more = f" And {plural(len(problems) - 1, 'more file')}." if len(problems) > 1 else ""
        return Finding(label, problems[0] + more, again)
    size = sum((folder / file).stat().st_size for file in files) / 2**20
    return Finding(label, f"{plural(len(files), 'file')}, {size:.1f} MiB, each as its SHA-256 says")


def _weights() -> list[Finding]:
    """What the bundles need from elsewhere, once each; none of it is needed here."""
    found: dict[tuple[str, str], Finding] = {}
    try:
        for name in (*bundles(), *external_bundles()):
            bundle = load_bundle(name)
            for source in bundle.sources.values():
                images = f"Real images of {source.name or 'ImageNet'}"
                label = images if source.part == "images" else f"Weights {source.name}"
                folder = locate(source)
                where = (
                    f"in {folder}" if folder else f"not here ({size_words(source.size)}, {source.licence})"
                )
                fix = "" if folder else missing(name, source).fix
                found.setdefault((source.part, source.name), Finding(label, where, fix, needed=False))
    except StudioError as err:
        return [Finding("Weights", err.problem, err.fix, needed=False)]
    return list(found.values())


def _disk(workspace: Path) -> Finding:
    folder = next(p for p in [workspace.absolute(), *workspace.absolute().parents] if p.exists())
    free = shutil.disk_usage(folder).free
    fix = (
        "" if free >= FREE_BYTES else f"Free some space there: {FREE_BYTES / 2**30:.0f} GiB is a good start."
    )
    return Finding("Free disk", f"{free / 2**30:.1f} GiB at {folder}", fix, needed=False)
