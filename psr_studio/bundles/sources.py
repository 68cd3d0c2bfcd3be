"""Where weights and real images that do not ship with PSR Studio lie on this machine, and how they get there.

A recipe says *what* it needs by name (a hub id), so that it can travel; this machine remembers *where* that is: a
folder the user named, or the cache of the Hugging Face hub. Nothing is downloaded unless `download` is called.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

from psr_studio.bundles.shipped import shipped_teachers
from psr_studio.core.errors import ModelError
from psr_studio.core.files import absolute_path, sha256
from psr_studio.core.network import asked_for
from psr_studio.core.progress import Progress
from psr_studio.core.remembered import ELSEWHERE, home, keep, keep_if_possible, recall

LOCATIONS, HASHES = "locations.json", "hashes.json"
WEIGHTS = "weights"  # the stage whose events a download yields
POLL_SECONDS = 1.0
HUB_CHECK = " and `HF_HUB_OFFLINE`"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
CONVERTED = {"generator": "", "teacher": "--teacher "}  # parts that `convert-weights` makes, with its flag


@dataclass(frozen=True)
class Source:
    """Something a bundle needs from elsewhere.

    Attributes:
        part: "generator", "codec", "teacher" or "images".
        name: a hub id such as "facebook/DiT-XL-2-256", a folder, or "" where only the user can know.
        files: patterns of the files that are needed; each must match at least once.
        licence: under which it is given, in words.
        size: bytes, about; 0 where unknown.
        torchvision: its class in torchvision.datasets, which downloads it; "" where there is none.
        bundle: whose own the folder is that a user names for it; "" for that of every bundle which needs the source.
    """

    part: str
    name: str
    files: tuple[str, ...]
    licence: str = "not stated"
    size: int = 0
    torchvision: str = ""
    bundle: str = ""

    @property
    def key(self) -> str:
        """What a folder that a user names for it is remembered under."""
        return f"{self.part} {self.name}" + (f" of {self.bundle}" if self.bundle else "")

    @property
    def is_hub_id(self) -> bool:
        """Whether the name can be downloaded."""
        return bool(re.fullmatch(r"[\w.-]+/[\w.-]+", self.name)) and not Path(self.name).exists()

    @property
    def can_be_downloaded(self) -> bool:
        """Whether the hub or torchvision has it."""
        return bool(self.torchvision) or self.is_hub_id

    def is_in(self, folder: Path) -> bool:
        """Whether every needed file is there."""
        return all(any(folder.glob(pattern)) for pattern in self.files)


@dataclass(frozen=True)
class PartState:
    """A source as a table shows it; `folder` is "" while it is not on this machine."""

    part: str
    name: str
    licence: str
    size: str
    folder: str


def state(source: Source) -> PartState:
    """Where a source is, in words."""
    found = locate(source)
    name = source.name or "your own"
    return PartState(source.part, name, source.licence, size_words(source.size), str(found or ""))


def size_words(n_bytes: int) -> str:
    """ "about 2.8 GiB", or "of unknown size"."""
    if not n_bytes:
        return "of unknown size"
    return f"about {n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"about {n_bytes / 2**20:.0f} MiB"


def locate(source: Source) -> Path | None:
    """The folder that holds a source: the one the user named, a shipped one, the source itself, or the hub's cache."""
    known = _known(LOCATIONS).get(source.key)
    itself = (
        source.name if source.files else ""
    )  # what any folder could be is only looked for where a user said
    for folder in (known, shipped_teachers().get(source.name), itself):
        if folder and Path(folder).expanduser().is_dir() and source.is_in(Path(folder).expanduser()):
            return Path(folder).expanduser()
    cached = _cached(source) if source.is_hub_id else None
    return cached if cached is not None and source.is_in(cached) else None


def remember(source: Source, folder: str | Path) -> Path:
    """Look for a source in this folder from now on.

    Raises:
        ModelError: the folder is missing or lacks a file, by name.
    """
    folder = absolute_path(folder)
    if (wrong := unfit(source, folder)) is not None:
        raise wrong
    keep(home() / LOCATIONS, {**_known(LOCATIONS), source.key: str(folder)}, ELSEWHERE)
    return folder


