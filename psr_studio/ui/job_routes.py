"""The queue of jobs over HTTP, for the panel under the job pill."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from psr_studio.app.jobs import STOP_AFTER_PART, STOP_NOW
from psr_studio.ui.panels.queue import Entry, queued
from psr_studio.ui.screen import Screen


class StopBody(BaseModel):
    """Which of the two stops; a job that waits is taken out of the queue by either."""

    how: Literal["now", "after part"]


def job_router(screen: Screen) -> APIRouter:
    """The routes under `psr/jobs`."""
    routes, worker = APIRouter(prefix="/jobs"), screen.worker
    stops = {STOP_NOW: worker.stop_now, STOP_AFTER_PART: worker.stop_after_part}

    @routes.get("")
    def jobs() -> list[Entry]:
        return queued(worker)

    @routes.post("/{job_id}/stop")
    def stop(job_id: int, body: StopBody) -> list[Entry]:
        stops[body.how](job_id)
        return queued(worker)

    return routes
