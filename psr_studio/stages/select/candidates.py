"""Candidates as rows: what a query asks about, and what a list of them says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from psr_studio.stages.select.query import Fields
from psr_studio.stages.select.result import LiveResult
from psr_studio.storage.ledger import Ledger

COLUMNS = (
    "candidate_id", "class_name", "predicted", "seed", "parent", "reliability", "entropy", "difficulty", "eligible",
    "picked", "rank", "mark", "tags",
)  # fmt: skip


def fields_of(result: LiveResult, ledger: Ledger, apart: Callable[[str], np.ndarray]) -> Fields:
    """Over the pool of a selection, with its picks and the marks and tags of the ledger; `apart` as in `Fields`."""
    scored, signals = result.scored, result.signals
    ids, tagged = scored.candidate_ids, ledger.tagged()
    filled = np.zeros(scored.n, bool)
    filled[result.positions] = np.concatenate([*result.filled, np.zeros(0, bool)])
    rank = ranks(result)
    return Fields(
        numbers={
            "difficulty": scored.difficulty,
            "reliability": signals.reliability,
            "entropy": signals.entropy,
            "diversity": result.diversity,
            "rank": rank,
        },
        flags={
            "picked": ~np.isnan(rank),
            "eligible": scored.eligible,
            "pinned": np.isin(ids, ledger.pinned()),
            "vetoed": np.isin(ids, ledger.vetoed()),
            "filled": filled,
            "tagged": np.isin(ids, [cid for own in tagged.values() for cid in own]),
            "variation": scored.pool.is_variation,
        },
        labels=scored.labels,
        predicted=scored.predicted,
        leans=scored.leans,
        class_names=scored.class_names,
        tags={tag: np.isin(ids, own) for tag, own in tagged.items()},
        ids=ids,
        parents=scored.parents,
        apart=apart,
    )


def ranks(result: LiveResult) -> np.ndarray:
    """(N,) place of each pick in its class, from 1; NaN for what is not picked."""
    found = np.full(result.scored.n, np.nan)
    for picks in result.picks:
        found[picks] = np.arange(1, len(picks) + 1)
    return found


def rows_of(
    result: LiveResult, ledger: Ledger, positions: Sequence[int] | np.ndarray, generated: bool
) -> Iterator[dict[str, Any]]:
    """A row of `COLUMNS` for each position; `generated` is False of imported pictures, which no seed made."""
    scored, signals, names = result.scored, result.signals, result.scored.class_names
    tags, marks, rank = ledger.tags(), ledger.marks(), ranks(result)
    parents, _ = scored.pool.parents_at(positions)
    for at, parent in zip(map(int, positions), parents, strict=True):
        cid = int(scored.candidate_ids[at])
        yield {
            "candidate_id": cid,
            "class_name": names[int(scored.labels[at])],
            "predicted": names[int(scored.predicted[at])],
            "seed": int(scored.pool.seeds[at]) if generated else "",
            "parent": "" if parent < 0 else int(parent),
            "reliability": f"{signals.reliability[at]:.6g}",
            "entropy": f"{signals.entropy[at]:.6g}",
            "difficulty": f"{scored.difficulty[at]:.6g}",
            "eligible": int(scored.eligible[at]),
            "picked": int(not np.isnan(rank[at])),
            "rank": "" if np.isnan(rank[at]) else int(rank[at]),
            "mark": marks.get(cid, ""),
            "tags": "; ".join(tags.get(cid, ())),
        }
