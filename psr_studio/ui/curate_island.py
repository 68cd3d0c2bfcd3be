"""The Curate workbench as one Gradio component: a constant template that loads our own script.

The script draws everything itself and fetches its data from the studio's routes. Nothing a user or a file
has written goes into a template: Gradio evaluates templates as JavaScript, so a class name in one would run.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

STATIC_DIR = Path(__file__).parent / "static"
STATIC_ROUTE = "psr/static"

_TEMPLATE = "<div class='psr-mount' style='min-height:560px'></div>"

# "curated" stands quoted here, so a tab may listen with `island.curated(fn)`; it fires after every new selection.
# Relative addresses only: the page may stand under a proxy's path.
_LOADER = """
const value = props.value || {};
const root = new URL(value.base || '.', document.baseURI);
const mountPoint = element.querySelector('.psr-mount');
import(new URL('%s/curate.js', root).href)
  .then((module) => module.mount(mountPoint, value, { onAnswer: (header) =>
    trigger('curated', { revision: header.revision, picked: header.picked }) }))
  .catch((error) => { mountPoint.textContent = 'The workbench could not be loaded: ' + error.message; });
watch('value', () => { if (window.psrCurate) window.psrCurate.reload(); });
""" % STATIC_ROUTE


class _FreshStaticFiles(StaticFiles):
    """Static files that the browser checks on every load, so that an upgrade never mixes old and new scripts."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def static_files() -> StaticFiles:
    """The ASGI app that serves the scripts and styles; mount it at `/psr/static`. They hold no data and need no token."""
    return _FreshStaticFiles(directory=STATIC_DIR)


def curate_island(token: str, base: str = "") -> gr.HTML:
    """Build the workbench component inside a `gr.Blocks` context.

    Args:
        token: the token that the `psr/...` routes ask for.
        base: path from the page to the root of the routes, empty when the page itself stands at that root.

    Returns:
        The component. Sending it a new value with another `revision` reloads the pool; its event `curated`
        tells `{"revision", "picked"}` after each selection.
    """
    return gr.HTML(
        value={"token": token, "base": base},
        html_template=_TEMPLATE,
        js_on_load=_LOADER,
        apply_default_css=False,
        elem_id="psr-curate",
        padding=False,
    )
