"""What every long step says that it will cost, and what it then takes, on the embedded models.

    python benchmarks/cost.py

Each step is asked in a workspace of its own data, then run; "took" counts from when its networks are open, as
the line does. Writes benchmarks/results/cost.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from timing import conditions, write_results

from psr_studio.app.studio import Studio
from psr_studio.core.progress import Progress

SETTINGS = {
    "pool.pool_size": 24, "select.ipc": 8, "refine.objective": "psr",
    "evaluate.epochs": 15, "evaluate.n_seeds": 1, "evaluate.n_checks": 2,
    "tune.trials": 6, "tune.student_epochs": 5,
}  # fmt: skip


def main() -> None:
    """Ask and run every step, print the table, write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="times that everything is asked and run")
    rounds = parser.parse_args().rounds
    results: dict[str, Any] = {"conditions": conditions(), "settings": SETTINGS, "steps": []}
    rows = [row for _ in range(rounds) for row in one_round()]
    for work in dict.fromkeys(row["work"] for row in rows):
        own = [row for row in rows if row["work"] == work]
        ratios = [row["said_s"] / row["took_s"] for row in own]
        results["steps"].append(
            {"work": work, "ratio": statistics.median(ratios), "ratios": ratios}
            | {key: statistics.median(row[key] for row in own) for key in ("said_s", "took_s")}
        )
    write_results("cost", results)
    print("| step | said | took | said / took | of all rounds |\n|---|---|---|---|---|")
    for row in results["steps"]:
        spread = ", ".join(f"{ratio:.2f}" for ratio in sorted(row["ratios"]))
        print(
            f"| {row['work']} | {row['said_s']:.2f} s | {row['took_s']:.2f} s | {row['ratio']:.2f} | {spread} |"
        )


def one_round() -> Iterator[dict[str, Any]]:
    """Every step, in the order of a run."""
    with tempfile.TemporaryDirectory(prefix="psr-cost-") as folder:
        with Studio(Path(folder) / "ws", "fashion-mnist") as studio:
            studio.set(SETTINGS)
            yield asked(studio, "pool", "generate", studio.generate)
            yield asked(studio, "score", "score", studio.score)
            for _ in studio.select():
                pass
            yield asked(studio, "refine", "refine", studio.refine)
            yield asked(studio, "evaluate", "train", studio.evaluate)
            yield asked(studio, "tune", "try by k-NN", studio.tune)
            studio.set({"tune.proxy": "student", "tune.seed": 1})
            yield asked(studio, "tune", "try by short students", studio.tune)
            for _ in studio.export(zip=False):
                pass
        with Studio(Path(folder) / "other", "fashion-mnist") as other:
            events = list(other.import_pool(Path(folder) / "ws" / "exports" / "set"))
            yield row(f"import {events[-1].total} pictures", said_in(events), events[-1].seconds)


def asked(studio: Studio, stage: str, words: str, run: Callable[[], Iterator[Progress]]) -> dict[str, Any]:
    """What it says, and what it takes."""
    said = studio.estimate(stage)
    *_, last = run()
    return row(f"{words} {said.images} {said.unit}", said.seconds, last.seconds)


def said_in(events: list[Progress]) -> float:
    """The seconds in the line of a step that cannot be asked before."""
    words = next(event.message for event in events if event.lasting)
    return float(words.partition("about ")[2].partition(" s")[0])


def row(work: str, said: float, took: float) -> dict[str, Any]:
    """A line of the table, also said at once."""
    print(f"{work}: said {said:.2f} s, took {took:.2f} s", flush=True)
    return {"work": work, "said_s": said, "took_s": took}


if __name__ == "__main__":
    main()
