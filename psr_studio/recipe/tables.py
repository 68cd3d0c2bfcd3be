"""The tables of a recipe: every setting with its default, help, unit and range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psr_studio.method.selectors.registry import SELECTORS, Parameter
from psr_studio.recipe.fields import documented

MAX_SEED = 2**63 - 1
MAX_POOL_SIZE = 1_000_000  # candidate_id = class_id * 1_000_000 + index
SAMPLERS = ("ddpm", "ddim", "dpm-solver++")
# Named ways of sampling. "exact" is the papers'; "draft" takes 10 steps for its 50 and leaves the
# noisiest unguided, for a first look: docs/speed.md prints what that costs in agreement and diversity.
WAYS: dict[str, dict[str, Any]] = {
    "exact": {"pool.sampler": "ddpm", "pool.steps": 50, "pool.guided_from": 0.0, "pool.guided_to": 1.0},
    "draft": {
        "pool.sampler": "ddpm",
        "pool.steps": 10,
        "pool.guided_from": 0.0,
        "pool.guided_to": 0.8,
    },
}
PROTOCOLS = ("kd", "hard")
ARMS = ("refined", "selected")
REAL = "real:"  # before the name of a selector: a control that it chooses among the real training images
REAL_ARMS = tuple(f"{REAL}{name}" for name, selector in SELECTORS.items() if selector.on_real)
MAX_WEIGHT = 100.0  # typed, in a file or a command: a slider ends earlier
UNBOUNDED = 1e6
N_BARS = 10
FORMATS = ("folder", "parquet", "webdataset", "dd-ranking")


def _seed(help: str) -> Any:
    return documented(0, help, "", 0, MAX_SEED)


def _parameter(selector: str, name: str, high: float | None = None) -> Any:
    """A parameter of a selector, as the registry has it: the one table of what may be set."""
    known: Parameter = next(p for p in SELECTORS[selector].parameters if p.name == name)
    high = high or known.high or (UNBOUNDED if known.low is not None else None)
    length = N_BARS if known.kind == "bars" else None
    return documented(known.default, known.help, "", known.low, high, known.choices, length=length)


@dataclass(frozen=True)
class PoolRecipe:
    """Generation of the over-complete pool."""

    pool_size: int = documented(60, "Candidates per class (M).", "images/class", 1, MAX_POOL_SIZE)
    sizes: tuple[int, ...] | None = documented(
        None,
        "Candidates of each class where some get more than pool_size, in class order; 0 for pool_size.",
        "images",
        0,
        MAX_POOL_SIZE,
    )
    seed: int = _seed("Base seed; each candidate has its own seed made from it.")
    sampler: str = documented("ddpm", "How the noise is taken away.", choices=SAMPLERS)
    steps: int = documented(50, "Denoising steps per candidate.", "steps", 1, 1000)
    guidance: float | None = documented(
        None,
        "Classifier-free guidance scale; 1 switches it off; the bundle's own when left out.",
        "",
        0.0,
        50.0,
    )
    guided_channels: int | None = documented(
        None,
        "Leading latent channels that are guided, 0 for all; DiT's own code guides 3 of 4; the bundle's own "
        "when left out.",
        "channels",
        0,
        64,
    )
    guided_from: float = documented(
        0.0, "Share of the noise below which a step is not guided and costs half.", "", 0.0, 1.0
    )
    guided_to: float = documented(
        1.0, "Share of the noise above which a step is not guided and costs half.", "", 0.0, 1.0
    )
    batch_size: int = documented(
        64, "Candidates denoised together; changes the speed only.", "images", 1, 4096
    )
    compiled: bool = documented(
        False, "Compile the generator first: a minute of waiting, then faster on a GPU, not on a CPU."
    )
    part_size: int = documented(
        60, "Candidates per written file, the unit that is resumed.", "images", 1, 100_000
    )
    classes: tuple[int, ...] | None = documented(
        None, "Class numbers to generate; all when left out.", "", 0, 999_999
    )


@dataclass(frozen=True)
class ScoreRecipe:
    """Scoring of the pool by the teacher."""

    batch_size: int = documented(
        256, "Candidates scored together; changes the speed only.", "images", 1, 65_536
    )


@dataclass(frozen=True)
class SelectRecipe:
    """Spending the budget of K images per class."""

    selector: str = documented("psr", "Rule that picks.", choices=tuple(SELECTORS))
    ipc: int = documented(10, "Images per class in the distilled set (K).", "images/class", 1, MAX_POOL_SIZE)
    alpha: float | None = _parameter("psr", "alpha", MAX_WEIGHT)
    beta: float | None = _parameter("psr", "beta", MAX_WEIGHT)
    gamma: float | None = _parameter("psr", "gamma", MAX_WEIGHT)
    temperature: float = documented(1.5, "Softness of the teacher's labels (tau).", "", 0.01, 100.0)
    normalize: bool = documented(True, "Scale each term to [0, 1] over the pool of the class.")
    scaling: str = _parameter("psr", "scaling")
    target: str = _parameter("dgs", "target")
    drawn: tuple[float, ...] = _parameter("dgs", "drawn")
    within_bin: str = _parameter("dgs", "within_bin")
    lam: float = _parameter("dgs", "lam")
    order: str = _parameter("cao2", "order")
    allocation: str = documented(
        "even",
        "The same budget for every class, or more where it gains more.",
        choices=("even", "gain"),
    )
    floor: int = documented(
        1, 'Least images of a class under the allocation "gain".', "images/class", 1, MAX_POOL_SIZE
    )
    ceiling: int | None = documented(
        None,
        'Most images of a class under the allocation "gain"; no limit when left out.',
        "images/class",
        1,
        MAX_POOL_SIZE,
    )
    budgets: tuple[int, ...] | None = documented(
        None,
        "Images of each class, in class order; 0 leaves a class to the allocation.",
        "images",
        0,
        MAX_POOL_SIZE,
    )
    on_shortage: str = documented(
        "fill", "What to do when too few candidates are eligible.", choices=("fill", "short")
    )
    seed: int = _seed("Seed of the selectors that draw: random, and dgs inside a bin.")
    name: str = documented("current", "Name the selection is kept under.", folder=True)


@dataclass(frozen=True)
class RefineRecipe:
    """Refinement of the chosen latents (PSR eq. 9-10); the labels are softened by `select.temperature`."""

    n_steps: int = documented(100, "Gradient steps per latent (L).", "steps", 1, 100_000)
    kl_steps: int = documented(4, "Last steps in which the teacher's label pulls (R).", "steps", 0, 100_000)
    lr: float = documented(0.01, "Step size (eta).", "", 1e-8, 10.0)
    lam: float = documented(0.5, "Factor on the weight of the label loss (lambda).", "", 0.0, 100.0)
    w_min: float = documented(0.1, "Label weight where the teacher is sure, before lambda.", "", 0.0, 100.0)
    w_max: float = documented(2.0, "Label weight where the teacher is unsure, before lambda.", "", 0.0, 100.0)
    optimizer: str = documented(
        "sgd", "Plain gradient descent as in the paper, or Adam.", choices=("sgd", "adam")
    )
    batch_size: int = documented(64, "Latents refined together; changes the speed only.", "images", 1, 4096)
    seed: int = _seed("Base seed of the timesteps and the noise.")


@dataclass(frozen=True)
class EvaluateRecipe:
    """Training students on the set; the numbers are the DC protocol's."""

    student: str = documented("convnet-3", "Network that is trained on the set.")
    protocol: str = documented(
        "kd", "Loss: the teacher's soft labels (kd) or the class (hard).", choices=PROTOCOLS
    )
    n_seeds: int = documented(3, "Students per row; their mean and spread are shown.", "students", 1, 100)
    epochs: int = documented(300, "Passes over the set.", "epochs", 1, 100_000)
    batch_size: int = documented(256, "Images per gradient step.", "images", 1, 65_536)
    lr: float = documented(0.01, "Learning rate; a tenth of it in the second half.", "", 1e-8, 10.0)
    momentum: float = documented(0.9, "Momentum of SGD.", "", 0.0, 0.9999)
    weight_decay: float = documented(5e-4, "Weight decay of SGD.", "", 0.0, 1.0)
    augment: bool = documented(True, "Augment the training images (DSA).")
    seed: int = _seed("Seed of the first student; the next ones count up.")
    n_checks: int = documented(10, "Points of the accuracy curve.", "points", 1, 1000)
    arms: tuple[str, ...] = documented(
        ARMS,
        "Forms of the selection that are trained on; real:<selector> is a control chosen among real images.",
        choices=(*ARMS, *REAL_ARMS),
    )
    controls: bool = documented(True, "Train random real images and generate-and-use beside it.")
    compare: tuple[str, ...] = documented((), "Names of other saved selections to train on too.", folder=True)


@dataclass(frozen=True)
class ExportRecipe:
    """Writing the set out."""

    name: str = documented("set", "Name of the folder under exports/.", folder=True)
    refined: bool = documented(True, "Write the refined pictures; the selected ones otherwise.")
    formats: tuple[str, ...] = documented(("folder",), "What is written.", choices=FORMATS)
    zip: bool = documented(True, "Also write one zip file.")
