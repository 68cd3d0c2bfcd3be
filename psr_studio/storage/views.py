"""Named views of the pool: how a page looked at it, in the words of an address, to come back to."""

from __future__ import annotations

import time
from typing import Any

from psr_studio.core.errors import SelectionError, did_you_mean
from psr_studio.storage.database import Database

VIEWS_SCHEMA = """
CREATE TABLE IF NOT EXISTS views (name TEXT PRIMARY KEY, created REAL NOT NULL, look TEXT NOT NULL);
"""
LONGEST_NAME = 40
LONGEST_LOOK = 1_000_000  # letters; one of a lasso over a large pool is long


class Views(Database):
    """The part of the ledger that keeps views."""

    def save_view(self, name: str, look: str) -> None:
        """Keep a view under its name; an older one of that name is replaced.

        Args:
            look: what a page shows, as the part of its address behind "#".

        Raises:
            SelectionError: a name that is empty or too long, or a look that is too long.
        """
        name = name.strip()
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise SelectionError(
                f'"{name[:LONGEST_NAME]}" cannot be the name of a view: it must have 1 to {LONGEST_NAME} letters.',
                "Write another name.",
            )
        if len(look) > LONGEST_LOOK:
            raise SelectionError(
                f"The view takes {len(look):,} letters, and at most {LONGEST_LOOK:,} are kept.",
                "Lasso fewer candidates, or find them by a query.",
            )
        self._write("INSERT OR REPLACE INTO views VALUES (?, ?, ?)", name, time.time(), look)

    def views(self) -> list[dict[str, Any]]:
        """All views by name: "name", "created", "look"."""
        rows = self._rows("SELECT * FROM views ORDER BY name")
        return [{key: row[key] for key in ("name", "created", "look")} for row in rows]

    def delete_view(self, name: str) -> None:
        """Forget a view; SelectionError with the near match when there is none of that name."""
        names = [view["name"] for view in self.views()]
        if name not in names:
            raise SelectionError(
                f'There is no view "{name}".', f"{did_you_mean(name, names)}Look at the list again."
            )
        self._write("DELETE FROM views WHERE name = ?", name)
