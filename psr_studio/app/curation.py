"""The half of `Studio` that the Curate tab moves: sliders, marks, locks, undo, and the selection they make."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, create_model

from psr_studio.app.opening import OpenWorkspace
from psr_studio.core.errors import RecipeError, SelectionError
from psr_studio.method.selection import IPC_PRESETS
from psr_studio.method.selectors import psr
from psr_studio.method.selectors.parameters import Facts, Shape, facts_of, shape_of
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.method.selectors.selector import Selector
from psr_studio.method.selectors.weights import WEIGHTS, Weights
from psr_studio.recipe.keys import CURATED, annotation, check_value, renamed
from psr_studio.recipe.schema import Recipe, SelectRecipe, place, plain
from psr_studio.stages.select import figures as lab
from psr_studio.stages.select import stage as select
from psr_studio.stages.select.live import LiveSelection
from psr_studio.stages.select.saved import BY_HAND, restored_settings, shell_assignments
from psr_studio.storage.records import SelectionRecord

WEIGHT_KEYS = tuple(key for key in CURATED if key.rpartition(".")[2] in WEIGHTS)
LOCKED = "locked"
SLIDER_SECONDS = 1.0  # one drag of a slider is one undo
COMMANDED = "from-command"  # what the copied command saves: it must not replace what somebody has named


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
        own_budgets: images of some classes, None to give one back to the allocation; other classes stay.
        locked: the classes that keep their picks from now on; None leaves the locks as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    own_budgets: dict[int, int | None] | None = None
    locked: tuple[int, ...] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that are named."""
        return self.model_dump(exclude_unset=True, exclude={"own_budgets", "locked"})


