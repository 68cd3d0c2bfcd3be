"""The recipe: typed tables of settings, each with its default, help, unit and range, and the rules that join two.

What a file leaves out keeps its default; an unknown key is an error, and so is a value outside its range.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import ValidationError, create_model, model_validator

from psr_studio.core.errors import RecipeError
from psr_studio.method.guidances.guidance import Misfit, Steering
from psr_studio.method.guidances.registry import GUIDANCES, NONE
from psr_studio.method.protocols import FORMER, HARD, PROTOCOLS, STORED, Protocol, name_now
from psr_studio.method.selectors.parameters import Facts, Parameters, Table, facts_of, setting
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.method.selectors.weights import Weighted, Weights
from psr_studio.recipe.errors import find, keys_of, recipe_error
from psr_studio.recipe.objectives import OBJECTIVES
from psr_studio.recipe.rules import BatchByBudget, ByRule, EpochsByBudget, TimesBudget
from psr_studio.recipe.variations import CANDIDATES_PER_CLASS, FIRST_VARIATION, MOST_VARIATIONS, Variations

MAX_SEED = 2**63 - 1
MAX_POOL_SIZE = CANDIDATES_PER_CLASS
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
OWN_LABELS, TEACHER_LABELS = "protocol", "teacher"
PROTOCOL_NUMBERS = tuple(
    f"evaluate.{name}" for name in next(iter(PROTOCOLS.values())).numbers
)  # that come with it
LABELS = (OWN_LABELS, TEACHER_LABELS, HARD)  # what students learn
ARMS = ("refined", "selected")
REAL = "real:"  # before the name of a selector: a control that it chooses among the real training images
REAL_ARMS = tuple(f"{REAL}{name}" for name, selector in SELECTORS.items() if selector.on_real)
ORIGINAL = "original"  # the whole test split
TASK_CLASSES, ALL_OUTPUTS = "task", "all"  # what the teacher's difficulty is softened over
TEST_SETS = (ORIGINAL, "random", "easy", "scale")  # of DGS, Table 6
HELD_OUT = "held-out"  # real training images, to choose settings by
PROXIES = ("knn", "student")
FORMATS = ("folder", "parquet", "webdataset", "dd-ranking")


GUIDED = {name: guidance.parameters for name, guidance in GUIDANCES.items()}


def _seed(help: str, **more: Any) -> Any:
    return setting(0, help, "", 0, MAX_SEED, **more)


if TYPE_CHECKING:
    _Guidances = Table
else:
    _Guidances = create_model(
        "_Guidances", __base__=Table, **{name: (kind, kind()) for name, kind in GUIDED.items()}
    )


GENERATOR, CROPS = "generator", "crops"  # what fills a pool


class CropsRecipe(Table):
    """Crops of real images as candidates (RDED)."""

    images: int = setting(
        300, "Real images per class that are cut, random ones; all where there are fewer.", "images", 1, 100_000,
        label="Real images per class",
    )  # fmt: skip
    crops: int = setting(
        5, "Random crops of each image, of which the most realistic is kept.", "crops", 1, 100,
        label="Crops per image",
    )  # fmt: skip
    factor: int = setting(
        1, "Crops side by side: 1 makes one crop a candidate, 2 makes it of 2 x 2.", "", 1, 4,
        label="Crops side by side",
    )  # fmt: skip


class PoolRecipe(_Guidances):
    """Generation of the over-complete pool; each guidance has a table of its own name."""

    pool_size: int = setting(
        60, "Candidates per class (M).", "images/class", 1, MAX_POOL_SIZE, rule=TimesBudget
    )
    sizes: tuple[int, ...] | None = setting(
        None, "Candidates of each class where some get more than pool_size, in class order; 0 for pool_size.",
        "images", 0, MAX_POOL_SIZE, control=False,
    )  # fmt: skip
    variations: tuple[str, ...] = setting(
        (), 'Variations of single candidates beside these, such as "12 x 8 at 0.5": eight of candidate 12, each by the '
        "last half of the steps from it.", control=False,
    )  # fmt: skip
    seed: int = _seed("Base seed; each candidate has its own seed made from it.")
    sampler: str = setting("ddpm", "How the noise is taken away.", choices=SAMPLERS)
    steps: int = setting(50, "Denoising steps per candidate.", "steps", 1, 1000)
    source: str = setting(
        GENERATOR,
        "What fills the pool: the generator, or the crops of the real training images that the teacher finds the most "
        "realistic (RDED).", choices=(GENERATOR, CROPS), label="Filled by",
    )  # fmt: skip
    crops: CropsRecipe = CropsRecipe()
    generator: str | None = setting(
        None, "Fine-tuned generator of this workspace, by its name; the bundle's own when left out.", folder=True,
        label="Generator",
    )  # fmt: skip
    guidance: str = setting(
        NONE, "What candidates are steered to beside their class; needs real images.", choices=(NONE, *GUIDED),
        label="Steered to",
    )  # fmt: skip
    guidance_scale: float | None = setting(
        None, "Classifier-free guidance scale; 1 switches it off; the bundle's own when left out.", "", 0.0,
        50.0,
    )  # fmt: skip
    guided_channels: int | None = setting(
        None,
        "Leading latent channels that are guided, 0 for all; DiT's own code guides 3 of 4; the bundle's own "
        "when left out.", "channels", 0, 64,
    )  # fmt: skip
    guided_from: float = setting(
        0.0, "Share of the noise below which a step is not guided and costs half.", "", 0.0, 1.0
    )
    guided_to: float = setting(
        1.0, "Share of the noise above which a step is not guided and costs half.", "", 0.0, 1.0
    )
    batch_size: int = setting(64, "Candidates denoised together; changes the speed only.", "images", 1, 4096)
    compiled: bool = setting(
        False, "Compile the generator first: a minute of waiting, then faster on a GPU, not on a CPU.",
        label="Compile the generator",
    )  # fmt: skip
    part_size: int = setting(
        60, "Candidates per written file, the unit that is resumed.", "images", 1, 100_000
    )
    classes: tuple[int, ...] | None = setting(
        None, "Class numbers to generate; all when left out.", "", 0, 999_999
    )

    @property
    def steering(self) -> Steering | None:
        """The table of the chosen guidance, None without one and where no generator is asked."""
        return None if self.guidance == NONE or self.source == CROPS else getattr(self, self.guidance)

    @property
    def idle(self) -> str:
        """Why a guidance that is chosen steers nothing, and what to do; "" where it steers, and without one."""
        found = None if self.steering is None else self.steering.idle(self.steps)
        return "" if found is None else " ".join(_of_guidance(self, found)[:2])

    @property
    def skipped(self) -> int:
        """First steps that are not taken, as the guidance has it."""
        return 0 if self.steering is None else self.steering.skipped(self.steps)

    @property
    def varied(self) -> tuple[Variations, ...]:
        """The variations, in the order they were asked for."""
        return tuple(found for text in self.variations if (found := Variations.read(text)) is not None)

    def most_of(self, class_id: int) -> int:
        """Candidates that a class has, its variations included."""
        own = self.sizes[class_id] if self.sizes and class_id < len(self.sizes) else 0
        return max(self.pool_size, own) + sum(v.count for v in self.varied if v.class_id == class_id)


class FinetuneRecipe(Table):
    """Fine-tuning of the generator as Minimax has it, before a pool is made with it."""

    name: str = setting("minimax", "Name the fine-tuned generator is kept under.", folder=True, label="Name")
    epochs: int = setting(8, "Passes over the real training images.", "epochs", 1, 10_000, label="Passes")
    batch_size: int = setting(8, "Real images in a step.", "images", 1, 4096, label="Images in a step")
    lr: float = setting(1e-3, "Step size of AdamW.", "", 1e-8, 1.0, label="Step size of fine-tuning")
    representativeness: float = setting(
        0.002, "Weight of the loss that draws pictures to the real ones that are least like them.", "", 0.0, 100.0,
        label="Weight of representativeness",
    )  # fmt: skip
    diversity: float = setting(
        0.008, "Weight of the loss that drives pictures away from earlier ones.", "", 0.0, 100.0,
        label="Weight of diversity",
    )  # fmt: skip
    memory: int = setting(
        64, "Latents of each class that either loss remembers.", "latents", 1, 100_000, label="Memory"
    )
    label_dropout: float = setting(
        0.1, "Share of the images shown without their class, for guidance.", "", 0.0, 1.0
    )
    ema_decay: float = setting(
        0.999, "Decay of the running average that is kept, which begins at the bundle's generator; 0.9999 as published "
        "wants ten thousand steps.", "", 0.0, 0.999999, label="Decay of the average",
    )  # fmt: skip
    scaled_share: float = setting(
        0.5,
        "Share of the blocks, from the first, whose channels are scaled.",
        "",
        0.0,
        1.0,
        label="Scaled blocks",
    )
    mirrored: bool = setting(False, "Learn from the mirrored images, too.", label="Mirrored images")
    seed: int = _seed("Seed of the order, the timesteps and the noise.")

    def read(self) -> dict[str, Any]:
        """What the weights depend on, by name."""
        return {name: value for name, value in self if name != "name"}


class ScoreRecipe(Table):
    """Scoring of the pool by the teacher."""

    batch_size: int = setting(
        256, "Candidates scored together; changes the speed only.", "images", 1, 65_536,
        label="Scoring batch size",
    )  # fmt: skip
    teacher_classes: str = setting(
        TASK_CLASSES,
        "Classes that difficulty is over: those of the task, or all that a teacher with more outputs knows, as the "
        "authors of DGS have it. Soft labels are always over the task.", choices=(TASK_CLASSES, ALL_OUTPUTS),
        label="Difficulty over",
    )  # fmt: skip


TABLED = {name: s.parameters for name, s in SELECTORS.items() if s.parameters.model_fields}
DRAWING = tuple(name for name, selector in SELECTORS.items() if selector.draws)
if TYPE_CHECKING:
    _Tables = Table
else:
    _Tables = create_model(
        "_Tables", __base__=Table, **{name: (kind, kind()) for name, kind in TABLED.items()}
    )
T = TypeVar("T", bound=Table)


class SelectRecipe(_Tables):
    """Spending the budget of K images per class; each selector that reads something has a table of its own name."""

    selector: str = setting("psr", "Rule that picks.", choices=tuple(SELECTORS))
    ipc: int = setting(
        10, "Images per class in the distilled set (K).", "images/class", 1, MAX_POOL_SIZE,
        label="Images per class",
    )  # fmt: skip
    temperature: float = setting(1.5, "Softness of the teacher's labels (tau).", "", 0.01, 100.0)
    allocation: str = setting(
        "even", "The same budget for every class, or more where it gains more.", choices=("even", "gain")
    )
    floor: int | None = setting(
        None, 'Least images of a class under the allocation "gain"; half of K, at least 1, when left out.',
        "images/class", 1, MAX_POOL_SIZE, label="At least",
    )  # fmt: skip
    ceiling: int | None = setting(
        None, 'Most images of a class under the allocation "gain"; no limit when left out.', "images/class", 1,
        MAX_POOL_SIZE, label="at most"
    )  # fmt: skip
    budgets: tuple[int, ...] | None = setting(
        None, "Images of each class, in class order; 0 leaves a class to the allocation, -1 gives it none.", "images",
        -1, MAX_POOL_SIZE, label="Budget"
    )  # fmt: skip
    seed: int = _seed(f"Seed of the selectors that draw: {', '.join(DRAWING)}.", control=False)
    name: str = setting(
        "current", "Name the selection is kept under.", folder=True, control=False, label="Selection"
    )

    @property
    def most(self) -> int:
        """Images of the class that gets most: K, or more by a budget of its own."""
        return max(self.ipc, *(self.budgets or (0,)))

    @property
    def least(self) -> int:
        """Images that each class gets at least under the allocation "gain", as far as it has so many (ours)."""
        return self.floor or max(1, self.ipc // 2)

    def parameters(self, selector: str | None = None) -> Any:
        """The table of a selector, of the chosen one when None; an empty one of a selector that reads nothing."""
        name = self.selector if selector is None else selector
        return getattr(self, name) if name in TABLED else Parameters()

    def of(self, kind: type[T]) -> T:
        """The table of that kind."""
        return self.parameters(next(name for name, known in TABLED.items() if known is kind))

    @property
    def weights(self) -> Weights:
        """The weights of the chosen selector, or of the first that has some, as the budget leaves them."""
        table: Weighted = self.parameters(place("alpha", self.selector).partition(".")[0])
        return table.at(self.ipc)

    def setting(self, name: str) -> Any:
        """A setting by its key, or by its name alone as `place` has it."""
        return _value(self, place(name, self.selector))

    def changed(self, settings: Mapping[str, Any]) -> SelectRecipe:
        """A checked copy with settings replaced, by key or by name alone; RecipeError names key and value."""
        selector = settings.get("selector", self.selector)
        return _replaced(self, {place(name, selector): v for name, v in settings.items()}, "select")

    def resolved(self) -> SelectRecipe:
        """The same with what tables leave to the budget filled in."""
        return self.model_copy(update={name: self.parameters(name).resolved(self.ipc) for name in TABLED})

    def left_to_presets(self, *selectors: str) -> SelectRecipe:
        """The same, where weights of some tables that are just the preset's are left to it, to follow the budget."""
        weighted = [name for name in selectors if issubclass(TABLED.get(name, Parameters), Weighted)]
        return self.model_copy(
            update={name: self.parameters(name).left_to_preset(self.ipc) for name in weighted}
        )


