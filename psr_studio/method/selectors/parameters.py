"""How a setting is declared, once, with type, range, unit and help: those of the selectors and of the recipe."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Any, ClassVar, NamedTuple, Protocol, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

FOLDER_NAME = r"\w(?:[\w .@+-]{0,78}[\w@+-])?"


class Rule(Protocol):
    """A kind of rule that gives a number: `read` answers with that number, None of what is no rule of the kind."""

    example: ClassVar[str]

    def read(self, value: Any) -> int | None:
        """The number."""


@dataclass(frozen=True)
class Facts:
    """What is known of a setting beside its type and its default; a value is checked by it.

    Attributes:
        help: one sentence, in the words on the screen. unit: of the value, "" without one.
        low, high: numbers lie in [low, high]; both are given or none.
        choices: words are among them. folder: a word becomes the name of a folder.
        length: a list has exactly so many values; the facts above hold for each. filled: one of them is above 0.
        label: name on the screen; "" where the key says it. slider: where a slider ends, before `high`.
        control: has a control on the Curate tab.
        rule: what may stand for a number, such as "2K".
    """

    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    folder: bool = False
    length: int | None = None
    filled: bool = False
    label: str = ""
    slider: float | None = None
    control: bool = True
    rule: Rule | None = None

    @property
    def allowed(self) -> str:
        """The range in words, and what may stand for it: 1 to 1000, or a rule such as "2K"."""
        return self.range + (f', or a rule such as "{self.instead}"' if self.rule else "")

    @property
    def instead(self) -> str:
        """An example of its rules, "" where it takes none."""
        return self.rule.example if self.rule else ""

    @property
    def range(self) -> str:
        """The range in words: "1 to 1000", "ddpm, ddim", or "" when anything of the type goes."""
        if self.choices:
            return ", ".join(self.choices)
        return "" if self.low is None else f"{self.low} to {self.high}"

    def check(self, value: Any) -> Any:
        """Return a value of the right type, or raise what pydantic reports: the kind names the fact it breaks."""
        if isinstance(value, tuple):
            if self.length not in (None, len(value)):
                raise _broken("length", f"must have {self.length} values", value)
            if self.filled and not any(value):
                raise _broken("filled", "must have a value above 0", value)
        for item in value if isinstance(value, tuple) else () if value is None else (value,):
            if self.choices and item not in self.choices:
                raise _broken("choice", f"must be one of: {self.range}", item)
            if self.folder and not re.fullmatch(FOLDER_NAME, item):
                raise _broken("folder", "must be the name of a folder", item)
            if self.low is not None and self.high is not None and not self.low <= item <= self.high:
                raise _broken("range", f"must be from {self.range}", item)
            if isinstance(item, str) and not item.strip():
                raise _broken("blank", "must not be blank", item)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """What pydantic runs: a list counts as a tuple, then comes the type or the rule, then the check."""

        def typed(value: Any, of_type: Callable[[Any], Any]) -> Any:
            by_rule = self.rule.read(value) if self.rule else None
            return of_type(tuple(value) if isinstance(value, list) else value) if by_rule is None else by_rule

        return core_schema.no_info_wrap_validator_function(
            lambda value, of_type: self.check(typed(value, of_type)), handler(source)
        )


class Shape(NamedTuple):
    """The type of a setting: `kind` of each value, `many` in a list, `optional` where it may be left out."""

    kind: type
    many: bool
    optional: bool


class Table(BaseModel):
    """Settings that belong together: frozen, each checked when a table is made, and nothing unknown among them.

    A bool is no number; a whole number counts where a number is wanted; NaN and infinity are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Parameters(Table):
    """What a selector reads; one that reads nothing has this table itself.

    Attributes:
        read_when: for a setting that is not always read, the other setting and the value it must have for that.
        searched: what a search varies: the choices it tries (words, or False and True), or the two ends of a number.
    """

    read_when: ClassVar[Mapping[str, tuple[str, Any]]] = {}
    searched: ClassVar[Mapping[str, tuple]] = {}

    def read(self) -> dict[str, Any]:
        """The settings that count as the others stand, by name."""
        conditions = {name: self.read_when.get(name) for name in type(self).model_fields}
        return {
            name: getattr(self, name)
            for name, when in conditions.items()
            if when is None or getattr(self, when[0]) == when[1]
        }

    def resolved(self, ipc: int) -> Self:
        """The same with what is left to a budget of `ipc` images per class filled in."""
        return self

    @property
    def needs_original(self) -> bool:
        """Whether difficulties of the real images are read, as the settings stand."""
        return False

    # How a search sees it

    @classmethod
    def space(cls) -> dict[str, tuple]:
        """The coordinates of a search, as `searched`: choices, or the ends of a number in the type of its setting."""
        kinds = {name: shape_of(cls.model_fields[name].annotation).kind for name in cls.searched}
        return {
            name: tried if is_choice(tried) else tuple(map(kinds[name], tried))
            for name, tried in cls.searched.items()
        }

    def coordinates(self, ipc: int) -> dict[str, Any]:
        """Where these settings lie in the space; what lies outside is put at the first choice, or at the nearer end."""
        now = self.resolved(ipc)
        return {name: _inside(getattr(now, name), tried) for name, tried in self.space().items()}

    @classmethod
    def values_at(cls, coordinates: Mapping[str, Any]) -> dict[str, Any]:
        """Settings at some coordinates."""
        return dict(coordinates)


def setting(
    default: Any, help: str, unit: str = "", low: float | None = None, high: float | None = None, **more: Any
) -> Any:
    """Declare a setting of a table, with its `Facts` beside the default."""
    declared = Field(default)
    declared.metadata.append(Facts(help, unit, low, high, **more))
    return declared


@cache
def facts_of(table: type[Table]) -> dict[str, Facts]:
    """The facts of each setting of a table, in their order; tables inside it are left out."""
    fields = table.model_fields.items()
    return {name: facts for name, spec in fields for facts in spec.metadata if isinstance(facts, Facts)}


def shape_of(annotation: Any) -> Shape:
    """Read a type such as `float | None` or `tuple[str, ...]`."""
    optional = NoneType in get_args(annotation)
    inner = get_args(annotation)[0] if optional else annotation
    many = get_origin(inner) is tuple
    return Shape(get_args(inner)[0] if many else inner, many, optional)


def is_choice(tried: tuple) -> bool:
    """Whether what a search tries are words, or False and True, not the two ends of a number."""
    return isinstance(tried[0], str | bool)


def _inside(value: Any, tried: tuple) -> Any:
    if is_choice(tried):
        return value if value in tried else tried[0]
    low, high = tried
    return min(max(value, low), high)


def _broken(kind: str, words: str, value: Any) -> PydanticCustomError:
    return PydanticCustomError(kind, "{words}", {"words": words, "value": value})  # type: ignore[arg-type]
