"""The panes of the workbench in a real browser: what drives what, pictures at large, drags, windows of every size."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from browsing import STATE, answered, focus_on, idle, picks, selected, set_keys
from serving import serving

from psr_studio.app.studio import Studio
from psr_studio.ui.curate.maps import map_key

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url(tmp_path_factory, scored_workspace) -> Iterator[str]:
    """A studio on a copy of the scored workspace: 3 classes of 6 candidates, 2 images per class.

    Its UMAP lies on disk, as it does at a second visit: to make one takes a core for a minute.
    """
    root = tmp_path_factory.mktemp("panes") / "ws"
    shutil.copytree(scored_workspace, root)
    with Studio(root) as studio:
        embeddings = studio.curation.scored.embeddings
    (root / "cache").mkdir(exist_ok=True)
    places = np.random.default_rng(0).normal(size=(len(embeddings), 2)).astype(np.float32)
    np.save(root / "cache" / f"umap-{map_key(embeddings)}.npy", places)
    with serving(root) as address:
        yield address


def box_all(page: Any) -> None:
    """Draw a box over the whole map but the legend's corner."""
    page.keyboard.press("b")
    box = page.locator(".psr-points").bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + box["height"] - 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 4, steps=4)
    page.mouse.up()


def listed(page: Any) -> list[int]:
    tiles = page.locator(".psr-tile").all()
    return [int(tile.get_attribute("data-position")) for tile in tiles]


def test_a_region_drawn_on_the_map_is_what_the_grid_lists_until_its_chip_is_pressed(bench):
    before = listed(bench)
    assert sorted(before) == sorted(picks(bench))
    bench.locator(".psr-legend-color").select_option("picked")
    bench.get_by_title("Not picked: select these. Shift adds, Alt removes").click()
    others = selected(bench)
    assert others and listed(bench) == others, "the legend lists what it takes"
    assert bench.locator(".psr-status-counts").inner_text().startswith(f"{len(others)} lassoed, 0 picked")
    box_all(bench)
    assert sorted(listed(bench)) == selected(bench) and len(selected(bench)) > len(others)
    chip = bench.locator(".psr-filters button")
    assert chip.inner_text() == f"Lassoed {len(selected(bench))}"
    assert bench.locator(".psr-filters").inner_text().endswith(f"{len(before)} picked")
    chip.click()
    assert listed(bench) == before and bench.locator(".psr-filters").is_hidden()
    assert selected(bench) == []


def test_a_picture_at_large_fits_the_panes_and_goes_through_the_list(bench):
    order = picks(bench)
    bench.locator(f"#psr-tile-{order[0]}").click()
    large = bench.locator(".psr-lightbox")
    assert large.is_hidden(), "the first click shows the candidate beside the grid"
    bench.locator(f"#psr-tile-{order[0]}").click()
    picture = bench.locator(".psr-lightbox-picture")
    room, shown = bench.locator(".psr-lightbox-box").bounding_box(), picture.bounding_box()
    assert shown["height"] == pytest.approx(room["height"], abs=1) and shown["width"] <= room["width"] + 1
    assert picture.evaluate("node => getComputedStyle(node).imageRendering") == "pixelated"
    for key, wanted in (("ArrowRight", order[1]), ("End", order[-1]), ("ArrowRight", order[-1])):
        bench.keyboard.press(key)
        bench.wait_for_function(f"p => {STATE}.candidate.position === p", arg=wanted)
    assert bench.locator(".psr-lightbox .psr-soft-row").count() == 3, "the soft label of all classes"
    bench.mouse.move(room["x"] + room["width"] / 2, room["y"] + room["height"] / 2)
    bench.mouse.wheel(0, -200)
    bench.wait_for_function("document.querySelector('.psr-lightbox-box').classList.contains('is-zoomed')")
    bench.keyboard.press("p")
    bench.wait_for_function(f"p => {STATE}.pinned.has(p)", arg=order[-1])
    bench.keyboard.press("Escape")
    assert large.is_hidden() and bench.evaluate(f"{STATE}.focus") == order[-1]
    bench.get_by_title("Show the picture at large").click()
    assert large.is_visible()
    bench.keyboard.press("Escape")
    bench.keyboard.press("Control+z")