def place(name: str, selector: Any) -> str:
    """Where in [select] a setting stands that is named alone: in the table of the chosen selector, or of the first
    that has it. "alpha" is "psr.alpha", but "dgs.alpha" while dgs is chosen.
    """
    holders = [holder for holder, table in TABLED.items() if name in table.model_fields]
    if not holders or name in SelectRecipe.model_fields:
        return name
    return f"{selector if selector in holders else holders[0]}.{name}"


def called_now(key: str, value: Any) -> str:
    """The key of a setting whose name was another's once: a number for "pool.guidance" is its scale."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "pool.guidance_scale" if key == "pool.guidance" and is_number else key


def _placed(key: str, selector: Any) -> str:
    """The key of a setting of which the selector may be left out, such as "select.alpha"."""
    section, _, name = key.rpartition(".")
    return f"select.{place(name, selector)}" if section == "select" else key


class TuneRecipe(Table):
    """Searching the weights and the selector by a proxy; how a short student is trained stands in [evaluate]."""

    trials: int = setting(30, "Settings to try, those tried before included.", "trials", 1, 1000)
    proxy: str = setting(
        "knn",
        "What a trial is judged by, on real images that no control uses: nearest neighbours in the teacher's "
        "features (knn), or a student trained for a short time (student).", choices=PROXIES,
    )  # fmt: skip
    selectors: tuple[str, ...] = setting(
        tuple(SELECTORS), "Selectors to choose among.", choices=tuple(SELECTORS), label="Selectors to try"
    )
    weights: bool = setting(
        True, "Search numbers: alpha, beta and gamma of the selector psr; otherwise they stay.",
        label="Search the weights",
    )  # fmt: skip
    student_epochs: int = setting(
        40, "Passes over the set by the short student.", "epochs", 1, 100_000,
        label="Epochs of the short student",
    )  # fmt: skip
    neighbours: int = setting(5, "Neighbours that vote in knn.", "images", 1, 1000)
    seed: int = setting(
        0, "Seed of the search: the same one tries the same settings.", "", 0, MAX_SEED,
        label="Seed of the search",
    )  # fmt: skip


PLAIN, CODE = "plain", "code"
CAO2_STEPS = 50  # of its code, which are spread over the timesteps


class CaO2Objective(Table):
    """Refinement as CaO2 has it: small noise levels, one noise for each latent, Adam, no labels."""

    lr: float = setting(6e-4, "Step size of Adam.", "", 1e-8, 10.0, label="Step size (CaO2)")
    largest: float = setting(
        10.0, "Weight of the largest element of the noise error beside its mean square.", "", 0.0, 1e6,
        label="Weight of the largest error",
    )  # fmt: skip
    t_from: int = setting(1, "Least timestep.", "", 0, 999, label="Timesteps from")
    t_to: int = setting(11, "Greatest timestep.", "", 0, 999, label="Timesteps to")
    variant: str = setting(
        PLAIN, "Plain: the network is told the timestep that there is, and the class. Code: as CaO2's script for "
        "ImageWoof, with the noise of a step of 50, the number of that step for its timestep, and no class.",
        choices=(PLAIN, CODE), label="Variant (CaO2)",
    )  # fmt: skip


KEPT, ANEW = "kept", "anew"


class MatchObjective(Table):
    """Refinement by distribution matching: random ConvNets see the same mean features as in real images; Adam."""

    lr: float = setting(0.01, "Step size of Adam.", "", 1e-8, 10.0, label="Step size (match)")
    real_images: int = setting(
        64,
        "Real images of the class in each step, drawn anew.",
        "images",
        1,
        100_000,
        label="Real images a step",
    )
    labels: str = setting(
        KEPT, "Labels of the refined pictures: those of the selected ones, or the teacher's of what they have become.",
        choices=(KEPT, ANEW), label="Labels after matching",
    )  # fmt: skip


class RefineRecipe(Table):
    """Refinement of the chosen latents (PSR eq. 9-10); the labels are softened by `select.temperature`."""

    objective: str = setting(
        "psr", f"What is lowered: {'; '.join(f'{name}, {one.title}' for name, one in OBJECTIVES.items())}.",
        choices=tuple(OBJECTIVES),
    )  # fmt: skip
    cao2: CaO2Objective = CaO2Objective()
    match: MatchObjective = MatchObjective()
    n_steps: int = setting(100, "Gradient steps per latent (L).", "steps", 1, 100_000, label="Steps")
    kl_steps: int = setting(
        4, "Last steps in which the teacher's label pulls (R).", "steps", 0, 100_000, label="Label steps"
    )
    lr: float = setting(0.01, "Step size (eta).", "", 1e-8, 10.0, label="Step size")
    lam: float = setting(
        0.5, "Factor on the weight of the label loss (lambda).", "", 0.0, 100.0, label="Lambda"
    )
    w_min: float = setting(
        0.1, "Label weight where the teacher is sure, before lambda.", "", 0.0, 100.0,
        label="Least label weight",
    )  # fmt: skip
    w_max: float = setting(
        2.0, "Label weight where the teacher is unsure, before lambda.", "", 0.0, 100.0,
        label="Greatest label weight",
    )  # fmt: skip
    optimizer: str = setting(
        "sgd", "Plain gradient descent as in the paper, or Adam.", choices=("sgd", "adam")
    )
    batch_size: int = setting(64, "Latents refined together; changes the speed only.", "images", 1, 4096)
    seed: int = _seed("Base seed of the timesteps and the noise.")

    def read(self) -> dict[str, Any]:
        """The settings that count under the chosen objective, by name."""
        shared = {name: getattr(self, name) for name in OBJECTIVES[self.objective].shared}
        if self.objective == "psr":
            return shared
        table: Table = getattr(self, self.objective)
        return {"objective": self.objective, **shared, **table.model_dump()}

    @property
    def label_steps(self) -> int:
        """Last steps in which the teacher's label pulls, 0 under an objective without labels."""
        return self.kl_steps if self.objective == "psr" else 0

    @property
    def step_size(self) -> tuple[str, float]:
        """The key and the value of the step size that counts."""
        if self.objective == "psr":
            return "refine.lr", self.lr
        return f"refine.{self.objective}.lr", getattr(self, self.objective).lr

    @property
    def relabels(self) -> bool:
        """Whether refined pictures have labels of their own, not those of the selected ones."""
        return self.objective == "match" and self.match.labels == ANEW


