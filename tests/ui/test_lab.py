"""The curation lab in a real browser on the tiny bundle: map, grid, compare, history and address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import (
    STATE,
    answered,
    focus_on,
    idle,
    mark_out,
    picks,
    screen_of,
    selected,
    set_keys,
)

pytestmark = pytest.mark.browser
DOCS = Path(__file__).resolve().parents[2] / "docs" / "curate.md"


@pytest.fixture
def lab(browser, url) -> Iterator[Any]:
    """The Curate tab, freshly opened; what a test did is taken back after it."""
    browser.goto("about:blank")
    browser.goto(f"{url}#tab=curate")
    idle(browser)
    yield browser
    if browser.locator("dialog[open]").count():
        browser.keyboard.press("Escape")
    browser.click("#psr-tab-curate-button")
    idle(browser)  # a test may end right after a reload
    set_keys(browser, dock=None)
    while browser.evaluate(f"{STATE}.undo"):
        undo(browser)


def undo(page: Any) -> None:
    page.evaluate("document.activeElement?.blur()")
    with answered(page):
        page.keyboard.press("Control+z")


def outsider(page: Any) -> int:
    """The first eligible candidate that is not picked."""
    return page.evaluate(
        f"Array.from({STATE}.points.eligible).findIndex((yes, i) => yes && {STATE}.picks.index[i] < 0)"
    )


def open_panel(page: Any, name: str) -> Any:
    set_keys(page, dock=name)
    panel = page.locator(f"#psr-dock-{name}")
    panel.wait_for()
    return panel


def save(page: Any, name: str, note: str = "") -> None:
    panel = open_panel(page, "saved")
    panel.get_by_label("Name of the selection").fill(name)
    panel.get_by_label("Note (optional)").fill(note)
    panel.get_by_role("button", name="Save what is on screen").click()
    panel.locator(f"[data-name='{name}']").wait_for()


def set_gamma(page: Any, value: float) -> None:
    page.locator(".psr-slider[data-key='gamma'] input[type=range]").fill(str(value))
    page.wait_for_function(f"value => {STATE}.weights.gamma === value", arg=value)
    idle(page)


def lasso(page: Any, position: int, radius: float = 14) -> None:
    """Draw around one candidate with the mouse."""
    page.keyboard.press("l")
    box = page.locator(".psr-surface > .psr-overlay").bounding_box()
    x, y = screen_of(page, position)
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    path = [(box["x"] + x + radius * i, box["y"] + y + radius * j) for i, j in corners]
    page.mouse.move(*path[0])
    page.mouse.down()
    for at in path[1:]:
        page.mouse.move(*at, steps=6)
    page.mouse.up()


def test_a_lasso_marks_candidates_out_on_the_map_and_in_the_grid(lab):
    wanted = outsider(lab)
    lasso(lab, wanted)
    marked = selected(lab)
    assert wanted in marked
    lab.get_by_role("button", name="Lassoed", exact=True).click()
    tiles = lab.locator(".psr-tile")
    assert sorted(int(t.get_attribute("data-position")) for t in tiles.all()) == marked
    assert tiles.first.get_attribute("aria-selected") == "true"
    assert lab.locator(".psr-selbar-count b").inner_text() == str(len(marked))
    lab.keyboard.press("Escape")
    assert selected(lab) == []


def test_pin_and_veto_act_on_the_lasso_and_undo_takes_them_back(lab):
    before = picks(lab)
    wanted = outsider(lab)
    mark_out(lab, [wanted])
    lab.get_by_role("button", name="Pin the 1 lassoed candidates").click()
    lab.wait_for_function(f"p => {STATE}.pinned.has(p)", arg=wanted)
    pinned = picks(lab)
    assert wanted in pinned and len(pinned) == len(before), "a pin counts against the budget"
    lab.keyboard.press("x")
    lab.wait_for_function(f"p => {STATE}.vetoed.has(p)", arg=wanted)
    assert wanted not in picks(lab)
    strip = lab.locator(".psr-result")
    assert "+1 added / −1 dropped" in strip.inner_text()
    listed = lab.locator(".psr-grid .psr-bar.is-second .psr-num")
    assert listed.text_content() == f"{len(before)} picked", "a vetoed picture stands with them but is none"
    assert listed.get_attribute("title") == f"{len(before)} picked, 1 vetoed"
    assert lab.locator(".psr-live").inner_text().startswith("Marked. +1 / −1")
    strip.get_by_role("button", name=re.compile("^Revert: veto candidate")).click()
    lab.wait_for_function(f"p => {STATE}.pinned.has(p)", arg=wanted)
    assert picks(lab) == pinned
    undo(lab)
    assert picks(lab) == before
    rows = open_panel(lab, "history").locator(".psr-history-row")
    rows.first.wait_for()
    assert "undone" in rows.first.inner_text() and "veto candidate" in rows.first.inner_text()


def test_a_click_in_the_history_goes_to_that_moment(lab):
    before = picks(lab)
    for gamma in (4, 0):
        set_gamma(lab, gamma)
        lab.wait_for_timeout(1100)  # two drags, not one
    panel = open_panel(lab, "history")
    panel.get_by_role("button", name=re.compile("^Undo: ")).wait_for()
    panel.locator(".psr-history-row").nth(1).click()
    lab.wait_for_function(f"{STATE}.weights.gamma === 4")
    panel.get_by_role("button", name=re.compile("^Undo: ")).click()
    lab.wait_for_function(f"{STATE}.weights.gamma !== 4")
    assert picks(lab) == before


def test_keys_are_letters_in_text_fields_and_rest_behind_dialogs(lab):
    focus_on(lab, outsider(lab))
    name = open_panel(lab, "saved").get_by_label("Name of the selection")
    name.press_sequentially("pxc?")
    assert name.input_value() == "pxc?"
    name.fill("")
    lab.evaluate("document.activeElement.blur()")
    lab.keyboard.press("?")
    lab.locator("dialog[open]").wait_for()
    lab.keyboard.press("p")
    idle(lab)
    assert lab.evaluate(f"{STATE}.pinned.size + {STATE}.vetoed.size") == 0


def test_every_key_of_the_cheat_sheet_stands_in_the_docs(lab):
    lab.keyboard.press("?")
    sheet = lab.locator("dialog[open] kbd").all_inner_texts()
    assert len(sheet) > 30
    missing = [key for key in sheet if f"`{key}`" not in DOCS.read_text(encoding="utf-8")]
    assert not missing, f"docs/curate.md lacks {missing}"


def test_compare_shows_what_only_one_of_two_took(lab):
    first = picks(lab)
    save(lab, "first", "as the preset has it")
    wanted = outsider(lab)
    focus_on(lab, wanted)
    lab.get_by_role("button", name="Pin this candidate").click()
    lab.wait_for_function(f"p => {STATE}.pinned.has(p)", arg=wanted)
    live = picks(lab)
    lab.evaluate("document.activeElement.blur()")
    lab.keyboard.press("c")
    lab.wait_for_function(f"{STATE}.compare && {STATE}.compare.lists")
    lists = lab.evaluate(f"{STATE}.compare.lists")
    assert lists["a"] == sorted(set(first) - set(live)) and lists["b"] == [wanted]
    assert lists["both"] == sorted(set(first) & set(live))
    panel = lab.locator("#psr-dock-compare")
    assert f"{len(lists['both'])} of {len(first)} in common" in panel.inner_text()
    assert "Reliability" in panel.inner_text() and "Neither is evaluated" in panel.inner_text()
    panel.get_by_label("Selection A").select_option("live")
    panel.get_by_text("A and B are the same").wait_for()
    panel.get_by_label("Selection A").select_option("first")
    panel.get_by_role("button", name=re.compile("^only B")).wait_for()
    titles = "document.querySelector('.psr-compare-titles').innerText"
    lab.wait_for_function(f"{titles}.split(/\\s+/).join(' ') === 'A first B live both'")
    panel.get_by_role("button", name=re.compile("^only B")).click()
    assert lab.locator(".psr-tile").count() == 1
    assert int(lab.locator(".psr-tile").get_attribute("data-position")) == wanted
    for view in ("Split", "Overlay"):
        panel.get_by_role("button", name=view).click()
        lab.wait_for_timeout(300)
        assert colours_on_the_map(lab) == [True, True]
    focus_on(lab, None)
    lab.keyboard.press("Escape")
    assert lab.evaluate(f"{STATE}.compare") is None


def colours_on_the_map(page: Any) -> list[bool]:
    """Whether the colours of A and B are among the pixels."""
    return page.evaluate(
        """() => {
          const canvas = document.querySelector('.psr-compare-map canvas');
          const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          const seen = new Set();
          for (let i = 0; i < data.length; i += 4) seen.add([data[i], data[i + 1], data[i + 2]].join());
          const style = getComputedStyle(document.querySelector('.psr'));
          return ['--psr-a', '--psr-b'].map((name) => {
            const hex = style.getPropertyValue(name).trim();
            return seen.has([1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join());
          });
        }"""
    )


def test_a_neighbour_is_swapped_in_as_one_action(lab):
    before = picks(lab)
    chosen = before[0]
    focus_on(lab, chosen)
    row = lab.locator(".psr-neighbour").filter(has=lab.locator(".psr-swap:enabled")).first
    row.wait_for()
    into = int(row.locator(".psr-neighbour-picture").get_attribute("data-position"))
    row.locator(".psr-swap").click()
    lab.wait_for_function(f"p => {STATE}.picks.index[p] >= 0", arg=into)
    after = picks(lab)
    assert chosen not in after and len(after) == len(before)
    undo(lab)
    assert picks(lab) == before, "one step takes it back"


def test_a_reload_brings_back_tab_class_focus_view_and_marked_candidates(lab):
    lab.wait_for_function(f"{STATE}.mapSettled")  # a newer map would move what is compared below
    wanted = outsider(lab)
    mark_out(lab, [wanted, wanted + 1, 12])
    focus_on(lab, wanted)
    set_keys(lab, solo=0)
    lab.keyboard.press("+")
    lab.wait_for_function("location.hash.includes('view=') && location.hash.includes('marked=')")
    lab.wait_for_timeout(2000)  # which saved selection is on screen is asked for a moment later
    seen = [lab.evaluate("location.hash"), *screen_of(lab, 0)]
    lab.reload()
    idle(lab)
    lab.wait_for_function(f"p => {STATE}.focus === p", arg=wanted)
    assert selected(lab) == sorted({wanted, wanted + 1, 12}) and lab.evaluate(f"{STATE}.solo") == 0
    lab.wait_for_function("hash => location.hash === hash", arg=seen[0])
    assert screen_of(lab, 0) == pytest.approx(seen[1:], abs=1.0)
    lab.click("#psr-tab-export-button")
    lab.wait_for_function("location.hash.includes('tab=export')")
    lab.reload()
    lab.wait_for_selector("#psr-tab-export-button[aria-selected=true]")


def test_a_link_that_names_a_saved_selection_shows_it(lab, url):
    kept = picks(lab)
    save(lab, "kept")
    lab.wait_for_function("location.hash.includes('selection=kept')")
    set_gamma(lab, 5)
    focus_on(lab, outsider(lab))
    lab.get_by_role("button", name="Pin this candidate").click()
    lab.wait_for_function(f"{STATE}.pinned.size === 1")
    assert picks(lab) != kept
    lab.wait_for_function("!location.hash.includes('selection=')")
    lab.goto("about:blank")
    lab.goto(f"{url}#tab=curate&selection=kept")
    idle(lab)
    lab.wait_for_function(f"{STATE}.pinned.size === 0")
    assert picks(lab) == kept


def test_a_link_that_names_what_is_not_there_says_so(lab, url):
    lab.goto("about:blank")
    lab.goto(f"{url}#tab=curate&selection=gone&class=99&focus=0")
    idle(lab)
    lab.get_by_text('Not in this workspace: class 99, the selection "gone".').wait_for()
    assert lab.evaluate(f"{STATE}.focus") == 0


def test_a_saved_selection_keeps_its_note_and_is_deleted_only_when_asked_for(lab):
    open_panel(lab, "saved")
    name = lab.locator("#psr-save-name").get_by_label("Name of the selection")
    name.fill("a/b")
    lab.get_by_text("Letters, digits, spaces").wait_for()
    name.fill("from the bar")
    lab.click("#psr-save")
    lab.locator("#psr-dock-saved [data-name='from the bar']").wait_for()
    save(lab, "short-lived", "try <b>bold</b>")
    card = lab.locator("[data-name='short-lived']")
    assert "try <b>bold</b>" in card.inner_text(), "a note is text, never markup"
    card.get_by_role("button", name='Edit the note of "short-lived"').click()
    lab.locator("dialog[open]").get_by_label("Note").fill("better")
    lab.locator("dialog[open]").get_by_role("button", name="Keep").click()
    lab.get_by_text("better").wait_for()
    card.get_by_role("button", name='Delete "short-lived"').click()
    lab.locator("dialog[open]").get_by_role("button", name="Cancel").click()
    assert card.count() == 1
    card.get_by_role("button", name='Delete "short-lived"').click()
    lab.locator("dialog[open]").get_by_role("button", name="Delete").click()
    card.wait_for(state="detached")


def test_marked_candidates_are_exported_under_a_name(lab):
    mark_out(lab, [1, 7, 13])
    lab.keyboard.press("e")
    dialog = lab.locator("dialog[open]")
    dialog.get_by_label("Name").fill("three")
    dialog.get_by_role("button", name="Save for export").click()
    lab.locator(".psr-news", has_text='3 images are saved as "three".').wait_for()
    assert {"three": 3} == {
        s["name"]: s["images"] for s in lab.evaluate(f"{STATE}.saved") if s["name"] == "three"
    }


def test_the_grid_builds_only_the_rows_in_view(lab):
    """6,000 candidates in a grid 600 px high: a few dozen tiles at any time, at the top and at the end."""
    seen = lab.evaluate(
        """async () => {
          const from = (name) => import(new URL(`psr/static/${name}.js`, document.baseURI).href);
          const [{ createGrid }, { INITIAL, createStore }, { makeSelection }] = await Promise.all(
            ['grid/grid', 'core/store', 'core/selection'].map(from));
          const n = 6000;
          const floats = () => new Float32Array(n);
          const store = createStore({ ...INITIAL, gridMode: 'pool' });
          const actions = { focus: (focus) => store.set({ focus }) };
          const grid = createGrid({ store, actions, api: {}, library: {}, search: {} });
          const host = document.createElement('div');
          host.className = 'psr';
          Object.assign(host.style, { position: 'fixed', inset: '0', width: '400px', height: '600px' });
          grid.node.style.height = '600px';
          host.append(grid.node);
          document.body.append(host);
          store.set({
            phase: 'ready', info: { n, n_classes: 2, class_names: ['a', 'b'], counts: [3000, 3000], variations: {} },
            points: { label: Uint16Array.from({ length: n }, (_, i) => Number(i >= 3000)), rel_n: floats(),
              ent_n: floats(), diversity: floats(), reliability: floats(), eligible: new Uint8Array(n) },
            sprites: { starts: [0, 3000, 6000], paint() {} }, selection: makeSelection(n, []),
          });
          grid.resize();
          const { scroller } = grid;
          const tiles = async (top) => {
            scroller.scrollTop = top;
            await new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)));
            return [...host.querySelectorAll('.psr-tile')].map((t) => Number(t.dataset.position));
          };
          const [top, middle, end] = [await tiles(0), await tiles(scroller.scrollHeight / 2),
            await tiles(scroller.scrollHeight)];
          grid.selectAll();
          const answer = { listed: host.querySelector('.psr-bar.is-second .psr-num').textContent,
            counts: [top, middle, end].map((t) => t.length), first: top[0], last: end[end.length - 1],
            marked: store.data.selection.count };
          host.remove();
          return answer;
        }"""
    )
    assert seen["listed"] == "6,000 listed" and (seen["first"], seen["last"]) == (0, 5999)
    assert 0 < max(seen["counts"]) < 150, seen
    assert seen["marked"] == 6000, "Ctrl+A marks what is listed, built or not"
