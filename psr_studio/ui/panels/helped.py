"""The accordion "Which picks helped" of the Evaluate tab: picks judged as a job, the pictures with what they did."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from psr_studio.core.errors import SelectionError, StudioError
from psr_studio.core.words import plural
from psr_studio.recipe.schema import Recipe
from psr_studio.stages.evaluate.influence import GROUPINGS, Helped, Influence
from psr_studio.stages.helped import STAGE
from psr_studio.ui.markup import linked_picture, linked_pictures, note, shelf
from psr_studio.ui.panels.controls import WIDE
from psr_studio.ui.panels.estimate import empty_note
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.panels.set_pictures import addresses
from psr_studio.ui.press import answered
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import PRESSED, QUIET, said

BY_GRADIENTS, LEAVE_OUT = "gradients", "leave-out"
WAYS = (("Gradient agreement", BY_GRADIENTS), ("Leaving out", LEAVE_OUT))
ALL_CLASSES = -1
MOST = 12  # pictures of a list
TAG = "idle"
ABOUT = (
    "What picks did for held-out real images, never the test images: by how their gradients agree with those, or by "
    "training without them. Students are those of the results above, trained again; what each says is kept."
)
JUDGING = "Picks are being judged: they stand here when the first students are done."
EMPTY = f'No picks are judged in this way yet: press "{STAGE.verb}".'
TAG_HELP = "Given to the picks that did not help, and taken from the others judged."
TAG_AND_OPEN = "Tag what did not help, open in Curate"
# The page leads to what has the tag once the studio has given it.
OPEN = """(given) => {
  const tag = given.trim();
  const find = tag.includes(',') ? `tag "${tag}"` : `tag ${tag}`;
  location.hash = new URLSearchParams({ tab: 'curate', find }).toString();
}"""


class HelpedPanel:
    """Way and grouping, what judging costs, and two lists; all pages show what was chosen last.

    Args:
        jobs: where its job is shown.
        recipe: that of the results which the tab speaks of.
    """

    def __init__(self, screen: Screen, jobs: JobPanel, recipe: Callable[[], Recipe]) -> None:
        self.screen, self.jobs, self._recipe = screen, jobs, recipe
        last = screen.worker.latest(STAGE.name)
        asked = last.params if last else {}
        self.by = asked.get("by", GROUPINGS[0])
        self.way = LEAVE_OUT if asked.get("leave_out") else BY_GRADIENTS
        self.class_id = ALL_CLASSES
        # Answers of `on_show`: one that took long may have come after what was drawn from a job since.
        self._answers = 0

    def build(self) -> None:
        """Draw it here, with its events."""
        with gr.Accordion("Which picks helped", open=False, elem_id="psr-helped"), gr.Row():
            with gr.Column(scale=4, min_width=300):
                gr.HTML(note(ABOUT))
                self.chosen_way = gr.Radio(WAYS, value=self.way, label="Judge by", elem_id="psr-helped-way")
                self.chosen_by = gr.Dropdown(
                    GROUPINGS, value=self.by, label="One by one, or together", elem_id="psr-helped-by",
                    info="Each pick, the picks of each rank in their class, or those of each class.",
                )  # fmt: skip
                self.todo = gr.HTML(elem_id="psr-helped-todo")
                run = gr.Button(STAGE.verb, variant="primary", elem_id="psr-helped-run")
            with gr.Column(scale=8, min_width=480):
                self.words = gr.HTML(elem_id="psr-helped-words")
                self.chosen_class = self._classes(False, label="Class", elem_id="psr-helped-class")
                self.lists = gr.HTML(elem_id="psr-helped-lists")
                with gr.Row(visible=False, elem_id="psr-helped-tagging") as self.tagging:
                    self.tag = gr.Textbox(
                        TAG,
                        label="Tag",
                        info=TAG_HELP,
                        max_lines=1,
                        elem_id="psr-helped-tag",
                        elem_classes=WIDE,
                    )
                    tag = gr.Button(TAG_AND_OPEN, elem_id="psr-helped-open")
                self.tagged = gr.HTML(elem_id="psr-helped-tagged")
        chosen = [self.chosen_way, self.chosen_by, self.chosen_class]
        for control in chosen:
            answered(control.input, self.on_show, chosen, self.outputs[2:], **QUIET)
        self.jobs.starts(run, self.on_run, chosen[:2])
        pressed = answered(tag.click, said(self.on_tag), self.tag, self.tagged, **PRESSED)
        pressed.success(None, self.tag, None, js=OPEN, **QUIET)

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        chosen = [self.chosen_way, self.chosen_by, self.chosen_class]
        return [*chosen, self.todo, self.words, self.lists, self.tagging]

    def version(self) -> Hashable:
        """Changes with every student by which picks are judged, and with what is judged."""
        ledger, status = self.screen.studio.workspace.ledger, self.screen.status()
        return (
            (self.way, self.by, self.class_id, self._answers),
            ledger.n_judged(),
            [(record.name, record.created) for record in ledger.selections()],
            self._recipe(),
            (status["refine"], status["evaluate"]),
            self.screen.works_on(STAGE.name),
        )

    def values(self) -> list[Any]:
        """What is chosen, what is left to do, and the lists."""
        return [self.way, self.by, *self._drawn()]

    def on_show(self, way: str, by: str, class_id: int) -> list[Any]:
        """Show another way, grouping or class."""
        self.way, self.by, self.class_id = way, by, class_id
        drawn = self._drawn()
        self._answers += 1
        return drawn

    def on_run(self, way: str, by: str) -> None:
        """Queue the students that are missing; what is refused is not queued."""
        self.way, self.by = way, by
        found = self._found()
        found.check()
        forms: dict[str, Any] = {"evaluate.arms": list(found.recipe.evaluate.arms)}
        self.screen.worker.submit(STAGE.name, by=by, leave_out=found.leave_out, **forms)

    def on_tag(self, tag: str) -> str:
        """Give the tag to the picks that did not help."""
        found = self._found()
        ids = found.ids(helping=False)
        if found.found and not ids:
            raise SelectionError(
                f"All {plural(len(found.picks), 'pick')} helped, so there is none to tag.",
                'Choose another way under "Judge by", or look at those that helped least.',
            )
        self.screen.workbench.act(lambda: found.tag(tag))
        return note(f'{plural(len(ids), "pick")} with the tag "{tag.strip()}".')

    # Inside

    def _found(self) -> Helped:
        arms = self._recipe().evaluate.arms
        return self.screen.studio.judged(self.by, self.way == LEAVE_OUT, **{"evaluate.arms": arms})

    def _drawn(self) -> list[Any]:
        """The class where there is a choice, what is left to do, what was judged, the lists, and what can be tagged."""
        nothing = self._classes(False), gr.Row(visible=False)
        try:
            found = self._found()
            todo = "" if self.screen.works_on(STAGE.name) else note(found.todo_text)
            if not found.found:
                words = empty_note(self.screen, STAGE, EMPTY, JUDGING)
                return [nothing[0], todo, words, "", nothing[1]]
            return [
                self._classes(self.by == GROUPINGS[0]),
                todo,
                note(found.title) + note(found.about),
                self._lists(found),
                gr.Row(visible=bool(found.ids(helping=False))),
            ]
        except StudioError as err:  # such as a selection that is not saved yet
            return [nothing[0], "", note(f"{err.problem} {err.fix}"), "", nothing[1]]

    def _classes(self, visible: bool, **words: Any) -> gr.Dropdown:
        names = self.screen.studio.bundle.class_names
        choices = [("All classes", ALL_CLASSES), *((name, i) for i, name in enumerate(names))]
        return gr.Dropdown(choices, value=self.class_id, visible=visible, **words)

    def _lists(self, found: Helped) -> str:
        """What helped, most helpful first, and what did not, most harmful first."""
        shown = [one for one in found.ranked() if self._is_shown(one)]
        if not shown:
            return note("No picks of this class.")
        helped = [one for one in shown if one.worth > 0]
        harmful = [one for one in reversed(shown) if one.worth <= 0]
        of = plural(len(shown), found.by, "classes" if found.by == "class" else "")
        measure = "loss gain" if found.leave_out else "agreement"
        lists = (("Helped", "helpful", helped), ("Did not help", "harmful", harmful))
        return "".join(
            self._list(found, title, f"{len(ranked)} of {of}, most {kind} first, by {measure}", ranked)
            for title, kind, ranked in lists
        )

    def _is_shown(self, one: Influence) -> bool:
        return self.by != GROUPINGS[0] or self.class_id in (ALL_CLASSES, one.group.class_id)

    def _list(self, found: Helped, title: str, facts: str, ranked: Sequence[Influence]) -> str:
        if not ranked:
            return linked_pictures(title, facts, "", ())
        rows = [row for one in ranked for row in one.group.rows]
        drawn = self._picks if found.by == "pick" else self._groups
        pictures, more = drawn(found, ranked[:MOST]), len(ranked) - MOST
        rest = note(f"And {more:,} more: all open in Curate.") if more > 0 else ""
        return linked_pictures(title, facts, self._address(found, rows), pictures) + rest

    def _picks(self, found: Helped, ranked: Sequence[Influence]) -> list[str]:
        rows = [one.group.rows[0] for one in ranked]
        return [
            linked_picture(source, self._address(found, [row]), one.group.name, one.worth_text, _facts(one))
            for one, row, source in zip(ranked, rows, self._sources(found, rows), strict=True)
        ]

    def _groups(self, found: Helped, ranked: Sequence[Influence]) -> list[str]:
        rows = [row for one in ranked for row in one.group.rows[:MOST]]
        sources = dict(zip(rows, self._sources(found, rows), strict=True))
        return [
            shelf(one.group.name, _facts(one), [sources[row] for row in one.group.rows[:MOST]])
            for one in ranked
        ]

    def _sources(self, found: Helped, rows: Sequence[int]) -> list[str]:
        refined = found.arm.selection if found.arm.form == "refined" else ""
        return addresses(self.screen, [found.picks[row] for row in rows], refined)

    def _address(self, found: Helped, rows: Sequence[int]) -> str:
        """Curate with these picks marked out; a single one is shown in full."""
        positions = sorted(self.screen.studio.pool.positions([found.picks[row] for row in rows]).tolist())
        focus = {"focus": positions[0]} if len(positions) == 1 else {}
        marked = ",".join(map(str, positions))
        return f"#{urlencode({'tab': 'curate', **focus, 'marked': marked}, safe=',')}"


def _facts(one: Influence) -> str:
    """All numbers of a row."""
    numbers = ", ".join(f"{name} {value}" for name, value in one.numbers.items())
    images = f"{plural(len(one.group.rows), 'image')}, " if len(one.group.rows) > 1 else ""
    return f"{images}{numbers}, n = {len(one.agreement)}"
