"""Pool: generate the candidates, score them, and look at them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from psr_studio.app.studio import Studio
from psr_studio.core.errors import RecipeError, StudioError
from psr_studio.core.words import plural
from psr_studio.recipe.keys import check_value, keys
from psr_studio.recipe.schema import CROPS, GUIDED, WAYS, SelectRecipe
from psr_studio.stages import generate, score
from psr_studio.stages.generate.crops import SOURCES
from psr_studio.stages.generate.plan import classes_of
from psr_studio.stages.generate.stage import require_real_images
from psr_studio.stages.generate.targets import is_smoothed, offered
from psr_studio.stages.select.steering import steered
from psr_studio.stages.table import stages_of
from psr_studio.ui.markup import loading, note, refusal, sheet
from psr_studio.ui.panels.class_order import ClassOrderPanel
from psr_studio.ui.panels.compare_pools import ComparePoolsPanel
from psr_studio.ui.panels.controls import Choices, Settings
from psr_studio.ui.panels.estimate import cost_note, state_line
from psr_studio.ui.panels.finetune import FinetunePanel
from psr_studio.ui.panels.frame import box, class_choice, head, side, side_body, side_foot, step, work
from psr_studio.ui.panels.import_pool import ImportPanel
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.panels.new_project import NewProjectPanel
from psr_studio.ui.panels.replacing import ReplaceQuestion
from psr_studio.ui.panels.teach import TeachPanel
from psr_studio.ui.panels.weights import WeightsPanel
from psr_studio.ui.plots.difficulty import steering
from psr_studio.ui.press import TO_FIELD, answered
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import QUIET

SHEET_IMAGES = 200
POOL, SCORES = "Pool", "Scores"
NO_GENERATOR = (
    '"{}" has no generator: its pictures come by "Import". Name one under "Weights", or set "Filled by" to "crops", '
    "which cuts candidates from its real images."
)


class PoolTab:
    """The first tab."""

    id, picker = generate.STAGE.tab, None

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.of_generator: list[gr.Column] = []
        self.only_generator = set[str]()  # keys of the settings in these
        self.jobs = JobPanel(screen, stages_of(self.id))
        self.weights = WeightsPanel(screen, self.jobs)
        self.teach = TeachPanel(screen, self.jobs)
        self.finetune = FinetunePanel(screen, self.jobs)
        self.compare = ComparePoolsPanel(screen)
        names = screen.studio.bundle.class_names
        self.class_choices = [(name, i) for i, name in enumerate(names)]
        bundle = screen.studio.bundle
        own = {
            "pool.guidance_scale": bundle.guidance,
            "pool.guided_channels": bundle.guided_channels or 0,
            "pool.generator": "",
        }
        choices: dict[str, Choices] = {
            "pool.generator": self.finetune.generators,
            "pool.classes": self.class_choices,
            "pool.guidance": offered(),
            "pool.source": SOURCES,
        }
        self.settings = _PoolSettings(screen.studio, choices, own)
        self.scoring = Settings(screen.studio)
        self.imports = ImportPanel(screen, self.jobs)
        self.new = NewProjectPanel(screen)
        self.question = ReplaceQuestion(screen)
        self.order = ClassOrderPanel(screen, self.jobs)

    def build(self) -> None:
        """Draw it here."""
        with step():
            with side():
                with side_body():
                    self._settings()
                    self.finetune.build()
                    self.compare.build()
                    self.imports.build()
                    self.teach.build()
                    self.new.build()
                with side_foot():
                    self._buttons()
            with work():
                self.new.found.render()
                self.imports.found.render()
                self.question.build()
                self.jobs.build()
                self.finetune.build_figure()
                self.compare.build_answer()
                self.order.build()
                self.weights.build()
                with box(main=True):
                    with head("Candidates"):
                        self.class_id = class_choice(self.class_choices)
                    self.histogram = gr.Plot(visible=False, show_label=False, elem_id="psr-steering")
                    self.sheet = gr.HTML(loading(), elem_id="psr-sheet")

    def _settings(self) -> None:
        self.status = gr.HTML()
        with self._folded():
            self._generation()

    def _buttons(self) -> None:
        self.cost = gr.HTML(elem_id="psr-pool-cost")
        self.then_score = gr.Checkbox(True, label="Score when generated", container=False)
        with gr.Row():
            can = self._can_generate(self.screen.studio.recipe.pool.source)
            self.generate = gr.Button("Generate", variant="primary", interactive=can, elem_id="psr-generate")
            self.score = gr.Button("Score", elem_id="psr-score")

    def _folded(self) -> AbstractContextManager[Any]:
        """What the settings of generation lie in: folded away, with the reason, where there is no generator."""
        bundle = self.screen.studio.bundle
        if bundle.has("generator"):
            return nullcontext()
        fold = gr.Accordion(
            "Settings of generation",
            open=self.screen.studio.recipe.pool.source == CROPS,
            elem_id="psr-generation",
        )
        with fold:
            gr.HTML(note(NO_GENERATOR.format(bundle.name)))
        return fold

    def _generation(self) -> None:
        """The settings of generation."""
        self.settings.add("pool.pool_size")
        self.settings.add_choice("pool.source", {CROPS: keys("pool.crops")})
        with self._of_generator():
            self.way = gr.Radio(
                [(f"{name.capitalize()}: {_in_words(values)}", name) for name, values in WAYS.items()],
                value=self._way_now(),
                label="Sampling",
                elem_id="psr-way",
            )
            self.settings.add("pool.steps", "pool.sampler", "pool.guidance_scale", "pool.generator")
            self.settings.add_choice("pool.guidance", {name: keys(f"pool.{name}") for name in GUIDED})
        with gr.Accordion("More settings", open=False):
            with self._of_generator():
                self.settings.add(
                    "pool.guided_from", "pool.guided_to", "pool.guided_channels", "pool.batch_size"
                )
            self.settings.add("pool.seed", "pool.part_size", "pool.classes")
            self.scoring.add("score.batch_size")
            studio = self.screen.studio
            if studio.bundle.n_outputs > len(classes_of(studio.recipe, studio.bundle)):
                self.scoring.add("score.teacher_classes")
        for key, number in _left_out(studio.recipe.pool.steps).items():
            self.settings.controls[key].placeholder = number  # type: ignore[attr-defined]

    @contextmanager
    def _of_generator(self) -> Iterator[None]:
        """What settings lie in that do not count where crops fill the pool."""
        shown, before = self.screen.studio.recipe.pool.source != CROPS, set(self.settings.controls)
        with gr.Column(scale=0, min_width=0, visible=shown) as group:
            yield
        self.of_generator.append(group)
        self.only_generator |= set(self.settings.controls) - before

    def _can_generate(self, source: str) -> bool:
        return source == CROPS or self.screen.studio.bundle.has("generator")

    def connect(self, *_: Any) -> None:
        """Events."""
        inputs = self.settings.outputs
        shown = [*inputs, *self.scoring.outputs]
        changes = [*(control.change for control in shown), self.status.change]  # type: ignore[attr-defined]
        gr.on(changes, self.told, shown, self.status, trigger_mode="always_last", **QUIET)
        gr.on(
            [control.change for control in inputs],  # type: ignore[attr-defined]
            self._cost,
            inputs,
            self.cost,
            trigger_mode="always_last",
            **QUIET,
        )
        self.cost.change(None, js=TO_FIELD, **QUIET)
        self.settings.controls["pool.source"].change(  # type: ignore[attr-defined]
            self.on_source,
            self.settings.controls["pool.source"],
            [self.generate, *self.of_generator],
            **QUIET,
        )
        taken = [self.settings.controls[key] for key in WAYS["exact"]]
        self.way.input(lambda name: list(WAYS[name].values()), self.way, taken, **QUIET)
        gr.on(
            [control.change for control in taken],  # type: ignore[attr-defined]
            lambda *given: _way_of(given),
            taken,
            self.way,
            trigger_mode="always_last",
            **QUIET,
        )
        steps = self.settings.controls["pool.steps"]
        emptied = [self.settings.controls[key] for key in _left_out(1)]
        steps.change(_placeholders, steps, emptied, trigger_mode="always_last", **QUIET)  # type: ignore[attr-defined]
        everything = [*self.scoring.outputs, self.then_score, *inputs]
        self.jobs.starts(self.generate, self.on_generate, everything, self.question.outputs)
        self.question.connect(self.jobs, self._generate, everything)
        self.jobs.starts(self.score, self._score, self.scoring.outputs)
        self.imports.connect()
        self.teach.connect()
        self.finetune.connect()
        self.compare.connect(self.class_id)
        drawn = [self.sheet, self.histogram]
        answered(
            self.class_id.change,
            lambda c: [self._sheet(c), self.draw_histogram(c)],
            self.class_id,
            drawn,
            **QUIET,
        )

    def panes(self) -> list[Any]:
        """Itself and its parts."""
        panels = [self, self.jobs, self.order, self.weights, self.teach, self.finetune]
        panels.append(_Way(self.way, self._way_now))
        return [*panels, *self.settings.parts(), *self.scoring.parts(), *self.finetune.settings.parts()]

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.status, self.cost, self.sheet, self.histogram]

    def version(self) -> Hashable:
        """Changes whenever the pool, its scores or the recipe do."""
        status = self.screen.status()
        return (
            status["pool"],
            status["score"],
            self.screen.studio.pool.content_hash(),
            self.screen.studio.recipe.pool,
            *(self.screen.works_on(stage.name) for stage in (generate.STAGE, score.STAGE)),
        )

    def values(self, class_id: int = 0) -> list[Any]:
        """Both states, the cost, and the pictures of one class."""
        cost = cost_note(self.screen, self.screen.studio.recipe)
        return [self._state(), cost, self._sheet(class_id), self.draw_histogram(class_id)]

    def told(self, *given: Any) -> str:
        """Both states; in the place of one, which settings on screen are not used yet."""
        n, known = len(self.settings.controls), self.settings.shown()
        shown = dict(zip(known, given, strict=False))
        if shown["pool.source"] == CROPS:
            shown |= {key: known[key] for key in self.only_generator}
        of_pool = self.settings.unused(list(shown.values()), "Generate", POOL)
        return self._state(of_pool, self.scoring.unused(given[n:], "Score", SCORES))

    def _state(self, of_pool: str = "", of_scores: str = "") -> str:
        pool = of_pool or state_line(self.screen, generate.STAGE, title=POOL)
        return pool + (of_scores or state_line(self.screen, score.STAGE, title=SCORES))

    def _way_now(self) -> str | None:
        """The way that the recipe follows to the letter, if any."""
        return _way_of([self.screen.studio.recipe.value(key) for key in WAYS["exact"]])

    def _cost(self, *given: Any) -> str:
        """While a value is being typed it may be refused: that is said here, not in an alarm."""
        try:
            return cost_note(self.screen, self.screen.studio.recipe.with_values(self.as_shown(given)))
        except StudioError as err:
            return refusal(err)

    def on_source(self, source: str) -> list[Any]:
        """What counts for the chosen way to fill the pool."""
        shown = gr.Column(visible=source != CROPS)
        return [gr.Button(interactive=self._can_generate(source)), *[shown] * len(self.of_generator)]

    def as_shown(self, given: Sequence[Any]) -> dict[str, Any]:
        """The pool must hold the images per class of the slider as it stands, not as it was saved last."""
        return {**self.settings.read(given), "select.ipc": self.settings.budget().ipc}

    def on_generate(self, *given: Any) -> list[Any]:
        """Generate, or ask first where that replaces candidates."""
        values = self.as_shown(given[len(self.scoring.outputs) + 1 :])
        asked = self.screen.studio.recipe.with_values(values)
        require_real_images(self.screen.studio.workspace, asked, self.screen.studio.bundle)
        question = self.question.ask(asked)
        if question:
            return question
        self._generate(*given)
        return self.question.closed()

    def _generate(self, *given: Any) -> None:
        n = len(self.scoring.outputs)
        scoring, then_score, values = given[:n], given[n], self.as_shown(given[n + 1 :])
        job = self.screen.submit("pool", values)
        if then_score:
            self.screen.submit("score", self.scoring.read(scoring), after=job)

    def _score(self, *given: Any) -> None:
        self.screen.submit("score", self.scoring.read(given))

    def draw_histogram(self, class_id: int | None) -> gr.Plot:
        """What became of a pool that was steered by difficulty; nothing of any other, or before it is scored."""
        studio = self.screen.studio
        if "steering" not in studio.pool.settings:
            return gr.Plot(visible=False)
        try:
            found = steered(studio.workspace, studio.curation.scored, class_id or 0)
        except StudioError:  # not scored yet, or scores are damaged: the line above says which
            found = None
        if found is None:
            return gr.Plot(visible=False)
        return gr.Plot(steering(found, is_smoothed(studio.pool)), visible=True)

    def _sheet(self, class_id: int | None) -> str:
        pool = self.screen.studio.pool
        if not len(pool):
            verb = "Generate" if self._can_generate(self.screen.studio.recipe.pool.source) else "Import"
            return note(f'No pool yet. Press "{verb}" to make one.')
        class_id = class_id or 0
        n = int((pool.labels == class_id).sum())
        name = self.screen.studio.bundle.class_names[class_id]
        if not n:
            return note(f'No candidates of "{name}" yet.')
        version = pool.content_hash(class_id)[:16]
        query = urlencode({"token": self.screen.token, "n": SHEET_IMAGES, "v": version})
        shown = f"the first {SHEET_IMAGES} of " if n > SHEET_IMAGES else ""
        broken = f" {plural(len(pool.broken), 'damaged file')} left out." if pool.broken else ""
        caption = f'"{name}": {shown}{plural(n, "candidate")}, in the order of the pool.{broken}'
        return sheet(f"psr/sheet/{class_id}.png?{query}", caption)


class _Way:
    """Shows the way of sampling that the recipe follows, on a page opened again and after another way changed it."""

    def __init__(self, radio: gr.Radio, now: Callable[[], str | None]) -> None:
        self.outputs: list[gr.components.Component] = [radio]
        self.version = now

    def values(self) -> list[Any]:
        """The way alone."""
        return [self.version()]


class _PoolSettings(Settings):
    """Shows a pool size that follows the budget as the slider of the budget stands."""

    def __init__(self, studio: Studio, choices: Mapping[str, Choices], own: Mapping[str, Any]) -> None:
        super().__init__(studio, choices, own)
        self._studio = studio

    def budget(self) -> SelectRecipe:
        """The recipe's, with the images per class of the slider."""
        studio = self._studio
        return studio.recipe.select.changed({"ipc": studio.curation.rules().ipc})


def _way_of(values: Sequence[Any]) -> str | None:
    """The way that has these values to the letter, if any."""
    return next((name for name, way in WAYS.items() if list(way.values()) == list(values)), None)


def _left_out(steps: int) -> dict[str, str]:
    """What holds of the guidances where it is left out, by key; it depends on the steps."""
    return {
        f"pool.{name}.{setting}": str(value)
        for name, kind in GUIDED.items()
        for setting, value in kind().read(steps).items()
        if value is not None and getattr(kind(), setting) is None
    }


def _placeholders(steps: Any) -> list[Any]:
    """What empty fields show, once the steps are a number that can be."""
    try:
        held = _left_out(check_value("pool.steps", steps))
    except RecipeError:
        return [gr.skip()] * len(_left_out(1))
    return [gr.Number(placeholder=number) for number in held.values()]


def _in_words(way: Mapping[str, Any]) -> str:
    """A way of sampling in a few words."""
    whole = (way["pool.guided_from"], way["pool.guided_to"]) == (0.0, 1.0)
    return f"{way['pool.sampler']}, {way['pool.steps']} steps" + ("" if whole else ", less guidance")
