"""The map of the pool: PCA at once, UMAP from its process when it is ready, kept on disk from then on.

A pool that has grown by a few keeps its UMAP: they are placed into it, and nothing else moves.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from psr_studio.core.disk import temp_name
from psr_studio.core.files import whole_file
from psr_studio.ui.curate.projection import pca, placed, to_axes
from psr_studio.ui.curate.umap_process import MIN_DIST, N_NEIGHBORS

LOG = logging.getLogger(__name__)
SMALLEST_UMAP = 2 * N_NEIGHBORS  # candidates; among fewer nearly all are neighbours of each other
STOP_SECONDS = 2.0
WORKER = [sys.executable, "-m", "psr_studio.ui.curate.umap_process"]


class Layout(NamedTuple):
    """Coordinates (N, 2) float32 in [-1, 1], and how they were made. `final`: nothing better will come."""

    kind: str  # "pca" or "umap"
    xy: np.ndarray
    final: bool


class MapService:
    """Lays pools out in the plane. Safe to share between threads.

    Args:
        folder: where finished maps are kept, `<workspace>/cache`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.lock = threading.Lock()
        self.umap_worker: subprocess.Popen[str] | None = None
        self._kept: dict[str, Layout] = {}
        self._asked: set[str] = set()
        self._failed: set[str] = set()
        self._dead = False
        self._named: tuple[np.ndarray, str] | None = None

    def _start(self) -> None:
        """Start the process, which needs some 15 s to warm up; without it the map stays PCA."""
        env = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        try:
            self._folder.mkdir(exist_ok=True)
            self.umap_worker = subprocess.Popen(
                WORKER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=env,
            )
        except OSError as err:
            LOG.warning("the map stays PCA: %s", err)
            self._dead = True
            return
        threading.Thread(
            target=self._listen, args=(self.umap_worker,), name="umap-answers", daemon=True
        ).start()

    def stop(self) -> None:
        """End the process; may be called twice."""
        self._dead, self._named = True, None
        if (worker := self.umap_worker) is None:
            return
        self.umap_worker = None
        worker.terminate()
        try:
            worker.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()

    def layout(self, embeddings: np.ndarray, improve: bool = False) -> Layout:
        """The best map there is now.

        Args:
            improve: have a better one made when there is none on disk. That takes a core for a while, so a page
                asks for it when it has drawn the first one.
        """
        with self.lock:
            before = self._shown()
            key = self._key(embeddings)
            known = self._kept.get(key)
            if known and known.final:
                return known
            if (better := self._load(key, len(embeddings))) is not None:
                self._kept = {key: better}  # one pool is on screen at a time
                return better
            if before and (xy := placed(embeddings, *before)) is not None:
                self._keep(key, xy)
                self._kept = {key: Layout("umap", xy, True)}
                return self._kept[key]
            xy = known.xy if known else pca(embeddings)
            hopeless = self._dead or key in self._failed or len(embeddings) < SMALLEST_UMAP
            self._kept = {key: Layout("pca", xy, hopeless)}
            if improve and not hopeless:
                self._ask(key, embeddings)
            return self._kept[key]

    def of(self, kind: str, embeddings: np.ndarray) -> Layout | None:
        """The map of a kind, as far as it is there: "pca" always, others once they were made."""
        found = self.layout(embeddings)
        if kind == "pca" and found.kind != kind:
            return Layout(kind, pca(embeddings), True)
        return found if found.kind == kind else None

    def _key(self, embeddings: np.ndarray) -> str:
        """The key of the array that was asked about last is kept: a page asks every few seconds."""
        if self._named is None or self._named[0] is not embeddings:
            self._named = (embeddings, map_key(embeddings))
        return self._named[1]

    def _shown(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The embeddings that were asked about last and their UMAP; None where they have none."""
        if self._named is None:
            return None
        embeddings, key = self._named
        layout = self._kept.get(key)
        return (embeddings, layout.xy) if layout and layout.kind == "umap" else None

    def _keep(self, key: str, xy: np.ndarray) -> None:
        try:
            with whole_file(self._path(key)) as unfinished:
                np.save(unfinished, xy)
        except OSError as err:  # it is there until the studio ends
            LOG.warning("the map is not kept: %s", err)

    def _path(self, key: str) -> Path:
        return self._folder / f"umap-{key}.npy"

    def _load(self, key: str, n: int) -> Layout | None:
        try:
            xy = np.load(self._path(key), allow_pickle=False)
        except (OSError, ValueError):
            return None
        return Layout("umap", to_axes(xy), True) if xy.shape == (n, 2) and np.isfinite(xy).all() else None

    def _ask(self, key: str, embeddings: np.ndarray) -> None:
        """The process reads its input from a file: a pipe would block while it warms up."""
        if self.umap_worker is None:
            self._start()
        worker = self.umap_worker
        if key in self._asked or worker is None or worker.stdin is None:
            return
        source = self._source(key)
        try:
            with source.open("wb") as file:
                np.save(file, np.asarray(embeddings, np.float32))
            request = {"key": key, "input": str(source), "output": str(self._path(key))}
            worker.stdin.write(json.dumps(request) + "\n")
            worker.stdin.flush()
            self._asked.add(key)
        except BrokenPipeError:  # the process has ended: `_listen` tells why
            source.unlink(missing_ok=True)
        except OSError as err:  # the disk is full
            LOG.warning("the map stays PCA: %s", err)
            source.unlink(missing_ok=True)
            self._failed.add(key)

    def _source(self, key: str) -> Path:
        return self._folder / temp_name(f"umap-{key}.npy")

    def _listen(self, worker: subprocess.Popen[str]) -> None:
        assert worker.stdout is not None
        told = False
        for line in worker.stdout:
            message = json.loads(line)
            if key := message.get("done") or message.get("failed"):
                self._source(key).unlink(missing_ok=True)
            if "failed" in message:
                LOG.warning("the map stays PCA: %s", message["reason"])
                told = told or not message["failed"]
                with self.lock:
                    self._failed.add(message["failed"])
        if not (self._dead or told):
            LOG.warning("the map stays PCA: its process has ended with code %s", worker.wait())
        self._ended()

    def _ended(self) -> None:
        """The process is gone, by our hand or by a crash: what it was asked for will not come."""
        self._dead = True
        with self.lock:
            for key in self._asked:
                self._source(key).unlink(missing_ok=True)


def map_key(embeddings: np.ndarray) -> str:
    """Names the map by what it is made from: the teacher's embeddings in pool order, and UMAP's settings."""
    digest = hashlib.blake2b(digest_size=12)
    digest.update(f"{embeddings.shape} {embeddings.dtype} {N_NEIGHBORS} {MIN_DIST}".encode())
    digest.update(np.ascontiguousarray(embeddings).data)
    return digest.hexdigest()