def test_a_veto_of_the_picture_at_large_leaves_its_place_and_the_next_picture_is_the_next(bench):
    _, last, other_class, *_ = picks(bench)
    focus_on(bench, last)
    bench.locator(".psr-grid-scroll").press("Enter")
    place = bench.locator(".psr-lightbox .psr-bar .psr-num")
    assert place.inner_text() == "2 of 6"
    with answered(bench):
        bench.keyboard.press("x")
    assert place.inner_text() == "2 of 7", "the vetoed one, and what was taken instead"
    bench.keyboard.press("ArrowRight")
    after = bench.evaluate(f"{STATE}.focus")
    assert after == picks(bench)[1] and after != other_class, "what was taken instead of it"
    bench.keyboard.press("ArrowLeft")
    assert bench.evaluate(f"{STATE}.focus") == last
    with answered(bench):
        bench.keyboard.press("Control+z")
    assert place.inner_text() == "2 of 6"
    bench.keyboard.press("ArrowRight")
    assert bench.evaluate(f"{STATE}.focus") == other_class
    bench.keyboard.press("Escape")


def test_enter_and_space_open_the_focused_picture_and_tiles_grow_to_the_width_of_the_pane(bench):
    order = picks(bench)
    focus_on(bench, order[1])
    grid, large = bench.locator(".psr-grid-scroll"), bench.locator(".psr-lightbox")
    for key in ("Enter", "Space"):
        grid.press(key)
        assert large.is_visible()
        bench.keyboard.press(key)
        assert large.is_hidden()
    assert selected(bench) == []
    grid.press("Control+Space")
    assert selected(bench) == [order[1]]
    size = bench.get_by_label("Picture size")
    size.fill(size.get_attribute("max"))
    one_in_a_row = "document.querySelector('.psr-tile') && !document.querySelector('.psr-tile:nth-child(2)')"
    bench.wait_for_function(one_in_a_row)
    width = grid.evaluate("node => node.querySelector('.psr-tile').getBoundingClientRect().width")
    assert width > 0.9 * grid.evaluate("node => node.clientWidth")
    size.fill("40")


def test_a_drag_picks_on_its_way_and_is_one_change_and_one_undo(bench):
    """It pauses for longer than two moves of a slider may lie apart to be one, and comes back to where it began."""
    before = picks(bench)
    slider = bench.locator(".psr-slider[data-key='ipc'] input[type=range]")
    box = slider.bounding_box()
    least, most = (float(slider.get_attribute(name)) for name in ("min", "max"))

    def to(ipc: int) -> None:
        inner = box["width"] - 14  # the thumb's own width
        x = box["x"] + 7 + inner * (ipc - least) / (most - least)
        bench.mouse.move(x, box["y"] + box["height"] / 2, steps=3)

    to(2)
    bench.mouse.down()
    for ipc in (4, 5):
        to(ipc)
        bench.wait_for_function(f"n => {STATE}.picks.total === n", arg=3 * ipc)
        assert not bench.evaluate("window.workbench.actions.idle"), "the drag goes on"
        bench.wait_for_timeout(1100)
    to(3)
    bench.mouse.up()
    idle(bench)
    assert len(picks(bench)) == 9 and bench.evaluate(f"{STATE}.undo") == "K 2 to 3"
    assert bench.evaluate(f"{STATE}.diff.added.length") == 3, "what came since the drag began"
    bench.keyboard.press("Control+z")
    bench.wait_for_function(f"{STATE}.picks.total === 6")
    assert picks(bench) == before and bench.evaluate(f"{STATE}.undo") is None
    to(2)
    bench.mouse.down()
    to(4)
    bench.wait_for_function(f"{STATE}.picks.total === 12")
    to(2)
    bench.mouse.up()
    idle(bench)
    assert picks(bench) == before and bench.evaluate(f"{STATE}.ipc") == 2


DRAG = """async () => {
  const { data } = window.workbench.store;
  const range = document.querySelector(".psr-slider[data-key='ipc'] input[type=range]");
  const moment = () => new Promise((over) => setTimeout(over, 20));
  let rebuilt = 0;
  const observer = new MutationObserver(() => { rebuilt += 1; });
  observer.observe(document.querySelector('.psr-grid-spacer'), { childList: true });
  const counts = [];
  for (let shown = data.picks; counts.length < 4; shown = data.picks) {
    range.value = 3 + (counts.length % 2);
    range.dispatchEvent(new Event('input', { bubbles: true }));
    await moment();
    if (data.picks === shown) continue;
    counts.push([data.picks.total, document.querySelector('.psr-status-counts').textContent]);
  }
  const onTheWay = rebuilt;
  while (rebuilt === onTheWay) await moment();
  const { total } = data.picks;
  const tiles = document.querySelectorAll('.psr-tile').length;
  range.dispatchEvent(new Event('change', { bubbles: true }));
  return { counts, onTheWay, total, tiles };
}"""