class EvaluateRecipe(Table):
    """Training students on the set. Numbers that are the protocol's follow it: see `Recipe.with_values`."""

    student: str = setting("convnet-3", "Network that is trained on the set.")
    protocol: str = setting("psr-kd", "How students are trained and tested.", choices=tuple(PROTOCOLS))
    labels: str = setting(
        OWN_LABELS, "What students learn: the protocol's own labels, the teacher's label stored with each image, or "
        "the class.", choices=LABELS,
    )  # fmt: skip
    n_seeds: int = setting(
        3, "Students per row; their mean and spread are shown.", "students", 1, 100, label="Seeds"
    )
    epochs: int = setting(300, "Passes over the set.", "epochs", 1, 100_000, rule=EpochsByBudget)
    batch_size: int = setting(256, "Images per gradient step.", "images", 1, 65_536, rule=BatchByBudget)
    lr: float = setting(
        0.01,
        "Learning rate at the start; the protocol says how it falls.",
        "",
        1e-8,
        10.0,
        label="Learning rate",
    )
    momentum: float = setting(0.9, "Momentum of SGD; AdamW has its own.", "", 0.0, 0.9999)
    weight_decay: float = setting(5e-4, "Weight decay.", "", 0.0, 1.0)
    augment: bool = setting(True, "Augment the training images as the protocol does.")
    mirrored: bool = setting(
        True, "Mirror images where the protocol does; off for digits, which are no digits mirrored.",
        label="Mirrored images",
    )  # fmt: skip
    test_set: str = setting(
        ORIGINAL,
        "Test images: all of them, or half of each class, drawn by chance, the easiest to the teacher, or as "
        "hard as the real training images; or held-out real training images, to choose settings by.",
        choices=(*TEST_SETS, HELD_OUT),
    )  # fmt: skip
    seed: int = _seed("Seed of the first student; the next ones count up.", label="First seed")
    n_checks: int = setting(10, "Points of the accuracy curve.", "points", 1, 1000, label="Curve points")
    check_images: int = setting(
        1000, "Test images of a point before the last epoch, always the same; after it, and under some protocols, all "
        "are taken.", "images", 1, 100_000_000, label="Images per curve point"
    )  # fmt: skip
    arms: tuple[str, ...] = setting(
        ARMS,
        "Forms of the selection that are trained on; real:<selector> is a control chosen among real images.",
        choices=(*ARMS, *REAL_ARMS), label="Forms of the selection",
    )  # fmt: skip
    controls: bool = setting(True, "Train random real images and generate-and-use beside it.")
    compare: tuple[str, ...] = setting(
        (), "Names of other saved selections to train on too.", folder=True, label="Also train on"
    )

    sets: tuple[str, ...] = setting(
        (),
        "Paths of sets to train on as they are: folders, archives, tables, tensors or workspaces.",
        label="Other sets",
    )
    set_labels: bool = setting(
        False, "Where students learn labels stored with each image, those of other sets are the ones that came with "
        "them, as an export writes them; the teacher's otherwise.", label="Labels of the sets",
    )  # fmt: skip
    full: bool = setting(
        False, "Train on all real training images that are at hand, too.", label="All real training images"
    )
    test_images: str | None = setting(
        None, "Path of other test images: a folder, an archive, a data set of Hugging Face on disk, or the official "
        "files of one; the bundle's test split when left out.",
    )  # fmt: skip

    @model_validator(mode="before")
    @classmethod
    def _called_now(cls, given: Any) -> Any:
        """A protocol by the name it had once, when it said which labels as well."""
        former = given.get("protocol") if isinstance(given, Mapping) else None
        if not isinstance(former, str) or former not in FORMER:
            return given
        return {**given, "protocol": FORMER[former], "labels": HARD if former == HARD else OWN_LABELS}

    @property
    def record(self) -> Protocol:
        """The protocol."""
        return PROTOCOLS[self.protocol]

    @property
    def label_kind(self) -> str:
        """Which labels students learn, as `method.protocols` names them."""
        return {OWN_LABELS: self.record.labels, TEACHER_LABELS: STORED, HARD: HARD}[self.labels]


