"""Two pools side by side: what they measure by class, their difficulties, and their pictures, as one HTML page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from psr_studio.core.errors import StudioError
from psr_studio.core.palette import COLORS
from psr_studio.core.version import __version__
from psr_studio.core.words import classes_listed, text_table
from psr_studio.method.bins import N_BINS, bin_of
from psr_studio.stages.select.scored import ScoredPool
from psr_studio.storage.png import encode_png
from psr_studio.studies.measures import ABOUT_MEASURES, MEASURES, mean_of, measured
from psr_studio.studies.report import STYLE, html_table

SHOWN = 24  # pictures of a class and pool
COLUMNS = 8
LEFT, TOP, HIGH, BIN = 62, 8, 120, 48  # of a histogram, in pixels
HEAD = ("class", "pool", *MEASURES)
ABOUT = f"{ABOUT_MEASURES} Of each class as many candidates count as the smaller pool has, the first ones."


@dataclass(frozen=True, eq=False)
class Side:
    """A pool with its name."""

    name: str
    scored: ScoredPool


@dataclass(frozen=True)
class Compared:
    """Two pools side by side: the lines of the table under `HEAD`, and of each class its pictures as HTML.

    Attributes:
        left_out: a sentence on the classes that one of them lacks, "" for none.
    """

    title: str
    about: str
    left_out: str
    rows: Sequence[tuple[str, ...]]
    sections: Mapping[int, str]


def sides(first: Side, second: Side) -> tuple[Side, Side]:
    """Both with as many candidates of each class, the first ones.

    Raises:
        StudioError: pools of other classes, without a class that both have, or judged by other teachers.
    """
    a, b = first.scored, second.scored
    if a.bundle.class_names != b.bundle.class_names or a.bundle.teacher_id != b.bundle.teacher_id:
        raise StudioError(
            f'"{first.name}" is judged by {a.bundle.teacher_id} of "{a.bundle.name}", '
            f'"{second.name}" by {b.bundle.teacher_id} of "{b.bundle.name}".',
            "Compare pools of the same classes that the same teacher has scored.",
        )
    if not _classes((first, second)):
        raise StudioError(
            f'No class has candidates in "{first.name}" and in "{second.name}".',
            'Generate a class of one in the other, too: "pool.classes".',
        )
    n = min(int(scored.counts[scored.counts > 0].min()) for scored in (a, b))
    return Side(first.name, a.first(n)), Side(second.name, b.first(n))


def rows_of(pair: tuple[Side, Side], real: Mapping[int, np.ndarray]) -> list[tuple[str, ...]]:
    """The lines of the table: all classes, then each, a line for either pool."""
    by_class = {c: [measured(side.scored, c, real.get(c)) for side in pair] for c in _classes(pair)}
    everything = [mean_of([found[i] for found in by_class.values()]) for i in range(2)]
    named = {"all": everything, **{pair[0].scored.class_names[c]: found for c, found in by_class.items()}}
    return [
        (name, side.name, *one.cells)
        for name, found in named.items()
        for side, one in zip(pair, found, strict=True)
    ]


def text_of(rows: Sequence[Sequence[str]]) -> str:
    """The table for a terminal."""
    return text_table(HEAD, rows)


def compared(first: Side, second: Side, real: Mapping[int, np.ndarray]) -> Compared:
    """Both pools by as many candidates of each class; `real` has the features of real images (n, D) by class.

    Raises:
        StudioError: pools of other classes, or judged by other teachers.
    """
    pair = sides(first, second)
    sections = {c: _class(pair, c) for c in _classes(pair)}
    about = f"Two pools of {pair[0].scored.bundle.name}, PSR Studio {__version__}. {ABOUT}"
    return Compared(f"{first.name} and {second.name}", about, _left_out(pair), rows_of(pair, real), sections)


def _left_out(pair: tuple[Side, Side]) -> str:
    of_one = {*pair[0].scored.present} ^ {*pair[1].scored.present}
    names = [pair[0].scored.class_names[c] for c in sorted(of_one)]
    return f"Left out, being in one pool alone: {classes_listed(names)}." if names else ""


def page_of(found: Compared) -> str:
    """One HTML page that needs nothing else."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(found.title)}</title><style>{STYLE}