def unfit(source: Source, folder: Path) -> ModelError | None:
    """Why a folder does not hold a source, with what to do about it; None when it does."""
    lacking = [pattern for pattern in source.files if not any(folder.glob(pattern))]
    if folder.is_dir() and not lacking:
        return None
    problem = f"holds no {lacking[0]}" if folder.is_dir() else "is not there"
    problem = "is a file" if folder.is_file() else problem
    near = [folder, *folder.glob("*"), *folder.glob("transformer/*")]
    pickle = next((path for path in near if path.suffix in PICKLES), None)
    fix = f"Name the folder that holds {', '.join(source.files) or source.name}."
    if pickle is not None:
        problem += f"; {pickle.name} is a pickle, which can run code when opened"
    if pickle is not None and source.part in CONVERTED:
        command = (
            f"psr-studio convert-weights {shlex.quote(str(pickle))} {CONVERTED[source.part]}--out FOLDER"
        )
        fix = f"Make safetensors of it, which runs nothing in it, and name that folder: `{command}`."
    elif pickle is not None:
        fix += " Where you trust the pickle, save it as safetensors."
    return ModelError(f'The folder "{folder}" for the {source.part} {problem}.', fix)


def missing(bundle: str, source: Source) -> ModelError:
    """The error for a part that is not here: where to get it, its size and its licence."""
    named_folder = Path(source.name).expanduser()
    if (
        source.name
        and named_folder.is_dir()
        and (wrong := unfit(source, named_folder.absolute())) is not None
    ):
        return wrong
    named = f'The {source.part} "{source.name}"' if source.name else f"The {source.part} folder"
    command = f"`psr-studio weights {shlex.quote(bundle)}"
    naming = f'ame its folder under "Weights" on the Pool tab (or run {command} --{source.part} FOLDER`).'
    fix = f"N{naming}"
    if source.part == "teacher" and not source.name:  # one still to come
        fix = f'Teach one, "Teacher of your own classes" on the Pool tab (or run `psr-studio teach`), or n{naming}'
    if source.can_be_downloaded:
        fix = (
            f'Press "Download weights" on the Pool tab (or run {command} --download`): '
            f"{size_words(source.size)}, licence: {source.licence}. Or n{naming}"
        )
    are = "are" if source.part == "images" and source.name else "is"
    return ModelError(
        f'{named} of "{bundle}" {are} not on this machine, and nothing is downloaded unasked.', fix
    )


def forget(source: Source) -> None:
    """Look for a source in the hub's cache again, or where it says itself."""
    kept = _known(LOCATIONS)
    kept.pop(source.key, None)
    keep(home() / LOCATIONS, kept, ELSEWHERE)


def fingerprint(folder: Path, patterns: Sequence[str]) -> str:
    """A hash over names and contents of the matching files; each file is read once and remembered by size and time."""
    known = _known(HASHES)
    lines, changed = [], False
    for path in sorted({p for pattern in patterns for p in folder.glob(pattern) if p.is_file()}):
        stat = path.stat()
        key = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
        if key not in known:
            known[key], changed = _digest(path), True
        lines.append(f"{path.relative_to(folder).as_posix()} {known[key]}")
    if changed:
        keep_if_possible(home() / HASHES, known)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _digest(path: Path) -> str:
    """SHA-256; the hub's cache names its large files by it."""
    if re.fullmatch(r"[0-9a-f]{64}", path.resolve().name):
        return path.resolve().name
    return sha256(path)


def download(sources: Sequence[Source], endpoint: str | None = None) -> Iterator[Progress]:
    """Fetch what is missing, weights from the Hugging Face hub into its cache and data sets by torchvision into `home`.

    Yields the MiB done about once a second. What is there already is not fetched again, and a download from the hub
    that is interrupted goes on where it stopped.

    Raises:
        ModelError: no such repository, no network, or a repository that holds only a pickle.
    """
    with asked_for():
        for source in [s for s in sources if s.can_be_downloaded and locate(s) is None]:
            if source.torchvision:
                yield from _downloaded_by_torchvision(source)
            else:
                yield from _downloaded(source, endpoint)


def _downloaded(source: Source, endpoint: str | None) -> Iterator[Progress]:
    names, total = _listed(source, endpoint)
    fetch = partial(_fetch, source, names, endpoint)
    yield from _while_it_runs(fetch, source, total, lambda: _bytes_of(source))
    if locate(source) is None:
        raise _only_pickles(source, names)
    yield _arrived(source, total)


