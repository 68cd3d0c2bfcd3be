"""Curating a pool: sliders, marks, locks and undo, and the selection they make, live or saved under a name."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, create_model

from psr_studio.app.opening import OpenWorkspace
from psr_studio.core.devices import pick_device
from psr_studio.core.disk import writing
from psr_studio.core.errors import RecipeError, SelectionError, StudioError
from psr_studio.core.kept import Kept
from psr_studio.method.difficulty import TARGET_COUNTS
from psr_studio.method.selection import SCHEDULE_WORDS, SCHEDULES
from psr_studio.method.selectors.parameters import Facts, Shape, facts_of, shape_of
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.method.selectors.selector import Selector
from psr_studio.method.selectors.weights import WEIGHTS, Weights
from psr_studio.recipe.keys import CURATED, annotation, check_value, renamed
from psr_studio.recipe.schema import Recipe, SelectRecipe, place, plain
from psr_studio.stages.generate.plan import classes_of
from psr_studio.stages.score import stage as score
from psr_studio.stages.select import figures, reasons
from psr_studio.stages.select import stage as saved
from psr_studio.stages.select.budgets import as_setting, by_class
from psr_studio.stages.select.candidates import fields_of
from psr_studio.stages.select.choice import Marks, select
from psr_studio.stages.select.figures import EDGES
from psr_studio.stages.select.nearest import NearReal, add_picture, embedding_of, near_real
from psr_studio.stages.select.query import looked_near, matches, parse
from psr_studio.stages.select.result import LiveResult
from psr_studio.stages.select.saved import BY_HAND, restored_settings, shell_assignments
from psr_studio.stages.select.scored import ScoredPool, is_over_all, read_scored
from psr_studio.storage.database import DO_AGAIN
from psr_studio.storage.ledger import Ledger
from psr_studio.storage.pool import PartView, contents
from psr_studio.storage.records import SelectionRecord
from psr_studio.storage.trials import TrialRecord

WEIGHT_KEYS = tuple(key for key in CURATED if key.rpartition(".")[2] in WEIGHTS)
LOCKED = "locked"
SLIDER_SECONDS = 1.0  # one drag of a slider is one undo
COMMANDED = "from-command"  # what the copied command saves: it must not replace what somebody has named
KEPT_PICTURES = 16  # whose features are kept
LIVE = "live"  # in `compare`, the last selection; a saved one cannot have this name


if TYPE_CHECKING:
    _Settings = BaseModel
else:
    _Settings = create_model(
        "_Settings",
        **{
            name: (annotation(f"select.{key}") | None, None)
            for key in CURATED
            for name in (key, key.rpartition(".")[2])
            if name != "budgets"
        },
    )


class SelectChange(_Settings):
    """A change of the selection, as the page sends it; what is left out stays as it is.

    A setting is named by its key, such as "psr.alpha", or alone (`recipe.schema.place`); None follows the preset, or
    lifts a limit.

    Attributes:
        own_budgets: images of some classes, 0 for none at all, None to give one back to the allocation; other classes
            stay.
        locked: the classes that keep their picks from now on; None leaves the locks as they are.
        gesture: names the drag that the change is part of: all changes of one are one undo; "" for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    own_budgets: dict[int, int | None] | None = None
    locked: tuple[int, ...] | None = None
    gesture: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that are named."""
        return self.model_dump(exclude_unset=True, exclude={"own_budgets", "locked", "gesture"})


class Curation:
    """The curation of an open workspace; safe to share between threads, which take turns under `lock`."""

    def __init__(self, opened: OpenWorkspace) -> None:
        self.lock = threading.RLock()
        self._opened = opened
        self._scored: Kept[object, ScoredPool] = Kept(1)
        self._features: Kept[tuple[str, str], np.ndarray] = Kept(KEPT_PICTURES)
        self._last: LiveResult | None = None
        self._last_scored: ScoredPool | None = None

    @property
    def _ledger(self) -> Ledger:
        return self._opened.workspace.ledger

    def forget(self) -> None:
        """Let go of what is in memory; it is read anew when it is asked for."""
        with self.lock:
            self._scored = Kept(1)
            self._last = self._last_scored = None

    # Selecting

    @property
    def scored(self) -> ScoredPool:
        """The pool with its scores; read anew when pool, scores, teacher or classes change.

        While candidates wait for their scores (`waiting`) it is the pool that was scored last, else the part of it
        that is scored.

        Raises:
            WorkspaceError: no pool, or scores that are missing, stale or not finite.
        """
        return self._scored.get(self._on_disk(), self._read_scored)

    @property
    def waiting(self) -> int:
        """Candidates of the pool that `scored` lacks."""
        return len(self._opened.workspace.pool()) - self.scored.n

    def select(self, **settings: Any) -> LiveResult:
        """Select by the sliders and the marks, without a save; over the sliders, `settings` by bare name.

        Raises:
            RecipeError: a value out of its range, or one that does not go with another.
            SelectionError: more images per class, or more pins, than fit; a class that would stay empty.
        """
        return self._select(self._changed(settings).select)

    def _select(self, rules: SelectRecipe) -> LiveResult:
        with self.lock:
            self._last = select(self.scored, rules, Marks.of(self._ledger))
            return self._last

    def where(self, query: str) -> np.ndarray:
        """Positions of the candidates that a query names (`stages.select.query`), ascending; all for an empty one.

        Raises:
            SelectionError: what is no query, or a class that is not there.
        """
        asked = parse(query)
        with self.lock:
            return np.flatnonzero(matches(asked, fields_of(self.shown(), self._ledger, self._apart)))

    def apart(self, query: str) -> np.ndarray | None:
        """(N,) how far each candidate lies from what a query looks near to; None where it looks near to nothing.

        See `ScoredPool.apart` for the unit.

        Raises:
            SelectionError: as `where`.
        """
        name = looked_near(parse(query))
        return self._apart(name) if name else None

    def add_picture(self, data: bytes) -> str:
        """Take in a picture for queries to look near to ("near picture-..."); returns its name.

        Raises:
            SelectionError: it is no usable picture. ModelError: the teacher is not on this machine.
        """
        name = add_picture(self._opened.workspace, self._opened.bundle, data)
        self._apart(name)
        return name

    def near_real(self, position: int, *, look: bool = False) -> NearReal:
        """The real images nearest to the candidate at a position, see `stages.select.nearest.near_real`."""
        return near_real(self.scored, position, pick_device(self._opened.recipe.device), look=look)

    @property
    def last(self) -> LiveResult | None:
        """The last selection, of whatever pool; None before the first one. Never waits."""
        return self._last

    def shown(self) -> LiveResult:
        """The last selection; made now when there is none of this pool yet."""
        with self.lock:
            last = self._last
            return last if last is not None and last.scored is self.scored else self.select()

    def why(self, position: int) -> str:
        """One sentence: why a candidate of the pool is in the last selection, or why not."""
        result = self.shown()
        mark = self._ledger.marks().get(int(result.scored.candidate_ids[position]))
        return reasons.why(result, position, mark)

    def act(
        self,
        action: Callable[[], str | None] | None = None,
        rules: SelectRecipe | None = None,
        gesture: str = "",
    ) -> LiveResult:
        """Do something undoable, move sliders, and select again; what cannot be selected then is taken back.

        Args:
            action: returns what it did, None when it changed nothing.
            rules: where the sliders go; None leaves them.
            gesture: names the drag that they are part of, see `SelectChange`.
        """
        with self.lock:
            done = action() if action else None
            try:
                result = self._select(rules or self.rules())
            except StudioError:
                if done:
                    self.undo()
                raise
            if rules:
                self.move_to(rules, gesture=gesture)
            return result

    # Settings

    def selectors(self) -> list[dict[str, Any]]:
        """Every selector in plain words, in the order of the screen.

        Keys "name", "title", "help", "source", "on_real", "needs_original" and "parameters": a list with "name",
        "label", "kind", "default", "low", "high", "slider" (where a slider ends), "choices", "help" and "when" of
        each: the setting and the value it must have for this one to be read, None where it always is.
        """
        facts = ("name", "title", "help", "source", "on_real", "needs_original")
        return [
            {**{key: getattr(selector, key) for key in facts}, "parameters": _parameters(selector)}
            for selector in SELECTORS.values()
        ]

    def tables(self) -> dict[str, Any]:
        """What the selectors are described with beside their parameters, as plain JSON values.

        Keys "ipc_presets": the weights of PSR by budget, each with the largest budget "max_ipc" it serves, None for
        the last; "weights_about": whose they are, in a line; "target_shapes": the named targets of DGS, easy to hard;
        "bin_edges" of the bins of difficulty.
        """
        rules = self._opened.recipe.select
        schedule = rules.setting(place("weights", rules.selector))
        presets = [
            {"max_ipc": int(most) if isfinite(most) else None, "weights": Weights(*weights)._asdict()}
            for most, weights in SCHEDULES[schedule]
        ]
        shapes = {name: list(counts[50]) for name, counts in TARGET_COUNTS.items()}
        named = {"ipc_presets": presets, "weights_about": SCHEDULE_WORDS[schedule]}
        return {**named, "target_shapes": shapes, "bin_edges": list(EDGES)}

    def settings(self) -> dict[str, Any]:
        """Every setting that has a control by its bare name, as plain JSON values; weights are resolved.

        A name that several selectors have is that of the chosen one (`recipe.schema.place`).
        """
        rules = self.rules().resolved()
        return {name: plain(rules.setting(name)) for name in (key.rpartition(".")[2] for key in CURATED)}

    def rules(self) -> SelectRecipe:
        """What is selected by: the recipe, over it the sliders.

        Raises:
            RecipeError: a value that does not go with another.
        """
        return self.recipe().select

    def changed_rules(self, change: SelectChange) -> SelectRecipe:
        """The rules after a change; weights that it sets to those of the preset follow the budget.

        Raises:
            RecipeError: a value out of its range, or one that does not go with another.
        """
        settings = change.settings
        if change.own_budgets is not None:
            settings["budgets"] = self.with_own_budgets(change.own_budgets)
        rules = self._changed(settings).select
        keys = {place(name, rules.selector) for name in settings} & set(WEIGHT_KEYS)
        return rules.left_to_presets(*(key.partition(".")[0] for key in keys))

    def recipe(self) -> Recipe:
        """The recipe, over it the sliders."""
        return self._changed({})

    def _changed(self, settings: Mapping[str, Any]) -> Recipe:
        """The recipe, over it the sliders, over them settings of [select] by key, such as "psr.alpha", or alone, such
        as "alpha" of the chosen selector.
        """
        recipe = self._opened.recipe
        stored = {f"select.{key}": value for key, value in self._ledger.settings().items()}
        moved = {key.removeprefix("select."): v for key, v in renamed(stored, "The sliders").items()}
        rules = recipe.select.changed({**{k: v for k, v in moved.items() if k in CURATED}, **settings})
        return recipe.of_this_pool(rules)

    def set(self, merge_within: float = SLIDER_SECONDS, **settings: Any) -> str | None:
        """Move sliders, as one undoable action; a weight of None follows the preset of the budget.

        What is told to stand where the recipe has it anyway is no move.

        Returns:
            What changed in words, or None when nothing did.
        """
        for name in settings:
            if name not in CURATED and not any(key.endswith(f".{name}") for key in CURATED):
                raise RecipeError(f'"{name}" has no slider.', f"Set one of {', '.join(CURATED)}.", name)
        return self.move_to(self._changed(settings).select, merge_within)

    def move_to(
        self, rules: SelectRecipe, merge_within: float = SLIDER_SECONDS, gesture: str = ""
    ) -> str | None:
        """Move the sliders to some rules, as `set` does."""
        now = self.rules()
        if now.budgets != rules.budgets:  # no drag: each is one undo
            merge_within = 0.0
        absent = {key: plain(now.resolved().setting(key)) for key in CURATED}
        return self._ledger.set_settings(self._moved(now, rules), merge_within, absent, gesture)

    def take(self, trial: TrialRecord) -> str | None:
        """Put the settings of a trial on the sliders, as one undoable action; returns what changed in words."""
        return self.move_to(self._rules_of(trial), merge_within=0.0)

    def holds(self, trial: TrialRecord) -> bool:
        """Whether the sliders stand as in a trial."""
        return not self._moved(self.rules(), self._rules_of(trial))

    def command(self) -> str:
        """The shell line that makes the selection on screen, under a name of its own; marks and locks are in
        the workspace.
        """
        words = ["psr-studio", "select", "--workspace", str(self._opened.workspace.root)]
        for text in (
            *shell_assignments(self.rules(), self._opened.recipe.select),
            f"select.name={COMMANDED}",
        ):
            words += ["--set", text]
        return shlex.join(words)

    # Budgets and locks by class

    def own_budgets(self) -> dict[int, int]:
        """Budgets set by hand, by class, 0 for no image at all; the other classes follow the allocation."""
        return by_class(self.rules().budgets)

    def with_own_budgets(self, changes: Mapping[int, int | None]) -> list[int] | None:
        """The setting of budgets with changes in it; None when none is set by hand.

        Args:
            changes: images of some classes, 0 for none at all, None to leave one to the allocation again.

        Raises:
            SelectionError: a class that is not there, or fewer images than none.
        """
        budgets = {**self.own_budgets(), **changes}
        self.check_classes(budgets)
        if negative := [c for c, n in changes.items() if n is not None and n < 0]:
            raise SelectionError(
                f'The budget of "{self._opened.bundle.class_names[negative[0]]}" is {changes[negative[0]]}, but it '
                "must be 0 or more.",
                "Write 0 for no image of it, or empty the field to leave it to the allocation.",
            )
        return as_setting({c: n for c, n in budgets.items() if n is not None}, self._opened.bundle.n_classes)

    def set_own_budgets(self, changes: Mapping[int, int | None]) -> str | None:
        """Set the budgets of some classes, as `with_own_budgets` takes them; one undoable action."""
        budgets = self.with_own_budgets(changes)
        check_value("select.budgets", budgets)
        names = self._opened.bundle.class_names
        words = ", ".join(
            f'budget of "{names[c]}" {"as allocated" if n is None else n}' for c, n in changes.items()
        )
        return self._ledger.change({}, {"budgets": budgets}, words)

    def locked(self) -> list[int]:
        """Classes that keep their picks whatever the sliders do."""
        return sorted(self._ledger.locked())

    def set_locked(self, class_ids: Iterable[int]) -> str | None:
        """Lock exactly these classes, as one undoable action.

        A class that was not locked keeps what the last selection picked in it; it is made where there was none.
        """
        wanted, held = sorted({int(c) for c in class_ids}), self._ledger.locked()
        self.check_classes(wanted)
        shown, names = self.shown(), self._opened.bundle.class_names
        ids = shown.scored.candidate_ids
        picks = {c: held.get(c) or ids[shown.picks[c]].tolist() for c in wanted}
        done = [f'lock "{names[c]}"' for c in picks if c not in held]
        done += [f'unlock "{names[c]}"' for c in held if c not in picks]
        return self._ledger.change({}, {LOCKED: _as_json(picks)}, ", ".join(done) or "lock")

    def check_classes(self, class_ids: Iterable[int]) -> None:
        """Raise SelectionError for a class that is not there."""
        n_classes = self._opened.bundle.n_classes
        wrong = [c for c in class_ids if not 0 <= c < n_classes]
        if wrong:
            raise SelectionError(f"There is no class {wrong[0]}.", f"The classes are 0 to {n_classes - 1}.")

    # Marks

    def mark(self, candidate_ids: list[int], mark: str | None, reason: str = "") -> str | None:
        """Pin, veto or clear (None) candidates; returns what was done, None when nothing changed."""
        return self._ledger.set_marks(candidate_ids, mark, reason)  # type: ignore[arg-type]

    def tag(self, candidate_ids: list[int], tag: str, on: bool = True) -> str | None:
        """Give candidates a tag, or take it from them; returns what was done, None when nothing changed."""
        return self._ledger.set_tag(candidate_ids, tag, on)

    def swap(self, out_id: int, in_id: int) -> str | None:
        """Veto one candidate and pin another of its class, as one undoable action; a lock follows.

        Raises:
            SelectionError: candidates of two classes, or the same one twice.
        """
        scored = self.scored
        classes = set(scored.labels[scored.pool.positions([out_id, in_id])].tolist())
        if out_id == in_id or len(classes) != 1:
            raise SelectionError(
                f"Candidate {out_id} cannot be swapped for {in_id}: a swap takes two candidates of one class.",
                "Choose another candidate of the same class.",
            )
        locked = self._ledger.locked()
        settings: dict[str, Any] = {}
        class_id = classes.pop()
        if class_id in locked:
            kept = [in_id if cid == out_id else cid for cid in locked[class_id] if cid != in_id]
            settings = {LOCKED: _as_json({**locked, class_id: kept})}
        words = f"swap candidate {out_id} for {in_id}"
        return self._ledger.change({out_id: "veto", in_id: "pin"}, settings, words)

    def undo(self) -> str | None:
        """Take back the last action; returns what it was."""
        return self._ledger.undo()

    def redo(self) -> str | None:
        """Do it again; returns what it was."""
        return self._ledger.redo()

    def history(self, limit: int = 50) -> list[dict[str, Any]]:
        """The last actions, newest first: "id", "description", "created", "undone"."""
        return self._ledger.actions(limit)

    # Named selections

    def save(self, name: str = "current", note: str | None = "") -> SelectionRecord:
        """Select as the sliders stand and save it under a name; the recipe takes their settings over with it.

        What cannot be selected or saved changes nothing.

        Args:
            note: the user's words; None keeps those of an older selection of that name.
        """
        with self.lock:
            if note is None:
                note = next((r.note for r in self._ledger.selections() if r.name == name), "")
            curated, ws = self.recipe(), self._opened.workspace
            values = {f"select.{key}": curated.select.setting(key) for key in CURATED}
            values |= {**curated.pool_numbers(), "select.name": name}
            with writing(ws.root, again=DO_AGAIN), ws.change() as change:
                recipe = self._opened.set_with(change, values)
                result, record = saved.choose(ws, recipe, self.scored, note)
                with change.commit():
                    ws.ledger.save_selection(record)
            self._last = result
            return record

    def save_candidates(self, name: str, candidate_ids: Sequence[int], note: str = "") -> SelectionRecord:
        """Save just these candidates under a name, in the given order inside each class.

        Raises:
            SelectionError: none, one twice, or one that is not in the pool.
        """
        check_value("select.name", name)
        record = saved.by_hand(self.scored, self.rules().temperature, name, candidate_ids, note)
        self._ledger.save_selection(record)
        return record

    def restore(self, name: str) -> str | None:
        """Bring back the settings, locks, pins and vetoes of a saved selection, as one undoable action.

        Of a selection saved by an older version, which kept no marks, the present marks stay. Of one that was made
        from another pool only the settings come back: its marks and locks would name other pictures.

        Raises:
            SelectionError: no such selection, or one that was put together by hand from another pool.
        """
        ledger, ws, bundle = self._ledger, self._opened.workspace, self._opened.bundle
        record = ledger.selection(name)
        same_pool = saved.is_of_pool(ws, record, bundle)
        if not same_pool and record.settings["selector"] == BY_HAND:
            saved.require(ws, name, bundle)
        settings = restored_settings(record, CURATED)
        if not same_pool:
            del settings[LOCKED]
        marks: dict[int, Any] = {}
        if record.marks and same_pool:
            marks = dict.fromkeys(ledger.marks())
            marks |= dict.fromkeys(record.marks.get("pin", ()), "pin")
            marks |= dict.fromkeys(record.marks.get("veto", ()), "veto")
        self._changed({k: v for k, v in settings.items() if k in CURATED})
        words = f'restore "{name}"' + ("" if same_pool else ", its settings only: it is of another pool")
        return ledger.change(marks, settings, words)

    # Figures; shapes and keys stand in `stages.select.figures`

    def distributions(self, class_id: int | None = None) -> dict[str, Any]:
        """Difficulties of the real images, the pool and the picks of the last selection."""
        self.check_classes([] if class_id is None else [class_id])
        return figures.distributions(self.shown(), class_id)

    def sufficiency(self) -> list[dict[str, Any]]:
        """Whether each class's pool is large enough for its budget."""
        return figures.sufficiency(self.scored, self.rules())

    def compare(self, a: str, b: str) -> dict[str, Any]:
        """Two selections beside each other, by saved name or "live" for the last one."""
        with self.lock:
            opened, first, second = self._opened, self._side(a), self._side(b)
            return figures.compare(
                opened.workspace, opened.recipe, self.scored, first, second, self.rules().temperature
            )

    # Inside

    def _apart(self, name: str) -> np.ndarray:
        """How far each candidate lies from a candidate or a picture; the teacher looks at a picture once."""
        ws, scored, device = self._opened.workspace, self.scored, pick_device(self._opened.recipe.device)
        if name.isdecimal():
            return scored.apart(embedding_of(ws, scored, device, name))
        known = scored.bundle.teacher_id, name
        return scored.apart(self._features.get(known, lambda: embedding_of(ws, scored, device, name)))

    def _read_scored(self) -> ScoredPool:
        opened, last = self._opened, self._last_scored
        ws, recipe, bundle = opened.workspace, opened.recipe, opened.bundle
        parts, whole = score.scored_parts(ws, recipe, bundle), ws.pool().parts()
        if not parts or len(parts) == len(whole):
            self._last_scored = read_scored(ws, recipe, bundle)
        elif last is None or not _stands(last, parts, recipe):
            self._last_scored = read_scored(ws, recipe, bundle, parts)
        assert self._last_scored is not None
        return self._last_scored

    def _side(self, name: str) -> LiveResult | SelectionRecord:
        return (
            self.shown() if name == LIVE else saved.require(self._opened.workspace, name, self._opened.bundle)
        )

    def _rules_of(self, trial: TrialRecord) -> SelectRecipe:
        """The rules on the sliders with the settings of a trial; weights that are the preset's follow the budget."""
        return self._changed(trial.settings).select.left_to_presets(trial.settings["selector"])

    def _moved(self, now: SelectRecipe, after: SelectRecipe) -> dict[str, Any]:
        """The settings that differ, as the ledger keeps them; leaving weights to a preset of just them is no move."""
        kept, same = self._ledger.settings(), now.weights == after.weights
        changed = {
            key: plain(after.setting(key)) for key in CURATED if after.setting(key) != now.setting(key)
        }
        return {
            key: v
            for key, v in changed.items()
            if key in kept or not (same and v is None and key in WEIGHT_KEYS)
        }

    def _on_disk(self) -> object:
        """Changes whenever a file of the pool or of its scores does, the task, or what difficulty is over."""
        ws, recipe, teacher = self._opened.workspace, self._opened.recipe, self._opened.bundle.teacher_id
        found = ws.pool()
        paths = [ws.scores_part_path(teacher, p.class_id, p.part) for p in found.parts()]
        stats = [path.stat() if path.is_file() else None for path in paths]
        files = tuple((s.st_mtime_ns, s.st_size) if s else None for s in stats)
        return id(found), teacher, recipe.pool.classes, recipe.score.teacher_classes, files


