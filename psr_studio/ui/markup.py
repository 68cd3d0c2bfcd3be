"""Small pieces of HTML. Every word that comes from a file or a user is escaped here, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np

from psr_studio.app.jobs import JobState
from psr_studio.core.errors import StudioError
from psr_studio.core.words import duration
from psr_studio.stages.table import STAGES
from psr_studio.storage.workspace import StageStatus
from psr_studio.ui.curate.sprites import data_uri, encode, to_pillow
from psr_studio.ui.words import field_of, on_screen

PREVIEW_PX = 96  # longer edge of a picture inside the page
STATES = {
    "queued": "waits",
    "running": "running",
    "done": "done",
    "failed": "stopped by an error",
    "cancelled": "stopped",
    "interrupted": "interrupted",
}


def status_line(status: StageStatus, title: str = "", words: Mapping[str, str] | None = None) -> str:
    """Fresh, stale, partial or missing, or other `words` for these, and why."""
    state = (words or {}).get(status.state, status.state)
    name = f"{title}: {state}" if title else state
    return (
        f'<div class="psr-status" data-state="{status.state}" title="{escape(on_screen(status.reason))}">'
        f"<b>{escape(name)}</b>"
        f'<span class="psr-note">{escape(on_screen(status.reason))}</span></div>'
    )


def note(text: str) -> str:
    """A paragraph in the subdued colour."""
    return f'<p class="psr-note">{escape(on_screen(text))}</p>'


def loading() -> str:
    """In the place of what the page has not drawn yet."""
    return '<div class="psr-loading" role="status" aria-label="Loading"></div>'


def refusal(err: StudioError) -> str:
    """An error; the field that it names comes into view by `press.TO_FIELD`."""
    return error(err.problem, err.fix, field_of(err))


def error(problem: str, fix: str, field: str = "") -> str:
    """Both sentences of an error, and the label of the field to blame."""
    facts = f'class="psr-error" role="alert" data-field="{escape(field)}"'
    return f"<div {facts}><strong>{escape(on_screen(problem))}</strong>{escape(on_screen(fix))}</div>"


def warning(text: str) -> str:
    """A sentence that must not be passed over."""
    return f'<div class="psr-error" role="status">{escape(text)}</div>'


def job_card(job: JobState, again: str) -> str:
    """Progress, rate, time left, last pictures, and what went wrong.

    Args:
        again: the sentence for a job that was cut short, such as 'Press "Generate" to go on.'
    """
    if job.state == "done":
        return _done_card(job)
    percent = f"{100 * job.fraction:.0f} %" if job.total else ""
    head = f"<strong>{STAGES[job.stage].title}</strong><span>{escape(STATES[job.state])} {percent}</span>"
    rows = [f'<div class="psr-job-head">{head}</div>']
    rows.append(f'<div class="psr-job-bar"><i style="width:{100 * job.fraction:.1f}%"></i></div>')
    rows.append(f'<div class="psr-job-facts">{escape(job_facts(job))}</div>')
    if job.cost and job.active and not job.eta_seconds:  # by its own pace it knows better
        rows.append(f'<div class="psr-job-facts">{escape(job.cost)}</div>')
    if job.message and job.state != "queued" and job.message != job.cost:
        rows.append(f'<div class="psr-job-facts">{escape(on_screen(job.message))}</div>')
    if job.state == "failed":
        rows.append(error(job.problem, job.fix))
    elif job.state in ("cancelled", "interrupted"):
        rows.append(note(again))
    rows.append(pictures(job.previews))
    facts = f'class="psr-card-box psr-job" data-state="{job.state}" data-stage="{job.stage}"'
    return f"<div {facts}>{''.join(rows)}</div>"


def _done_card(job: JobState) -> str:
    """One line: the results themselves stand below it."""
    facts = " · ".join(filter(None, [job_facts(job), on_screen(job.message)]))
    head = f"<strong>{STAGES[job.stage].title}: done</strong><span>{escape(facts)}</span>"
    row = f'<div class="psr-job-head">{head}</div>'
    return f'<div class="psr-card-box psr-job" data-state="done" data-stage="{job.stage}">{row}</div>'


def _rate(rate: float) -> str:
    return f"{rate:.3g} per second" if rate >= 0.1 else f"{60 * rate:.2g} per minute"


def job_facts(job: JobState) -> str:
    """ "120 of 600 · 14.2 per second · 34 s left"."""
    facts = [f"{job.done:,} of {job.total:,}"] if job.total else []
    if job.state == "running":
        facts += [_rate(job.rate)] if job.rate > 0 else []
        facts += [f"about {duration(job.eta_seconds)} left"] if job.eta_seconds else []
        facts += {"now": ["stopping"], "after part": ["stopping after this part"]}.get(job.stopping, [])
    facts += [duration(job.seconds)] if job.seconds >= 1 else []
    return " · ".join(facts)


def pictures(images: Iterable[np.ndarray]) -> str:
    """A strip of uint8 pictures (H, W, channels), inside the page; "" for none."""
    shown = "".join(f'<img alt="" src="{data_uri(encode(_small(i)))}">' for i in images)
    return f'<div class="psr-strip-pictures">{shown}</div>' if shown else ""


def _small(pixels: np.ndarray):
    picture = to_pillow(pixels)
    picture.thumbnail((PREVIEW_PX, PREVIEW_PX))
    return picture


def sheet(address: str, caption: str) -> str:
    """One large picture with its caption."""
    return (
        f'<figure class="psr-sheet psr-card-box"><img alt="{escape(caption)}" src="{escape(address)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def pair(before: str, after: str, rank: str, words: str) -> str:
    """Two pictures side by side, by their addresses."""
    images = "".join(
        f'<img alt="{alt}" title="{alt}" loading="lazy" src="{escape(address)}">'
        for alt, address in (("before", before), ("after", after))
    )
    caption = f"<span>{escape(rank)}</span><span>{escape(words)}</span>"
    return f'<figure class="psr-pair"><div>{images}</div><figcaption>{caption}</figcaption></figure>'


def pairs(figures: Iterable[str]) -> str:
    """Pairs in a grid."""
    return f'<div class="psr-pairs">{"".join(figures)}</div>'


def shelf(name: str, facts: str, addresses: Iterable[str]) -> str:
    """Pictures of a class in a row, by their addresses."""
    images = "".join(f'<img alt="" loading="lazy" src="{escape(address)}">' for address in addresses)
    head = f"<h4>{escape(name)} <span>{escape(facts)}</span></h4>"
    return f'<section class="psr-shelf">{head}<div>{images}</div></section>'


def linked_picture(source: str, address: str, name: str, number: str, facts: str) -> str:
    """A picture that leads somewhere, with a number below it; `facts` stand under the pointer."""
    image = f'<img alt="" loading="lazy" src="{escape(source)}">'
    words = f"<span>{escape(name)}</span><b>{escape(number)}</b>"
    return f'<a class="psr-linked" href="{escape(address)}" title="{escape(facts)}">{image}{words}</a>'


def linked_pictures(title: str, facts: str, address: str, pictures: Iterable[str]) -> str:
    """A list of pictures that is opened in Curate as a whole, unless `address` is ""."""
    link = f'<a href="{escape(address)}">Open in Curate</a>' if address else ""
    head = f"<h4>{escape(title)} <span>{escape(facts)}</span>{link}</h4>"
    return f'<section class="psr-list">{head}<div>{"".join(pictures)}</div></section>'


def tree(root: str, lines: Iterable[str]) -> str:
    """A folder as text, one line per entry."""
    text = "\n".join([f"{root}/", *(f"  {line}" for line in lines)])
    return f'<pre class="psr-tree">{escape(text)}</pre>'


def card(*parts: str) -> str:
    """Markup in a box."""
    return f'<div class="psr-card-box">{"".join(parts)}</div>'


def findings(title: str, *lines: str) -> str:
    """A box with what was found, a paragraph for each line."""
    return card(f"<h3>{escape(title)}</h3>", *map(note, lines))


def download(address: str, text: str) -> str:
    """A link that saves a file."""
    return f'<p><a class="psr-download" download href="{escape(address)}">{escape(text)}</a></p>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """A plain table; columns in `right` are aligned to the right. Cells are text."""
    return _table(head, ([escape(cell) for cell in cells] for cells in rows), set(right))


def link_table(
    head: Sequence[str], rows: Iterable[Sequence[tuple[str, str]]], right: Iterable[int] = ()
) -> str:
    """A table whose cells are text and the address that it leads to, "" for none."""
    linked = (
        [
            f'<a href="{escape(address)}">{escape(text)}</a>' if address else escape(text)
            for text, address in cells
        ]
        for cells in rows
    )
    return _table(head, linked, set(right))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], aligned: set[int]) -> str:
    """Of cells that are markup."""

    def row(cells: Sequence[str], tag: str) -> str:
        parts = (
            f"<{tag}{' class=psr-right' if i in aligned else ''}>{cell}</{tag}>"
            for i, cell in enumerate(cells)
        )
        return f"<tr>{''.join(parts)}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return (
        f'<div class="psr-scroll"><table class="psr-table"><thead>{row([*map(escape, head)], "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
