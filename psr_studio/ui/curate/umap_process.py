"""UMAP in a process of its own: importing and compiling it costs 15-20 s, which no page should wait for.

Run as `python -m psr_studio.ui.curate.umap_process`. It warms up, says {"ready": true}, then answers each JSON line
{"key", "input", "output"} on its standard input (two .npy paths: embeddings (N, D) in, coordinates (N, 2)
out) by {"done": key} or {"failed": key, "reason": text}. Where it cannot warm up, it says {"failed": "", "reason":
text} and ends. It ends when its input ends: it never outlives the studio.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from psr_studio.core.files import whole_file

NICE = 10  # below everything the user waits for
N_NEIGHBORS = 15
MIN_DIST = 0.1
SPREAD_OF_START = 10.0  # umap-learn scales its own starting layouts to +-10
WARM_UP_SHAPE = (64, 8)


def fit(embeddings: np.ndarray) -> np.ndarray:
    """UMAP coordinates float32 (N, 2) of embeddings (N, D), N > 2; equal inputs give equal maps.

    It starts from the principal components, so that the map that is on screen until then turns into this one
    without being mirrored.
    """
    from psr_studio.ui.curate.projection import pca

    with warnings.catch_warnings():
        # Said once per fit: a fixed random state means one thread, which is what we want here.
        warnings.filterwarnings("ignore", message="n_jobs value")
        from umap import UMAP

        reducer = UMAP(
            n_neighbors=min(N_NEIGHBORS, len(embeddings) - 1),
            min_dist=MIN_DIST,
            init=pca(embeddings) * SPREAD_OF_START,
            random_state=0,
            n_jobs=1,
        )
        return np.asarray(reducer.fit_transform(embeddings), np.float32)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Fit one map; the output appears under its name only when it is whole."""
    output = Path(request["output"])
    try:
        output.parent.stat()  # a folder that was moved away is not made anew
        with whole_file(output) as unfinished:
            np.save(unfinished, fit(np.load(request["input"], allow_pickle=False)))
    except Exception as err:  # whatever it is, the map on screen stays; the studio logs the reason
        return {"failed": request["key"], "reason": f"{type(err).__name__}: {err}"}
    return {"done": request["key"]}


def serve(requests: TextIO) -> Iterator[dict[str, Any]]:
    """Warm up, then answer each request until the input ends; a map of nothing fails where none can be made."""
    try:
        fit(np.random.default_rng(0).normal(size=WARM_UP_SHAPE).astype(np.float32))
    except Exception as err:  # as `answer`: not installed, or it cannot be compiled here
        yield {"failed": "", "reason": f"{type(err).__name__}: {err}"}
        return
    yield {"ready": True}
    for line in requests:
        yield answer(json.loads(line))


def main() -> None:
    """Serve standard input; everything libraries print goes to standard error."""
    if hasattr(os, "nice"):
        os.nice(NICE)
    answers, sys.stdout = sys.stdout, sys.stderr
    for message in serve(sys.stdin):
        answers.write(json.dumps(message) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
