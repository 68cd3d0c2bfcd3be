"""How a generator is opened by the name of its kind.

Two kinds are built in: "dit" (`models/generator.py`) and "stable-diffusion" (`models/text_to_image.py`, the worked
example). An installed package adds its own under the entry point group `psr_studio.generators`; a bundle file names
only the kind, so opening somebody's bundle runs no code that is not installed here.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points

from psr_studio.core.errors import ModelError, did_you_mean
from psr_studio.models.adapters import Opening, PoolGenerator
from psr_studio.models.generator import Generator

ENTRY_POINTS = "psr_studio.generators"

Open = Callable[[Opening], PoolGenerator]


def open_generator(kind: str, opening: Opening) -> PoolGenerator:
    """The generator of a kind, built in or installed.

    Raises:
        ModelError: no such kind, or a missing, truncated or ill-shaped file, by name.
    """
    if kind in BUILT_IN:
        return BUILT_IN[kind](opening)
    installed = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if kind in installed:
        return installed[kind].load()(opening)
    known = [*BUILT_IN, *installed]
    raise ModelError(
        f'There is no kind of generator "{kind}". Kinds: {", ".join(known)}.',
        f'{did_you_mean(kind, known)}Correct "kind" in the [generator] table of the bundle, or install the '
        "package that offers it.",
    )


def _dit(opening: Opening) -> Generator:
    return Generator.from_folder(opening.folder, opening.device, opening.dtype, opening.class_rows)


def _stable_diffusion(opening: Opening) -> PoolGenerator:
    from psr_studio.models.text_to_image import TextToImage  # needs transformers, which nothing else does

    return TextToImage.from_folder(opening)


BUILT_IN: dict[str, Open] = {"dit": _dit, "stable-diffusion": _stable_diffusion}
