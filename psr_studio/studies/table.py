"""The studies by name: which table or figure of the papers each reproduces, and of which cells it is made."""

from __future__ import annotations

from psr_studio.core.errors import StudioError, did_you_mean
from psr_studio.recipe.schema import TEST_SETS
from psr_studio.stages.evaluate import GENERATE_AND_USE
from psr_studio.studies import published as papers
from psr_studio.studies.study import Filling, Level, Study

REFINED = Level("PSR, refined", form="refined")
SELECTED = Level("PSR, not refined")
IMAGENET = (papers.WOOF, papers.NETTE, papers.IDC, *papers.SMALL)
HARD = {"evaluate.labels": "hard"}
DGS = {"select.selector": "dgs", "select.dgs.within_bin": "random", **HARD}
PAPER = {"select.psr.weights": "paper", "refine.objective": "psr"}  # whatever the recipe has
PSR = {"select.selector": "psr", **PAPER}
DRAWN = "The paper only draws this figure, so none of its numbers stand here."
NOT_REFINED = (
    "Students learn from the pictures as they were selected, not refined: the paper does not say which, and this is "
    "what the choice alone is worth."
)


def _selector(name: str, said: str = "") -> Level:
    return Level(said or name, {"select.selector": name})


def _signals(name: str, **weights: float) -> Level:
    """Terms of eq. 8 by leaving the others out; those that stay have the weights of the recipe at that budget."""
    return Level(name, {f"select.psr.{weight}": value for weight, value in weights.items()})


# Each way of filling a pool, with as many targets as images per class, as the papers have it.
PLAIN = Filling("plain", "plain")
MINIMAX = Filling("minimax", "Minimax", {"pool.generator": "minimax", "finetune.name": "minimax"})
MGD3 = Filling("mgd3", "MGD3", {"pool.guidance": "mgd3", "pool.mgd3.stop": 25}, "pool.mgd3.modes")
DAG = {
    stop: Filling(
        "dag" if stop == 25 else f"dag-stop-{stop}",
        "DAG" if stop == 25 else f"DAG, stop {stop}",
        {"pool.guidance": "dag", "pool.dag.stop": stop},
        "pool.dag.centers",
    )
    for stop in (25, 30, 40, 50)
}
D4M = Filling("d4m", "D4M", {"pool.guidance": "d4m"}, "pool.d4m.prototypes")
IGD = Filling("igd", "IGD", {"pool.guidance": "igd"})
RDED = Filling("rded", "RDED", {"pool.source": "crops"})
FILLINGS = (PLAIN, MGD3, DAG[25], D4M, RDED, MINIMAX, IGD)  # those that cost least come first
OWN_POOL = {
    "pool.steps": 50, "pool.part_size": 10, "pool.generator": None, "pool.guidance": "none",
    "pool.source": "generator", "pool.sizes": None,
}  # fmt: skip


def _as_generated(filling: Filling, said: str = "") -> Level:
    """The first K of a pool as they are; nothing is selected, so the quickest rule stands for all."""
    name = said or f"{filling.title}: {GENERATE_AND_USE}"
    return Level(name, {"select.selector": "random"}, GENERATE_AND_USE, filling=filling)


def _uses(filling: Filling) -> tuple[Level, ...]:
    """A pool as it was generated, and what either paper chooses from it."""
    chosen = (("PSR", PSR), ("DGS", {"select.selector": "dgs", "select.dgs.within_bin": "random"}))
    return _as_generated(filling), *(
        Level(f"{filling.title}: {name}", settings, filling=filling) for name, settings in chosen
    )