class Curating(OpenWorkspace):
    """An open workspace that can be selected from, live."""

    _live: tuple[object, LiveSelection] | None = None

    @property
    def live(self) -> LiveSelection:
        """Selection without a save, for sliders; made anew when pool, scores, teacher or classes change."""
        with self._lock:
            state = self._live_state()
            if self._live is None or self._live[0] != state:
                self._live = (state, LiveSelection(self.workspace, self.recipe, self.bundle))
            self._live[1].recipe = self.recipe
            return self._live[1]

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

    def ipc_presets(self) -> list[dict[str, Any]]:
        """The weight presets by images per class: the largest budget of each, None for the last one."""
        return [
            {"max_ipc": None if most == float("inf") else most, "weights": Weights(*weights)._asdict()}
            for most, weights in IPC_PRESETS
        ]

    def curate_settings(self) -> dict[str, Any]:
        """Every setting that has a control by its bare name, as plain JSON values; weights are resolved.

        A name that several selectors have is that of the chosen one (`recipe.schema.place`).
        """
        chosen = self.curate_rules().resolved()
        return {name: plain(chosen.setting(name)) for name in (key.rpartition(".")[2] for key in CURATED)}

    def curate_rules(self, **settings: Any) -> SelectRecipe:
        """The rules for `live.select(rules=...)`: the recipe, over it the sliders, over them `settings`.

        Settings are named by key, such as "psr.alpha", or alone, such as "alpha" of the chosen selector.

        Raises:
            RecipeError: a value out of its range, or one that does not go with another.
        """
        stored = {f"select.{key}": value for key, value in self.workspace.ledger.settings().items()}
        moved = {key.removeprefix("select."): v for key, v in renamed(stored, "The sliders").items()}
        rules = self.recipe.select.changed({**{k: v for k, v in moved.items() if k in CURATED}, **settings})
        self._curated(rules)
        return rules

    def changed_rules(self, change: SelectChange) -> SelectRecipe:
        """The rules after a change; weights that it sets to those of the preset follow the budget."""
        settings = change.settings
        if change.own_budgets is not None:
            settings["budgets"] = self._budgets(change.own_budgets)
        rules = self.curate_rules(**settings)
        keys = {place(name, rules.selector) for name in settings} & set(WEIGHT_KEYS)
        return rules.left_to_presets(*(key.partition(".")[0] for key in keys))

    def set_curate_settings(self, merge_within: float = SLIDER_SECONDS, **settings: Any) -> str | None:
        """Move sliders, as one undoable action; a weight of None follows the preset of the budget.

        What is told to stand where the recipe has it anyway is no move.

        Returns:
            What changed in words, or None when nothing did.
        """
        for name in settings:
            if name not in CURATED and not any(key.endswith(f".{name}") for key in CURATED):
                raise RecipeError(f'"{name}" has no slider.', f"Set one of {', '.join(CURATED)}.", name)
        return self.move_to(self.curate_rules(**settings), merge_within)

    def move_to(self, rules: SelectRecipe, merge_within: float = SLIDER_SECONDS) -> str | None:
        """Move the sliders to some rules, as `set_curate_settings` does."""
        now = self.curate_rules()
        if now.budgets != rules.budgets:  # no drag: each is one undo
            merge_within = 0.0
        absent = {key: plain(now.resolved().setting(key)) for key in CURATED}
        return self.workspace.ledger.set_settings(self._moved(now, rules), merge_within, absent)

    # Budgets and locks by class

    def own_budgets(self) -> dict[int, int]:
        """Budgets set by hand, by class; the other classes follow the allocation."""
        return {class_id: n for class_id, n in enumerate(self.curate_rules().budgets or ()) if n}

    def set_own_budgets(self, changes: Mapping[int, int | None]) -> str | None:
        """Set the budgets of some classes, None to leave one to the allocation again; one undoable action."""
        names, listed = self.bundle.class_names, self._budgets(changes)
        check_value("select.budgets", listed)
        words = ", ".join(f'budget of "{names[c]}" {n or "as allocated"}' for c, n in changes.items())
        return self.workspace.ledger.change({}, {"budgets": listed}, words)

    def locked(self) -> list[int]:
        """Classes that keep their picks whatever the sliders do."""
        return sorted(self.workspace.ledger.locked())

    def set_locked(self, class_ids: Iterable[int]) -> str | None:
        """Lock exactly these classes, as one undoable action.

        A class that was not locked keeps what the last selection picked in it; `live.select()` is run where
        there was none.
        """
        wanted, held = sorted({int(c) for c in class_ids}), self.workspace.ledger.locked()
        self._check_classes(wanted)
        live = self.live
        shown = live.result or live.select(rules=self.curate_rules())
        picks = {c: held.get(c) or live.candidate_ids[shown.picks[c]].tolist() for c in wanted}
        return self._lock_to(picks, held)

    # Marks

    def mark(self, candidate_ids: list[int], mark: str | None, reason: str = "") -> str | None:
        """Pin, veto or clear (None) candidates; returns what was done, None when nothing changed."""
        return self.workspace.ledger.set_marks(candidate_ids, mark, reason)  # type: ignore[arg-type]

    def swap(self, out_id: int, in_id: int) -> str | None:
        """Veto one candidate and pin another of its class, as one undoable action; a lock follows.

        Raises:
            SelectionError: candidates of two classes, or the same one twice.
        """
        live = self.live
        places = live.positions_of([out_id, in_id])
        classes = set(live.labels[places].tolist())
        if out_id == in_id or len(classes) != 1:
            raise SelectionError(
                f"Candidate {out_id} cannot be swapped for {in_id}: a swap takes two candidates of one class.",
                "Choose another candidate of the same class.",
            )
        locked = self.workspace.ledger.locked()
        settings: dict[str, Any] = {}
        class_id = classes.pop()
        if class_id in locked:
            kept = [in_id if cid == out_id else cid for cid in locked[class_id] if cid != in_id]
            settings = {LOCKED: _as_json({**locked, class_id: kept})}
        words = f"swap candidate {out_id} for {in_id}"
        return self.workspace.ledger.change({out_id: "veto", in_id: "pin"}, settings, words)

    def undo(self) -> str | None:
        """Take back the last action; returns what it was."""
        return self.workspace.ledger.undo()

    def redo(self) -> str | None:
        """Do it again; returns what it was."""
        return self.workspace.ledger.redo()

    def history(self, limit: int = 50) -> list[dict[str, Any]]:
        """The last actions, newest first: "id", "description", "created", "undone"."""
        return self.workspace.ledger.actions(limit)

    # Named selections

    def save_selection(self, name: str = "current", note: str = "") -> SelectionRecord:
        """Select as the sliders stand and save it under a name; the recipe takes their settings over."""
        curated = self._curated()
        values = {f"select.{key}": curated.select.setting(key) for key in CURATED}
        self.set({**values, "pool.pool_size": curated.pool.pool_size, "select.name": name})
        for _ in select.run(self.workspace, self.recipe, self.bundle, live=self.live, note=note):
            pass
        return self.workspace.ledger.selection(name)

    def save_candidates(self, name: str, candidate_ids: Sequence[int], note: str = "") -> SelectionRecord:
        """Save just these candidates under a name, in the given order inside each class.

        Raises:
            SelectionError: none, one twice, or one that is not in the pool.
        """
        check_value("select.name", name)
        record = select.by_hand(self.live, self.recipe, self.bundle, name, candidate_ids, note)
        self.workspace.ledger.save_selection(record)
        return record

    def restore_selection(self, name: str) -> str | None:
        """Bring back the settings, locks, pins and vetoes of a saved selection, as one undoable action.

        Of a selection saved by an older version, which kept no marks, the present marks stay. Of one that was made
        from another pool only the settings come back: its marks and locks would name other pictures.

        Raises:
            SelectionError: no such selection, or one that was put together by hand from another pool.
        """
        ledger = self.workspace.ledger
        record = ledger.selection(name)
        same_pool = select.is_of_pool(self.workspace, record, self.bundle)
        if not same_pool and record.settings["selector"] == BY_HAND:
            select.require(self.workspace, name, self.bundle)
        settings = restored_settings(record, CURATED)
        if not same_pool:
            del settings[LOCKED]
        marks: dict[int, Any] = {}
        if record.marks and same_pool:
            marks = dict.fromkeys(ledger.marks())
            marks |= dict.fromkeys(record.marks.get("pin", ()), "pin")
            marks |= dict.fromkeys(record.marks.get("veto", ()), "veto")
        self.curate_rules(**{k: v for k, v in settings.items() if k in CURATED})
        words = f'restore "{name}"' + ("" if same_pool else ", its settings only: it is of another pool")
        return ledger.change(marks, settings, words)

    def command(self) -> str:
        """The shell line that makes the selection on screen, under a name of its own; marks and locks are in
        the workspace.
        """
        words = ["psr-studio", "select", "--workspace", str(self.workspace.root)]
        for text in (*shell_assignments(self.curate_rules(), self.recipe.select), f"select.name={COMMANDED}"):
            words += ["--set", text]
        return shlex.join(words)

    # What the lab shows; shapes and keys stand in `stages.lab`

    def distributions(self, class_id: int | None = None) -> dict[str, Any]:
        """Difficulties of the real images, the pool and the picks of the last selection."""
        live = self.live
        return lab.distributions(live, live.result or live.select(rules=self.curate_rules()), class_id)

    def sufficiency(self) -> list[dict[str, Any]]:
        """Whether each class's pool is large enough for its budget."""
        rules = self.curate_rules()
        greedy = rules.of(psr.PSR)
        return lab.sufficiency(self.live, greedy.weights(rules.ipc), rules.ipc, greedy.scaling)

    def compare(self, a: str, b: str) -> dict[str, Any]:
        """Two selections beside each other, by saved name or "live" for the last one on screen."""
        return lab.compare(self.live, self._side(a), self._side(b), self.recipe, self.bundle)

    # Inside

    def _side(self, name: str) -> Any:
        live = self.live
        if name == "live":
            return live.result or live.select(rules=self.curate_rules())
        return select.require(self.workspace, name, self.bundle)

    def _lock_to(self, picks: dict[int, list[int]], held: dict[int, list[int]]) -> str | None:
        names = self.bundle.class_names
        done = [f'lock "{names[c]}"' for c in picks if c not in held]
        done += [f'unlock "{names[c]}"' for c in held if c not in picks]
        return self.workspace.ledger.change({}, {LOCKED: _as_json(picks)}, ", ".join(done) or "lock")

    def _budgets(self, changes: Mapping[int, int | None]) -> list[int] | None:
        """Budgets of all classes, 0 for one that is not set by hand; None when none is."""
        budgets = {**self.own_budgets(), **changes}
        self._check_classes(budgets)
        listed = [budgets.get(c) or 0 for c in range(self.bundle.n_classes)]
        return listed if any(listed) else None

    def _check_classes(self, class_ids: Iterable[int]) -> None:
        wrong = [c for c in class_ids if not 0 <= c < self.bundle.n_classes]
        if wrong:
            raise SelectionError(
                f"There is no class {wrong[0]}.", f"The classes are 0 to {self.bundle.n_classes - 1}."
            )

    def _moved(self, now: SelectRecipe, after: SelectRecipe) -> dict[str, Any]:
        """The settings that differ, as the ledger keeps them; leaving weights to a preset of just them is no move."""
        kept, same = self.workspace.ledger.settings(), now.weights == after.weights
        changed = {
            key: plain(after.setting(key)) for key in CURATED if after.setting(key) != now.setting(key)
        }
        return {
            key: v
            for key, v in changed.items()
            if key in kept or not (same and v is None and key in WEIGHT_KEYS)
        }

    def _curated(self, rules: SelectRecipe | None = None) -> Recipe:
        """The recipe with the sliders, or some rules, in it; RecipeError where two values do not go together."""
        if rules is None:
            rules = self.curate_rules()
        most = max(rules.ipc, *(rules.budgets or (0,)))
        pool = self.recipe.pool  # its size says nothing about the pool on disk
        pool = pool.model_copy(update={"pool_size": max(pool.pool_size, most)})
        return Recipe.model_validate({**dict(self.recipe), "select": rules, "pool": pool})

    def _live_state(self) -> object:
        """Changes whenever a file of the pool or of its scores does, or the classes of the task."""
        found = self.workspace.pool()
        teacher = self.bundle.teacher_id
        paths = [self.workspace.scores_part_path(teacher, p.class_id, p.part) for p in found.parts()]
        stats = [path.stat() if path.is_file() else None for path in paths]
        files = tuple((s.st_mtime_ns, s.st_size) if s else None for s in stats)
        return id(found), teacher, self.recipe.pool.classes, files


def _parameters(selector: Selector) -> list[dict[str, Any]]:
    """The parameters that have a control; see `Curating.selectors`."""
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