.pools {{ display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }}
.pools img {{ width: 100%; image-rendering: pixelated; }}
</style></head><body><h1>{escape(found.title)}</h1>
<p>{escape(f"{found.about} {found.left_out}".rstrip())}</p>
{html_table(HEAD, found.rows, right=range(2, len(HEAD)), kind="lines")}
{"".join(found.sections.values())}
</body></html>
"""


def _classes(pair: tuple[Side, Side]) -> list[int]:
    """Those that both have."""
    return [c for c in pair[0].scored.present if c in pair[1].scored.present]


def _class(pair: tuple[Side, Side], class_id: int) -> str:
    """Difficulties and pictures of one class."""
    name = escape(pair[0].scored.class_names[class_id])
    pictures = "".join(
        f'<figure><img alt="{name} of {escape(side.name)}" src="{_sheet(side.scored, class_id)}">'
        f"<figcaption>{escape(side.name)}</figcaption></figure>"
        for side in pair
    )
    return f'<h2>{name}</h2>{_histogram(pair, class_id)}<div class="pools">{pictures}</div>'


def _sheet(scored: ScoredPool, class_id: int) -> str:
    """The first pictures of a class in rows, as the address of an image."""
    own = scored.members(class_id)
    images = scored.pool.images_at(np.arange(own.start, min(own.stop, own.start + SHOWN)))
    n_rows = -(-len(images) // COLUMNS)
    blank = np.zeros((n_rows * COLUMNS - len(images), *images.shape[1:]), np.uint8)
    grid = np.concatenate([images, blank]).reshape(n_rows, COLUMNS, *images.shape[1:])
    joined = grid.swapaxes(1, 2).reshape(n_rows * images.shape[1], COLUMNS * images.shape[2], images.shape[3])
    return f"data:image/png;base64,{base64.b64encode(encode_png(joined)).decode()}"


def _histogram(pair: tuple[Side, Side], class_id: int) -> str:
    """Shares of the intervals of difficulty, real images first where they are known."""
    real = pair[0].scored.original_difficulty(class_id)
    series = {} if real is None else {"real images": real}
    series |= {side.name: side.scored.difficulty[side.scored.members(class_id)] for side in pair}
    bars, width = [], 42 // len(series)
    for place, (name, values) in enumerate(series.items()):
        shares = np.bincount(bin_of(values), minlength=N_BINS) / len(values)
        bars += [
            f'<rect x="{LEFT + BIN * k + 3 + place * width}" y="{HIGH * (1 - share) + TOP:.1f}" width="{width}" '
            f'height="{HIGH * share:.1f}" fill="{COLORS[place]}">'
            f"<title>{escape(name)}, {k / 10:.1f} to {(k + 1) / 10:.1f}: {share:.1%}</title></rect>"
            for k, share in enumerate(shares)
        ]
    names = ", ".join(
        f'<span style="color:{COLORS[i]}">&#9632;</span> {escape(name)}' for i, name in enumerate(series)
    )
    return f"<p>{names}</p>{_axes(bars)}"


def _axes(bars: Sequence[str]) -> str:
    """Bars, with difficulty along them and shares of the images up; lines and words have the colour of the text."""
    right, bottom = LEFT + BIN * N_BINS, TOP + HIGH
    lines = "".join(
        f'<path d="M{LEFT} {y}H{right}" stroke="currentColor" stroke-opacity="{0.15 if share else 0.6}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{share} %</text>'
        for share in (0, 50, 100)
        for y in (round(TOP + HIGH * (1 - share / 100)),)
    )
    ticks = "".join(
        f'<text x="{LEFT + BIN * k}" y="{bottom + 15}" text-anchor="middle">{k / 10:.1f}</text>'
        for k in range(N_BINS + 1)
    )
    middle = TOP + HIGH // 2
    titles = (
        f'<text x="{(LEFT + right) // 2}" y="{bottom + 32}" text-anchor="middle">difficulty</text>'
        f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">share of images</text>'
    )
    return (
        f'<svg viewBox="0 0 {right + 16} {bottom + 38}" width="{right + 16}" style="max-width:100%;height:auto" '
        f'fill="currentColor" font-size="11">{lines}{"".join(bars)}{ticks}{titles}</svg>'
    )
