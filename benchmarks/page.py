"""How fast the Curate page answers: a real browser on a synthetic pool, and the same scatter as a `gr.Plot`.

    python benchmarks/page.py

Chromium draws in software (SwiftShader), so the numbers are a worst case. Times are medians in milliseconds:

- release, once the map has settled: from letting go of a slider until the graphics device has finished the new
  picture. In between lie the request, the selection over the whole pool and the answer.
- lasso: from letting go of the mouse until the counts on the page have changed.
- drag: frames a second while a slider moves, and the requests that this makes (up to ten a second).
- grid: pictures that exist as elements while 5,000 candidates are listed and scrolled through.
- visits: from opening the address until the points and the picks are drawn. The first one comes as soon as the
  program says that it is open, the second one while UMAP takes a core, the others once the map has settled.
- peer: release of a slider until plotly has drawn, when the scatter is a `gr.Plot` with a full figure.

Writes benchmarks/results/page.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from timing import conditions, write_results

ROOT = Path(__file__).resolve().parent.parent
FLAGS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
]  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
VIEWPORT = {"width": 1366, "height": 768}
N_CLASSES = 10  # of the embedded bundle, whose classes the synthetic pools have
SIZES = (2_000, 10_000, 50_000)
PEER_SIZES = (2_000, 10_000)
GRID_SIZE = 5_000
TARGETS = {"release_ms": {2_000: 120, 10_000: 150, 50_000: 200}, "lasso_ms": 250, "visit_ms": 3_000}
START_SECONDS, PATIENCE_MS = 180.0, 180_000
VISITS = 3
# The workbench says on its element that it stands there; the page itself has no global.
CATCH_WORKBENCH = "document.addEventListener('psr-mounted', (event) => { window.workbench = event.detail; });"
READY = "window.workbench && window.workbench.store.data.picks && window.workbench.actions.idle"


def main() -> None:
    """Reads the arguments, measures, writes the results, prints them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="candidates in the pool")
    parser.add_argument("--repeats", type=int, default=12, help="releases and lassos per size")
    parser.add_argument("--workspaces", type=Path, help="keep the synthetic workspaces here, for another run")
    parser.add_argument("--no-peer", action="store_true", help="leave the gr.Plot out")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="psr-page-") as folder:
        keep = args.workspaces or Path(folder)
        result = measure_all(keep, args.sizes, args.repeats, not args.no_peer)
    write_results("page", result)
    print(markdown(result))


