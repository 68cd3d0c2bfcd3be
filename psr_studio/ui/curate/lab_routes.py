"""The addresses of the curation lab beside those of the workbench; see `workbench`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from psr_studio.ui.curate.pack import packed
from psr_studio.ui.curate.routes import Shown
from psr_studio.ui.curate.workbench import Workbench
from psr_studio.ui.screen import Screen


class SaveBody(BaseModel):
    """A name and the user's own words; without them an older note stays."""

    name: str
    note: str | None = None


class NoteBody(BaseModel):
    """The user's own words."""

    note: str


class SwapBody(BaseModel):
    """Positions of two candidates of a class: one goes, one comes."""

    out: int
    into: int


class ExportBody(BaseModel):
    """Candidates to be saved as a selection."""

    positions: list[int]
    name: str


class VariationsBody(BaseModel):
    """Variations of the candidate at a position; see `recipe.variations`."""

    position: int
    count: int
    strength: float


class MoreBody(BaseModel):
    """Classes to bring to a larger pool."""

    classes: list[int]
    pool_size: int


def lab_router(screen: Screen) -> APIRouter:
    """More routes under `psr/curate`."""
    routes, workbench, curation = APIRouter(prefix="/curate"), screen.workbench, screen.studio.curation
    _selection_routes(routes, workbench)

    @routes.post("/swap")
    def swap(body: SwapBody, shown: Shown = "") -> Response:
        with workbench.as_seen(shown):
            return packed(workbench.swap(body.out, body.into))

    @routes.get("/duplicates.bin")
    def duplicates() -> Response:
        return packed(workbench.duplicates())

    @routes.get("/distributions")
    def distributions(class_id: int | None = None) -> dict[str, Any]:
        return curation.distributions(class_id)

    @routes.get("/sufficiency")
    def sufficiency() -> list[dict[str, Any]]:
        return curation.sufficiency()  # beside the sliders, for it may take long

    @routes.post("/generate_more")
    def generate_more(body: MoreBody) -> dict[str, int]:
        return {"job": screen.generate_more(body.classes, body.pool_size)}

    @routes.post("/variations")
    def variations(body: VariationsBody) -> dict[str, int]:
        return {"job": screen.generate_variations(body.position, body.count, body.strength)}

    @routes.post("/score")
    def score() -> dict[str, int]:
        return {"job": screen.submit("score", {})}

    @routes.get("/history")
    def history(limit: int = 50) -> list[dict[str, Any]]:
        return curation.history(limit)

    @routes.get("/command")
    def command() -> dict[str, str]:
        return {"command": curation.command()}

    return routes


def _selection_routes(routes: APIRouter, workbench: Workbench) -> None:
    @routes.get("/selections")
    def listed() -> list[dict[str, Any]]:
        return workbench.selections()

    @routes.post("/selections")
    def save(body: SaveBody, shown: Shown = "") -> dict[str, Any]:
        with workbench.as_seen(shown):
            return workbench.save(body.name, body.note)

    @routes.post("/selections/{name}/restore")
    def restore(name: str, shown: Shown = "") -> Response:
        with workbench.as_seen(shown):
            return packed(workbench.restore(name))

    @routes.patch("/selections/{name}")
    def annotate(name: str, body: NoteBody) -> dict[str, Any]:
        return workbench.annotate(name, body.note)

    @routes.delete("/selections/{name}")
    def delete(name: str) -> dict[str, str]:
        workbench.delete(name)
        return {"name": name}

    @routes.get("/compare")
    def compare(a: str, b: str) -> Response:
        return packed(workbench.compare(a, b))

    @routes.post("/export_positions")
    def export_positions(body: ExportBody, shown: Shown = "") -> dict[str, Any]:
        with workbench.as_seen(shown):
            return workbench.save_positions(body.positions, body.name)
