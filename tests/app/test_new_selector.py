"""A selector is one file: laid into the folder, it is offered, checked, searched, explained and documented."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOY = '''
"""Toy: the most reliable, or the least."""

from psr_studio.method.selectors.parameters import Parameters, setting
from psr_studio.method.selectors.selector import Selector


class Toy(Parameters):
    read_when = {"depth": ("side", "far")}
    searched = {"side": ("near", "far"), "depth": (0, 2)}
    side: str = setting("near", "Which end of the ranking.", choices=("near", "far"))
    depth: float = setting(1.0, "How far down.", "ranks", 0.0, 4.0, slider=2.0, label="Depth of it")


def _choose(pool, params, ask):
    from psr_studio.method.baselines import top_confidence

    sign = 1 if params.side == "near" else -1
    return top_confidence(sign * pool.reliability, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed)


SELECTOR = Selector(
    "toy", 35, "Toy", "Takes one end.", source="nowhere",
    taken=lambda chosen: f"it is on the {chosen.params.side} side",
    left=lambda chosen: f"it is not on the {chosen.params.side} side",
    one_class=_choose, parameters=Toy,
)
'''
USED = """
import sys
import psr_studio.method.selectors as folder
folder.__path__.append(sys.argv[1])
sys.path.append(sys.argv[3])

import contextlib, io
from pathlib import Path
from psr_studio.cli.main import main
from psr_studio.core.errors import RecipeError
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.keys import check_value, keys
from psr_studio.recipe.load import recipe_from_toml
from psr_studio.recipe.schema import Recipe, TuneRecipe
from psr_studio.recipe.toml import to_toml

assert list(SELECTORS)[2:5] == ["random", "toy", "skip"]
assert {"select.toy.side", "select.toy.depth"} < set(keys())
changed = Recipe().with_values({"select.selector": "toy", "select.depth": 3})
assert "[select.toy]\\nside = \\"near\\"\\ndepth = 3.0\\n" in to_toml(changed)
assert recipe_from_toml(to_toml(changed), Path("r.toml")) == changed
for key, value, said in (("side", "neer", 'Did you mean "near"?'), ("depth", 5.0, "from 0.0 to 4.0")):
    try:
        check_value(f"select.toy.{key}", value)
    except RecipeError as err:
        assert said in f"{err}", err

out = io.StringIO()
with contextlib.redirect_stdout(out):
    assert main(["selectors", "toy"]) == 0
assert "select.toy.depth = 1.0  (0.0 to 4.0)  How far down." in out.getvalue()

from test_docs import selectors_table
assert "| `toy` | Takes one end. | nowhere | `side` (near, far); with `side = " in selectors_table()

from psr_studio.stages.tune import space
from psr_studio.storage.trials import TrialRecord
chosen = TuneRecipe(selectors=("toy",))
first = space.propose([], chosen, changed.select)
assert first == {"selector": "toy", "toy.side": "near", "toy.depth": 2.0}, "3 lies outside of what is searched"
assert space.rules_of(first, changed.select).toy.depth == 2.0
known = []
for number in range(4):
    point = space.propose(known, chosen, changed.select)
    known.append(TrialRecord("", number, "knn", number / 4, {}, point, "", 6, 0.1))
    assert 0 <= point["toy.depth"] <= 2 and isinstance(point["toy.depth"], float)
assert space.size(chosen) is None and space.size(TuneRecipe(selectors=("toy",), weights=False)) == 2

from psr_studio.app.curation import SelectChange
from psr_studio.app.studio import Studio
from psr_studio.ui.words import LABELS
assert LABELS["select.toy.side"] == "Side" and LABELS["select.toy.depth"] == "Depth of it"
with Studio(sys.argv[2]) as studio:
    curation = studio.curation
    (row,) = [row for row in curation.selectors() if row["name"] == "toy"]
    depth = row["parameters"][1]
    assert (depth["slider"], depth["when"], depth["kind"]) == (2.0, ("side", "far"), "float")
    rules = curation.changed_rules(SelectChange.model_validate({"selector": "toy", "toy.side": "far"}))
    assert curation.move_to(rules) == "selector psr to toy, side near to far"
    result = curation.select()
    assert curation.why(int(result.picks[0][1])).endswith("it is on the far side.")
    left = next(p for p in range(6) if p not in result.picks[0])
    assert curation.why(left) == "Not picked: it is not on the far side."
    assert "select.toy.depth=1.0" in curation.command()
    record = curation.save("toys")
    assert record.settings["side"] == "far" and studio.status()["select"].state == "fresh"
    assert curation.undo() and curation.restore("toys") and curation.settings()["side"] == "far"
print("followed")
"""


SKIP = '''
"""Skip: the most reliable but for the first."""

from psr_studio.method.selectors.parameters import Parameters, setting
from psr_studio.method.selectors.selector import Selector


class Skip(Parameters):
    searched = {"omitted": (0, 2), "back": (False, True)}
    omitted: int = setting(4, "How many are left out.", "images", 0, 4)
    back: bool = setting(False, "Begin at the least reliable.")


def _choose(pool, params, ask):
    from psr_studio.method.baselines import top_confidence

    values = -pool.reliability if params.back else pool.reliability.copy()
    values[(-values).argsort()[: range(5)[params.omitted]]] -= 2
    return top_confidence(values, ask.ipc, pinned=ask.pinned, vetoed=ask.vetoed)


SELECTOR = Selector(
    "skip", 36, "Skip", "Leaves out the first.", source="nowhere", taken=lambda chosen: "it is not among the first",
    left=lambda chosen: "it is", one_class=_choose, parameters=Skip,
)
'''
SEARCHED = """
from psr_studio.stages.tune.stage import describe

with Studio(sys.argv[2]) as studio:
    studio.set({"tune.selectors": ["skip"], "tune.trials": 4, "select.selector": "skip"})
    for trials in (4, 30):
        for event in studio.tune(trials=trials):
            pass
    found = sorted(studio.trials(), key=lambda trial: trial.number)
    assert found[0].params == {"selector": "skip", "skip.omitted": 2, "skip.back": False}, "4 is outside"
    tried = {(trial.settings["omitted"], trial.settings["back"]) for trial in found}
    assert tried == {(omitted, back) for omitted in (0, 1, 2) for back in (False, True)}, tried
    assert {type(trial.params["skip.omitted"]) for trial in found} == {int}
    assert len(found) == 6 and studio.tune_status().reason == "6 settings are tried."
    assert space.size(TuneRecipe(selectors=("skip",), weights=False)) == 2, "numbers are searched with the weights"
    last = next(trial for trial in found if trial.settings["omitted"] == 1 and trial.settings["back"])
    assert describe(last.settings) == "skip, omitted 1, back true"
    studio.curation.take(last)
    assert (studio.curation.rules().skip.omitted, studio.curation.rules().skip.back) == (1, True)
print("searched")
"""


def test_files_in_the_folder_are_followed_by_everything(tmp_path, studio):
    """By a Python that has the folder in its path before it reads the table.

    In the search, 3 whole numbers times 2 truth values are 6 settings: each is tried once, also after a stop, and no
    other.
    """
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy.py").write_text(TOY)
    (tmp_path / "more" / "skip.py").write_text(SKIP)
    root = studio.workspace.root
    studio.close()
    command = [
        sys.executable,
        "-c",
        USED + SEARCHED,
        *map(str, (tmp_path / "more", root, Path(__file__).parents[1])),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and run.stdout == "followed\nsearched\n", run.stderr
