"""The report of a study: one HTML file that needs nothing else, and a CSV with the same lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from psr_studio.core.files import write_bytes
from psr_studio.core.version import __version__
from psr_studio.core.words import plural, text_table
from psr_studio.method.protocols import COSINE, DC_STEP, HALF_COSINE, MULTI_STEP
from psr_studio.recipe.schema import CROPS, ORIGINAL, EvaluateRecipe, Recipe
from psr_studio.stages.evaluate.comparing import DIFFERENCE_HEAD, PAIRED, against
from psr_studio.stages.evaluate.stage import spread
from psr_studio.stages.generate.plan import classes_of
from psr_studio.stages.generate.stage import scale
from psr_studio.storage.workspace import Workspace
from psr_studio.studies.entries import COLUMNS, Entry, of_the_same_data, own_entries, published_entries
from psr_studio.studies.homes import FOLDER
from psr_studio.studies.measures import ABOUT_MEASURES, MEASURES, Measures
from psr_studio.studies.results import Result, results
from psr_studio.studies.study import Study

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from psr_studio.bundles.bundle import Bundle

OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW"}
SCHEDULES = {
    DC_STEP: "a tenth of it in the second half",
    MULTI_STEP: "a fifth of it at 2/3 and again at 5/6",
    HALF_COSINE: "by half a cosine to half of it",
    COSINE: "by a cosine to nothing",
}
HEAD = (
    "source", "images", "student", "images per class", "candidates per class", "labels", "protocol", "epochs", "n",
    "top-1 last epoch, %", "standard deviation", "missing", "set", "pool agreement", "pool difficulty",
    "pool diversity", "pool coverage",
)  # fmt: skip
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
th, td { padding: 0.2rem 0.7rem; border-bottom: 1px solid #8885; text-align: left; vertical-align: top; }
.lines td { white-space: nowrap; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
"""


def report_paths(ws: Workspace, study: Study) -> tuple[Path, Path]:
    """Where the report and the CSV of a study lie."""
    folder = ws.root / FOLDER
    return folder / f"{study.name}.html", folder / f"{study.name}.csv"


def pools_page(ws: Workspace) -> Path:
    """Where the page lies that sets its pool beside another's, the one made last."""
    return ws.root / FOLDER / "compared-pools.html"


def write_report(ws: Workspace, recipe: Recipe, bundle: Bundle, study: Study) -> tuple[Path, Path]:
    """Write both files from what is there, each whole or not at all; returns their paths."""
    found = results(ws, recipe, bundle, study)
    page, lines = report_paths(ws, study)
    write_bytes(lines, csv_text(study, found).encode(), ws.place)
    write_bytes(page, html_text(study, found, recipe, bundle).encode(), ws.place)
    return page, lines


def figure_of(study: Study, found: Sequence[Result], bundle: Bundle) -> go.Figure:
    """The figure, with the papers' lines in it where data set and student are the same."""
    from psr_studio.studies.figures import study_figure

    entries = own_entries(found)
    return study_figure(
        study, [*entries, *of_the_same_data(study, bundle, {entry.student for entry in entries})]
    )


def standing(found: Sequence[Result], running: bool = False) -> str:
    """How far a study is, in one sentence; `running` says that it goes on now."""
    done = sum(result.finished for result in found)
    if done == len(found):
        return f"All {plural(done, 'cell')} of this study are finished."
    begun = any(result.wanted for result in found)
    rest = "run the study again to go on" if begun else "it was not run here yet"
    return f"{done} of {plural(len(found), 'cell')} are finished; {'it runs now' if running else rest}."


