"""Queries and tags over HTTP; see `stages.select.query`."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel

from psr_studio.core.pictures import MAX_BYTES
from psr_studio.stages.importing.stage import has_seeds
from psr_studio.stages.select.candidates import COLUMNS, rows_of
from psr_studio.stages.select.nearest import picture_png
from psr_studio.stages.select.query import clauses
from psr_studio.ui.curate.pack import NO_STORE, packed
from psr_studio.ui.curate.routes import KEEP, Shown
from psr_studio.ui.screen import Screen

BYTES = "application/octet-stream"


class TagBody(BaseModel):
    """Candidates by their positions, and the tag that they get or lose."""

    positions: list[int]
    tag: str
    on: bool = True


def query_router(screen: Screen) -> APIRouter:
    """More routes under `psr/curate`."""
    routes, studio, workbench = APIRouter(prefix="/curate"), screen.studio, screen.workbench

    @routes.get("/where")
    def where(q: str = "") -> dict[str, Any]:
        """Positions of the candidates that a query names, and how many there are of how many.

        "apart": how far each of them lies from what the query looks near to, None where that is nothing.
        """
        found, apart = studio.curation.where(q), studio.curation.apart(q)
        return {
            "positions": found.tolist(),
            "apart": None if apart is None else apart[found].tolist(),
            "count": len(found),
            "of": studio.curation.scored.n,
        }

    @routes.post("/pictures")
    def picture(data: Annotated[bytes, Body(media_type=BYTES, max_length=MAX_BYTES)]) -> dict[str, str]:
        """Take in a picture; "near" with its name is a clause then."""
        return {"name": studio.curation.add_picture(data)}

    @routes.get("/pictures/{name}.png")
    def kept_picture(name: str, v: str = "") -> Response:
        data = picture_png(studio.workspace, name)
        return Response(data, media_type="image/png", headers=KEEP if v else NO_STORE)

    @routes.get("/where.csv")
    def listed(q: str = "") -> Response:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        found = studio.curation.where(q)
        writer.writerows(
            rows_of(studio.curation.shown(), studio.workspace.ledger, found, has_seeds(studio.workspace))
        )
        name = {"Content-Disposition": 'attachment; filename="candidates.csv"', **NO_STORE}
        return Response(text.getvalue(), media_type="text/csv", headers=name)

    @routes.get("/clauses")
    def offered() -> list[str]:
        """What a query can be made of, see `stages.select.query.clauses`."""
        names, classes = studio.bundle.class_names, studio.curation.scored.classes
        return clauses([names[c] for c in classes], studio.workspace.ledger.tag_counts())

    @routes.get("/tags")
    def tags() -> dict[str, int]:
        """Every tag with the number of its candidates."""
        return studio.workspace.ledger.tag_counts()

    @routes.post("/tag")
    def tag(body: TagBody, shown: Shown = "") -> Response:
        with workbench.as_seen(shown):
            return packed(workbench.tag(body.positions, body.tag, body.on))

    return routes
