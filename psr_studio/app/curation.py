"""The half of `Studio` that the Curate tab moves: sliders, marks, locks, undo, and the selection they make."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from psr_studio.app.opening import OpenWorkspace
from psr_studio.core.disk import writing
from psr_studio.core.errors import RecipeError, SelectionError
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.recipe import Recipe, check_value
from psr_studio.recipe.tables import SelectRecipe
from psr_studio.stages.select import figures as lab
from psr_studio.stages.select import stage as select
from psr_studio.stages.select.live import LiveSelection
from psr_studio.stages.select.result import resolve_weights
from psr_studio.stages.select.saved import BY_HAND, restored_settings, shell_assignments
from psr_studio.storage.database import DO_AGAIN
from psr_studio.storage.records import SelectionRecord

PARAMETER_KEYS = ("alpha", "beta", "gamma", "scaling", "target", "drawn", "within_bin", "lam", "order")
CURATE_KEYS = (
    "selector", "ipc", "temperature", *PARAMETER_KEYS, "allocation", "floor", "ceiling", "budgets",
)  # fmt: skip
LOCKED = "locked"
SLIDER_SECONDS = 1.0  # one drag of a slider is one undo
COMMANDED = "from-command"  # what the copied command saves: it must not replace what somebody has named


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

        Keys "name", "title", "help", "source", "on_real", "needs_original" and "parameters": a list with
        "name", "kind", "default", "low", "high", "choices" and "help" of each.
        """
        plain = ("name", "title", "help", "source", "on_real", "needs_original")
        return [
            {
                **{key: getattr(selector, key) for key in plain},
                "parameters": [
                    {**asdict(p), "default": _plain(p.default), "choices": list(p.choices)}
                    for p in selector.parameters
                ],
            }
            for selector in SELECTORS.values()
        ]

    def curate_settings(self) -> dict[str, Any]:
        """Everything of `CURATE_KEYS` as it stands, as plain JSON values; weights are resolved."""
        chosen = self.curate_rules()
        plain = {key: _plain(getattr(chosen, key)) for key in CURATE_KEYS}
        return {**plain, **resolve_weights(chosen)._asdict()}

    def curate_rules(self, **settings: Any) -> SelectRecipe:
        """The rules for `live.select(rules=...)`: the recipe, over it the sliders, over them `settings`.

        Raises:
            RecipeError: a value out of its range, or one that does not go with another.
        """
        return self._curated(settings).select

    def set_curate_settings(self, merge_within: float = SLIDER_SECONDS, **settings: Any) -> str | None:
        """Move sliders, as one undoable action; a weight of None follows the preset of the budget.

        What is told to stand where the recipe has it anyway is no move.

        Returns:
            What changed in words, or None when nothing did.
        """
        for key, value in settings.items():
            if key not in CURATE_KEYS:
                raise RecipeError(f'"{key}" has no slider.', f"Set one of {', '.join(CURATE_KEYS)}.", key)
            check_value(f"select.{key}", value)
        now, after, recipe = self.curate_rules(), self.curate_rules(**settings), self.recipe.select
        weights = resolve_weights(recipe, now.ipc)._asdict()
        stand = {key: _plain(getattr(recipe, key)) for key in CURATE_KEYS}
        if resolve_weights(now) == resolve_weights(after):  # then "the preset" changes nothing either
            stand |= {key: None for key in weights if settings.get(key, 0.0) is None}
        kept, plain = self.workspace.ledger.settings(), {k: _plain(v) for k, v in settings.items()}
        moved = {key: value for key, value in plain.items() if key in kept or value != stand[key]}
        absent = {**stand, **weights}
        return self.workspace.ledger.set_settings(moved, merge_within=merge_within, absent=absent)

    # Budgets and locks by class

    def own_budgets(self) -> dict[int, int]:
        """Budgets set by hand, by class; the other classes follow the allocation."""
        return {class_id: n for class_id, n in enumerate(self.curate_rules().budgets or ()) if n}

    def set_own_budgets(self, changes: Mapping[int, int | None]) -> str | None:
        """Set the budgets of some classes, None to leave one to the allocation again; one undoable action."""
        budgets = {**self.own_budgets(), **changes}
        self._check_classes(budgets)
        listed = [budgets.get(c) or 0 for c in range(self.bundle.n_classes)]
        check_value("select.budgets", listed)
        names = self.bundle.class_names
        words = ", ".join(f'budget of "{names[c]}" {n or "as allocated"}' for c, n in changes.items())
        return self.workspace.ledger.change({}, {"budgets": listed if any(listed) else None}, words)

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
        """Select as the sliders stand and save it under a name; the recipe takes their settings over with it.

        What cannot be selected or saved changes nothing.
        """
        curated, ws = self._curated(), self.workspace
        values = {f"select.{key}": getattr(curated.select, key) for key in CURATE_KEYS}
        values |= {"pool.pool_size": curated.pool.pool_size, "select.name": name}
        with writing(ws.root, again=DO_AGAIN), ws.change() as change:
            recipe = self._set_with(change, values)
            record, _ = select.choose(ws, recipe, self.bundle, self.live, note)
            with change.commit():
                ws.ledger.save_selection(record)
        return record

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
        settings = restored_settings(record, CURATE_KEYS)
        if not same_pool:
            del settings[LOCKED]
        marks: dict[int, Any] = {}
        if record.marks and same_pool:
            marks = dict.fromkeys(ledger.marks())
            marks |= dict.fromkeys(record.marks.get("pin", ()), "pin")
            marks |= dict.fromkeys(record.marks.get("veto", ()), "veto")
        self.curate_rules(**{k: v for k, v in settings.items() if k in CURATE_KEYS})
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
        return lab.sufficiency(self.live, resolve_weights(rules), rules.ipc, rules.scaling)

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

    def _check_classes(self, class_ids: Iterable[int]) -> None:
        wrong = [c for c in class_ids if not 0 <= c < self.bundle.n_classes]
        if wrong:
            raise SelectionError(
                f"There is no class {wrong[0]}.", f"The classes are 0 to {self.bundle.n_classes - 1}."
            )

    def _curated(self, settings: Mapping[str, Any] | None = None) -> Recipe:
        """The recipe, over it the sliders of the ledger, over them `settings`."""
        moved = {k: v for k, v in self.workspace.ledger.settings().items() if k in CURATE_KEYS}
        moved |= settings or {}
        values = {f"select.{key}": value for key, value in moved.items()}
        most = max([moved.get("ipc") or 0, *(moved.get("budgets") or ())])
        if most > self.recipe.pool.pool_size:  # the recipe's pool size says nothing about the pool on disk
            values["pool.pool_size"] = most
        return self.recipe.with_values(values)

    def _live_state(self) -> object:
        """Changes whenever a file of the pool or of its scores does, or the classes of the task."""
        found = self.workspace.pool()
        teacher = self.bundle.teacher_id
        paths = [self.workspace.scores_part_path(teacher, p.class_id, p.part) for p in found.parts()]
        stats = [path.stat() if path.is_file() else None for path in paths]
        files = tuple((s.st_mtime_ns, s.st_size) if s else None for s in stats)
        return id(found), teacher, self.recipe.pool.classes, files


def _plain(value: Any) -> Any:
    """A value as JSON has it, so that settings compare equal to what was stored."""
    return list(value) if isinstance(value, tuple) else value


def _as_json(picks: Mapping[int, Sequence[int]]) -> dict[str, list[int]]:
    return {str(class_id): list(ids) for class_id, ids in sorted(picks.items())}
