"""Which workspace is open, which were, and another one in its place."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from psr_studio.app.recent import beside, recent
from psr_studio.core.errors import WorkspaceError
from psr_studio.recipe.load import DEFAULT_PRESET, presets
from psr_studio.ui.desk import Desk, Wish
from psr_studio.ui.screen import Screen


class OpenBody(BaseModel):
    """A folder of this machine; with a preset it becomes a new workspace."""

    path: str
    preset: str | None = None


def workspace_router(screen: Screen, desk: Desk) -> APIRouter:
    """The routes under `psr/workspaces`."""
    routes = APIRouter(prefix="/workspaces")
    here = screen.studio.workspace.root

    @routes.get("")
    def workspaces() -> dict[str, Any]:
        others = [
            {"path": str(found.path), "name": found.path.name, "opened": found.opened}
            for found in recent()
            if found.path != here
        ]
        return {
            "here": str(here),
            "folder": str(here.parent),
            "recent": others,
            "presets": list(presets()),
            "preset": DEFAULT_PRESET,
        }

    @routes.get("/shown")
    def shown() -> dict[str, str]:
        """A page asks now and then whether what it shows is still open; `guard.opening` answers where it is not."""
        return {"here": str(here)}

    @routes.post("/open")
    def open_other(body: OpenBody) -> dict[str, str]:
        if not body.path.strip():
            raise WorkspaceError("No folder is named.", 'Fill in "Folder" with a path on this machine.')
        opened = desk.open(Wish(beside(here, body.path), body.preset))
        return {"here": str(opened.studio.workspace.root)}

    return routes
