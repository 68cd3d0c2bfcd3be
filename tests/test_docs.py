"""What the documents list is what there is: tables that are made from the code stand in them as made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import pytest

from psr_studio.method.guidances.registry import GUIDANCES
from psr_studio.method.protocols import PROTOCOLS
from psr_studio.method.selectors.parameters import Facts, facts_of
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.method.selectors.selector import Selector
from psr_studio.studies.study import Study
from psr_studio.studies.table import STUDIES

DOCS = Path(__file__).resolve().parent.parent / "docs"
PACKAGE = DOCS.parent / "psr_studio"
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


def guidances_table() -> str:
    """The table of docs/pool.md."""
    head = ["| name | steers to | source | parameters in `[pool.<name>]` |", "|---|---|---|---|"]
    rows = [
        f"| `{name}` | {one.help} | {one.source} | {ranges_of(facts_of(one.parameters))} |"
        for name, one in GUIDANCES.items()
    ]
    return "\n".join([*head, *rows]) + "\n"


def ranges_of(known: Mapping[str, Facts]) -> str:
    """Names and ranges of settings."""
    return ", ".join(
        f"`{name}`" + (f" ({facts.range})" if facts.range else "") for name, facts in known.items()
    )


def protocols_table() -> str:
    """The table of docs/evaluate.md."""
    head = [
        "| name | what it is | source | epochs | batch | rate | points |",
        "|---|---|---|---|---|---|---|",
    ]
    rows = [
        f"| `{name}` | {one.help} | {one.source} | {one.epochs} | {one.batch_size} | {one.lr:g} | {one.n_checks} |"
        for name, one in PROTOCOLS.items()
    ]
    return "\n".join([*head, *rows]) + "\n"


@pytest.mark.parametrize(
    ("page", "made"),
    [("selectors", selectors_table), ("pool", guidances_table), ("evaluate", protocols_table)],
)
def test_the_tables_of_the_documents_are_the_registries(page, made):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    stands = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    assert stands == made(), f"put this between the two marks:\n{made()}"


def rows_of(text: str, heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its two head lines."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize("heading", ["Symbols", "Nouns"])
def test_the_glossary_names_what_stands_where_it_says(heading):
    rows = rows_of((DOCS / "glossary.md").read_text(encoding="utf-8"), heading)
    assert len(rows) > 20
    for word, names, _, where in rows:
        source = (PACKAGE / where.strip(" `|")).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"\b{name}\b", source), f"{word}: no {name} in {where}"


def test_every_function_of_the_method_that_the_documents_name_is_there():
    text = (DOCS / "method.md").read_text(encoding="utf-8")
    named = {
        pair
        for pair in re.findall(r"`(\w+)\.(\w+)`", text)
        if (PACKAGE / "method" / f"{pair[0]}.py").is_file()
    }
    assert len(named) > 30
    for module, function in named:
        assert hasattr(import_module(f"psr_studio.method.{module}"), function), f"{module}.{function}"


def test_the_studies_of_the_document_are_those_there_are():
    """By name, place in the papers, budgets and candidates, in the order of the command."""
    rows = rows_of((DOCS / "studies.md").read_text(encoding="utf-8"), "Which there are")
    assert [[cell.strip("`") for cell in row[:2]] + row[3:] for row in rows] == [
        [study.name, study.place, ", ".join(map(str, study.budgets)), candidates_of(study)]
        for study in STUDIES.values()
    ]


def candidates_of(study: Study) -> str:
    times = sorted({level.times or study.times for level in study.levels})
    return f"{times[0]}K" if len(times) == 1 else f"{times[0]}K to {times[-1]}K"


# The chain behind the alpha slider: each file, and what of the next one it calls.
ALPHA = {
    "ui/static/controls/controls.js": "actions.select()",
    "ui/static/core/actions.js": "enqueue('select'",
    "ui/curate/routes.py": "workbench.select(",
    "ui/curate/workbench.py": "self.curation.act(",
    "app/curation.py": "from psr_studio.stages.select.choice import Marks, select",
    "stages/select/choice.py": "SELECTORS[selector].choose_all(",
    "method/selectors/psr.py": "greedy_select_all(",
    "method/selection.py": "kernels.",
    "method/kernels/greedy.py": "# eq. 8",
}
ANSWERS = {
    "Where is equation 8": {
        "method/selection.py": "def greedy_reference(",
        "method/kernels/greedy.py": "@compiled",
    },
    "Where is equation 10": {
        "stages/refine/loop.py": "weights = adaptive_weight(",
        "method/refinement.py": "def adaptive_weight(",
    },
    "What does the alpha slider do": {
        **ALPHA,
        "ui/static/core/model.js": "alpha * rel[i]",
        "ui/curate/answer.py": "def pack(",
    },
    "How do I add a stage": {
        "stages/table.py": "PIPELINE",
        "recipe/schema.py": "(Table):",
        "ui/page.py": "TABS",
    },
}


@pytest.mark.parametrize("question", ANSWERS)
def test_the_questions_of_a_newcomer_are_answered_as_the_code_stands(question):
    text = (DOCS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    answer = text.partition(f"- **{question}")[2].partition("\n- **")[0]
    named = set(re.findall(r"`((?:\w+/)+\w+\.\w+)`", answer))
    assert named == ANSWERS[question].keys()
    for path, holds in ANSWERS[question].items():
        assert holds in (PACKAGE / path).read_text(encoding="utf-8"), path
