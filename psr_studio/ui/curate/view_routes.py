"""Named views over HTTP; see `storage.views`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from psr_studio.ui.screen import Screen


class ViewBody(BaseModel):
    """A name, and what the page shows as its address says it."""

    name: str
    look: str


def view_router(screen: Screen) -> APIRouter:
    """More routes under `psr/curate`."""
    routes, ledger = APIRouter(prefix="/curate"), screen.studio.workspace.ledger

    @routes.get("/views")
    def views() -> list[dict[str, Any]]:
        return ledger.views()

    @routes.post("/views")
    def save(body: ViewBody) -> list[dict[str, Any]]:
        ledger.save_view(body.name, body.look)
        return ledger.views()

    @routes.delete("/views/{name}")
    def delete(name: str) -> list[dict[str, Any]]:
        ledger.delete_view(name)
        return ledger.views()

    return routes
