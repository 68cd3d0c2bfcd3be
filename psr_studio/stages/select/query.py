"""A small query over candidates: "difficulty > 0.5, not picked, class Shirt, tag blurry". All its clauses must hold.

A clause compares a number, asks for a flag, or names a class, a tag or a candidate by its number; "not" before it turns
it round. "parent" finds the variations of a candidate. "near" names a candidate or a picture: of what the other clauses
leave it finds the `NEAREST`. Names with a comma or a quote stand in
double quotes. The parser knows no pool; `matches` applies what it found.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from psr_studio.core.errors import SelectionError, did_you_mean

NUMBERS = ("difficulty", "reliability", "entropy", "diversity", "rank")
FLAGS = ("picked", "eligible", "pinned", "vetoed", "filled", "tagged", "variation")
NAMED = ("class", "predicted", "leans", "tag", "candidate", "parent", "near")
NEAREST = 24  # candidates that "near" finds
COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, ">": operator.gt, "<": operator.lt, "=": operator.eq,
}  # fmt: skip
CLAUSE = re.compile(r'\s*((?:"[^"]*"|[^",])*)\s*(?:,|$)')
COMPARISON = re.compile(r"(\w+)\s*([<>=!]+)\s*(.*)")
WHOLE = re.compile(r'(\w+)\s+(?:"([^"]*)"|(.+))')
WHOLE_NUMBER = re.compile(r"\d{1,18}")
MOST = 2000  # letters
EXAMPLE = 'Write clauses with commas between them, such as: difficulty > 0.5, not picked, class "Shirt", tag blurry.'


@dataclass(frozen=True)
class Clause:
    """One condition: `what` is a number, a flag or one of `NAMED`; `value` what it is compared with, "" for a flag."""

    what: str
    compared: str = ""
    value: float | str = ""
    negated: bool = False


@dataclass(frozen=True)
class Fields:
    """What clauses ask about, over N candidates.

    Attributes:
        numbers: (N,) floats by name; NaN where a candidate has none, and then no comparison holds.
        flags: (N,) bools by name. labels, predicted, leans: (N,) class ids. tags: (N,) bools by tag.
        ids, parents: (N,) numbers of the candidates, and of those that they are variations of, -1 for none.
        apart: (N,) distances from a candidate or a picture, by its name; SelectionError where there is none.
    """

    numbers: Mapping[str, np.ndarray]
    flags: Mapping[str, np.ndarray]
    labels: np.ndarray
    predicted: np.ndarray
    leans: np.ndarray
    class_names: tuple[str, ...]
    tags: Mapping[str, np.ndarray]
    ids: np.ndarray
    parents: np.ndarray
    apart: Callable[[str], np.ndarray]


def parse(text: str) -> tuple[Clause, ...]:
    """The clauses of a query; () of an empty one.

    Raises:
        SelectionError: what is no clause, with its words.
    """
    if len(text) > MOST or text.count('"') % 2:
        what = f"has {len(text)} letters" if len(text) > MOST else "has a quote without its other one"
        raise SelectionError(f"The query {what}, and it must be at most {MOST} letters of clauses.", EXAMPLE)
    parts = [found[1].strip() for found in CLAUSE.finditer(text)]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(map(_clause, parts))


def _clause(words: str) -> Clause:
    asked = words.removeprefix("not ").strip()
    negated = asked != words
    if asked.lower() in FLAGS:
        return Clause(asked.lower(), negated=negated)
    if found := COMPARISON.fullmatch(asked):
        name, compared = _known(found[1], NUMBERS, words), _comparison(found[2], words)
        return Clause(name, compared, _number(found[3], words), negated)
    if (found := WHOLE.fullmatch(asked)) and found[1].lower() in NAMED:
        return Clause(found[1].lower(), "=", found[2] if found[2] is not None else found[3].strip(), negated)
    raise _unknown(words, asked.partition(" ")[0])


def _known(name: str, names: tuple[str, ...], words: str) -> str:
    if name.lower() not in names:
        raise _unknown(words, name)
    return name.lower()


def _comparison(sign: str, words: str) -> str:
    if sign not in COMPARED:
        known = ", ".join(COMPARED)
        raise SelectionError(f'"{words}" compares by "{sign}", and that must be one of {known}.', EXAMPLE)
    return sign


def _number(text: str, words: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise SelectionError(f'"{words}" compares with "{text}", and that must be a number.', EXAMPLE)
    return value


def _unknown(words: str, name: str) -> SelectionError:
    names = (*NUMBERS, *FLAGS, *NAMED)
    lacks = {
        **dict.fromkeys(NUMBERS, "a comparison such as > 0.5"),
        **dict.fromkeys(NAMED, "a name behind it"),
    }
    if name.lower() in lacks:
        return SelectionError(f'"{words}" lacks {lacks[name.lower()]}.', EXAMPLE)
    near = did_you_mean(name.lower(), names)
    known = "" if near else f" It may ask for {', '.join(names)}."
    return SelectionError(f'"{words}" is no clause of a query.{known}', near + EXAMPLE)


def clauses(class_names: Sequence[str], tags: Iterable[str]) -> list[str]:
    """What a query over these classes and tags can be made of, to be offered to whoever writes one.

    A comparison lacks its number ("difficulty >"), everything else is a clause; names that no clause can hold are out.
    """
    named = [("class", class_names), ("predicted", class_names), ("leans", class_names), ("tag", tags)]
    return [
        *(f"{name} >" for name in NUMBERS),
        *FLAGS,
        *(clause_text(what, name) for what, names in named for name in names if '"' not in name),
    ]


def clause_text(what: str, name: str) -> str:
    """The text of a clause that names something, such as 'class Shirt'; no text can name what holds a quote."""
    return f'{what} "{name}"' if "," in name or name != name.strip() else f"{what} {name}"


def matches(query: tuple[Clause, ...], fields: Fields) -> np.ndarray:
    """(N,) bool: the candidates for which every clause holds.

    Raises:
        SelectionError: a class that the task has not, a tag that nothing has, a candidate that is not there or has no
            variations; what is looked near to is not there.
    """
    found = np.ones(len(fields.labels), bool)
    for clause in sorted(query, key=lambda clause: clause.what == "near"):
        holds = _nearest(clause, found, fields) if clause.what == "near" else _holds(clause, fields)
        found &= holds != clause.negated
    return found


def looked_near(query: tuple[Clause, ...]) -> str:
    """The candidate or picture that a query looks near to first; "" for none."""
    return next((str(clause.value) for clause in query if clause.what == "near" and not clause.negated), "")


def _nearest(clause: Clause, among: np.ndarray, fields: Fields) -> np.ndarray:
    """(N,) bool: the nearest of some candidates, ties by their place."""
    rows = np.flatnonzero(among)
    apart = fields.apart(str(clause.value))[rows]
    nearest = np.zeros(len(among), bool)
    nearest[rows[np.argsort(apart, kind="stable")[:NEAREST]]] = True
    return nearest


def _holds(clause: Clause, fields: Fields) -> np.ndarray:
    if clause.what in NUMBERS:
        values = fields.numbers[clause.what]
        return COMPARED[clause.compared](values, clause.value) & ~np.isnan(values)
    if clause.what in FLAGS:
        return fields.flags[clause.what]
    if clause.what == "tag":
        return _tagged(str(clause.value), fields)
    if clause.what in ("candidate", "parent"):
        return _of_candidate(clause, fields)
    seen = {"class": fields.labels, "predicted": fields.predicted, "leans": fields.leans}[clause.what]
    return seen == _class_id(str(clause.value), fields)


def _tagged(name: str, fields: Fields) -> np.ndarray:
    if name not in fields.tags:
        near = did_you_mean(name, fields.tags)
        known = f"The tags are {', '.join(fields.tags)}." if fields.tags else "No candidate has a tag so far."
        raise SelectionError(f'There is no tag "{name}".', near + known)
    return fields.tags[name]


def _of_candidate(clause: Clause, fields: Fields) -> np.ndarray:
    """(N,) bool: the candidate of that number, or those that are variations of it."""
    number = str(clause.value)
    among = fields.ids if clause.what == "candidate" else fields.parents
    found = among == int(number) if WHOLE_NUMBER.fullmatch(number) else np.zeros(len(among), bool)
    if found.any():
        return found
    if clause.what == "candidate":
        raise SelectionError(
            f'There is no candidate "{number}".', "Take its number from the pane of a candidate."
        )
    raise SelectionError(
        f'There are no variations of candidate "{number}".', 'Find all variations by the clause "variation".'
    )


def _class_id(name: str, fields: Fields) -> int:
    plain = [known.lower() for known in fields.class_names]
    if name.lower() not in plain:
        near = did_you_mean(name, fields.class_names)
        raise SelectionError(
            f'There is no class "{name}".', f"{near}Name a class as the class list shows it."
        )
    return plain.index(name.lower())
