"""The selectors by name: every file of this folder that holds a `SELECTOR`.

The recipe, the command line, the page, the search and the tests read this table, so a selector that is a file here is
offered everywhere. It is light: NumPy, torch and the compiled kernels are imported by the first choice.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules

from psr_studio.method import selectors
from psr_studio.method.selectors.selector import ClassPool, Selector

__all__ = ["SELECTORS", "ClassPool", "Selector", "discover", "warm_up"]


def discover(folders: Iterable[str]) -> dict[str, Selector]:
    """The selectors in some folders of this package, by name, in their order."""
    modules = [import_module(f"{selectors.__name__}.{found.name}") for found in iter_modules(folders)
               if found.name != "registry"]  # fmt: skip
    known = [module.SELECTOR for module in modules if hasattr(module, "SELECTOR")]
    return {selector.name: selector for selector in sorted(known, key=lambda selector: selector.order)}


SELECTORS = discover(selectors.__path__)


def warm_up() -> None:
    """Compile what every selector needs, or load it from the cache, so that the first choice is fast too."""
    import numpy as np

    from psr_studio.method.distances import pairwise_sq_distances

    signal, points = np.full(4, 0.5), np.eye(4, dtype=np.float32)
    distances = pairwise_sq_distances(points)
    pool = ClassPool(
        signal, signal, signal, points, signal > 0, lambda: distances, signal, real_centroid=lambda: points[0]
    )
    for selector in SELECTORS.values():
        selector.choose(pool, 2)
