"""The addresses of the curation lab beside those of the workbench; see `selections` and `lab`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from psr_studio.ui.curate.lab import Lab
from psr_studio.ui.curate.pack import packed
from psr_studio.ui.curate.selections import Selections


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


class MoreBody(BaseModel):
    """Classes to bring to a larger pool."""

    classes: list[int]
    pool_size: int


def lab_router(lab: Lab, selections: Selections) -> APIRouter:
    """More routes under `psr/curate`."""
    routes = APIRouter(prefix="/curate")
    _selection_routes(routes, selections)
    curation = selections.curation

    @routes.post("/swap")
    def swap(body: SwapBody) -> Response:
        return packed(curation.swap(body.out, body.into))

    @routes.get("/duplicates.bin")
    def duplicates() -> Response:
        return packed(curation.duplicates())

    @routes.get("/distributions")
    def distributions(class_id: int | None = None) -> dict[str, Any]:
        return lab.distributions(class_id)

    @routes.get("/sufficiency")
    def sufficiency() -> list[dict[str, Any]]:
        return lab.sufficiency()

    @routes.post("/generate_more")
    def generate_more(body: MoreBody) -> dict[str, int]:
        return lab.generate_more(body.classes, body.pool_size)

    @routes.get("/history")
    def history(limit: int = 50) -> list[dict[str, Any]]:
        return lab.history(limit)

    @routes.get("/command")
    def command() -> dict[str, str]:
        return lab.command()

    return routes


def _selection_routes(routes: APIRouter, selections: Selections) -> None:
    @routes.get("/selections")
    def listed() -> list[dict[str, Any]]:
        return selections.listed()

    @routes.post("/selections")
    def save(body: SaveBody) -> dict[str, Any]:
        return selections.save(body.name, body.note)

    @routes.post("/selections/{name}/restore")
    def restore(name: str) -> Response:
        return packed(selections.restore(name))

    @routes.patch("/selections/{name}")
    def annotate(name: str, body: NoteBody) -> dict[str, Any]:
        return selections.annotate(name, body.note)

    @routes.delete("/selections/{name}")
    def delete(name: str) -> dict[str, str]:
        selections.delete(name)
        return {"name": name}

    @routes.get("/compare")
    def compare(a: str, b: str) -> Response:
        return packed(selections.compare(a, b))

    @routes.post("/export_positions")
    def export_positions(body: ExportBody) -> dict[str, Any]:
        return selections.save_positions(body.positions, body.name)
