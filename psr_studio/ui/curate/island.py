"""The Curate workbench as one Gradio component: a constant template that loads our own script.

The script draws everything itself and fetches its data from the studio's routes. Nothing a user or a file
has written goes into a template: Gradio evaluates templates as JavaScript, so a class name in one would run.
"""

from __future__ import annotations

import gzip

import gradio as gr
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from psr_studio.storage.parquet import stable_hash
from psr_studio.ui.one_file import one_script, one_sheet
from psr_studio.ui.theme import STATIC

STATIC_ROUTE = "psr/static"
SCRIPT, SHEET = "workbench.js", "workbench.css"
SHEETS = ("workbench", "controls", "map", "panes", "lab", "compare", "panels", "narrow")
# In the head of the page, so that they come while Gradio's own scripts do.
PRELOAD = (
    f'<link rel="modulepreload" href="{STATIC_ROUTE}/{SCRIPT}">'
    f'<link rel="preload" as="style" href="{STATIC_ROUTE}/{SHEET}">'
)

_TEMPLATE = "<div class='psr-mount' style='min-height:560px'></div>"

# The quoted event name lets a tab listen with `island.curated(fn)`; it fires after every new selection.
# Addresses are relative, because the page may stand under a proxy's path.
_LOADER = """
const value = props.value || {};
const root = new URL(value.base || '.', document.baseURI);
const mountPoint = element.querySelector('.psr-mount');
let workbench = null;
import(new URL('psr/static/workbench.js', root).href)
  .then((module) => module.mount(mountPoint, value, { onAnswer: (header) =>
    trigger('curated', { revision: header.revision, picked: header.picked }) }))
  .then((mounted) => { workbench = mounted; })
  .catch((error) => { mountPoint.textContent = 'The workbench could not be loaded: ' + error.message; });
watch('value', () => { workbench?.follow(props.value); });
"""
# For an event whose last input is `shown_field()`: fills in what the workbench shows, once it has its last answer.
AS_SHOWN = """async (...given) => {
  const asked = new CustomEvent('psr-shown', { detail: {} });
  document.dispatchEvent(asked);
  return [...given.slice(0, -1), (await asked.detail.shown) ?? ''];
}"""


class _FreshStaticFiles(StaticFiles):
    """Files the browser checks on every load, so that an upgrade never mixes old and new scripts.

    Two more are made of them: the scripts of the workbench as one, and its style sheets, packed where the browser can
    unpack them.
    """

    def __init__(self) -> None:
        super().__init__(directory=STATIC)
        script, sheet = one_script(STATIC, "curate"), one_sheet(STATIC / "css", SHEETS)
        joined = {SCRIPT: (script, "text/javascript"), SHEET: (sheet, "text/css")}
        self._joined = {
            name: (text.encode(), gzip.compress(text.encode()), kind, f'W/"{stable_hash(text)}"')
            for name, (text, kind) in joined.items()
        }

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path in self._joined and scope["method"] in ("GET", "HEAD"):
            text, packed, kind, tag = self._joined[path]
            asked = Headers(scope=scope)
            known, packs = tag in asked.get("if-none-match", ""), "gzip" in asked.get("accept-encoding", "")
            body = packed if packs else text
            response = Response(status_code=304) if known else Response(body, media_type=kind)
            if packs and not known:
                response.headers["Content-Encoding"] = "gzip"
            response.headers.update({"ETag": tag, "Vary": "Accept-Encoding"})
        else:
            response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def static_files() -> StaticFiles:
    """Serve the scripts and styles: `app.mount(f"/{STATIC_ROUTE}", static_files())`.

    They hold no data of the workspace, so they need no token.
    """
    return _FreshStaticFiles()


def curate_island(token: str, base: str = "") -> gr.HTML:
    """Build the workbench component inside a `gr.Blocks` context.

    Args:
        token: the token that the `psr/...` routes ask for.
        base: path from the page to the root of the routes, empty when the page itself stands at that root.

    Returns:
        The component. Sending it another `pool` or `shown` (`Workbench.now`) makes it compare
        itself with the server and load what has changed; its event `curated` tells `{"revision", "picked"}`
        after each selection.
    """
    return gr.HTML(
        value={"token": token, "base": base},
        html_template=_TEMPLATE,
        js_on_load=_LOADER,
        apply_default_css=False,
        elem_id="psr-curate",
        padding=False,
    )


def shown_field() -> gr.Textbox:
    """An input of events that never shows; `AS_SHOWN` fills it in."""
    return gr.Textbox("", visible=False)
