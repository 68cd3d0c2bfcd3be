"""Tables of weights: the names in them, and files that only stand where weights should be."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from torch import Tensor

from psr_studio.core.errors import ModelError

WRAPPERS = re.compile(r"^((module|model|_orig_mod)\.)+")
HEAD = 256  # bytes that tell what a file is
RESTORE = "Restore that file; `psr-studio doctor` checks each bundled file against its SHA-256."


def plain_name(key: str) -> str:
    """The name of a tensor without what DataParallel, Lightning and torch.compile put before it."""
    return WRAPPERS.sub("", key.replace("._orig_mod.", "."))  # a block alone may be compiled, too


def plain_names(state: Mapping[str, Tensor], path: Path, known: Collection[str] = ()) -> dict[str, Tensor]:
    """The table of a file by plain names; those that are `known` as they stand stay.

    Raises:
        ModelError: two tensors of one name.
    """
    found = {key if key in known else plain_name(key): value for key, value in state.items()}
    if len(found) < len(state):
        raise ModelError(
            f'{path} holds {len(state)} tensors, but {len(found)} names without "module.", "model." and '
            '"_orig_mod.".',
            "Name a file that holds each tensor once.",
        )
    return found


def corrupt_weights(path: Path) -> ModelError:
    """The error for a weights file that cannot be opened."""
    if (stand_in := what_stands_in(path)) is not None:
        return ModelError(f"The weights file {path} is {stand_in[0]}.", stand_in[1])
    return ModelError(f"The weights file {path} is truncated or corrupt.", RESTORE)


def what_stands_in(path: Path) -> tuple[str, str] | None:
    """What lies in the place of a file that was never really fetched, and how to get it; None for anything else."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return (
            "a web page, such as one that asks to sign in, saved under the name of the file",
            "Open its address in a browser, sign in or accept the terms there, and fetch the file itself.",
        )
    if text.startswith(b"version https://git-lfs"):
        size = re.search(rb"size (\d+)", text)
        stands = f" for a file of {int(size[1]):,} bytes" if size else ""
        return (
            f"a pointer of Git LFS that stands{stands}",
            "Run `git lfs pull` in the folder it was cloned to, or fetch the file itself.",
        )
    return None
