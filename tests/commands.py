"""What a command prints, taken apart."""

from __future__ import annotations


def problem_and_fix(stderr: str) -> tuple[str, str]:
    """The two lines of an error, and nothing else on the stream but progress before them."""
    *progress, problem, fix = stderr.rstrip("\n").split("\n")
    assert problem.startswith("Problem: ") and fix.startswith("Fix: ") and "Traceback" not in stderr
    return problem.removeprefix("Problem: "), fix.removeprefix("Fix: ")