class StudyRecipe(Table):
    """The tables and figures of the papers; how their students are trained stands in [evaluate]."""

    budgets: tuple[int, ...] | None = setting(
        None, "Images per class of a study's cells; those of the study when left out.", "images/class", 1,
        MAX_POOL_SIZE, label="Budgets of the study",
    )  # fmt: skip
    students: tuple[str, ...] | None = setting(
        None, "Students of a study's cells; those of the study when left out.", label="Students of the study"
    )


class ExportRecipe(Table):
    """Writing the set out."""

    name: str = setting("set", "Name of the folder under exports/.", folder=True, label="Folder name")
    refined: bool = setting(
        True, "Write the refined pictures; the selected ones otherwise.", label="Refined pictures"
    )
    formats: tuple[str, ...] = setting(("folder",), "What is written.", choices=FORMATS)
    zip: bool = setting(True, "Also write one zip file.")


class Recipe(Table):
    """All settings of a run; every instance has passed the checks.

    Raises:
        RecipeError: on construction, when a value is of another type or outside its range, or two do not go together.
    """

    name: str = setting("recipe", "Name of the recipe.")
    bundle: str = setting("fashion-mnist", "Embedded bundle by name, or a bundle folder by path.")
    device: str = setting("auto", "Where the networks run.", choices=("auto", "cpu", "cuda", "mps"))
    pool: PoolRecipe = PoolRecipe()
    score: ScoreRecipe = ScoreRecipe()
    select: SelectRecipe = SelectRecipe()
    tune: TuneRecipe = TuneRecipe()
    finetune: FinetuneRecipe = FinetuneRecipe()
    refine: RefineRecipe = RefineRecipe()
    evaluate: EvaluateRecipe = EvaluateRecipe()
    study: StudyRecipe = StudyRecipe()
    export: ExportRecipe = ExportRecipe()

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, values: Any, check: Callable[[Any], Self]) -> Self:
        try:
            recipe = check(values)
        except ValidationError as err:
            raise recipe_error(cls, err) from err
        _apply_rules(recipe)
        _check_variations(recipe.pool)
        _check_budgets(recipe.select, recipe.pool)
        _check_guidance(recipe.pool)
        _check_allocation(recipe.select)
        _check_refine(recipe.refine)
        return recipe

    def value(self, key: str) -> Any:
        """Return the value of a dotted key such as "select.ipc"."""
        full = _placed(key, self.select.selector)
        find(Recipe, full)
        return _value(self, full)

    def with_values(self, values: Mapping[str, Any]) -> Recipe:
        """Return a checked copy with dotted keys replaced, such as {"select.ipc": 10}.

        A setting of a selector may be named without it, such as "select.alpha"; see `place`. With another protocol come
        its numbers, but for those that were others than the protocol's before: the points of the curve, by which no
        student is trained otherwise, come all the same.
        """
        values = {**_numbers_of_protocol(self.evaluate, values.get("evaluate.protocol")), **values}
        selector = values.get("select.selector", self.select.selector)
        now = {called_now(key, value): value for key, value in values.items()}
        return _replaced(self, {_placed(key, selector): value for key, value in now.items()})

    def of_this_pool(self, select: SelectRecipe) -> Recipe:
        """The same with other rules to choose by, from the pool there is.

        Its size holds at least what is chosen; numbers leave their rules where these would give another pool.
        """
        pool = self.pool
        if select.most != self.select.most:
            pool = _ruled(pool, lambda _key, number, _known: int(number))
            pool = pool.model_copy(update={"pool_size": max(pool.pool_size, select.most)})
        return type(self).model_validate({**dict(self), "select": select, "pool": pool})

    def pool_numbers(self) -> dict[str, int]:
        """The numbers of the pool that a rule may give, as they stand, by dotted key."""
        found = {key: find(Recipe, key) for key in keys_of(Recipe) if key.startswith("pool.")}
        return {key: self.value(key) for key, (table, name) in found.items() if facts_of(table)[name].rule}


