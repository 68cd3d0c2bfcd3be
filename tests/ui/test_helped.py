"""Which picks helped, on screen: the cost before the press, a job, lists of pictures, and from there to Curate."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import pytest
from browsing import STATE, idle, open_tab, selected
from serving import serving
from tiny import finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.cli.main import main
from psr_studio.core.errors import SelectionError
from psr_studio.stages import speeds
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.ui.panels.helped import ALL_CLASSES, BY_GRADIENTS, EMPTY, LEAVE_OUT, HelpedPanel
from psr_studio.ui.panels.picker import SelectionPicker
from psr_studio.ui.panels.set_pictures import SetPictures

PICKS = 6  # two of each of three classes


@pytest.fixture
def panel(evaluate_tab) -> HelpedPanel:
    """The one of the Evaluate tab, whose job card shows its job."""
    assert evaluate_tab.helped in evaluate_tab.panes()
    return evaluate_tab.helped


def shown(panel: HelpedPanel) -> tuple[str, str, str]:
    """What is left to do, the words, and the lists."""
    *_, todo, words, lists, _ = panel.values()
    return unescape(todo), unescape(words), unescape(lists)


def order(lists: str) -> list[str]:
    """The names below the pictures, in their order."""
    return [
        part.partition("<")[0] for part in lists.split("<span>")[1:] if "most" not in part.partition("<")[0]
    ]


def test_what_judging_costs_is_said_before_it_is_pressed(panel, screen):
    studio = screen.studio
    todo, words, lists = shown(panel)
    assert (
        f"To do: 2 students, one for each seed, and the gradients of {PICKS} picks. {speeds.UNKNOWN}" in todo
    )
    assert EMPTY in words and lists == "" and len(panel.outputs) == len(panel.values())
    panel.on_show(LEAVE_OUT, "pick", ALL_CLASSES)
    todo, *_ = shown(panel)
    assert "To do: 14 students, for each seed one with all picks and one without each pick. " in todo
    recipe = studio.recipe.with_values({"evaluate.arms": ["selected"]})
    size = replace(evaluate.size(studio.workspace, recipe, studio.bundle), units=1)
    speeds.learn(studio.workspace, "evaluate", studio.recipe, size, 3.0)
    todo, *_ = shown(panel)
    # Two students with 6 picks and 12 with 5 for 3 epochs, 12 held-out images for a third, 18 gradients of the two.
    assert 3 * (3 * (12 + 60) + 14 * 4 + 2 * 18) == 924
    assert "without each pick, about 15 min 24 s at the speed last measured here." in todo


def test_judging_is_a_job_that_trains_what_is_missing(panel, screen):
    events = screen.studio.helped(by="class", leave_out=True, **{"evaluate.arms": ["selected"]})
    next(event for event in events if event.part_done)
    events.close()
    panel.on_show(LEAVE_OUT, "class", ALL_CLASSES)
    assert "To do: 7 of 8 students" in shown(panel)[0]
    before = panel.version()
    panel.on_run(LEAVE_OUT, "class")
    job = screen.worker.wait(screen.worker.latest("helped").id, timeout=120)
    assert (job.state, job.done, job.total) == ("done", 24, 24), job.problem
    assert "Judging picks: done" in panel.jobs.values()[0].value and panel.version() != before
    todo, words, lists = shown(panel)
    assert "Judged by 8 students: nothing is left to do." in todo
    assert 'Selected "current" with labels "teacher, tau 1.5"' in words and "n = 2, seeds 0, 1." in words
    assert lists.count("<img") == PICKS and "2 images, agreement" in lists and "loss gain" in lists
    other = HelpedPanel(screen, panel.jobs, lambda: screen.studio.recipe)
    assert (other.way, other.by) == (LEAVE_OUT, "class"), "a page opened later shows what ran last"


def test_what_is_known_shows_at_once_most_helpful_and_most_harmful_first(panel, screen):
    finish(screen.studio.helped(**{"evaluate.arms": ["selected"]}))
    found = screen.studio.judged()
    ranked = [one.group for one in found.ranked()]
    helped = [one.group.name for one in found.ranked() if one.worth > 0]
    assert 0 < len(helped) < PICKS, "the seeds give some of both"
    _, words, lists = shown(panel)
    assert "n = 2, seeds 0, 1." in words
    names = [group.name for group in ranked]
    assert order(lists) == [*helped, *reversed(names[len(helped) :])]
    assert f"{len(helped)} of {PICKS} picks, most helpful first" in lists
    (position,) = screen.studio.pool.positions([ranked[0].candidate_id])
    assert f'href="#tab=curate&focus={position}&marked={position}"' in lists
    assert found.ranked()[0].worth_text in lists and f"psr/image/{ranked[0].candidate_id}.png" in lists
    panel.on_show(BY_GRADIENTS, "pick", 1)
    assert sorted(order(shown(panel)[2])) == sorted(g.name for g in ranked if g.class_id == 1)


def test_the_refined_pictures_are_shown_where_these_were_judged(panel, screen):
    finish(screen.studio.refine())
    screen.forget_status()
    panel.on_run(BY_GRADIENTS, "pick")
    assert screen.worker.wait(screen.worker.latest("helped").id, timeout=120).state == "done"
    _, words, lists = shown(panel)
    assert 'Refined "current"' in words and lists.count("psr/refined/current/") == PICKS


def test_the_tag_goes_to_what_did_not_help_as_one_action(panel, screen):
    ledger = screen.studio.workspace.ledger
    with pytest.raises(SelectionError, match="No picks are judged"):
        panel.on_tag("idle")
    finish(screen.studio.helped(**{"evaluate.arms": ["selected"]}))
    found = screen.studio.judged()
    helping, idle = (set(found.ids(helping=on)) for on in (True, False))
    ledger.set_tag(helping, "idle")
    words = panel.on_tag(" idle ")
    assert f'{len(idle)} picks with the tag "idle".' in unescape(words)
    assert set(ledger.tagged()["idle"]) == idle
    screen.workbench.undo()
    assert set(ledger.tagged()["idle"]) == helping
    with pytest.raises(SelectionError, match="cannot be a tag"):
        panel.on_tag('a"b')


def test_what_cannot_be_judged_is_refused_and_not_queued(panel, screen):
    finish(screen.studio.select(ipc=1))
    with pytest.raises(SelectionError) as err:
        panel.on_run(LEAVE_OUT, "rank")
    assert "There is 1 group" in err.value.problem and screen.worker.latest("helped") is None
    assert "There is 1 group" in shown(panel)[1], "what was chosen is said to be so"


def test_without_a_selection_all_panels_name_the_button_that_saves_one(panel, screen):
    for record in screen.studio.workspace.ledger.selections():
        screen.studio.workspace.ledger.delete_selection(record.name)
    told = 'No selection is saved in this workspace. Press "Save selection as" on the Curate tab first.'
    todo, words, lists = shown(panel)
    assert told in words and not todo and not lists
    drawn = SetPictures(SelectionPicker(screen)).drawn("", refined=False)
    assert told in unescape(drawn).replace("\n", " ")


# In a browser


@pytest.fixture(scope="module")
def judged(tmp_path_factory, scored_workspace, tiny_bundle) -> Iterator[tuple[str, dict[int, float]]]:
    """A studio on a workspace where the command line has judged the picks, and what each did by its position."""
    root = tmp_path_factory.mktemp("helped") / "ws"
    shutil.copytree(scored_workspace, root)
    Studio(root, tiny_recipe(tiny_bundle, evaluate__n_seeds=1, evaluate__arms=["selected"])).close()
    assert main(["helped", "-w", str(root), "--leave-out", "--quiet"]) == 0
    with Studio(root) as studio:
        found = studio.judged(leave_out=False).found
        (positions,) = [studio.pool.positions([one.group.candidate_id for one in found]).tolist()]
        worth = {p: one.worth for p, one in zip(positions, found, strict=True)}
    with serving(root) as address:
        yield address, worth


@pytest.mark.browser
def test_a_press_leads_from_what_did_not_help_to_these_candidates(browser, judged):
    url, worth = judged
    ranked = sorted(worth, key=lambda position: -worth[position])
    harmful = sorted(position for position in worth if worth[position] <= 0)
    browser.goto(f"{url}#tab=evaluate")
    browser.click("#psr-helped > .label-wrap")
    browser.locator("#psr-helped-words").get_by_text("n = 1, seed 0.").wait_for()
    pictures = browser.locator("#psr-helped-lists .psr-linked")
    assert pictures.count() == PICKS
    assert all(
        pictures.locator("img").evaluate_all("all => all.map((img) => img.src.includes('psr/image/'))")
    )
    pictures.first.click()
    browser.wait_for_function(f"window.workbench && {STATE}.focus === {ranked[0]}")
    idle(browser)
    assert selected(browser) == [ranked[0]]
    open_tab(browser, "evaluate")
    browser.locator("#psr-helped-lists a:text('Open in Curate')").last.click()
    browser.wait_for_function(f"{STATE}.selection.count === {len(harmful)}")
    assert selected(browser) == harmful
    open_tab(browser, "evaluate")
    browser.fill("#psr-helped-tag input, #psr-helped-tag textarea", "dull, flat")
    browser.click("#psr-helped-open")
    browser.wait_for_function(f"{STATE}.found === 'tag \"dull, flat\"'")
    idle(browser)
    assert selected(browser) == harmful
    browser.wait_for_function(f"'dull, flat' in {STATE}.tags")


@pytest.mark.browser
def test_a_press_judges_and_the_lists_follow(browser, judged):
    url, _ = judged
    browser.goto("about:blank")
    browser.goto(f"{url}#tab=evaluate")
    browser.click("#psr-helped > .label-wrap")
    browser.click("#psr-helped-way label:has-text('Leaving out')")
    browser.locator("#psr-helped-lists").get_by_text("most helpful first").wait_for()
    browser.click("#psr-helped-by input")
    browser.get_by_role("option", name="rank", exact=True).click()
    browser.locator("#psr-helped-todo").get_by_text("To do: 2 of 3 students").wait_for()
    browser.click("#psr-helped-run")
    browser.locator("#psr-job-evaluate").get_by_text("Judging picks: done").wait_for()
    browser.locator("#psr-helped-lists h4:has-text('rank 1')").wait_for()
    browser.locator("#psr-helped-todo").get_by_text("Judged by 3 students").wait_for()
