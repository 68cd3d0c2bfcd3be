"""What all parts of the page share: the studio, the worker, the map, and the token of our own routes."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from psr_studio.app.jobs import JobState, JobWorker
from psr_studio.app.studio import Studio
from psr_studio.core.errors import JobError, RecipeError, SelectionError, StudioError, did_you_mean
from psr_studio.stages import score
from psr_studio.stages.generate.stage import require_generated, require_source
from psr_studio.stages.table import STAGES
from psr_studio.storage.scores import Refined
from psr_studio.storage.workspace import StageStatus
from psr_studio.ui.curate.maps import MapService
from psr_studio.ui.curate.pool_view import check_positions
from psr_studio.ui.curate.sprites import sheet_png, tile_size
from psr_studio.ui.curate.workbench import Workbench
from psr_studio.ui.guard.opening import Gate
from psr_studio.ui.words import on_screen

LOG = logging.getLogger(__name__)
SHEET_COLUMNS = (8, 20)  # fewest and most pictures in a row of a contact sheet
STATUS_SECONDS = 1.0
CLOSE_SECONDS = 10.0
STATUS_SHARE = 20.0


class Screen:
    """One opened workspace behind one page; close it to end the worker and the map's process."""

    def __init__(self, studio: Studio, device: str = "") -> None:
        """`device` is where the networks run, in words."""
        self.studio = studio
        self.device = device
        cache = studio.workspace.root / "cache"
        self.worker = JobWorker(studio.workspace.ledger, studio.runs, self._job_ended)
        self.maps = MapService(cache)
        self.who = str(studio.workers or "")  # shares the work, see `stages.speeds`
        self.workbench = Workbench(studio, self.maps, self.forget_status, self._scoring_failed)
        self.opening = secrets.token_hex(4)  # of this workspace: a page says which one it belongs to
        self.token = f"{self.opening}.{secrets.token_urlsafe(24)}"
        self.gate = Gate()
        self._refined: tuple[object, Refined] | None = None
        self._status: tuple[float, dict[str, StageStatus]] = (0.0, {})
        self._lock = threading.Lock()
        self._status_lock = threading.Lock()
        self._warming: threading.Thread | None = None
        self._closed = False

    def warm_up(self) -> None:
        """In the background: read the scores, lay out the first map, select once."""

        def work() -> None:
            try:
                self.workbench.warm_up()
            except StudioError as err:  # no pool yet: the page says so itself
                LOG.info("nothing to warm up: %s", err.problem)
            except Exception:  # closed before it was through: nobody waits for it any more
                if not self._closed:
                    raise

        self._warming = threading.Thread(target=work, name="psr-warm-up", daemon=True)
        self._warming.start()

    def close(self) -> None:
        """Stop running work where it is, end the map's process, let go of the workspace."""
        self._closed = True
        self.worker.close()
        if self._warming is not None:
            self._warming.join(CLOSE_SECONDS)
        self.maps.stop()
        self.studio.close()
        self.workbench.forget()
        self._refined = None

    def submit(self, stage: str, values: Mapping[str, Any], after: int | None = None, **params: Any) -> int:
        """Check settings, keep them in the recipe, and queue the step that uses them.

        Args:
            after: a job without which this one is dropped.
            params: what the step takes beside settings.

        Raises:
            RecipeError, JobError: a setting is refused; no such step, or it already runs. Nothing has changed then.
        """
        steps = [name for name, row in STAGES.items() if row.status]  # others have questions of their own
        if stage not in steps:
            fix = f"{did_you_mean(stage, steps)}Name one of them."
            raise JobError(f'There is no step "{stage}". Steps: {", ".join(steps)}.', fix)
        before = self.studio.recipe
        self.studio.set(values)
        self.forget_status()
        try:
            return self.worker.submit(stage, after=after, **values, **params)
        except JobError:
            self.studio.set({key: before.value(key) for key in values})
            self.forget_status()
            raise

    def generate_more(self, classes: Sequence[int], pool_size: int) -> int:
        """Queue the steps that bring some classes to a larger pool, and score what is new; returns the first job.

        Raises:
            ModelError: the bundle has no generator.
            WorkspaceError: the pool was imported.
            SelectionError: no class, or one that is not there.
            RecipeError: a size that no class would grow to.
            JobError: one of the steps already runs; the recipe stays as it was.
        """
        require_source(self.studio.workspace, self.studio.recipe, self.studio.bundle)
        require_generated(self.studio.workspace)
        if not classes:
            raise SelectionError("No class is named.", "Name the classes that need more candidates.")
        self.studio.curation.check_classes(classes)
        scored = self.studio.curation.scored
        varied = np.bincount(scored.labels[scored.pool.is_variation], minlength=len(scored.counts))
        counts = scored.counts - varied
        grown = sorted({c for c in classes if counts[c] < pool_size})
        if not grown:
            fewest = min(int(counts[c]) for c in classes)
            raise RecipeError(
                f"{pool_size} candidates per class are asked for, but these classes have {fewest} or more.",
                f"Ask for more than {fewest}.",
            )
        sizes = list(self.studio.recipe.pool.sizes or [0] * len(counts))
        for class_id in grown:
            sizes[class_id] = pool_size
        return self._made_and_scored({"pool.sizes": sizes}, grown)

    def generate_variations(self, position: int, count: int, strength: float) -> int:
        """Queue the steps that make variations of the candidate at a position and score them; returns the first job.

        Raises:
            StudioError: as `Studio.variations`; no such position.
            JobError: one of the steps already runs; the recipe stays as it was.
        """
        scored = self.studio.curation.scored
        check_positions(scored, [position])
        asked = self.studio.with_variations(int(scored.candidate_ids[position]), count, strength)
        return self._made_and_scored({"pool.variations": asked}, [int(scored.labels[position])])

    def _made_and_scored(self, values: Mapping[str, Any], classes: Sequence[int]) -> int:
        """Queue generation in some classes, and scoring: candidates without scores are of no use in Curate."""
        self.worker.check_free("score")
        job = self.submit("pool", values, only=list(classes))
        self.submit("score", {}, after=job)
        return job

    def _scoring_failed(self) -> str:
        job = self.worker.latest(score.STAGE.name)
        return on_screen(f"{job.problem} {job.fix}") if job and job.state == "failed" else ""

    def _job_ended(self, job: JobState) -> None:
        self.forget_status()

    def works_on(self, stage: str) -> bool:
        """Whether a job of a stage waits or runs."""
        return any(job.stage == stage for job in self.worker.active())

    def status(self) -> dict[str, StageStatus]:
        """Fresh, stale, partial or missing, by stage.

        Reading the heads of all parts takes long in a large pool, so an answer is kept for a while: for a
        second at least, and so that a twentieth of the time at most goes into it.
        """
        with self._status_lock:
            until, known = self._status
            if time.monotonic() < until:
                return known
            began = time.monotonic()
            found = self.studio.status()
            now = time.monotonic()
            self._status = (now + max(STATUS_SECONDS, STATUS_SHARE * (now - began)), found)
            return found

    def forget_status(self) -> None:
        """Ask anew next time."""
        with self._status_lock:
            self._status = (0.0, {})

    def refined(self, selection: str) -> Refined:
        """Refined pictures of a selection; the last one asked for is kept while its files stay the same."""
        state = selection, self.refined_state(selection)
        with self._lock:
            if self._refined is None or self._refined[0] != state:
                self._refined = (state, self.studio.refined(selection))
            return self._refined[1]

    def refined_state(self, selection: str | None = None) -> tuple:
        """Changes with the refined files of a selection, the recipe's by default; () when there are none."""
        name = selection or self.studio.recipe.select.name
        files = self.studio.workspace.refined_files(name)
        return tuple((path.name, path.stat().st_mtime_ns) for path in files.values())

    def contact_sheet(self, class_id: int, n: int) -> bytes:
        """The first n pictures of a class as one PNG, a little wider than high."""
        pool = self.studio.pool
        key = ("contact", pool.content_hash(class_id), class_id, n)
        if (sheet := self.workbench.view.sheets.get(key)) is None:
            members = np.flatnonzero(pool.labels == class_id)[:n]
            columns = max(SHEET_COLUMNS[0], min(SHEET_COLUMNS[1], round((2 * len(members)) ** 0.5)))
            tile = tile_size(pool.image_shape, columns)
            sheet = sheet_png(pool.images_at(members, strict=False), tile, columns, gap=1 + tile // 32)
            self.workbench.view.sheets.put(key, sheet)
        return sheet

    def zip_path(self, name: str) -> Path:
        """Where the zip of an export lies, beside its folder."""
        folder = self.studio.workspace.export_path(name)
        return folder.with_name(f"{folder.name}.zip")