def _stands(scored: ScoredPool, parts: Sequence[PartView], recipe: Recipe) -> bool:
    """Whether a scored pool is made of some of these parts, its classes and its difficulties those of a recipe."""
    held = contents(scored.pool.parts()) <= contents(parts)
    same = scored.over_all == is_over_all(recipe, scored.bundle, scored.pool)
    return held and same and scored.classes.tolist() == list(classes_of(recipe, scored.bundle))


def _parameters(selector: Selector) -> list[dict[str, Any]]:
    """The parameters that have a control; see `Curation.selectors`."""
    table, stands = selector.parameters, selector.parameters()
    return [
        {
            "name": name,
            "kind": _kind(known, shape_of(table.model_fields[name].annotation)),
            "default": plain(getattr(stands, name)),
            "choices": list(known.choices),
            "when": table.read_when.get(name),
            **{key: getattr(known, key) for key in ("label", "low", "high", "slider", "help")},
        }
        for name, known in facts_of(table).items()
        if known.control
    ]


def _kind(known: Facts, shape: Shape) -> str:
    """What a control is drawn as: "choice", "bars", "int" or "float"."""
    return "choice" if known.choices else "bars" if shape.many else shape.kind.__name__


def _as_json(picks: Mapping[int, Sequence[int]]) -> dict[str, list[int]]:
    return {str(class_id): list(ids) for class_id, ids in sorted(picks.items())}
