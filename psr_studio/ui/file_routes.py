"""Pictures of the pool, refined pictures, the finished zip and reports of studies, straight from disk."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from psr_studio.core.errors import ExportError, WorkspaceError
from psr_studio.studies.report import pools_page, report_paths
from psr_studio.studies.table import find_study
from psr_studio.ui.curate.pack import NO_STORE
from psr_studio.ui.curate.routes import KEEP
from psr_studio.ui.curate.sprites import encode, to_pillow
from psr_studio.ui.screen import Screen

SHEET_LIMIT = 200
KINDS = {"html": "text/html", "csv": "text/csv"}  # of the two files of a study


def file_router(screen: Screen) -> APIRouter:
    """The routes `psr/image`, `psr/refined`, `psr/export`, `psr/study` and `psr/compared-pools.html`."""
    routes = APIRouter()
    studio = screen.studio

    @routes.get("/image/{candidate_id}.png")
    def image(candidate_id: int, v: str = "") -> Response:
        (position,) = studio.pool.positions([candidate_id])
        return _png(studio.pool.png(int(position)), v)

    @routes.get("/sheet/{class_id}.png")
    def sheet(class_id: int, n: int = SHEET_LIMIT, v: str = "") -> Response:
        return _png(screen.contact_sheet(class_id, max(1, min(n, SHEET_LIMIT))), v)

    @routes.get("/refined/{selection}/{index}.png")
    def refined(selection: str, index: int, v: str = "") -> Response:
        found = screen.refined(selection)
        if not 0 <= index < len(found):
            raise WorkspaceError(
                f'There is no picture {index}: "{selection}" has {len(found)} refined pictures.',
                "Reload the page: it was refined again since it was drawn.",
            )
        return _png(encode(to_pillow(found.images[index])), v)

    @routes.get("/export/{name}.zip")
    def export(name: str) -> FileResponse:
        path = screen.zip_path(name)
        if not path.is_file():
            raise ExportError(
                f'There is no zip of the export "{name}".', 'Press "Export" with "Zip" switched on.'
            )
        return FileResponse(path, media_type="application/zip", filename=f"{name}.zip", headers=NO_STORE)

    @routes.get("/study/{name}.{kind}")
    def study(name: str, kind: str) -> FileResponse:
        found = {path.name: path for path in report_paths(studio.workspace, find_study(name))}
        path = found.get(f"{name}.{kind}")
        if path is None or not path.is_file():
            raise WorkspaceError(f'There is no file "{name}.{kind}" of a study.', 'Press "Run study" first.')
        return FileResponse(path, media_type=KINDS[kind], filename=path.name, headers=NO_STORE)

    @routes.get("/compared-pools.html")
    def pools() -> FileResponse:
        path = pools_page(studio.workspace)
        if not path.is_file():
            raise WorkspaceError("No pools were compared here.", 'Press "Compare" on the Pool tab first.')
        return FileResponse(path, media_type=KINDS["html"], filename=path.name, headers=NO_STORE)

    return routes


def _png(data: bytes, version: str) -> Response:
    return Response(data, media_type="image/png", headers=KEEP if version else NO_STORE)