_ALL = (
    Study(
        "selectors",
        "Is choosing from a pool worth more than using what was generated, and by which rule?",
        "PSR, Figure 4",
        "selector",
        tuple(
            map(
                _selector,
                ("psr", "random", "top-confidence", "lowest-entropy", "k-center", "k-medoids", "herding"),
            )
        ),
        settings=PAPER,
        notes=(
            DRAWN,
            NOT_REFINED,
            "The rules are those of section 2.2 with herding and lowest entropy beside them.",
        ),
    ),
    Study(
        "budgets",
        "What is the whole method worth as the budget grows?",
        "PSR, Figure 1",
        "method",
        (REFINED,),
        settings=PSR,
        published=(papers.WOOF, *papers.SMALL),
        notes=("The figure is only drawn; the numbers beside ours are those of Tables 2 and 4.",),
    ),
    Study(
        "labels",
        "What do the teacher's labels add to hard ones?",
        "PSR, Figure 7",
        "labels",
        (
            Level("teacher labels", {"evaluate.labels": "teacher"}, "refined"),
            Level("hard labels", HARD, "refined"),
        ),
        settings=PSR,
        notes=(
            DRAWN,
            "Its baseline, the generated pictures with hard labels, is the control generate-and-use, hard.",
        ),
    ),
    Study(
        "pool-size",
        "How many candidates per class are enough?",
        "PSR, Figure 8",
        "candidates per class",
        tuple(Level(f"{times}K", times=times) for times in (1, 2, 3, 4, 5)),
        kind="heatmap",
        settings=PSR,
        notes=(
            DRAWN,
            NOT_REFINED,
            "The paper's pool sizes are not printed; these are 1 to 5 times the budget.",
        ),
    ),
    Study(
        "kl",
        "What does the label term of the refinement add to the denoising term?",
        "PSR, Figure 6",
        "refinement",
        (
            Level("LDM and KL", form="refined"),
            Level("LDM alone", {"refine.kl_steps": 0}, "refined"),
            Level("none"),
        ),
        settings=PSR,
        notes=(DRAWN, "The set without refinement is ours; the paper compares the other two."),
    ),
    Study(
        "signals",
        "Which terms of the selection score matter, alone and together?",
        "PSR, Figures 5 and 10",
        "signals",
        (
            _signals("Rel", beta=0.0, gamma=0.0),
            _signals("Div", alpha=0.0, beta=0.0),
            _signals("Unc", alpha=0.0, gamma=0.0),
            _signals("Rel and Div", beta=0.0),
            _signals("Rel and Unc", gamma=0.0),
            _signals("Div and Unc", alpha=0.0),
            _signals("Rel, Div and Unc"),
        ),
        settings=PSR,
        notes=(
            DRAWN,
            NOT_REFINED,
            "The paper prints no weights for a part of the terms; a term that stays keeps the weight that the recipe "
            "has at that budget. The first pick is the most reliable candidate in every case, as in the paper's rule.",
            "Figure 10 is the same with Minimax as the generator; here the generator is the bundle's own.",
        ),
    ),
    Study(
        "transfer",
        "Does the set serve students of other architectures?",
        "PSR, Table 5",
        "method",
        (REFINED,),
        kind="bars",
        budgets=(10,),
        settings=PSR,
        all_students=True,
        published=(papers.TRANSFER,),
        notes=(
            "The table prints neither data set nor budget; its row of PSR is that of Table 2 at 100 images per class.",
        ),
    ),
    Study(
        "main-table",
        "What is the whole method worth beside its controls?",
        "PSR, Tables 2 to 4",
        "method",
        (REFINED, SELECTED, Level(f"{GENERATE_AND_USE}, hard labels", HARD, GENERATE_AND_USE)),
        settings=PSR,
        published=IMAGENET,
        notes=(
            "One student, that of the recipe; `--students` names others, such as the three of Table 2.",
            'The column "Full" is trained with `--set evaluate.full=true`; on all images that are here it takes long.',
        ),
    ),
    Study(
        "targets",
        "Which shares of easy and hard images should a set have?",
        "DGS, Table 4",
        "target",
        tuple(
            Level(name, {"select.dgs.target": name}) for name in ("hill", "ground", "slope", "cliff", "scale")
        ),
        budgets=(10, 20, 50),
        times=5,
        settings=DGS,
        published=(papers.TARGETS,),
    ),
    Study(
        "dgs-pool-size",
        "How many candidates per class does difficulty-guided sampling need?",
        "DGS, Table 5",
        "candidates per class",
        tuple(Level(f"{times}K", times=times) for times in (2, 3, 4, 5, 6)),
        kind="heatmap",
        budgets=(10, 20, 50),
        settings={**DGS, "select.dgs.target": "scale"},
        published=(papers.POOL_SIZES,),
    ),
    Study(
        "validation-sets",
        "Does the set also serve on test images that are easier or harder?",
        "DGS, Table 6",
        "test images",
        tuple(Level(f"{name}: DGS", {"evaluate.test_set": name}) for name in TEST_SETS),
        budgets=(10, 20, 50),
        times=5,
        settings={**DGS, "select.dgs.target": "scale"},
        published=(papers.VALIDATION,),
        notes=(
            "The paper says which test sets there are, not how many images they hold; here each but the original one "
            "is half of every class.",
            "The paper draws its sets from the original dataset; here they are parts of the test split.",
            "Its other row, Minimax, is the set that is used as it was generated: the control generate-and-use.",
        ),
    ),
    Study(
        "guided-pools",
        "Which way of filling a pool is worth most, as it is and when it is chosen from?",
        "DGS and PSR, no table",
        "pool and its use",
        tuple(level for filling in FILLINGS for level in _uses(filling)),
        kind="heatmap",
        budgets=(10, 50),
        settings=OWN_POOL,
        notes=(
            NOT_REFINED,
            "All is chosen from 2K candidates, as PSR has it; DGS has 5K. Its filling of an interval is random.",
            "MGD3, DAG and D4M have as many targets as images per class, taken in turn, so the first K of a pool have "
            "each its own; with these each budget has a pool of its own.",
            "Figures of the pools are of the first 2K candidates, controls of random real images are the same for all.",
        ),
    ),
    Study(
        "dag-stops",
        "At which step should the guidance by difficulty end?",
        "DGS, Table 7",
        "guidance",
        (
            _as_generated(MGD3, "MGD3, stop 25"),
            *(_as_generated(filling, f"DAG, stop {stop}") for stop, filling in DAG.items()),
        ),
        budgets=(10, 20, 50),
        times=1,
        settings={**OWN_POOL, **HARD},
        published=(papers.STOPS,),
        notes=(
            "A step is guided while its index, counted down from 49, is above the stop: the first 24 of 50 at stop 25, "
            "9 at 40, none at 50, which is a plain pool here; the paper does not say how it counts.",
            "Students learn from the first K of each pool, with as many targets: nothing is chosen.",
        ),
    ),
)
STUDIES: dict[str, Study] = {study.name: study for study in _ALL}


def find_study(name: str) -> Study:
    """The study of that name; StudioError with the near match when there is none."""
    if name not in STUDIES:
        fix = did_you_mean(name, STUDIES) + "`psr-studio study` lists them all."
        raise StudioError(f'There is no study "{name}". Studies: {", ".join(STUDIES)}.', fix)
    return STUDIES[name]