def test_on_the_way_of_a_drag_map_and_counts_follow_and_the_panes_at_a_pause(bench):
    idle(bench)
    found = bench.evaluate(DRAG)
    assert found["counts"] and all(f"{total} picked" in text for total, text in found["counts"])
    assert found["onTheWay"] == 0, "nothing around the map is rebuilt while the slider moves"
    assert found["tiles"] == found["total"], "at a pause the grid shows what is picked"
    with answered(bench):
        bench.evaluate("window.workbench.actions.undo()")


BOXES = """() => {
  const shown = (node) => node.getClientRects().length > 0;
  const box = (node) => {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    return { name: String(node.getAttribute('aria-label') ?? node.className), left, right, top, bottom };
  };
  const all = (css) => [...document.querySelectorAll(css)].filter(shown);
  return {
    panes: all('.psr-panes > .psr-pane').map(box),
    bars: all('.psr-bar').map((bar) => ({ ...box(bar), parts: [...bar.children].filter(shown).map(box) })),
    legend: all('.psr-legend').map(box),
    surface: all('.psr-surface').map(box),
    cut: all('.psr-slider-name, .psr-slider input').filter((node) => node.scrollWidth > node.clientWidth)
      .map((node) => node.textContent || node.value),
    width: document.documentElement.scrollWidth,
    height: document.documentElement.scrollHeight,
  };
}"""
FITTED = """async (width) => {
  for (let k = 0; k < 4; k += 1) await new Promise(requestAnimationFrame);
  const room = document.querySelector('.psr-surface').getBoundingClientRect().width;
  return window.innerWidth === width && (!room || room === window.workbench.map.camera.width);
}"""
PHONE = 390
WINDOWS = (
    (1366, 768, "lab"),
    (1920, 1080, "lab"),
    (1024, 768, None),
    (1024, 768, "lab"),
    (911, 512, None),
    (PHONE, 844, None),
)


def apart(a: dict[str, Any], b: dict[str, Any]) -> bool:
    beside = a["right"] <= b["left"] + 1 or b["right"] <= a["left"] + 1
    return beside or a["bottom"] <= b["top"] + 1 or b["bottom"] <= a["top"] + 1


def inside(part: dict[str, Any], whole: dict[str, Any]) -> bool:
    wide = whole["left"] - 1 <= part["left"] and part["right"] <= whole["right"] + 1
    return wide and whole["top"] - 1 <= part["top"] and part["bottom"] <= whole["bottom"] + 1


def test_every_window_has_all_panes_in_it_and_no_control_over_another(bench):
    """1366x768 zoomed to 150 % is 911 x 512. A phone has the picks and the candidate, and nothing that changes them."""
    focus_on(bench, picks(bench)[0])
    try:
        for width, height, dock in WINDOWS:
            bench.set_viewport_size({"width": width, "height": height})
            set_keys(bench, dock=dock)
            bench.wait_for_function(FITTED, arg=width)
            seen, where = bench.evaluate(BOXES), (width, height, dock)
            assert seen["width"] <= width and seen["cut"] == [], where
            roomy = width > 1300 and height >= 768
            assert not roomy or bench.evaluate("document.documentElement.scrollHeight") == height, where
            assert len(seen["panes"]) == (2 if width == PHONE else 3), where
            for k, pane in enumerate(seen["panes"]):
                assert 0 <= pane["left"] and pane["right"] <= width and pane["right"] - pane["left"] > 200, (
                    where,
                    pane,
                )
                assert all(apart(pane, other) for other in seen["panes"][:k]), (where, pane)
                assert pane["bottom"] <= seen["height"] and pane["bottom"] - pane["top"] > 200, (where, pane)
            for bar in seen["bars"]:
                for k, part in enumerate(bar["parts"]):
                    assert inside(part, bar), (where, bar["name"], part)
                    assert all(apart(part, other) for other in bar["parts"][:k]), (where, bar["name"], part)
            for legend, surface in zip(seen["legend"], seen["surface"], strict=False):
                assert inside(legend, surface), where
        for name in ("Pin this candidate", "Undo", "Save selection as"):
            assert bench.get_by_role("button", name=name).is_hidden(), name
    finally:
        bench.set_viewport_size({"width": 1366, "height": 768})
        set_keys(bench, dock=None)


