"""The workbench's scripts and style sheets, each as one file: a browser that asks for seventy waits for seventy.

The scripts stay plain modules that a browser can also load one by one; here they are put one after the other,
each in a function of its own that returns what the module exports. Our own modules are written so that two
patterns are enough: imports by name, and exports in front of a declaration.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

IMPORT = re.compile(r"^import \{\s*([^}]+?),?\s*\} from '(\.[\w./]+)\.js';$", re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async function|function|class|const) (\w+))", re.MULTILINE)
LEFT_OVER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def one_script(folder: Path, entry: str) -> str:
    """Return the module `entry` and all it needs as one module that exports the same.

    Args:
        folder: where the modules lie, in folders of their own or not.
        entry: path of a module in it, without the ending.

    Raises:
        ValueError: modules that import each other in a circle, or an import or export of another form.
    """
    modules, exported = _joined(folder, entry)
    return f"{modules}\nexport const {{ {exported} }} = {_variable(entry)};\n"


def one_body(folder: Path, entry: str, call: str) -> str:
    """Return the same as the body of a function, for a page that runs text: it ends with `call` to the entry."""
    modules, _ = _joined(folder, entry)
    return f"{modules}\n{_variable(entry)}.{call};\n"


def one_sheet(folder: Path, names: tuple[str, ...]) -> str:
    """Return style sheets as one, in this order."""
    return "\n".join((folder / f"{name}.css").read_text(encoding="utf-8") for name in names)


def _joined(folder: Path, entry: str) -> tuple[str, str]:
    """The module and all it needs, and the names that it exports."""
    done: dict[str, str] = {}
    exported = _take(folder, entry, done, ())
    return "\n".join(done.values()), exported


def _take(folder: Path, name: str, done: dict[str, str], above: tuple[str, ...]) -> str:
    """Add a module to `done`, after those it imports; return the names that it exports."""
    if name in above:
        raise ValueError(f"Modules import each other: {' > '.join([*above, name])}.")
    text = (folder / f"{name}.js").read_text(encoding="utf-8")

    def imported(found: re.Match[str]) -> str:
        needed = posixpath.normpath(posixpath.join(posixpath.dirname(name), found[2]))
        if needed not in done:
            _take(folder, needed, done, (*above, name))
        return f"const {{ {found[1].replace(' as ', ': ')} }} = {_variable(needed)};"

    exported = ", ".join(EXPORT.findall(text))
    body = EXPORT.sub("", IMPORT.sub(imported, text))
    if left := LEFT_OVER.search(body):
        raise ValueError(f'{name}.js: "{left[0]}" is no import or export that can be joined.')
    done[name] = f"const {_variable(name)} = (() => {{\n{body}return {{ {exported} }};\n}})();"
    return exported


def _variable(name: str) -> str:
    return f"${name.replace('/', '$')}"