def csv_text(study: Study, found: Sequence[Result]) -> str:
    """Our lines, then those of the papers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("study", "place", *HEAD))
    for entry in (*own_entries(found), *published_entries(study)):
        writer.writerow((study.name, study.place, *_cells(entry)))
    return out.getvalue()


def text_of(study: Study, found: Sequence[Result]) -> str:
    """The same as text, a line each."""
    entries = (*own_entries(found), *published_entries(study))
    return text_table(COLUMNS, (entry.cells for entry in entries))


def _cells(entry: Entry) -> tuple[str, ...]:
    row = entry.row
    of_row = (row.label_regime, row.protocol, str(row.epochs), str(row.n)) if row else ("",) * 4
    return (
        entry.source, entry.images, entry.student, _text(entry.ipc), _text(entry.candidates), *of_row,
        _text(entry.mean, ".2f"), _text(entry.std, ".2f"), entry.missing, row.set_id if row else "",
        *_measured(entry.measures),
    )  # fmt: skip


def _measured(found: Measures | None) -> tuple[str, ...]:
    values = (found.agreement, found.difficulty, found.diversity, found.coverage) if found else (None,) * 4
    return tuple(_text(value, ".3f") for value in values)


def _text(value: float | None, form: str = "") -> str:
    return "" if value is None else format(value, form)


def html_text(study: Study, found: Sequence[Result], recipe: Recipe, bundle: Bundle) -> str:
    """The whole page, its script within."""
    figure = figure_of(study, found, bundle).to_html(
        full_html=False, include_plotlyjs=True, config={"displayModeBar": False, "responsive": True}
    )
    printed = published_entries(study)
    beside = (
        f"<h2>What the papers print</h2>{_published_table(printed)}"
        if printed
        else "<p>The papers print no numbers for this study.</p>"
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(study.name)}: {escape(bundle.name)}</title><style>{STYLE}</style></head><body>
<h1>{escape(study.title)}</h1>
<p>Study "{escape(study.name)}" ({escape(study.place)}) on {escape(bundle.name)}, PSR Studio {__version__}.
{escape(standing(found))}</p>
{figure}
<h2>Measured here</h2>
<p>Top-1 after the last epoch, in percent, mean and standard deviation over n students. Controls have the same student,
seeds and number of images.</p>
{_own_table(own_entries(found))}
{_differences(found)}
{_pools(found)}
{beside}
<h2>What differs</h2>
{_conditions_table(study, found, recipe, bundle)}
{_list(study.notes)}
</body></html>
"""


def _own_table(entries: Iterable[Entry]) -> str:
    head = (
        "Images",
        "Student",
        "IPC",
        "Chosen from",
        "Labels",
        "Protocol",
        "Epochs",
        "n",
        "Last %",
        "Set",
        "",
    )
    return html_table(head, map(_own_cells, entries), right=(2, 3, 6, 7, 8), kind="lines")


def _own_cells(entry: Entry) -> tuple[str, ...]:
    row, missing = entry.row, f"missing: {entry.missing}" if entry.missing else ""
    start = (entry.images, entry.student, _text(entry.ipc), _text(entry.candidates))
    if row is None:
        return (*start, "", "", "", "0", "", "", missing)
    last = spread(row.last_mean, row.last_std)
    return (*start, row.label_regime, row.protocol, str(row.epochs), str(row.n), last, row.set_id, missing)


def _differences(found: Sequence[Result]) -> str:
    """Each cell against its controls, seed by seed; nothing before two rows are there."""
    named = [
        (str(result.cell), comparison)
        for result in found
        if result.own
        for comparison in against(result.own, result.controls)
    ]
    if not named:
        return ""
    head = ("Cell", *DIFFERENCE_HEAD[1:-1], "The cell is")
    rows = [(cell, *comparison.cells[1:]) for cell, comparison in named]
    table = html_table(head, rows, right=(2, 3, 4), kind="lines")
    return f"<h2>Against the controls</h2><p>{PAIRED}</p>{table}"


def _pools(found: Sequence[Result]) -> str:
    """What the candidates measure that cells choose from, a line for each pool of its own and number of candidates."""
    measured = {
        (cell.level.filling.title, cell.ipc, cell.n_candidates): result.measures.cells
        for result in found
        if (cell := result.cell).level.filling and result.measures
    }
    if not measured:
        return ""
    rows = [(title, str(ipc), str(n), *cells) for (title, ipc, n), cells in measured.items()]
    head = ("Pool", "IPC", "Candidates per class", *MEASURES)
    table = html_table(head, rows, right=range(1, len(head)), kind="lines")
    return f"<h2>The pools</h2><p>{escape(ABOUT_MEASURES)}</p>{table}"


def _published_table(entries: Iterable[Entry]) -> str:
    rows = (
        (
            entry.source, entry.images, entry.student, _text(entry.ipc) or "not stated",
            entry.accuracy,
        )
        for entry in entries
    )  # fmt: skip
    return html_table(("Source", "Images", "Student", "IPC", "%"), rows, right=(3, 4), kind="lines")


def _conditions_table(study: Study, found: Sequence[Result], recipe: Recipe, bundle: Bundle) -> str:
    """Every condition of our numbers, and of each paper's beside it."""
    here = conditions(found, recipe, bundle)
    papers: dict[str, Mapping[str, str]] = {
        f"{table.place} ({table.data})": {"data": table.data, **table.conditions} for table in study.published
    }
    rows = ((what, ours, *(paper.get(what, "") for paper in papers.values())) for what, ours in here.items())
    return html_table(("", "here", *papers), rows)