def measure_all(folder: Path, sizes: list[int], repeats: int, peer: bool) -> dict[str, Any]:
    """Every number, with the conditions it was measured under."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("PSR_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"No browser: install one of {', '.join(BROWSERS)}, or name it in PSR_CHROMIUM.")
    result: dict[str, Any] = {"conditions": conditions(), "targets": TARGETS, "pages": []}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        result["conditions"] |= {
            "browser": f"Chromium {browser.version}, headless, SwiftShader",
            "window": VIEWPORT,
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
            "versions": {name: version(name) for name in ("gradio", "plotly", "playwright", "numpy")},
        }
        for n in sorted({*sizes, GRID_SIZE}):
            with running([str(ROOT / "app.py"), "--workspace", str(make(folder, n)), "--no-browser"]) as url:
                result["pages"].append(measure_page(browser, url, n, repeats))
            write_results("page", result)  # what is there so far, should the rest be cut short
        if peer:
            result["peer"] = [measure_peer(browser, n, repeats) for n in PEER_SIZES if n in sizes]
        browser.close()
    result["conditions"]["load_after"] = [round(x, 2) for x in os.getloadavg()]
    return result


def make(folder: Path, n: int) -> Path:
    """A workspace with a synthetic pool of n candidates and no map, made unless it is there."""
    from large_workspace import make_workspace  # torch comes with it

    if not (folder / str(n) / "pool").exists():
        make_workspace(folder / str(n), n // N_CLASSES)
    for known in (folder / str(n) / "cache").glob("umap-*"):
        known.unlink()
    return folder / str(n)


@contextmanager
def running(command: list[str]) -> Iterator[str]:
    """A server in a process of its own that prints where it listens; yields the address."""
    process = subprocess.Popen(
        [sys.executable, *command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said: list[str] = []
    found = threading.Event()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if "http://" in line:
                found.set()
        found.set()

    threading.Thread(target=listen, daemon=True).start()
    try:
        found.wait(START_SECONDS)
        match = re.search(r"http://[\d.]+:\d+/?", "".join(said))
        if not match:
            sys.exit(f"The server did not start:\n{''.join(said)}")
        yield match[0]
    finally:
        process.terminate()
        process.wait(60)


# --- our page ---


def measure_page(browser: Any, url: str, n: int, repeats: int) -> dict[str, Any]:
    """All numbers of one pool size."""
    page, first = visit(browser, url)
    page.wait_for_event("response", lambda response: "map.bin" in response.url)  # UMAP begins
    page.close()
    page, beside = visit(browser, url)
    umap_at_work = not page.evaluate(SETTLED)
    page.wait_for_function(SETTLED)
    later = []
    for _ in range(VISITS):
        page.close()
        page, ms = visit(browser, url)
        later.append(round(ms))
    found: dict[str, Any] = {
        "n": n,
        "first_visit_ms": round(first),
        "visit_beside_umap_ms": round(beside) if umap_at_work else None,
        "later_visit_ms": statistics.median(later),
        "later_visits_ms": later,
        "first_contentful_paint_ms": round(page.evaluate(FIRST_PAINT)),
    }
    found["release"] = summary(releases(page, repeats))
    found["drag"] = drag(page)
    found["lasso"] = summary(lassos(page, repeats))
    if n == GRID_SIZE:
        found["grid"] = grid(page)
    page.close()
    return found


def visit(browser: Any, url: str) -> tuple[Any, float]:
    """A new page with the address opened, and the milliseconds until all was drawn."""
    page = browser.new_page(viewport=VIEWPORT)
    page.add_init_script(CATCH_WORKBENCH)
    return page, open_page(page, url)


def open_page(page: Any, url: str) -> float:
    """Milliseconds from asking for the address until points and picks are drawn."""
    page.set_default_timeout(PATIENCE_MS)
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_function(READY)
    page.evaluate("window.workbench.map.painter.drawn()")
    return 1000 * (time.perf_counter() - began)


SETTLED = "window.workbench.store.data.mapSettled"
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"

WATCH_RELEASE = """() => {
  window.benchmark = { released: 0 };
  document.addEventListener('pointerup', () => { window.benchmark.released = performance.now(); }, true);
}"""
LAST_DRAWN = """() => {
  const done = performance.getEntriesByName('psr-release-to-drawn').at(-1);
  return done && window.workbench.actions.idle && done.startTime + done.duration > window.benchmark.released
    ? done.startTime + done.duration - window.benchmark.released : false;
}"""


def releases(page: Any, repeats: int) -> list[float]:
    """Click at another place of the gamma slider each time; the first two are not counted."""
    page.evaluate(WATCH_RELEASE)
    slider = page.locator(".psr-slider[data-key='gamma'] input[type=range]")
    times = []
    for k in range(repeats + 2):
        box = slider.bounding_box()
        page.mouse.click(
            box["x"] + box["width"] * (0.2 + 0.6 * ((k * 0.382) % 1)), box["y"] + box["height"] / 2
        )
        times.append(page.wait_for_function(LAST_DRAWN).json_value())
        page.wait_for_timeout(400)  # what follows the picture (charts) is not in the next number
    return times[2:]


def drag(page: Any, steps: int = 40) -> dict[str, float]:
    """Move the alpha slider without letting go: frames a second and requests made meanwhile."""
    requests: list[str] = []
    page.wait_for_timeout(1000)
    page.on("request", lambda request: requests.append(request.url))
    seconds = page.evaluate(
        """async (steps) => {
          const range = document.querySelector(".psr-slider[data-key='alpha'] input[type=range]");
          const begin = performance.now();
          for (let k = 0; k < steps; k += 1) {
            range.value = 1 + (3 * k) / steps;
            range.dispatchEvent(new Event('input', { bubbles: true }));
            await window.workbench.map.painter.drawn();
          }
          const seconds = (performance.now() - begin) / 1000;
          range.dispatchEvent(new Event('change', { bubbles: true }));
          return seconds;
        }""",
        steps,
    )
    ours = [url for url in requests if "psr/" in url]
    return {"frames_per_second": round(steps / seconds, 1), "requests": len(ours)}


WATCH_LASSO = """() => {
  window.benchmark.counted = 0;
  const counts = document.querySelector('.psr-status-counts');
  new MutationObserver(() => { window.benchmark.counted = performance.now(); })
    .observe(counts, { childList: true, subtree: true, characterData: true });
}"""


def lassos(page: Any, repeats: int) -> list[float]:
    """Draw around about a quarter of the map, each time at another place."""
    page.evaluate(WATCH_LASSO)
    page.get_by_role("button", name="Lasso", exact=True).click()
    box = page.locator(".psr-overlay").first.bounding_box()
    times = []
    for k in range(repeats):
        left, top = box["x"] + box["width"] * (0.08 + 0.02 * k), box["y"] + box["height"] * 0.3
        wide, high = box["width"] * 0.4, box["height"] * 0.6
        corners = [(0, 0), (0.5, 0.08), (1, 0), (0.9, 0.5), (1, 1), (0.5, 0.9), (0, 1), (0.1, 0.5)]
        page.evaluate("window.benchmark.counted = 0")
        page.mouse.move(left, top)
        page.mouse.down()
        for x, y in corners[1:]:
            page.mouse.move(left + x * wide, top + y * high, steps=3)
        page.mouse.up()
        page.wait_for_function("window.benchmark.counted > window.benchmark.released")
        times.append(page.evaluate("window.benchmark.counted - window.benchmark.released"))
    page.keyboard.press("Escape")
    return times


def grid(page: Any) -> dict[str, Any]:
    """List the whole pool, scroll to its end: pictures that exist at any one time, and how long rows take."""
    return page.evaluate(
        """async () => {
          const frame = () => new Promise(requestAnimationFrame);
          const begin = performance.now();
          window.workbench.store.set({ gridMode: 'pool' });
          await frame();
          const listed = performance.now() - begin;
          const scroller = document.querySelector('.psr-grid-scroll');
          const nodes = [];
          const slow = [];
          const end = scroller.scrollHeight;
          for (let y = 0; y < end; y += scroller.clientHeight) {
            const start = performance.now();
            scroller.scrollTop = y;
            await frame();
            nodes.push(scroller.querySelectorAll('.psr-tile').length);
            slow.push(performance.now() - start);
          }
          slow.sort((a, b) => a - b);
          const out = { candidates: window.workbench.store.data.info.n, most_nodes: Math.max(...nodes),
            list_ms: Math.round(listed), page_down_median_ms: Math.round(slow[slow.length >> 1]),
            pages: nodes.length };
          window.workbench.store.set({ gridMode: 'picks' });
          return out;
        }"""
    )


# --- the same scatter as a gr.Plot ---

PEER = """
import sys
import gradio as gr, numpy as np, plotly.graph_objects as go
n = int(sys.argv[1])
rng = np.random.default_rng(0)
centres = rng.normal(size=(10, 2)) * 4
label = np.repeat(np.arange(10), n // 10)
xy = (centres[label] + rng.normal(size=(len(label), 2))).astype(np.float32)
rel, ent, div = rng.random((3, len(label)), dtype=np.float32)

def figure(gamma):
    points = go.Scattergl(x=xy[:, 0], y=xy[:, 1], mode="markers",
                          marker={"color": 3 * rel - ent + gamma * div, "size": 5, "colorscale": "Viridis"})
    return go.Figure(points, {"title": f"gamma {gamma:.3f}", "height": 560, "uirevision": 1})

with gr.Blocks() as page:
    slider = gr.Slider(0, 5, 0.5, step=0.001, label="gamma", elem_id="gamma")
    plot = gr.Plot(figure(0.5))
    slider.release(figure, slider, plot, show_progress="hidden", queue=False)
page.launch(server_port=int(sys.argv[3]) or None, quiet=False, ssr_mode=False, share=False)
"""
NEW_TITLE = """(old) => {
  const text = document.querySelector('.js-plotly-plot .gtitle')?.textContent;
  return text && text !== old ? performance.now() - window.benchmark.released : false;
}"""


def measure_peer(browser: Any, n: int, repeats: int) -> dict[str, Any]:
    """Release of a slider to drawn, when a full figure is sent to a `gr.Plot`."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    with running(["-u", "-c", PEER, str(n)]) as url:
        page = browser.new_page(viewport=VIEWPORT)
        page.set_default_timeout(PATIENCE_MS)
        page.goto(url)
        page.wait_for_selector(".js-plotly-plot .gtitle")
        page.evaluate(WATCH_RELEASE)
        slider = page.locator("#gamma input[type=range]")
        times = []
        for k in range(repeats + 2):
            old = page.locator(".js-plotly-plot .gtitle").first.text_content()
            box = slider.bounding_box()
            x = box["x"] + box["width"] * (0.2 + 0.6 * ((k * 0.382) % 1))
            page.mouse.click(x, box["y"] + box["height"] / 2)
            times.append(page.wait_for_function(NEW_TITLE, arg=old).json_value())
            page.wait_for_timeout(400)
        page.close()
    return {"n": n, "release": summary(times[2:])}


# --- words ---


def summary(times: list[float]) -> dict[str, Any]:
    """Median, extremes and every value, in ms."""
    return {
        "median_ms": round(statistics.median(times), 1),
        "min_ms": round(min(times), 1),
        "max_ms": round(max(times), 1),
        "all_ms": [round(t, 1) for t in times],
    }


def markdown(result: dict[str, Any]) -> str:
    """The results as a table, with what was aimed at."""
    peers = {row["n"]: row["release"]["median_ms"] for row in result.get("peer", [])}
    lines = [
        "| Candidates | Release to drawn (goal) | gr.Plot | Lasso to counts (goal 250) | First visit (goal 3000) |"
        " Beside UMAP | Later | Frames/s of a drag | Requests of a drag |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["pages"]:
        n = row["n"]
        goal = TARGETS["release_ms"].get(n, "")  # type: ignore[attr-defined]
        cells = [
            f"{n:,}", f"{row['release']['median_ms']:.0f} ms ({goal or '-'})",
            f"{peers[n]:.0f} ms" if n in peers else "-", f"{row['lasso']['median_ms']:.0f} ms",
            *(f"{row[f'{which}_ms']} ms" for which in ("first_visit", "visit_beside_umap", "later_visit")),
            f"{row['drag']['frames_per_second']}", f"{row['drag']['requests']}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    grids = [row["grid"] for row in result["pages"] if "grid" in row]
    lines += [f"\nGrid: {json.dumps(g)}" for g in grids]
    return "\n".join([*lines, f"\nConditions: {json.dumps(result['conditions'])}"])


if __name__ == "__main__":
    main()
