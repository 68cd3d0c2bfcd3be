"""`psr-studio weights` and `psr-studio convert-weights`: networks and images that lie elsewhere."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from psr_studio.cli.console import ProgressLine, consume
from psr_studio.cli.flags import DONE, FAILED, add_command
from psr_studio.cli.studio import say_licences
from psr_studio.core.errors import ModelError
from psr_studio.core.files import check_path

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

PARTS = ("generator", "codec", "teacher", "images")
WEIGHTS_HELP = "Say where weights and real images lie, tell where they are, or download them."
CONVERT_HELP = "Make safetensors of a DiT, Minimax or teacher checkpoint; runs no code in it."


def add_commands(commands: Any) -> None:
    """`weights` and `convert-weights`."""
    weights = add_command(commands, "weights", WEIGHTS_HELP, _weights)
    weights.add_argument("name", nargs="?", help='the bundle, such as "imagewoof-dit" (default: list all)')
    for part in PARTS:
        what = (
            "with the data set, or train/<class>/ and val/<class>/" if part == "images" else "with its files"
        )
        weights.add_argument(f"--{part}", metavar="FOLDER", help=f"the {part}: a folder {what}")
    weights.add_argument(
        "--download",
        action="store_true",
        help="fetch what is missing: weights from the Hugging Face hub, data sets by torchvision",
    )

    convert = add_command(commands, "convert-weights", CONVERT_HELP, _convert)
    convert.add_argument("checkpoint", help="the .pt, .pth, .ckpt or .bin file")
    convert.add_argument("--out", required=True, metavar="FOLDER", help="where the generator folder goes")
    convert.add_argument(
        "--weights", choices=("ema", "model"), help="which of the two a checkpoint holds (default: ema)"
    )
    convert.add_argument(
        "--teacher", action="store_true", help="it is a timm teacher, whose config.json lies beside it"
    )
    convert.add_argument("--heads", type=int, metavar="N", help="attention heads (default: from the width)")


def _weights(args: argparse.Namespace) -> int:
    from psr_studio.bundles.catalogue import load_bundle
    from psr_studio.bundles.described import external_bundles
    from psr_studio.bundles.embedded import bundles

    known = [name for name in (*bundles(), *external_bundles()) if load_bundle(name).sources]
    if args.name is None:
        print("\n\n".join(_report(load_bundle(name)) for name in known))
        return DONE
    bundle = load_bundle(args.name)
    if not bundle.sources:
        return _whole(args, known)
    _remember(bundle, args)
    if args.download:
        say_licences(bundle.missing_parts())
        consume(bundle.download(), ProgressLine(sys.stderr))
    print(_report(bundle))
    return FAILED if any(source.part != "images" for source in bundle.missing_parts()) else DONE


def _whole(args: argparse.Namespace, known: Sequence[str]) -> int:
    """Of a bundle that needs nothing: good news, unless a folder of it is named."""
    words = f'"{args.name}" is whole: nothing of it lies elsewhere.'
    others = f"Bundles that need something are {', '.join(known)}."
    if any(getattr(args, part) is not None for part in PARTS):
        raise ModelError(f"{words} {others}", "Name one of them, or the path of a description of yours.")
    print(f"{words} {others}")
    return DONE


def _remember(bundle: Bundle, args: argparse.Namespace) -> None:
    for part in PARTS:
        if (folder := getattr(args, part)) is not None:
            bundle.remember(part, folder)


def _report(bundle: Bundle) -> str:
    """What a bundle needs, where it is, or how to get it."""
    lines = [f"{bundle.name}: {bundle.index.get('title', bundle.name)}"]
    for part in bundle.parts():
        where = f"in {part.folder}" if part.folder else f"{part.size}, licence: {part.licence}"
        lines.append(f"  {'here' if part.folder else 'MISSING':<8}{part.part:<10} {part.name}  {where}")
    lacking = bundle.missing_parts()
    command = f"psr-studio weights {bundle.called}"
    if any(source.can_be_downloaded for source in lacking):
        lines.append(f"  To download what can be had: {command} --download")
    if lacking:
        flags = " ".join(f"--{source.part} FOLDER" for source in lacking)
        lines.append(f"  To use folders of yours: {command} {flags}")
    return "\n".join(lines)


def _convert(args: argparse.Namespace) -> int:
    from psr_studio.models.convert import convert, convert_teacher

    checkpoint, out = check_path(args.checkpoint), check_path(args.out)
    if args.teacher:
        found = convert_teacher(checkpoint, out, args.weights)
        print(
            f"Converted the weights of {found['architecture']}: {found['classes']} classes, "
            f"{found['parameters']:,} parameters.\nWrote {found['file']}.\n"
            f"Use them with: psr-studio weights imagewoof-dit --teacher {shlex.quote(str(out))}"
        )
        return DONE
    found = convert(checkpoint, out, args.weights, args.heads)
    used = f' ("{found["weights"]}")' if found["weights"] else ""
    print(
        f"Converted {found['layout']} weights{used}: {found['blocks']} blocks of width {found['width']}, "
        f"{found['classes']} classes, {found['parameters']:,} parameters.\nWrote {found['file']}.\n"
        f"Use them with: psr-studio weights imagewoof-dit --generator {shlex.quote(str(out))}"
    )
    return DONE