def test_the_map_opens_by_class_names_the_classes_and_zooms_to_one(bench):
    assert bench.evaluate(f"{STATE}.colorBy") == "class"
    name, members = bench.evaluate(f"[{STATE}.info.class_names[1], {STATE}.info.counts[0]]")
    bench.locator(".psr-legend-line").nth(1).hover()
    bench.get_by_role("button", name=f"Zoom to {name}").click()
    assert bench.evaluate(f"{STATE}.solo") == 1
    bench.wait_for_function("!window.workbench.map.camera.move && window.workbench.map.camera.zoom > 1.05")
    room = bench.locator(".psr-surface").bounding_box()
    for position in range(members, 2 * members):
        x, y = bench.evaluate("p => window.workbench.map.screenOf(p)", position)
        assert 0 <= x <= room["width"] and 0 <= y <= room["height"], "the class is in view"
    bench.locator(".psr-filters").get_by_role("button", name=name).click()
    assert bench.evaluate(f"{STATE}.solo") is None


def on_the_map(page: Any) -> bytes:
    """What is drawn in the half of the map without the legend."""
    page.mouse.move(0, 0)
    page.evaluate("window.workbench.map.painter.drawn()")
    room = page.locator(".psr-surface").bounding_box()
    return page.screenshot(clip={**room, "width": room["width"] / 2})


def test_the_map_has_a_signal_on_three_scales_and_lines_of_density_and_they_are_seen(bench):
    bench.wait_for_function(f"{STATE}.layout.kind === 'umap' && !window.workbench.map.camera.move")
    bench.get_by_label("Colour points by").select_option("difficulty")
    scale, density = bench.get_by_label("Scale of the ramp"), bench.get_by_label("Density contours")
    seen = []
    for kind in scale.evaluate("node => [...node.options].map(({ value }) => value)"):
        scale.select_option(kind)
        seen.append(on_the_map(bench))
    assert len(seen) == len(set(seen)) == 3, "linear, by logarithm, by rank"
    density.select_option("all")
    assert on_the_map(bench) not in seen
    bench.get_by_label("Colour points by").select_option("class")
    scale.wait_for(state="hidden")  # a class has no ramp
    density.select_option("none")


def test_pca_and_umap_are_a_switch_that_a_reload_keeps(bench, url):
    switch = bench.get_by_role("group", name="How the teacher features are laid out")
    bench.wait_for_function(f"{STATE}.layouts.umap && {STATE}.layout.kind === 'umap'")
    bench.wait_for_function(
        "!document.querySelector('.psr-map-status .psr-seg button:nth-child(2)').disabled"
    )
    umap = bench.evaluate(f"Array.from({STATE}.layout.xy)")
    switch.get_by_role("button", name="PCA").click()
    bench.wait_for_function(f"{STATE}.layout.kind === 'pca'")
    assert bench.evaluate(f"Array.from({STATE}.layout.xy)") != umap
    bench.goto("about:blank")
    bench.goto(url)
    idle(bench)
    bench.wait_for_function(f"{STATE}.layout.kind === 'pca'")
    switch.get_by_role("button", name="UMAP").click()
    bench.wait_for_function(f"{STATE}.layout.kind === 'umap'")
    assert bench.evaluate(f"Array.from({STATE}.layout.xy)") == umap


def test_hover_and_candidate_print_one_score_of_a_pick_and_of_another(bench):
    taken = picks(bench)[-1]
    other = next(p for p in range(18) if p not in picks(bench))
    room = bench.locator(".psr-surface").bounding_box()
    for position in (taken, other):
        focus_on(bench, position)
        bench.wait_for_function(f"p => {STATE}.candidate?.position === p", arg=position)
        x, y = bench.evaluate("p => window.workbench.map.screenOf(p)", position)
        bench.mouse.move(room["x"] + x, room["y"] + y)
        bench.wait_for_function(f"p => {STATE}.hover === p", arg=position)
        score = bench.locator(".psr-card-row", has_text="Score").locator("b").inner_text()
        assert score == bench.locator(".psr-term.is-total .psr-num").inner_text()


def test_a_number_beyond_the_end_of_a_slider_is_cut_in_sight(bench):
    slider = bench.locator(".psr-slider[data-key='ipc']")
    box, name = slider.locator("input[type=number]"), slider.locator(".psr-slider-name")
    with answered(bench):
        box.fill("9")
        box.press("Enter")
    assert bench.evaluate(f"{STATE}.ipc") == 6 and name.inner_text() == "K 6 is the most"
    with answered(bench):
        bench.evaluate("window.workbench.actions.undo()")
    assert name.inner_text() == "K Images per class"


