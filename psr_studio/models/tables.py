"""Tables in the files of bundles and networks: known values are checked, what else stands there is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError, model_validator

from psr_studio.core.errors import ModelError
from psr_studio.core.refused import not_a_table, refused
from psr_studio.method.selectors.parameters import Table, facts_of, shape_of


class FileTable(Table):
    """A table of such a file; a blank text says no more than a key that is left out."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {key: value for key, value in values.items() if value != ""}


T = TypeVar("T", bound=FileTable)


def check_table(kind: type[T], values: Mapping[str, Any]) -> T:
    """The table of some values.

    Raises:
        ModelError: a value that is missing, of another type or outside its range.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as err:
        raise _error(kind, err) from err


def _error(table: type[Table], err: ValidationError) -> ModelError:
    findings = err.errors(include_url=False)
    if lacking := [str(found["loc"][-1]) for found in findings if found["type"] == "missing"]:
        return ModelError(f"it lacks {', '.join(lacking)}.", "Write what is missing.")
    found = findings[0]
    names = [part for part in found["loc"] if isinstance(part, str)]
    key, name = ".".join(names), names[-1]
    for outer in names[:-1]:
        inside = table.model_fields[outer].annotation
        if isinstance(inside, type) and issubclass(inside, Table):
            table = inside
    facts = facts_of(table).get(name)
    if facts is None:
        return ModelError(*not_a_table(key))
    value = found.get("ctx", {}).get("value", found["input"])
    kind = shape_of(table.model_fields[name].annotation).kind
    return ModelError(*refused(key, found["type"], value, facts, kind))
