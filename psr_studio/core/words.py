"""Durations, counts and tables as text, alike on the page and on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def duration(seconds: float) -> str:
    """A time in words: "45 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def plural(n: int, noun: str, nouns: str = "") -> str:
    """A count with its noun: "1 image", "3 images", "2 classes"."""
    return f"{n:,} {noun if n == 1 else nouns or noun + 's'}"


def classes_listed(names: Sequence[str], most: int = 3) -> str:
    """The first few in quotes, the others by their number: '"boot", "dress" and 2 more classes'."""
    return ", ".join(f'"{name}"' for name in names[:most]) + more_classes(len(names) - most)


def more_classes(n: int) -> str:
    """What follows the classes that are named: " and 2 more classes", "" where none is left."""
    return f" and {plural(n, 'more class', 'more classes')}" if n > 0 else ""


def text_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under their head, in columns as wide as their widest cell."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([text[0], "  ".join("-" * w for w in widths), *text[1:]])


def printable(name: str) -> str:
    """A file name as every disk, terminal and table takes it: bytes that are no UTF-8 become "\\xe9"."""
    escaped = (f"\\x{ord(ch) - 0xDC00:02x}" if 0xDC80 <= ord(ch) <= 0xDCFF else ch for ch in name)
    return "".join(escaped).encode(errors="backslashreplace").decode()