def _numbers_of_protocol(now: EvaluateRecipe, protocol: Any) -> dict[str, Any]:
    """What follows when another protocol is chosen, by dotted key; nothing where none is."""
    name = name_now(protocol) if isinstance(protocol, str) else ""
    if name not in PROTOCOLS or name == now.protocol:
        return {}
    numbers = now.record.numbers
    kept = {key for key in numbers if key != "n_checks" and as_written(getattr(now, key)) != numbers[key]}
    return {f"evaluate.{key}": n for key, n in PROTOCOLS[name].numbers.items() if key not in kept}


def as_written(value: Any) -> Any:
    """A value as a file has it: the rule of a number that one gives."""
    return value.rule if isinstance(value, ByRule) else value


def plain(value: Any) -> Any:
    """A value as JSON has it, so that settings compare equal to what was stored."""
    return list(value) if isinstance(value, tuple) else value


def _value(table: Table, key: str) -> Any:
    return reduce(getattr, key.split("."), table)


def _replaced(table: T, values: Mapping[str, Any], section: str = "") -> T:
    """A checked copy of a table of a recipe, with dotted keys replaced."""
    for key in values:
        find(Recipe, f"{section}.{key}".lstrip("."))
    try:
        return type(table).model_validate(_merged(table, values))
    except ValidationError as err:
        raise recipe_error(Recipe, err, section) from err


