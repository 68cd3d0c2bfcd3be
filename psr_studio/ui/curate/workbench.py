"""What the Curate tab asks and does, as plain answers: `studio.curation` by position, packed; routes only carry them.

Positions are indices into the pool order (0 to N - 1); lists "per class" are indexed by class id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from psr_studio.app.curation import LIVE, Curation, SelectChange
from psr_studio.app.studio import Studio
from psr_studio.core.errors import OvertakenError, SelectionError, StudioError
from psr_studio.core.refused import NAME_RULE
from psr_studio.core.words import plural
from psr_studio.recipe.errors import FOLDER_NAME
from psr_studio.recipe.keys import check_value
from psr_studio.recipe.schema import SelectRecipe
from psr_studio.stages.generate import STAGE as GENERATE
from psr_studio.stages.generate.variations import why_not
from psr_studio.stages.select.result import LiveResult
from psr_studio.stages.select.scored import ScoredPool
from psr_studio.storage.history import LONGEST_TAG
from psr_studio.storage.parquet import stable_hash
from psr_studio.storage.png import encode_png
from psr_studio.storage.records import SelectionRecord
from psr_studio.ui.curate.answer import Answers, asked_for, marks
from psr_studio.ui.curate.maps import MapService
from psr_studio.ui.curate.pack import pack
from psr_studio.ui.curate.pool_view import PoolView, check_positions
from psr_studio.ui.words import LABELS, on_screen

MARKS = {"pin": "pin", "veto": "veto", "clear": None}


class Workbench:
    """One page's side of a curation; requests take turns under the lock of the curation.

    Args:
        changed: called after every change of a saved selection: the steps behind may be fresh or stale now.
        trouble: why the last scoring stopped, in words, "" where it did not.
    """

    def __init__(
        self, studio: Studio, maps: MapService, changed: Callable[[], None], trouble: Callable[[], str]
    ) -> None:
        self.studio = studio
        self.curation = studio.curation
        self.ledger = studio.workspace.ledger
        self.answers = Answers()
        self.view = PoolView(studio, maps)
        self.lassoed: str | None = None  # saved from a lasso, and not worked on yet
        self._changed = changed
        self._trouble = trouble

    @property
    def revision(self) -> int:
        """Counts the selections that were answered."""
        return self.answers.revision

    # Asking

    def state(self) -> dict[str, Any]:
        """What a page needs before anything else; n = 0 and a message when there is nothing to curate."""
        with self.curation.lock:
            try:
                scored = self.curation.scored
            except StudioError as err:
                return {"revision": self.revision, "n": 0, **self._not_scored(err)}
            settings = self.curation.settings()
            height, width, channels = scored.pool.image_shape
            layout = self.view.layout(scored)
            return {
                "revision": self.revision,
                "project": self.studio.workspace.root.name,
                "n": scored.n,
                "n_classes": len(scored.class_names),
                "class_names": list(scored.class_names),
                "image": {"width": width, "height": height, "channels": channels},
                "sprite": self.view.sprite(scored.pool),
                "weights": self.curation.rules().weights._asdict(),
                "ipc": settings["ipc"],
                "temperature": settings["temperature"],
                "selector": settings["selector"],
                "selectors": selectors(self.curation),
                "normalize": self.studio.recipe.select.setting("normalize"),
                **self.curation.tables(),
                "names": {**names(), "open": self.studio.recipe.select.name},
                "no_variations": on_screen(self._no_variations()),
                "variations": self.view.variations(scored),
                "has_original": scored.has_original,
                "map": {"kind": layout.kind, "revision": layout.kind, "settled": layout.final},
                "counts": scored.counts.tolist(),
                **asked_for(self._shown_or_none(), settings, self.ledger),
                "selections": self.selections(),
                **marks(scored, self.ledger),
                "before": self.answers.note_pool(scored),
                **self._now(scored, settings),
            }

    def forget(self) -> None:
        """Let go of what is kept of the pool."""
        self.view, self.answers = PoolView(self.studio, self.view.maps), Answers()

    def warm_up(self) -> None:
        """Do once what the first page would wait for."""
        with self.curation.lock:
            self.view.layout(self.curation.scored)
            self.curation.shown()

    def candidate_ids(self) -> list[int] | None:
        """The selection on screen, None before the first one; never waits."""
        last = self.curation.last
        return last.candidate_ids if last else None

    def shows(self, record: SelectionRecord) -> bool:
        """Whether a saved selection is what is on screen: the same images in the same order, labels as soft."""
        same = self.candidate_ids() == record.candidate_ids
        return same and self.curation.rules().temperature == record.settings["temperature"]

    def points(self) -> bytes:
        """Coordinates, labels and signals of every candidate."""
        with self.curation.lock:
            return self.view.points(self.curation.scored, self.curation.rules().temperature, self.revision)

    def duplicates(self) -> bytes:
        """How near the nearest other candidate of its class is to each; takes minutes in a very large pool."""
        return self.view.duplicates(self.curation.scored)

    def newer_map(self, have: str) -> bytes | None:
        """The map, None while it is still of the kind that the page has; has a better one made."""
        layout = self.view.layout(self.curation.scored, improve=True)  # reads every embedding
        if layout.kind == have:
            return None
        return pack({"kind": layout.kind, "revision": layout.kind}, {"xy": ("f32", layout.xy)})

    def map_of(self, kind: str) -> bytes:
        """The map of a kind: "pca", or "umap" where it is ready."""
        layout = self.view.maps.of(kind, self.curation.scored.embeddings)
        if layout is None:
            raise SelectionError(
                f'There is no map "{kind}" of this pool yet.', 'Choose "PCA", or wait for it.'
            )
        return pack({"kind": layout.kind, "revision": layout.kind}, {"xy": ("f32", layout.xy)})

    def sheet(self, class_id: int) -> bytes:
        """All pictures of a class, see `PoolView.sheet`."""
        return self.view.sheet(self.curation.scored.pool, class_id)

    def picture(self, position: int) -> bytes:
        """The stored PNG of one candidate."""
        scored = self.curation.scored
        check_positions(scored, [position])
        return scored.pool.png(position)

    def candidate(self, position: int) -> dict[str, Any]:
        """Everything the inspector shows of one candidate."""
        check_positions(self.curation.scored, [position])
        with self.curation.lock:
            why = self.curation.why(position)
            return {**self.view.candidate(self.curation.shown(), position), "why": why}

    def near_real(self, position: int, look: bool) -> dict[str, Any]:
        """The nearest real images of a candidate as a row of pictures; `look` takes as long as the teacher needs."""
        check_positions(self.curation.scored, [position])
        found = self.curation.near_real(position, look=look)
        near = [{"row": r, "distance": round(d, 4)} for r, d in zip(found.rows, found.distances, strict=True)]
        return {"near": near, "known": found.known}

    def real_picture(self, row: int) -> bytes:
        """One real training image as PNG."""
        images = self.studio.bundle.train_subset[0]
        if not 0 <= row < len(images):
            raise SelectionError(
                f"There is no real image {row}: there are {len(images)}.",
                "Reload the page: they have changed.",
            )
        return encode_png(images[row])

    def now(self) -> dict[str, str]:
        """What a page compares itself with: the names of the "pool" with its scores and of the selection "shown",
        what is not scored yet, "waiting", and why the last scoring stopped, "trouble", in words; "" for what there is
        none of.
        """
        with self.curation.lock:
            return self._now(self._scored_or_none(), self.curation.settings())

    def fingerprint(self) -> str:
        """Names what there is to show: equal for the same pool, settings, marks, locks and last tagging."""
        with self.curation.lock:
            return self._fingerprint(self._scored_or_none(), self.curation.settings())

    @contextmanager
    def as_seen(self, shown: str) -> Iterator[None]:
        """Do something to the selection that a page shows, while no other page changes it.

        Args:
            shown: the fingerprint of what the page shows; "" asks nothing.

        Raises:
            OvertakenError: there is another selection by now.
        """
        with self.curation.lock:
            if shown and shown != self.fingerprint():
                last = self.ledger.next_undo()
                raise OvertakenError(
                    "Another page has changed the selection" + (f" ({last})." if last else "."),
                    "This page follows: look at what it shows now, then do it again.",
                )
            yield

    # Doing: each answers with the new selection

    def select(self, change: SelectChange) -> bytes:
        """Move the sliders, set budgets by hand, lock classes; what is refused changes nothing."""
        with self.curation.lock:
            rules, locked = self.curation.changed_rules(change), change.locked
            lock = None if locked is None else lambda: self.curation.set_locked(locked)
            return self.act(lock, rules, change.gesture)

    def mark(self, positions: Sequence[int], mark: str, reason: str = "") -> bytes:
        """Pin, veto or clear; more pins than fit are refused and change nothing."""
        if mark not in MARKS:
            raise SelectionError(f'There is no mark "{mark}".', f"Use one of: {', '.join(MARKS)}.")
        return self.act(lambda: self.curation.mark(self._ids(positions), MARKS[mark], reason))

    def tag(self, positions: Sequence[int], tag: str, on: bool = True) -> bytes:
        """Give candidates a tag, or take it from them."""
        return self.act(lambda: self.curation.tag(self._ids(positions), tag, on))

    def swap(self, out: int, into: int) -> bytes:
        """Veto one candidate and pin another in its place, as one action."""
        return self.act(lambda: self.curation.swap(*self._ids([out, into])))

    def undo(self) -> bytes:
        """Take back the last action."""
        with self.curation.lock:
            self.curation.undo()
            return self.act()

    def redo(self) -> bytes:
        """Do it again."""
        with self.curation.lock:
            self.curation.redo()
            return self.act()

    def restore(self, name: str) -> bytes:
        """Bring back settings, marks and locks, as one undoable action."""
        return self.act(lambda: self.curation.restore(name))

    def act(
        self,
        action: Callable[[], str | None] | None = None,
        rules: SelectRecipe | None = None,
        gesture: str = "",
    ) -> bytes:
        """See `Curation.act`."""
        began = time.perf_counter()
        with self.curation.lock:
            result = self.curation.act(action, rules, gesture)
            settings = self.curation.settings()
            shown = self._fingerprint(result.scored, settings)
            return self.answers.pack(result, settings, self.ledger, shown, began)

    # Saved selections

    def selections(self) -> list[dict[str, Any]]:
        """All of them, the newest first."""
        return [self._row(record) for record in reversed(self.ledger.selections())]

    def save(self, name: str, note: str | None = None) -> dict[str, Any]:
        """Save what is on screen; the next steps work on it from then on.

        Args:
            note: the user's words; None keeps those of an older selection of that name.
        """
        check_name(name)
        record = self.curation.save(name, note)
        self.lassoed = None
        self._changed()
        return self._row(record)

    def save_positions(self, positions: Sequence[int], name: str) -> dict[str, Any]:
        """Save just these candidates, in the given order by class, to be exported."""
        check_name(name)
        record = self.curation.save_candidates(name, self._ids(positions))
        self.lassoed = name
        self._changed()
        return self._row(record)

    def annotate(self, name: str, note: str) -> dict[str, Any]:
        """Write a note beside a selection."""
        self.ledger.note_selection(name, note)
        self._changed()
        return self._row(self.ledger.selection(name))

    def delete(self, name: str) -> None:
        """Forget a selection; SelectionError when there is none of that name."""
        self.ledger.selection(name)
        self.ledger.delete_selection(name)
        self._changed()

    def compare(self, a: str, b: str) -> bytes:
        """Two selections by name, or "live" for the one on screen."""
        found = self.curation.compare(a, b)
        masks = {name: ("u8", found.pop(name)) for name in ("in_a", "in_b")}
        return pack(found, masks)

    # Inside

    def _no_variations(self) -> str:
        studio = self.studio
        return why_not(studio.workspace, studio.recipe, studio.bundle)

    def _ids(self, positions: Sequence[int]) -> list[int]:
        """Candidates by position; SelectionError for a position that is not there."""
        scored = self.curation.scored
        check_positions(scored, positions)
        return [int(scored.candidate_ids[p]) for p in positions]

    def _row(self, record: SelectionRecord) -> dict[str, Any]:
        """One saved selection; `current` when its images are those on screen."""
        picked, shown = record.candidate_ids, self.candidate_ids()
        return {
            "name": record.name,
            "note": record.note,
            "created": record.created,
            "images": len(picked),
            "selector": record.settings.get("selector", ""),
            "current": shown is not None and set(picked) == set(shown),
        }

    def _now(self, scored: ScoredPool | None, settings: Mapping[str, Any]) -> dict[str, str]:
        n = self.curation.waiting if scored else 0
        pool = scored.content_hash if scored else ""
        trouble = self._trouble() if n or not scored else ""
        return {
            "pool": pool, "shown": self._fingerprint(scored, settings), "waiting": waiting_words(n), "trouble": trouble,
        }  # fmt: skip

    def _not_scored(self, err: StudioError) -> dict[str, Any]:
        """What the page says where there is nothing to curate, and how many candidates it can have scored."""
        n = len(self.studio.pool)
        teacher = self.studio.bundle.missing_part("teacher") if n else None
        if teacher is None:
            message = on_screen(f"{err.problem} {err.fix}")
            return {"message": message, "trouble": self._trouble(), "unscored": n, "mend": ""}
        way = (
            'is not on this machine. Fetch it under "Weights" on the Pool tab.'
            if teacher.can_be_downloaded
            else 'is not there yet. Teach one under "Teacher of your own classes" on the Pool tab.'
        )
        message = f"{plural(n, 'candidate')} without scores: the teacher of this project {way}"
        return {"message": message, "trouble": "", "unscored": 0, "mend": GENERATE.tab}

    def _fingerprint(self, scored: ScoredPool | None, settings: Mapping[str, Any]) -> str:
        ledger = self.ledger
        marked = [
            ledger.pinned(),
            ledger.vetoed(),
            sorted(ledger.locked().items()),
            ledger.last_tagging(),
        ]
        return stable_hash([scored.content_hash if scored else "", dict(settings), marked])[:12]

    def _scored_or_none(self) -> ScoredPool | None:
        try:
            return self.curation.scored
        except StudioError:
            return None

    def _shown_or_none(self) -> LiveResult | None:
        """The selection on screen; None where there can be none, which `select` then says."""
        try:
            return self.curation.shown()
        except StudioError:
            return None


def waiting_words(n: int) -> str:
    """What the page says of candidates without scores; "" for none."""
    if not n:
        return ""
    verbs = "waits for its scores and is" if n == 1 else "wait for their scores and are"
    return f"{plural(n, 'new candidate')} {verbs} not shown yet."


def check_name(name: str) -> None:
    """Raise StudioError unless a selection can have this name; LIVE stands for the screen."""
    if name == LIVE:
        raise SelectionError(f'"{LIVE}" stands for the selection on screen.', "Save it under another name.")
    check_value("select.name", name)


def selectors(curation: Curation) -> list[dict[str, Any]]:
    """Every selector with its parameters, these under the names of the screen."""
    return [
        {
            **selector,
            "parameters": [
                {**p, "label": LABELS[f"select.{selector['name']}.{p['name']}"]}
                for p in selector["parameters"]
            ],
        }
        for selector in curation.selectors()
    ]


def names() -> dict[str, str | int]:
    """What selections and tags may be called, and the two names that mean something: the screen, and the unnamed."""
    pattern = FOLDER_NAME.replace(r"\w", r"\p{L}\p{N}_")  # as a browser writes it
    return {
        "rule": NAME_RULE,
        "pattern": pattern,
        "live": LIVE,
        "working": SelectRecipe().name,
        "longest_tag": LONGEST_TAG,
    }
