"""One control per setting of the recipe: label, help, unit and choices come from the recipe itself."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import floor, log10
from typing import Any, Protocol

import gradio as gr

from psr_studio.core.errors import RecipeError, StudioError
from psr_studio.recipe.keys import facts, shape
from psr_studio.recipe.rules import ByRule
from psr_studio.recipe.schema import Recipe, SelectRecipe
from psr_studio.storage.workspace import StageStatus
from psr_studio.ui.markup import note, refusal, status_line
from psr_studio.ui.words import QUIET, label

WIDE = "psr-wide"  # a control below its label, not beside it
SHORT = 11  # letters of the longest choice that has room beside its label in the narrowest column

Choices = Sequence[Any] | Callable[[], Sequence[Any]]


class HasRecipe(Protocol):
    """Whoever owns the recipe, a `Studio` here."""

    recipe: Recipe


class Settings:
    """A group of controls that show the recipe. Ranges are checked by the recipe, which names the fix.

    Args:
        owner: whose recipe is shown.
        choices: (name, value) pairs for keys whose choices the recipe does not know, or what lists them now.
        own: what is shown for keys that the recipe leaves to the bundle.
    """

    def __init__(
        self,
        owner: HasRecipe,
        choices: Mapping[str, Choices] | None = None,
        own: Mapping[str, Any] | None = None,
    ) -> None:
        self._owner = owner
        self._choices = dict(choices or {})
        self._bundles_own = dict(own or {})
        self.controls: dict[str, gr.components.Component] = {}

    def add(self, *keys: str, **more: Any) -> None:
        """Draw controls here; `more` goes to each of them."""
        for key in keys:
            self.controls[key] = _control(key, self._value(key), _listed(self._choices.get(key)), more)

    def add_choice(
        self, key: str, own: Mapping[str, Iterable[str]], *shared: str, about: Mapping[str, str] | None = None
    ) -> None:
        """The control of a choice, then settings that all its values share, then those of the chosen one.

        Args:
            own: settings by the values under which they count; one that several have is drawn below those of one alone.
            about: what each value is, said below the control.
        """
        self.add(key)
        now = self._value(key)
        groups: dict[gr.Column | gr.HTML, tuple[str, ...]] = {}
        for name, text in (about or {}).items():
            groups[gr.HTML(note(text), visible=name == now)] = (name,)
        self.add(*shared)
        counts = {
            each: tuple(name for name in own if each in own[name]) for name in own for each in own[name]
        }
        for names in sorted(dict.fromkeys(counts.values()), key=len):
            with gr.Column(scale=0, visible=now in names) as group:
                self.add(*(each for each, under in counts.items() if under == names))
            groups[group] = names
        self.controls[key].change(  # type: ignore[attr-defined]
            lambda chosen: {part: type(part)(visible=chosen in names) for part, names in groups.items()},
            self.controls[key],
            list(groups),
            **QUIET,
        )

    @property
    def outputs(self) -> list[gr.components.Component]:
        """The controls, in the order in which they were added; also the inputs of events."""
        return list(self.controls.values())

    def shown(self) -> dict[str, Any]:
        """Values for the controls by dotted key, as the recipe is now."""
        return {key: self._value(key) for key in self.controls}

    def parts(self) -> list[Setting]:
        """Each control by itself: one that changes leaves alone what is being typed into another."""
        return [
            Setting(key, control, partial(self._value, key), self._choices.get(key))
            for key, control in self.controls.items()
        ]

    def read(self, given: Sequence[Any], select: SelectRecipe | None = None) -> dict[str, Any]:
        """What an event was given, by dotted key, as the recipe takes it.

        A value that was only shown, being the bundle's own, stays left out; a number that a rule gives keeps it.

        Args:
            select: the budget that rules follow, `budget` by default.

        Raises:
            RecipeError: a field that was emptied and must hold something.
        """
        followed = select or self.budget()
        values = {key: _read(key, value) for key, value in zip(self.controls, given, strict=True)}
        return {key: self._meant(key, value, followed) for key, value in values.items()}

    def told_by(self, line: gr.HTML, state: Callable[[str], str], verb: str, title: str = "") -> None:
        """Let the line of a step say which settings on screen are not used yet, or refused, in the place of its state.

        Args:
            state: what the line says, given what is said of these settings, "" where all are used.
            verb: of the button that uses them. title: of the state.
        """
        changes = [*(control.change for control in self.outputs), line.change]  # type: ignore[attr-defined]
        gr.on(
            changes,
            lambda *given: state(self._refused(given) or self.unused(given, verb, title)),
            self.outputs,
            line,
            trigger_mode="always_last",
            **QUIET,
        )

    def _refused(self, given: Sequence[Any]) -> str:
        """What is wrong with the settings of an event, "" where they may be used: no alarm, they are being typed."""
        try:
            self._owner.recipe.with_values(self.read(given))
        except StudioError as err:
            return refusal(err)
        return ""

    def unused(self, given: Sequence[Any], verb: str, title: str = "") -> str:
        """The line on settings that an event was given and the recipe has not; "" where there are none."""
        shown = zip(self.shown().items(), given, strict=True)
        names = [f'"{label(key)}"' for (key, value), now in shown if _emptiable(now) != _emptiable(value)]
        if not names:
            return ""
        reason = f'Not used yet: {", ".join(names)}. Press "{verb}" to work with what is shown.'
        return status_line(StageStatus("stale", reason), title, {"stale": "changed"})

    def budget(self) -> SelectRecipe:
        """What numbers by rule follow here."""
        return self._owner.recipe.select

    def _meant(self, key: str, value: Any, select: SelectRecipe) -> Any:
        now = self._owner.recipe.value(key)
        if now is None and key in self._bundles_own and value == self._bundles_own[key]:
            return None
        return now if isinstance(now, ByRule) and value == now.at(select.ipc, select.most) else value

    def _value(self, key: str) -> Any:
        value = self._owner.recipe.value(key)
        if isinstance(value, ByRule):
            select = self.budget()
            return value.at(select.ipc, select.most)
        return _shown(key, self._bundles_own.get(key) if value is None else value)


@dataclass(frozen=True)
class Setting:
    """A control, and the value it shows as the recipe is now: what was used last, on a page opened again.

    Attributes:
        once: it is shown when the tab is opened and left alone afterwards.
    """

    key: str
    control: gr.components.Component
    value: Callable[[], Any]
    choices: Choices | None = None
    once: bool = False

    @property
    def outputs(self) -> list[gr.components.Component]:
        """The control alone."""
        return [self.control]

    def version(self) -> Hashable:
        """Changes with the value, with its rule and with its choices."""
        if self.once:
            return self.key
        value = self.value()
        return repr(value), _info(self.key, value), repr(_listed(self.choices))

    def values(self) -> list[Any]:
        """The value alone; where a rule may give it, with what is said of that, and where choices change, with them."""
        value = self.value()
        if callable(self.choices):
            choices = self.choices()
            return [gr.Dropdown(list(choices), value=value, visible=_has_another(choices, value))]
        return [gr.Number(value, info=_info(self.key, value)) if facts(self.key).rule else value]


def _listed(choices: Choices | None) -> Sequence[Any] | None:
    return choices() if callable(choices) else choices


def _control(key: str, value: Any, choices: Sequence[Any] | None, more: Mapping[str, Any]) -> Any:
    known, (kind, many, _) = facts(key), shape(key)
    words = {"label": label(key), "info": _info(key, value), **more}
    listed = choices if choices is not None else known.choices
    if kind is bool:
        return gr.Checkbox(value, **words)
    if many:
        return gr.Dropdown(list(listed), value=value, multiselect=True, elem_classes=WIDE, **words)
    if listed:
        short = max(len(str(name[0] if isinstance(name, tuple) else name)) for name in listed) <= SHORT
        words["visible"] = _has_another(listed, value)
        return gr.Dropdown(list(listed), value=value, elem_classes=None if short else WIDE, **words)
    if kind is str:
        return gr.Textbox(value, max_lines=1, **words)
    # A fraction where a whole number belongs is refused, not rounded.
    return gr.Number(value, step=_step(value) if kind is float else 1, **words)


def _step(value: float | None) -> float:
    """By how much an arrow key moves a fraction: a tenth of its size."""
    return 10.0 ** (floor(log10(abs(value))) - 1) if value else 0.1


def _has_another(choices: Sequence[Any], value: Any) -> bool:
    """Whether anything else than the value can be chosen; a control without that would only take room."""
    return any((choice[1] if isinstance(choice, tuple) else choice) != value for choice in choices)


def _info(key: str, value: Any) -> str:
    """The help, and the rule that gives the number."""
    if not isinstance(value, ByRule):
        instead = facts(key).instead
        return facts(key).help + (f' A recipe may give a rule in its place, "{instead}".' if instead else "")
    return (
        f'{facts(key).help} Follows the images per class ("{value.rule}"); another number replaces the rule.'
    )


def _shown(key: str, value: Any) -> Any:
    return list(value or ()) if shape(key).many else value


def _emptiable(value: Any) -> Any:
    """None for all that an empty control may hold."""
    return None if value in ("", []) else value


def _read(key: str, value: Any) -> Any:
    """An empty list is "all" where the setting may be left out; nothing at all is only taken there."""
    _, many, optional = shape(key)
    if optional and value == "":
        return None
    if many and not value:
        return None if optional else ()
    if value in (None, "") and not optional:
        raise _emptied(key)
    return value


def _emptied(key: str) -> RecipeError:
    known = facts(key)
    wanted = "a name" if shape(key).kind is str else "a number"
    if known.choices:
        wanted = f"one of {known.range}"
    elif known.range:
        wanted += f" from {known.range}"
    return RecipeError(f'"{label(key)}" is empty.', f'Enter {wanted} in "{label(key)}".', key)
