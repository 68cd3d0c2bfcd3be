"""From pictures alone to an exported set on the page: an empty workspace, a zip, a taught teacher, all five tabs.

Set PSR_WALK_SHOTS to a folder to keep a screenshot of each stage.
"""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from browsing import STATE, browser_page, focus_on, idle, open_tab, picks
from own_pictures import NAMES, write_pictures, write_teacher
from running import running_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]
N_MADE, N_REAL = 6, 16


def test_a_zip_of_own_classes_becomes_an_exported_set(chromium, tmp_path, monkeypatch):
    """Nobody writes a file: the classes, the size, the split and the teacher come from the pictures."""
    write_pictures(tmp_path / "made", N_MADE)
    packed = shutil.make_archive(str(tmp_path / "fruit"), "zip", tmp_path / "made")
    real = shutil.make_archive(
        str(tmp_path / "photographs"), "zip", write_pictures(tmp_path / "real", N_REAL, first=50)
    )
    backbone = write_teacher(tmp_path / "backbone", ("sky", "tree"))  # other classes than these
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with (
        running_app(tmp_path / "empty", "--preset", "imagenette-photos") as url,
        browser_page(chromium) as page,
    ):
        page.goto(url)
        open_tab(page, "pool")
        made(page, packed, real, tmp_path / "mine")
        opened(page, tmp_path / "mine")
        taught(page, tmp_path / "mine", backbone)
        press(page, "#psr-score", "score", "pool")
        curated(page)
        refinement_is_off(page)
        evaluated(page)
        exported(page)
        assert not page.complaints, page.complaints
    assert {path.name for path in tmp_path.glob("*.toml")} == set()


def made(page: Any, packed: str, real: str, workspace: Path) -> None:
    """Two uploads; look, which writes nothing, then the project."""
    field(page, "new-name").fill("mine")
    for place, file in (("pictures", packed), ("real", real)):
        page.locator(f"#psr-new-{place}-file input[type=file]").set_input_files(file)
        page.locator(f"#psr-new-{place}-file").get_by_text(Path(file).name).first.wait_for()
    page.click("#psr-new-look")
    found = page.locator("#psr-new-found")
    for words in (
        "18 pictures of 3 classes, 6 of each: apple (6), plum (6), sky (6)",
        "48 pictures of 3 classes, 16 of each",
        "They become 32 x 32; the teacher is still to come",
        "20% of each class are drawn for the test",
        "No teacher that is here knows",
    ):
        found.get_by_text(words).wait_for()
    seen = "document.querySelector('#psr-new-found').getBoundingClientRect().bottom <= innerHeight"
    page.wait_for_function(seen)  # the answer is scrolled to
    assert not workspace.exists()
    shot(page, "look")
    page.click("#psr-new-make")
    found.get_by_text("Imported 18 pictures of 3 classes").wait_for()
    found.get_by_text('Open it from the list under "empty" at the top').wait_for()


def opened(page: Any, workspace: Path) -> None:
    """By the list at the top, where it stands."""
    page.click(".psr-top-project")
    page.locator(".psr-recent").get_by_text("mine", exact=True).click()
    page.locator(".psr-top-project", has_text="mine").wait_for()
    open_tab(page, "pool")
    page.get_by_text("none yet").first.wait_for()  # its teacher, in the bar
    assert (workspace / "mine.toml").is_file()


def taught(page: Any, workspace: Path, backbone: Path) -> None:
    """A head on a network that knows other classes; used by one press. The project's own real pictures are named."""
    assert [Path(field(page, "teach-images").input_value())] == list(workspace.glob("real-*"))
    page.locator("#psr-teach").get_by_role("textbox", name="Backbone").fill(str(backbone))
    press(page, "#psr-teach-run", "teach", "pool")
    page.locator("#psr-teach").get_by_text("right, calibration error").first.wait_for()
    page.click("#psr-teach-use")
    page.locator("#psr-teach").get_by_text("and in use").wait_for()
    shot(page, "taught")


def curated(page: Any) -> None:
    """Two of each class, and whose label each has."""
    open_tab(page, "curate")
    idle(page)
    page.locator(".psr-slider[data-key='ipc'] input[type=range]").fill("2")
    page.wait_for_function(f"{STATE}.picks.order.length === 6")
    focus_on(page, picks(page)[0])
    page.get_by_text("Soft label of the teacher").wait_for()
    shot(page, "curate")
    page.click("#psr-save")
    page.wait_for_selector("#psr-curate-status [data-state='fresh']")


def refinement_is_off(page: Any) -> None:
    """Nothing can be refined without a generator, and the tab says what would turn it on."""
    open_tab(page, "refine")
    off = page.locator("#psr-tab-refine [data-state='off']")
    off.get_by_text("Name the folder of a generator").first.wait_for()


def evaluated(page: Any) -> None:
    """The picks and their controls, on the pictures held back for the test."""
    open_tab(page, "evaluate")
    page.get_by_label("Epochs").fill("2")
    page.get_by_label("Seeds").fill("1")
    press(page, "#psr-evaluate", "evaluate", "evaluate")
    rows = page.locator("#psr-results table").first.locator("tbody tr")
    rows.nth(3).wait_for()
    page.get_by_text("All 4 students are trained.", exact=True).wait_for()
    assert sorted(row.split("\t")[0] for row in rows.all_inner_texts()) == [
        "generate-and-use", "random real", "random real", 'selected "current"',
    ]  # fmt: skip
    shot(page, "evaluate")


def exported(page: Any) -> None:
    """Six pictures in folders of the classes."""
    open_tab(page, "export")
    press(page, "#psr-export", "export", "export")
    with page.expect_download() as saved:
        page.click(".psr-download")
    packed = zipfile.ZipFile(io.BytesIO(Path(saved.value.path()).read_bytes()))
    folders = [Path(name).parent.name for name in packed.namelist() if name.endswith(".png")]
    assert len(folders) == 6 and {folder.partition("_")[2] for folder in folders} == set(NAMES)
    shot(page, "export")


def field(page: Any, name: str) -> Any:
    """The text field of a control by its id."""
    return page.locator(f"#psr-{name} :is(input, textarea)")


def press(page: Any, button: str, stage: str, card: str) -> None:
    """Press a button and wait for the end of its job; a failed one says why."""
    page.click(button)
    job = f"#psr-job-{card} .psr-job[data-stage='{stage}']"
    ended = page.wait_for_selector(f"{job}[data-state='done'], {job}[data-state='failed']")
    assert ended.get_attribute("data-state") == "done", ended.inner_text()


def shot(page: Any, name: str) -> None:
    """Keep what the page shows, where that is asked for."""
    if folder := os.environ.get("PSR_WALK_SHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"pictures-{name}.png")
