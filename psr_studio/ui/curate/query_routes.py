"""Queries and tags over HTTP; see `stages.select.query`."""

from __future__ import annotations

import csv
import io
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from psr_studio.stages.importing.stage import has_seeds
from psr_studio.stages.select.candidates import COLUMNS, rows_of
from psr_studio.ui.curate.pack import NO_STORE
from psr_studio.ui.curate.pool_view import check_positions
from psr_studio.ui.screen import Screen


class TagBody(BaseModel):
    """Candidates by their positions, and the tag that they get or lose."""

    positions: list[int]
    tag: str
    on: bool = True


def query_router(screen: Screen) -> APIRouter:
    """More routes under `psr/curate`."""
    routes, studio = APIRouter(prefix="/curate"), screen.studio

    @routes.get("/where")
    def where(q: str = "") -> dict[str, Any]:
        """Positions of the candidates that a query names, and how many there are of how many."""
        found = studio.curation.where(q)
        return {"positions": found.tolist(), "count": len(found), "of": studio.curation.scored.n}

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

    @routes.get("/tags")
    def tags() -> dict[str, int]:
        """Every tag with the number of its candidates."""
        counts: dict[str, int] = {}
        for own in studio.workspace.ledger.tags().values():
            for tag in own:
                counts[tag] = counts.get(tag, 0) + 1
        return dict(sorted(counts.items()))

    @routes.post("/tag")
    def tag(body: TagBody) -> dict[str, int]:
        with studio.curation.lock:
            scored = studio.curation.scored
            check_positions(scored, body.positions)
            studio.workspace.ledger.set_tag(scored.candidate_ids[body.positions].tolist(), body.tag, body.on)
        return tags()

    return routes