def conditions(found: Sequence[Result], recipe: Recipe, bundle: Bundle) -> dict[str, str]:
    """Under which conditions our numbers were measured."""
    recipes = [result.cell.recipe for result in found]
    height, width, _ = bundle.image_shape
    settings = recipe.evaluate
    epochs = {r.select.ipc: int(r.evaluate.epochs) for r in recipes}
    batches = {r.select.ipc: int(r.evaluate.batch_size) for r in recipes}
    sizes = {r.select.ipc: set[int]() for r in recipes}
    for r in recipes:
        sizes[r.select.ipc].add(int(r.pool.pool_size))
    regimes = dict.fromkeys(row.label_regime for result in found for row in result.rows)
    pools = {f.title: r for result in found if (f := result.cell.level.filling) and (r := result.cell.recipe)}
    return {
        "data": f"{bundle.name}, {plural(len(classes_of(recipe, bundle)), 'class', 'classes')}, {height} x {width} px",
        "generator": f"the bundle's, {recipe.pool.sampler}, {recipes[0].pool.steps} steps, "
        f"guidance {scale(recipe, bundle):g}",
        **({"pools": "; ".join(f"{title}: {_filled_by(r)}" for title, r in pools.items())} if pools else {}),
        "teacher": f"the bundle's, {bundle.teacher_id}",
        "candidates per class": "; ".join(f"{_numbers(n)} at K = {k}" for k, n in sizes.items()),
        "labels": " and ".join(regimes),
        "training": f"{_training_words(settings)}; batches of {_by_budget(batches)}; epochs: {_by_budget(epochs)}",
        "students per number": str(settings.n_seeds),
        "accuracy": f"top-1 after the last epoch on {_tested_words(found)}",
    }


def _by_budget(numbers: Mapping[int, int]) -> str:
    """One number where it is that of every budget."""
    if len(set(numbers.values())) == 1:
        return str(next(iter(numbers.values())))
    return "; ".join(f"{n} at K = {k}" for k, n in numbers.items())


def _tested_words(found: Sequence[Result]) -> str:
    """On which test images the students of the cells were tested, and how many of them."""
    sizes: dict[tuple[str, str], set[int]] = {}
    for result in found:
        asked = result.cell.recipe.evaluate
        of = sizes.setdefault((asked.test_set, asked.test_images or ""), set())
        of |= {row.n_tested for row in result.rows if row.test_set == asked.test_set and row.n_tested}
    words = []
    for (which, place), counts in sizes.items():
        how_many = plural(counts.pop(), "test image") if len(counts) == 1 else "test images"
        chosen = "" if which == ORIGINAL else f' of the set "{which}"'
        words.append(how_many + chosen + (f' of "{PurePath(place).name}"' if place else ""))
    return "; ".join(words)


def _filled_by(recipe: Recipe) -> str:
    """What fills a pool of its own, with all that it reads; targets are those of the largest budget."""
    pool = recipe.pool
    if pool.source == CROPS:
        return _settings_words("crops of real images", pool.crops.model_dump())
    if pool.steering is not None:
        return _settings_words(pool.guidance, pool.steering.read(pool.steps))
    if pool.generator is not None:
        return _settings_words("fine-tuned generator", recipe.finetune.read())
    return "nothing but its class"


def _settings_words(name: str, settings: Mapping[str, Any]) -> str:
    return f"{name} ({', '.join(f'{key} {value}' for key, value in settings.items())})"


def _training_words(how: EvaluateRecipe) -> str:
    record = how.record
    momentum = f"momentum {how.momentum:g}, " if record.optimizer == "sgd" else ""
    mixed = f", CutMix on {record.mix:.0%} of the batches" if record.mix else ""
    augmented = f"augmented as there{mixed}" if how.augment else "not augmented"
    augmented += "" if how.mirrored else ", nothing mirrored"
    size = f", {record.size} px" if record.size else ""
    rate = f"{OPTIMIZERS[record.optimizer]}, learning rate {how.lr:g}, {SCHEDULES[record.schedule]}"
    numbers = f"{momentum}weight decay {how.weight_decay:g}"
    return f'protocol "{record.name}" ({record.source}){size}: {rate}, {numbers}, {augmented}'


def _numbers(values: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(values)))


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>" if items else ""


def html_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = (), kind: str = ""
) -> str:
    """A table of text; the columns `right` hold numbers, `kind` is its class."""
    lines = (
        "".join(f"<td{' class=n' if i in right else ''}>{escape(cell)}</td>" for i, cell in enumerate(cells))
        for cells in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    return (
        f'<div class="scroll {kind}"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )
