"""Text that people and other programs write: TOML and JSON, in every encoding that names itself."""

from __future__ import annotations

import codecs
import json
import tomllib
from pathlib import Path
from typing import Any

MAX_DEPTH = 100  # of lists and tables in one another
MARKS = (  # the longer ones first: UTF-32 begins as UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TextError(ValueError):
    """What is wrong with a text, for a sentence that names its file; `fix` is a sentence of its own."""

    def __init__(self, words: str, fix: str) -> None:
        super().__init__(words)
        self.fix = fix


def read_text(path: Path) -> str:
    """The text of a file: UTF-8, or what the mark at its beginning says, as Windows programs write it.

    Raises:
        TextError: another encoding. OSError: as the system says it.
    """
    return decode(path.read_bytes())


def decode(data: bytes) -> str:
    """The text of some bytes, as `read_text`."""
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as err:
        words = f"not text in {encoding.upper().removesuffix('-SIG')}, from byte {err.start + 1:,} on"
        raise TextError(words, "Save it as UTF-8.") from err


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text; TextError with line and column."""
    return _parsed(tomllib.loads, text, "TOML")


def parse_json(text: str) -> Any:
    """The value of a JSON text; TextError with line and column."""
    return _parsed(json.loads, text, "JSON")


def _parsed(parse: Any, text: str, kind: str) -> Any:
    try:
        found = parse(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as err:
        raise TextError(f"not {kind}: {err}", "Correct that line.") from err
    except ValueError as err:  # Python reads no longer whole numbers than that
        raise TextError("a whole number in it has more than 4,300 digits", "Correct that number.") from err
    except RecursionError as err:
        raise _too_deep() from err
    _check(found)
    return found


def _check(value: Any) -> None:
    """Refuse what readers of the values stumble over: depth that they cannot follow, numbers of more than 64 bits."""
    level = [value]
    for _ in range(MAX_DEPTH):
        if any(isinstance(item, int) and not -(2**63) <= item < 2**63 for item in level):
            raise TextError("a whole number in it has more than 64 bits", "Correct that number.")
        inside = [
            item.values() if isinstance(item, dict) else item
            for item in level
            if isinstance(item, dict | list)
        ]
        level = [item for items in inside for item in items]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> TextError:
    return TextError("its lists or tables lie too deep in one another", "Write it flatter.")


def toml_value(value: Any) -> str:
    """Write a bool, number, text or list of them as TOML."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    # JSON strings are TOML basic strings, but for DEL, which TOML wants escaped.
    return (
        json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        if isinstance(value, str)
        else repr(value)
    )
