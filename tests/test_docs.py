"""What the documents list is what there is: tables that are made from the code stand in them as made."""

from __future__ import annotations

from pathlib import Path

from psr_studio.method.selectors.parameters import facts_of
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.method.selectors.selector import Selector

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN, END = "<!-- made by tests/test_docs.py: -->\n", "<!-- end -->\n"


def selectors_table() -> str:
    """The table of docs/selectors.md."""
    head = ["| name | rule | source | parameters in `[select.<name>]` |", "|---|---|---|---|"]
    rows = [
        f"| `{name}` | {selector.help} | {selector.source} | {parameters_of(selector)} |"
        for name, selector in SELECTORS.items()
    ]
    return "\n".join([*head, *rows]) + "\n"


def parameters_of(selector: Selector) -> str:
    """Names and ranges; behind a semicolon those that are read under a condition."""
    conditions: dict[str, list[str]] = {}
    for name, facts in facts_of(selector.parameters).items():
        when = selector.parameters.read_when.get(name)
        text = f'with `{when[0]} = "{when[1]}"`: ' if when else ""
        conditions.setdefault(text, []).append(f"`{name}`" + (f" ({facts.range})" if facts.range else ""))
    always = conditions.pop("", [])
    return "; ".join([", ".join(always), *(key + ", ".join(names) for key, names in conditions.items())])


def test_the_table_of_the_selectors_is_the_registry():
    text = (DOCS / "selectors.md").read_text(encoding="utf-8")
    stands = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    assert stands == selectors_table(), f"put this between the two marks:\n{selectors_table()}"
