"""The pictures of a selection, class by class, as they would leave: selected or refined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote, urlencode

import numpy as np

from psr_studio.core.errors import StudioError
from psr_studio.core.words import plural
from psr_studio.storage.ledger import no_selection
from psr_studio.ui.markup import error, note, shelf
from psr_studio.ui.panels.picker import SelectionPicker
from psr_studio.ui.screen import Screen

CLASSES, PICTURES = 100, 50  # shown at most, and of each class


class SetPictures:
    """Draws what is chosen in a picker."""

    def __init__(self, picker: SelectionPicker) -> None:
        self._picker, self._screen = picker, picker.screen

    def drawn(self, choice: str | None, refined: bool) -> str:
        """Markup; a sentence where there is nothing to show."""
        try:
            ids, name = self._picker.candidates(choice), self._picker.name(choice)
            if not ids:
                return note(str(no_selection()))
            shown = refined and self._picker.is_refined(choice)
            return self._shelves(ids, name if shown else "")
        except StudioError as err:
            return error(err.problem, err.fix)

    def _shelves(self, ids: list[int], refined: str) -> str:
        studio = self._screen.studio
        pool, names = studio.pool, studio.bundle.class_names
        labels = pool.labels[pool.positions(ids)]
        classes = np.unique(labels)
        sources = dict(zip(ids, addresses(self._screen, ids, refined), strict=True))

        def rows() -> Iterator[str]:
            for class_id in classes[:CLASSES]:
                members = [cid for cid, label in zip(ids, labels, strict=True) if label == class_id]
                shown = [sources[cid] for cid in members[:PICTURES]]
                yield shelf(names[class_id], plural(len(members), "image"), shown)

        more = len(classes) - CLASSES
        return "".join(rows()) + (
            note(f"And {plural(more, 'more class', 'more classes')}.") if more > 0 else ""
        )


def addresses(screen: Screen, ids: Sequence[int], refined: str = "") -> list[str]:
    """Where the pictures of candidates are fetched.

    Args:
        refined: a refined selection; those of its candidates are as it has them.
    """
    query = urlencode({"token": screen.token, "v": screen.studio.pool.content_hash()[:12]})
    known = _refined(screen, refined) if refined else {}
    return [known.get(cid, f"psr/image/{cid}.png?{query}") for cid in ids]


def _refined(screen: Screen, name: str) -> dict[int, str]:
    """Addresses by candidate id."""
    found = screen.refined(name)
    stamp = "".join(sorted(found.inputs_hashes.values()))[:12]
    query = urlencode({"token": screen.token, "v": stamp})
    return {
        int(cid): f"psr/refined/{quote(name)}/{row}.png?{query}"
        for row, cid in enumerate(found.candidate_ids)
    }