def _merged(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a table by name, with dotted keys replaced; of a table inside it that changes, the same."""
    found, inside = dict(table), defaultdict[str, dict[str, Any]](dict)
    for key, value in values.items():
        name, _, rest = key.partition(".")
        if rest:
            inside[name][rest] = value
        else:
            found[name] = value
    return {**found, **{name: _merged(found[name], changes) for name, changes in inside.items()}}


# Rules that join two values; each names both, and which one to change.


def _apply_rules(recipe: Recipe) -> None:
    """Put the numbers that follow the budget where they must stand, inside a recipe that is being made."""

    def at_budget(key: str, number: ByRule, known: Facts) -> ByRule:
        return _in_range(key, number.at(recipe.select.ipc, recipe.select.most), known, recipe.select)

    for section, table in recipe:
        if isinstance(table, Table):
            object.__setattr__(recipe, section, _ruled(table, at_budget, section))


def _ruled(table: T, number: Callable[[str, ByRule, Facts], int], section: str = "") -> T:
    """The same with other numbers in the place of those by rule, given their keys and facts; itself without any."""
    new: dict[str, Any] = {}
    for name, value in table:
        key = f"{section}.{name}".lstrip(".")
        if isinstance(value, ByRule):
            new[name] = number(key, value, facts_of(type(table))[name])
        elif isinstance(value, Table) and (inner := _ruled(value, number, key)) is not value:
            new[name] = inner
    return table.model_copy(update=new) if new else table


def _in_range(key: str, number: ByRule, known: Facts, select: SelectRecipe) -> ByRule:
    if known.high is not None and number > known.high:
        raise RecipeError(
            f'"{key}" is "{number.rule}", which is {number:,} at {select.most:,} images per class, '
            f"but it must be from {known.range}.",
            f'Set "{key}" to a value from {known.range}, or lower "select.ipc".',
            key,
        )
    return number


def _check_variations(pool: PoolRecipe) -> None:
    key = "pool.variations"
    counts = defaultdict[int, int](int)
    for text in pool.variations:
        if (found := Variations.read(text)) is None:
            raise RecipeError(
                f'"{text}" in "{key}" names no variations: the candidate, how many and the strength are needed.',
                f'Write it as "12 x 8 at 0.5": 1 to {MOST_VARIATIONS:,} of a candidate, at a strength above 0 up to 1.',
                key,
            )
        counts[found.class_id] += found.count
    if counts and (most := max(counts.values())) > MOST_VARIATIONS:
        raise RecipeError(
            f'"{key}" asks for {most:,} variations in one class; it holds {MOST_VARIATIONS:,}.',
            f'Take some out of "{key}".',
            key,
        )
    if counts and (size := max(pool.pool_size, *(pool.sizes or (0,)))) > FIRST_VARIATION:
        raise RecipeError(
            f'"pool.pool_size" is {size:,}, but beside variations a class has room for {FIRST_VARIATION:,}.',
            f'Lower "pool.pool_size", or empty "{key}".',
            key,
        )


def _check_budgets(select: SelectRecipe, pool: PoolRecipe) -> None:
    _check_budget(select.ipc, pool.pool_size, "select.ipc")
    for class_id, budget in enumerate(select.budgets or ()):
        _check_budget(budget, pool.most_of(class_id), "select.budgets")


def _check_budget(n_images: int, pool_size: int, key: str) -> None:
    if n_images > pool_size:
        raise RecipeError(
            f'Each class gets {pool_size} candidates ("pool.pool_size"), '
            f'but {n_images} images per class are asked for ("{key}").',
            f'Lower "{key}" to {pool_size} or less, or raise "pool.pool_size" to at least {n_images}.',
            key,
        )


def _check_guidance(pool: PoolRecipe) -> None:
    if pool.steering is not None and (misfit := pool.steering.misfit(pool.steps)) is not None:
        raise RecipeError(*_of_guidance(pool, misfit))


def _of_guidance(pool: PoolRecipe, found: Misfit) -> tuple[str, str, str]:
    """Problem, fix and key of a setting of the chosen guidance."""
    key = f"pool.{pool.guidance}.{found.setting}"
    return found.problem.format(key=key), found.fix.format(key=key), key


def _check_allocation(select: SelectRecipe) -> None:
    """The budget of all classes must fit between floor and ceiling, as K does: their mean is K."""
    if select.allocation != "gain":
        return
    if select.floor is not None and select.floor > select.ipc:
        raise RecipeError(
            f'"select.floor" is {select.floor}, more than "select.ipc", which is {select.ipc}.',
            f'Lower "select.floor" to {select.ipc} or less: the classes get {select.ipc} on average.',
            "select.floor",
        )
    if select.ceiling is not None and select.ceiling < select.ipc:
        raise RecipeError(
            f'"select.ceiling" is {select.ceiling}, less than "select.ipc", which is {select.ipc}.',
            f'Raise "select.ceiling" to {select.ipc} or more: the classes get {select.ipc} on average.',
            "select.ceiling",
        )


def _check_refine(refine: RefineRecipe) -> None:
    """Of the settings that count under the chosen objective: those of the others are not on screen."""
    if refine.objective == "cao2" and refine.cao2.variant == CODE and refine.cao2.t_to >= CAO2_STEPS:
        raise RecipeError(
            f'"refine.cao2.t_to" is {refine.cao2.t_to}, but CaO2\'s code counts {CAO2_STEPS} steps from 0 on.',
            f'Lower "refine.cao2.t_to" to {CAO2_STEPS - 1} or less, or set "refine.cao2.variant" to "{PLAIN}".',
            "refine.cao2.t_to",
        )
    if refine.objective == "cao2" and refine.cao2.t_from > refine.cao2.t_to:
        raise RecipeError(
            f'"refine.cao2.t_from" is {refine.cao2.t_from}, more than "refine.cao2.t_to", '
            f"which is {refine.cao2.t_to}.",
            f'Lower "refine.cao2.t_from" to {refine.cao2.t_to} or less.',
            "refine.cao2.t_from",
        )
    if refine.label_steps > refine.n_steps:
        raise RecipeError(
            f'"refine.kl_steps" is {refine.kl_steps}, more than "refine.n_steps", which is {refine.n_steps}.',
            f'Lower "refine.kl_steps" to {refine.n_steps} or less.',
            "refine.kl_steps",
        )
    if refine.objective == "psr" and refine.w_min > refine.w_max:
        raise RecipeError(
            f'"refine.w_min" is {refine.w_min}, more than "refine.w_max", which is {refine.w_max}.',
            f'Lower "refine.w_min" to {refine.w_max} or less.',
            "refine.w_min",
        )
