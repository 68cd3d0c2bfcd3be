"""The addresses of the Curate workbench. Answers are JSON, packed arrays (`pack`) or PNG; see `workbench`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from psr_studio.ui.curate.pack import NO_STORE, packed
from psr_studio.ui.curate.workbench import Workbench

KEEP = {"Cache-Control": "private, max-age=31536000, immutable"}  # addresses carry the version of the pool


class SelectBody(BaseModel):
    """Settings of the selection; what is left out stays as it is, null follows the preset or lifts a limit."""

    alpha: float | None = None
    beta: float | None = None
    gamma: float | None = None
    ipc: int | None = None
    temperature: float | None = None
    selector: str | None = None
    scaling: str | None = None
    target: str | None = None
    drawn: list[float] | None = None
    within_bin: str | None = None
    lam: float | None = None
    order: str | None = None
    allocation: str | None = None
    floor: int | None = None
    ceiling: int | None = None
    own_budgets: dict[int, int | None] | None = None
    locked: list[int] | None = None


class MarkBody(BaseModel):
    """Candidates to mark: "pin", "veto" or "clear"."""

    positions: list[int]
    mark: str
    reason: str = ""


def curate_router(workbench: Workbench) -> APIRouter:
    """The routes under `psr/curate`."""
    routes = APIRouter(prefix="/curate")

    @routes.get("/state")
    def state() -> dict[str, Any]:
        return workbench.state()

    @routes.get("/points.bin")
    def points() -> Response:
        return packed(workbench.points())

    @routes.get("/map.bin")
    def newer_map(have: str = "") -> Response:
        body = workbench.newer_map(have)
        return packed(body) if body is not None else Response(status_code=204, headers=NO_STORE)

    @routes.get("/sprites/{class_id}.png")
    def sprites(class_id: int, v: str = "") -> Response:
        return Response(
            workbench.view.sheet(class_id), media_type="image/png", headers=KEEP if v else NO_STORE
        )

    @routes.get("/candidate/{position}")
    def candidate(position: int) -> dict[str, Any]:
        return workbench.candidate(position)

    @routes.post("/select")
    def select(body: SelectBody) -> Response:
        given = body.model_dump(exclude_unset=True)
        own_budgets, locked = given.pop("own_budgets", None), given.pop("locked", None)
        return packed(workbench.select(given, own_budgets, locked))

    @routes.post("/mark")
    def mark(body: MarkBody) -> Response:
        return packed(workbench.mark(body.positions, body.mark, body.reason))

    @routes.post("/undo")
    def undo() -> Response:
        return packed(workbench.undo())

    @routes.post("/redo")
    def redo() -> Response:
        return packed(workbench.redo())

    return routes