def test_a_long_warning_leaves_the_pictures_of_what_changed(bench):
    with answered(bench):
        bench.locator(".psr-slider[data-key='ipc'] input[type=range]").fill("4")
    assert bench.locator(".psr-thumb").count() == 6
    names = [f"a class with quite a long name, number {k}" for k in range(3)]
    bench.evaluate(
        f"""(names) => {{
          const {{ info, picks }} = {STATE};
          const shortfall = names.map(() => 2);
          window.workbench.store.set({{ info: {{ ...info, class_names: names }}, picks: {{ ...picks, shortfall }} }});
        }}""",
        names,
    )
    bench.locator(".psr-result .psr-warn").wait_for()
    bench.wait_for_function(  # the strip keeps as many as fit
        """() => {
          const place = (node) => node.getBoundingClientRect();
          const strip = place(document.querySelector('.psr-result'));
          const shown = [...document.querySelectorAll('.psr-thumb')].map(place);
          return shown.length >= 2 && shown.every((one) => one.width > 0 && strip.x < one.x);
        }"""
    )
    bench.keyboard.press("Control+z")
    idle(bench)


def test_a_refusal_of_two_lines_leaves_the_panes_where_they_are(bench):
    top = bench.locator(".psr-body").bounding_box()["y"]
    words = "a candidate of a class with quite a long name is pinned, and more are pinned than fit; "
    set_keys(bench, notice={"problem": words * 3, "fix": "Take a pin away.", "retry": False})
    text = bench.locator(".psr-result-text")
    text.get_by_text("Take a pin away.").wait_for()
    assert text.bounding_box()["height"] > 25, "two lines"
    assert bench.locator(".psr-body").bounding_box()["y"] == top
    set_keys(bench, notice=None)


def test_a_locked_class_says_so_in_the_grid(bench):
    bench.evaluate("window.workbench.actions.select({ locked: [1] })")
    header = bench.locator(".psr-grid-header", has_text=bench.evaluate(f"{STATE}.info.class_names[1]"))
    header.get_by_text("locked").wait_for()
    assert bench.locator(".psr-grid-header .psr-badge-note", has_text="locked").count() == 1
    bench.keyboard.press("Control+z")
    bench.wait_for_function(f"{STATE}.locked.size === 0")


COVERED = """() => {
  const toast = document.querySelector('.toast-body').getBoundingClientRect();
  const over = ({ left, right, top, bottom }) =>
    left < toast.right && right > toast.left && top < toast.bottom && bottom > toast.top;
  return [...document.querySelectorAll('button, input, select, textarea')]
    .filter((node) => !node.closest('.toast-wrap') && node.getClientRects().length)
    .filter((node) => over(node.getBoundingClientRect())).map((node) => node.outerHTML.slice(0, 80));
}"""


def test_a_saved_name_and_the_split_map_outlive_a_reload_and_the_notice_covers_no_control(bench):
    name = bench.locator("#psr-save-name :is(input, textarea)")
    name.fill("mine")
    bench.click("#psr-save")
    bench.locator("#psr-curate-status").get_by_text('"mine", 6 images.').wait_for()
    assert bench.locator(".toast-body").count() == 0, "what stands there already is not said again over it"
    with answered(bench):
        bench.evaluate(f"window.workbench.actions.mark('veto', '', [{STATE}.picks.order[0]])")
    set_keys(bench, saved=[])  # as before the page hears of what was saved
    bench.click("#psr-save")
    bench.get_by_role("button", name="Replace").click()
    bench.locator(".toast-body").first.wait_for()
    for width in (1366, 1024, 1920):
        bench.set_viewport_size({"width": width, "height": 768})
        assert bench.evaluate(COVERED) == []
    bench.set_viewport_size({"width": 1366, "height": 768})
    bench.wait_for_function(f"{STATE}.saved.some(({{ name, current }}) => name === 'mine' && current)")
    with answered(bench):
        bench.evaluate(f"window.workbench.actions.mark('veto', '', [{STATE}.picks.order[2]])")
    bench.evaluate("window.workbench.compare.open({ a: 'mine', b: 'live', view: 'split' })")
    bench.wait_for_function("location.hash.endsWith('compare=mine,live,split')")
    bench.reload()
    idle(bench)
    bench.wait_for_function(f"{STATE}.compare?.lists")
    assert bench.evaluate(f"{STATE}.compare.view") == "split"
    assert name.input_value() == "mine", "what is on screen is not saved, but it is the one that is worked on"