def _downloaded_by_torchvision(source: Source) -> Iterator[Progress]:
    from psr_studio.bundles.originals import torchvision_split

    folder = home() / "data" / source.torchvision

    def fetch() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for split in ("train", "test"):
            torchvision_split(source.torchvision, folder, split, download=True)

    yield from _while_it_runs(fetch, source, source.size, lambda: _bytes_in(folder))
    remember(source, folder)
    yield _arrived(source, source.size)


def _while_it_runs(
    fetch: Callable[[], None], source: Source, total: int, done: Callable[[], int]
) -> Iterator[Progress]:
    """Run a download in a thread and say how many MiB of `total` bytes are done, about once a second."""
    mib = -(-total // 2**20)
    yield Progress(WEIGHTS, 0, mib, f"Downloading {source.name}.")
    failed: list[Exception] = []

    def run() -> None:
        try:
            fetch()
        except Exception as err:  # told to the thread that waits
            failed.append(err)

    fetching = threading.Thread(target=run, daemon=True)
    fetching.start()
    while fetching.is_alive():
        fetching.join(POLL_SECONDS)
        yield Progress(WEIGHTS, min(done() // 2**20, mib), mib, f"Downloading {source.name}.")
    if failed:
        raise _unreachable(source, failed[0]) from failed[0]


def _arrived(source: Source, total: int) -> Progress:
    mib = -(-total // 2**20)
    return Progress(WEIGHTS, mib, mib, f"{source.name} is here.", part_done=True)


def _listed(source: Source, endpoint: str | None) -> tuple[list[str], int]:
    """Names of the files to fetch and their bytes; a pickle only where there is nothing else."""
    from huggingface_hub import HfApi

    try:
        info = HfApi(endpoint=endpoint).model_info(source.name, files_metadata=True)
    except Exception as err:  # the hub's client raises its own, httpx's and OSError
        raise _unreachable(source, err) from err
    sizes = {entry.rfilename: entry.size or 0 for entry in info.siblings or []}
    wanted = {name for name in sizes for pattern in source.files if fnmatch(name, pattern)}
    for pattern in source.files:
        if pattern.endswith(".safetensors") and not any(fnmatch(name, pattern) for name in sizes):
            wanted |= {name for name in sizes if fnmatch(name, pattern.removesuffix("safetensors") + "bin")}
    return sorted(wanted), sum(sizes[name] for name in wanted)


def _fetch(source: Source, names: Sequence[str], endpoint: str | None) -> None:
    from huggingface_hub import hf_hub_download

    for name in names:
        hf_hub_download(source.name, name, endpoint=endpoint)


def _unreachable(source: Source, err: Exception) -> ModelError:
    first = (str(err).strip() or type(err).__name__).splitlines()[0][:160]
    whence, check = ("by torchvision", "") if source.torchvision else ("from the Hugging Face hub", HUB_CHECK)
    return ModelError(
        f'"{source.name}" could not be fetched {whence} ({type(err).__name__}: {first}).',
        f'Check the network{check}, or copy the folder here and name it under "Weights" (--{source.part} FOLDER).',
    )


def _only_pickles(source: Source, names: Sequence[str]) -> ModelError:
    pickles = [name for name in names if Path(name).suffix in PICKLES]
    folder = _cached(source)
    if not pickles or folder is None:
        lacking = ", ".join(source.files)
        return ModelError(
            f'"{source.name}" on the hub holds not all of {lacking}.',
            f'Name a folder under "Weights" on the Pool tab (--{source.part} FOLDER).',
        )
    return ModelError(
        f'"{source.name}" holds {pickles[0]}, a pickle, which can run code when opened; PSR Studio opens '
        "safetensors only.",
        f'Run `psr-studio convert-weights "{folder / pickles[0]}" --out FOLDER`, then name FOLDER '
        f'under "Weights" on the Pool tab (--{source.part} FOLDER).',
    )


def _cached(source: Source) -> Path | None:
    """The newest snapshot in the hub's cache; never opens the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source.name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None


def _bytes_of(source: Source) -> int:
    """What of a repository is in the hub's cache by now, halves included."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE) / f"models--{source.name.replace('/', '--')}" / "blobs"
    return _bytes_in(folder)


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _known(name: str) -> dict[str, Any]:
    return recall(home() / name, {})
