"""Evaluate: train students on the set and on its controls; an accuracy never stands alone."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import gradio as gr

from psr_studio.app.jobs import JobState
from psr_studio.core.errors import StudioError
from psr_studio.core.files import absolute_path
from psr_studio.recipe.rules import ByRule
from psr_studio.recipe.schema import PROTOCOL_NUMBERS, Recipe, SelectRecipe
from psr_studio.stages.evaluate import stage as evaluate
from psr_studio.stages.evaluate.comparing import DIFFERENCE_HEAD, PAIRED, RANKING_HEAD, differences, rankings
from psr_studio.stages.evaluate.given import check_given
from psr_studio.stages.table import stages_of
from psr_studio.ui.curate.island import AS_SHOWN
from psr_studio.ui.markup import loading, note, table
from psr_studio.ui.panels.by_class import ByClassPanel
from psr_studio.ui.panels.controls import Settings
from psr_studio.ui.panels.estimate import empty_note, state_line, todo_note
from psr_studio.ui.panels.frame import box, halves, head, side, side_body, side_foot, step, work
from psr_studio.ui.panels.helped import HelpedPanel
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.panels.picker import LOOK_AGAIN, SelectionPicker
from psr_studio.ui.panels.studies import StudiesPanel
from psr_studio.ui.plots.curves import Curve, accuracy_figure, live_curves
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import LABELS, QUIET

FORMS, REFINED, SELECTED = "evaluate.arms", "refined", "selected"
SETS, TEST_IMAGES = "evaluate.sets", "evaluate.test_images"
PROTOCOL = "evaluate.protocol"
HEAD = "Trained on|Labels|Protocol|Student|Epochs|IPC|Images|n|Last %|Best %|ECE %|Seconds|Set|Trained".split(
    "|"
)
COUNTED = DIFFERENCE_HEAD[2:5]  # columns of numbers
ABOUT = (
    "Mean and standard deviation over n students. The last epoch is the result; the best one was chosen on "
    "the test set and only shows the spread. ECE is how far confidence and accuracy lie apart, last epoch. "
    "Controls get the same student, seeds and number of images."
)
RANKED = (
    "DD-Ranking: HLR is what the set loses to all real images, both with hard labels; IOR what it gains on random real "
    "ones in its own way; LRS and ARS join such differences with and without soft labels, and augmentation."
)
ELSEWHERE = (
    "Sets are trained on as they lie, beside the selection: a folder, an archive, tables, tensors or a workspace, by a "
    "path on the machine that runs the studio."
)
EMPTY = 'No student is trained on this selection yet. Press "Evaluate": its controls are trained beside it.'
TRAINING = "The students are being trained: a row stands here when the first of its students is done."


class EvaluateTab:
    """The fourth tab."""

    id = evaluate.STAGE.tab

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.jobs = JobPanel(screen, stages_of(self.id))
        self.studies = StudiesPanel(screen, self.jobs)
        self.picker = SelectionPicker(screen)
        self.by_class = ByClassPanel(screen)
        self.helped = HelpedPanel(screen, self.jobs, self._recipe)
        saved = [record.name for record in screen.studio.workspace.ledger.selections()]
        students = evaluate.students(screen.studio.bundle)  # other names can be typed
        self.settings = _EvaluateSettings(
            self.picker, {"evaluate.student": students, "evaluate.compare": saved, SETS: ()}
        )

    def build(self) -> None:
        """Draw it here."""
        with step():
            with side():
                with side_body():
                    self._settings()
                with side_foot():
                    self.run = gr.Button("Evaluate", variant="primary", elem_id="psr-evaluate")
            with work():
                self.jobs.build()
                with box():
                    head("Results")
                    self.table = gr.HTML(loading(), elem_id="psr-results")
                with box(visible=False) as self.against:
                    head("Against the controls")
                    self.differences = gr.HTML(elem_id="psr-differences")
                with halves():
                    self.plot = gr.Plot(show_label=False, visible=False)
                    self.by_class.build()
                self.helped.build()
                with gr.Accordion("All results of this workspace", open=False):
                    self.history = gr.HTML()
                self.studies.build()

    def _settings(self) -> None:
        self.status = gr.HTML()
        self.picker.build("psr-evaluate-selection")
        self.settings.add("evaluate.student", allow_custom_value=True)
        self.settings.add(PROTOCOL, "evaluate.labels")
        self.about = gr.HTML(elem_id="psr-protocol")
        self.settings.add("evaluate.n_seeds", "evaluate.epochs", "evaluate.arms", "evaluate.controls")
        with gr.Accordion("More settings", open=False):
            self.settings.add("evaluate.compare", allow_custom_value=True)
            self.settings.add("evaluate.batch_size", "evaluate.lr", "evaluate.momentum")
            self.settings.add("evaluate.weight_decay", "evaluate.seed", "evaluate.n_checks")
            self.settings.add("evaluate.augment", "evaluate.mirrored", "evaluate.full")
        with gr.Accordion("Sets from elsewhere", open=False, elem_id="psr-elsewhere"):
            gr.HTML(note(ELSEWHERE))
            self.settings.add(SETS, allow_custom_value=True)
            self.settings.add("evaluate.set_labels", TEST_IMAGES, "evaluate.test_set")

    def connect(self, *_: Any) -> None:
        """Events."""
        self.settings.told_by(self.status, self._state, "Evaluate")
        numbers = [self.settings.controls[key] for key in PROTOCOL_NUMBERS]
        protocol = self.settings.controls[PROTOCOL]
        self.picker.dropdown.input(
            self.on_selection, [self.picker.dropdown, protocol, *numbers], numbers, **QUIET
        )
        protocol.input(self.on_protocol, [self.picker.dropdown, protocol], [self.about, *numbers], **QUIET)
        inputs = [self.picker.dropdown, *self.settings.outputs, self.picker.shown]
        self.jobs.starts(self.run, self.on_evaluate, inputs, js=AS_SHOWN).then(None, js=LOOK_AGAIN, **QUIET)

    def panes(self) -> list[Any]:
        """Itself and its parts."""
        folded = [self.helped, self.studies]
        return [self, self.jobs, self.picker, self.by_class, *folded, *self.settings.parts()]

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        compared = [self.against, self.differences]
        return [self.status, self.table, *compared, self.plot, self.history, self.about]

    def version(self) -> Hashable:
        """Changes with every trained student and with every new point of a live curve."""
        job = self.jobs.job()
        live = sum(map(len, live_curves(job.curves).values())) if job and job.active else 0
        return (
            self.screen.status()["evaluate"],
            [record.name for record in self.screen.studio.workspace.ledger.selections()],
            self.screen.studio.recipe.select.name,
            live,
            self.screen.studio.recipe.evaluate,
            self.screen.works_on(evaluate.STAGE.name),
        )

    def values(self) -> list[Any]:
        """The state, the results and the curves."""
        studio = self.screen.studio
        state = self._state()
        try:
            rows = studio.table()
        except StudioError:  # the state above says why
            rows = []
        curves = self._curves(self.jobs.job())
        title = f"{studio.recipe.evaluate.student}, protocol {studio.recipe.evaluate.protocol}"
        figure = gr.Plot(accuracy_figure(curves, title), visible=True) if curves else gr.Plot(visible=False)
        history = evaluate.history(studio.workspace)
        return [
            state,
            self._results(rows) + note(ABOUT)
            if rows
            else empty_note(self.screen, evaluate.STAGE, EMPTY, TRAINING),
            *self._compared(rows),
            figure,
            self._results(history) + self._ranked(history) if history else note("None yet."),
            note(studio.recipe.evaluate.record.help),
        ]

    def on_selection(self, selection: str | None, protocol: str, *given: float | None) -> list[float | None]:
        """Numbers that follow the images per class are those of what is chosen; others stay as they are."""
        ruled = self.settings.ruled(protocol, self.picker.budget(selection))
        return [ruled.get(key, number) for key, number in zip(PROTOCOL_NUMBERS, given, strict=True)]

    def on_protocol(self, selection: str | None, protocol: str) -> list[Any]:
        """What the protocol is, and its numbers."""
        now = self.settings.under(protocol)
        numbers = {key: now.value(key) for key in PROTOCOL_NUMBERS}
        return [
            note(now.evaluate.record.help),
            *(numbers | self.settings.ruled(protocol, self.picker.budget(selection))).values(),
        ]

    def on_evaluate(self, choice: str | None, *given: Any) -> None:
        """Queue the students that are missing; what is refused is not queued."""
        *controls, shown = given
        values = self.settings.read(controls, self.picker.budget(choice))
        asked = self.screen.studio.recipe.with_values(
            values
        )  # refused values leave no saved selection behind
        check_given(asked.evaluate, self.screen.studio.bundle)
        if REFINED in values[FORMS]:
            self.picker.require_refined(choice or "", f'Take "refined" out of "{LABELS[FORMS]}"')
        self.screen.submit("evaluate", {**self.picker.use(choice, shown), **values})

    def _recipe(self) -> Recipe:
        """That of the forms that are shown: the recipe may name one that is not there yet."""
        return self.screen.studio.recipe.with_values({FORMS: self.settings.shown()[FORMS]})

    def _state(self, unused: str = "") -> str:
        studio, recipe = self.screen.studio, self._recipe()
        found = (
            self.screen.status()["evaluate"]
            if recipe == studio.recipe
            else evaluate.status(studio.workspace, recipe, studio.bundle)
        )
        return unused or state_line(self.screen, evaluate.STAGE, found) + todo_note(
            self.screen, evaluate.STAGE, "student", recipe
        )

    def _results(self, rows: Sequence[evaluate.Row]) -> str:
        return table(HEAD, (row.cells for row in rows), right=range(4, 12))

    def _compared(self, rows: Sequence[evaluate.Row]) -> list[Any]:
        head, found, said = differences(rows)
        right = [i for i, name in enumerate(head) if name in COUNTED]
        shown = table(head, found, right) + note(f"{PAIRED} {said}") if found else ""
        return [gr.Column(visible=bool(found)), shown]

    def _ranked(self, rows: Sequence[evaluate.Row]) -> str:
        found = [ranking.cells for ranking in rankings(rows)]
        return note(RANKED) + table(RANKING_HEAD, found, right=range(4, 8)) if found else ""

    def _curves(self, job: JobState | None) -> list[Curve]:
        """Finished students of the present recipe, and the one in training."""
        studio = self.screen.studio
        try:
            plan = evaluate.plan(studio.workspace, studio.recipe, studio.bundle)
        except StudioError:
            return []
        known = {record.inputs_hash: record for record in studio.workspace.ledger.evaluations()}
        done = [
            Curve(unit.arm.name, known[unit.inputs_hash].curve, not unit.arm.selection)
            for unit in plan
            if unit.inputs_hash in known
        ]
        if job is None or job.state != "running":
            return done
        controls = {unit.arm.name for unit in plan if not unit.arm.selection}
        finished = {(curve.arm, tuple(curve.points)) for curve in done}
        return done + [
            Curve(arm, points, arm in controls, running=True)
            for arm, points in live_curves(job.curves).items()
            if (arm, tuple(points)) not in finished
        ]


class _EvaluateSettings(Settings):
    """Proposes the refined form exactly where there is one; other forms, and all that a job was started with, are as
    the recipe has them.
    """

    def __init__(self, picker: SelectionPicker, choices: Mapping[str, Sequence[Any]]) -> None:
        super().__init__(picker.screen.studio, choices)
        self._picker = picker

    def budget(self) -> SelectRecipe:
        """That of the proposed selection."""
        return self._picker.budget(self._picker.proposed())

    def under(self, protocol: str) -> Recipe:
        """The recipe with another protocol, and the numbers that come with it."""
        return self._owner.recipe.with_values({PROTOCOL: protocol})

    def ruled(self, protocol: str, select: SelectRecipe) -> dict[str, ByRule]:
        """The numbers under a protocol that follow the images per class, at a budget."""
        now = self.under(protocol)
        known = {key: now.value(key) for key in PROTOCOL_NUMBERS}
        return {
            key: number.at(select.ipc, select.most)
            for key, number in known.items()
            if isinstance(number, ByRule)
        }

    def read(self, given: Sequence[Any], select: SelectRecipe | None = None) -> dict[str, Any]:
        """As there; a number that the protocol gives by a rule keeps the rule, and paths hold in every folder."""
        values = super().read(given, select)
        values[SETS] = tuple(str(absolute_path(path.strip())) for path in values[SETS])
        if values[TEST_IMAGES] is not None:
            values[TEST_IMAGES] = str(absolute_path(values[TEST_IMAGES].strip()))
        ruled = self.ruled(values[PROTOCOL], select or self.budget())
        return values | {key: number for key, number in ruled.items() if values[key] == number}

    def _value(self, key: str) -> Any:
        value = super()._value(key)
        asked_for = self._picker.screen.works_on(evaluate.STAGE.name)
        if key != FORMS or asked_for or not {REFINED, SELECTED} & set(value):
            return value
        if self._picker.is_refined(self._picker.proposed()):
            return value if REFINED in value else [REFINED, *value]
        plain = [form for form in value if form != REFINED]
        return plain if SELECTED in plain else [SELECTED, *plain]
