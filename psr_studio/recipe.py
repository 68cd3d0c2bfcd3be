"""The preset: typed, checked, with help text, unit and range per field.

A recipe is a TOML file with the tables [pool], [score], [select], [refine], [evaluate] and [export]. What a file leaves
out keeps its default; a key that is not listed here is an error, and so is a value outside its range.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from psr_studio.errors import RecipeError, did_you_mean
from psr_studio.fields import check_field, documented, range_text, toml_value
from psr_studio.resources import resource_dir

MAX_SEED = 2**63 - 1
MAX_POOL_SIZE = 1_000_000  # candidate_id = class_id * 1_000_000 + index
SAMPLERS = ("ddpm", "ddim", "dpm-solver++")
SELECTORS = ("psr", "random", "generate-and-use")
PROTOCOLS = ("kd", "hard")
ARMS = ("refined", "selected")
FORMATS = ("folder", "parquet", "webdataset", "dd-ranking")


def _seed(help: str) -> Any:
    return documented(0, help, "", 0, MAX_SEED)


def _weight(help: str) -> Any:
    return documented(None, help, "", 0.0, 100.0)


@dataclass(frozen=True)
class PoolRecipe:
    """Generation of the over-complete pool."""

    pool_size: int = documented(60, "Candidates per class (M).", "images/class", 1, MAX_POOL_SIZE)
    seed: int = _seed("Base seed; each candidate has its own seed made from it.")
    sampler: str = documented("ddpm", "How the noise is taken away.", choices=SAMPLERS)
    steps: int = documented(50, "Denoising steps per candidate.", "steps", 1, 1000)
    guidance: float = documented(4.0, "Classifier-free guidance scale; 1 switches it off.", "", 0.0, 50.0)
    batch_size: int = documented(
        64, "Candidates denoised together; changes the speed only.", "images", 1, 4096
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

    selector: str = documented("psr", "Rule that picks.", choices=SELECTORS)
    ipc: int = documented(10, "Images per class in the distilled set (K).", "images/class", 1, MAX_POOL_SIZE)
    alpha: float | None = _weight("Weight of reliability; the preset of the images per class when left out.")
    beta: float | None = _weight(
        "Weight of entropy (subtracted); the preset of the images per class when left out."
    )
    gamma: float | None = _weight("Weight of diversity; the preset of the images per class when left out.")
    temperature: float = documented(1.5, "Softness of the teacher's labels (tau).", "", 0.01, 100.0)
    normalize: bool = documented(True, "Scale each term to [0, 1] over the pool of the class.")
    on_shortage: str = documented(
        "fill", "What to do when too few candidates are eligible.", choices=("fill", "short")
    )
    seed: int = _seed("Seed of the selector random.")
    name: str = documented("current", "Name the selection is kept under.", folder=True)


@dataclass(frozen=True)
class RefineRecipe:
    """Refinement of the chosen latents (PSR eq. 9-10); the labels are softened by `select.temperature`."""

    n_steps: int = documented(100, "Gradient steps per latent (L).", "steps", 1, 100_000)
    kl_steps: int = documented(4, "Last steps in which the teacher's label pulls (R).", "steps", 0, 100_000)
    lr: float = documented(0.01, "Step size (eta).", "", 1e-8, 10.0)
    lam: float = documented(0.5, "Confidence at which the label weight is 1 (lambda).", "", 0.0, 1.0)
    w_min: float = documented(0.1, "Least label weight.", "", 0.0, 100.0)
    w_max: float = documented(2.0, "Greatest label weight.", "", 0.0, 100.0)
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
    arms: tuple[str, ...] = documented(ARMS, "Which forms of the selection are trained on.", choices=ARMS)
    controls: bool = documented(True, "Train random real images and generate-and-use beside it.")
    compare: tuple[str, ...] = documented((), "Names of other saved selections to train on too.", folder=True)


@dataclass(frozen=True)
class ExportRecipe:
    """Writing the set out."""

    name: str = documented("set", "Name of the folder under exports/.", folder=True)
    refined: bool = documented(True, "Write the refined pictures; the selected ones otherwise.")
    formats: tuple[str, ...] = documented(("folder",), "What is written.", choices=FORMATS)
    zip: bool = documented(True, "Also write one zip file.")


@dataclass(frozen=True)
class Recipe:
    """All settings of a run; every instance has passed the checks.

    Raises:
        RecipeError: on construction, when a value is of another type or outside its range.
    """

    name: str = documented("recipe", "Name of the recipe.")
    bundle: str = documented("fashion-mnist", "Embedded bundle by name, or a bundle folder by path.")
    device: str = documented("auto", "Where the networks run.", choices=("auto", "cpu", "cuda", "mps"))
    pool: PoolRecipe = field(default_factory=PoolRecipe)
    score: ScoreRecipe = field(default_factory=ScoreRecipe)
    select: SelectRecipe = field(default_factory=SelectRecipe)
    refine: RefineRecipe = field(default_factory=RefineRecipe)
    evaluate: EvaluateRecipe = field(default_factory=EvaluateRecipe)
    export: ExportRecipe = field(default_factory=ExportRecipe)

    def __post_init__(self) -> None:
        for key in keys():
            section, name = split_key(key)
            owner = getattr(self, section) if section else self
            object.__setattr__(owner, name, check_value(key, getattr(owner, name)))
        _check_pairs(self)

    def value(self, key: str) -> Any:
        """Return the value of a dotted key such as "select.ipc"."""
        section, name = split_key(key)
        return getattr(getattr(self, section) if section else self, name)

    def with_values(self, values: Mapping[str, Any]) -> Recipe:
        """Return a checked copy with dotted keys replaced, such as {"select.ipc": 10}."""
        changes: dict[str, dict[str, Any]] = {}
        for key, value in values.items():
            section, name = split_key(key)
            changes.setdefault(section, {})[name] = check_value(key, value)
        top = changes.pop("", {})
        return replace(self, **top, **{s: replace(getattr(self, s), **new) for s, new in changes.items()})


SECTIONS: dict[str, type] = {
    "pool": PoolRecipe,
    "score": ScoreRecipe,
    "select": SelectRecipe,
    "refine": RefineRecipe,
    "evaluate": EvaluateRecipe,
    "export": ExportRecipe,
}


class FieldHelp(NamedTuple):
    """What the command line and the screen say about a field; `range` is words: "1 to 1000" or "a, b, c"."""

    key: str
    value: Any
    help: str
    unit: str
    range: str


def _fields(section: str) -> dict[str, Field]:
    owner = SECTIONS[section] if section else Recipe
    return {spec.name: spec for spec in fields(owner) if spec.name not in SECTIONS}


def keys() -> list[str]:
    """All dotted keys, in the order of the file."""
    return [f"{section}.{name}".lstrip(".") for section in ("", *SECTIONS) for name in _fields(section)]


def split_key(key: str) -> tuple[str, str]:
    """Split "select.ipc" into table and name; RecipeError with the near match when there is no such key."""
    section, _, name = key.rpartition(".")
    if section and section not in SECTIONS:
        fix = did_you_mean(section, SECTIONS) + "Correct the name of the table."
        raise RecipeError(f"unknown table [{section}]. Tables: {', '.join(SECTIONS)}.", fix, key)
    if name not in _fields(section):
        raise _unknown_key(section, name)
    return section, name


def _unknown_key(section: str, name: str) -> RecipeError:
    """The near match is looked for in the table first, then the same name in other tables."""
    known = _fields(section)
    listed = sorted(known if section else [*known, *SECTIONS])
    place = f"[{section}]" if section else "a recipe"
    key = f"{section}.{name}".lstrip(".")
    elsewhere = [full for full in keys() if full.endswith(f".{name}")]
    hint = did_you_mean(name, listed) or (f'Did you mean "{elsewhere[0]}"? ' if elsewhere else "")
    return RecipeError(
        f'unknown key "{key}". Keys of {place}: {", ".join(listed)}.', hint + "Correct the key.", key
    )


def check_value(key: str, value: Any) -> Any:
    """Return `value` in the type of the field, or raise RecipeError naming key, value and range."""
    section, name = split_key(key)
    return check_field(key, value, _fields(section)[name])


def field_help(section: str, key: str) -> FieldHelp:
    """Default, help, unit and range of one field; `section` is "" for the top of the recipe."""
    full = f"{section}.{key}".lstrip(".")
    section, name = split_key(full)
    spec = _fields(section)[name]
    return FieldHelp(
        full, spec.default, spec.metadata["help"], spec.metadata["unit"], range_text(spec.metadata)
    )


def describe(recipe: Recipe) -> list[FieldHelp]:
    """Every field with its value in this recipe, for `--help` and the settings panel."""
    return [field_help(*split_key(key))._replace(value=recipe.value(key)) for key in keys()]


def parse_assignment(text: str) -> tuple[str, Any]:
    """Read "select.ipc=10" as from a command line: the right side is TOML, or plain text when it is not."""
    key, equals, right = text.partition("=")
    if not equals:
        raise RecipeError(f'"{text}" sets nothing.', "Write it as key=value, such as select.ipc=10.")
    try:
        value = tomllib.loads(f"value = {right.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = right.strip()
    return key.strip(), check_value(key.strip(), value)


def _check_pairs(recipe: Recipe) -> None:
    """Rules that join two values."""
    pool, select, refine = recipe.pool, recipe.select, recipe.refine
    if select.ipc > pool.pool_size:
        raise RecipeError(
            f'Each class gets {pool.pool_size} candidates ("pool.pool_size"), '
            f'but {select.ipc} images per class are asked for ("select.ipc").',
            f'Lower "select.ipc" to {pool.pool_size} or less, or raise "pool.pool_size" to at least {select.ipc}.',
            "select.ipc",
        )
    if refine.kl_steps > refine.n_steps:
        raise RecipeError(
            f'"refine.kl_steps" is {refine.kl_steps}, more than the {refine.n_steps} steps of "refine.n_steps".',
            f'Lower "refine.kl_steps" to {refine.n_steps} or less.',
            "refine.kl_steps",
        )
    if refine.w_min > refine.w_max:
        raise RecipeError(
            f'"refine.w_min" is {refine.w_min}, more than "refine.w_max", which is {refine.w_max}.',
            f'Lower "refine.w_min" to {refine.w_max} or less.',
            "refine.w_min",
        )


def presets() -> dict[str, Path]:
    """The shipped presets: name (the file's stem) to path."""
    return {path.stem: path for path in sorted(resource_dir("presets").glob("*.toml"))}


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read a shipped preset by name, or a TOML file by path.

    Raises:
        RecipeError: no such preset or file, or the file does not pass the checks; names the file and the line.
    """
    known = presets()
    path = known.get(str(name_or_path)) or Path(name_or_path)
    if not path.is_file():
        fix = did_you_mean(str(name_or_path), known) + "Name one of them, or give the path of a TOML file."
        raise RecipeError(f'There is no preset "{name_or_path}". Presets: {", ".join(known)}.', fix)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise RecipeError(f"{path} cannot be read as text: {err}.", "Give the path of a TOML file.") from err
    return recipe_from_toml(text, path)


def recipe_from_toml(text: str, path: Path) -> Recipe:
    """Build a recipe from the text of `path`; its name defaults to the file's stem."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise RecipeError(f"{path}: not TOML: {err}.", "Correct that line.") from err
    values: dict[str, Any] = {"name": path.stem}
    for name, value in tables.items():
        inner = value if isinstance(value, dict) else None
        values |= {name: value} if inner is None else {f"{name}.{key}": v for key, v in inner.items()}
    try:
        return Recipe().with_values(values)
    except RecipeError as err:
        line = line_of(text, err.key)
        place = f" Correct line {line}." if line else ""
        raise RecipeError(f"{path}: {err.problem}", err.fix + place, err.key) from err


def line_of(text: str, key: str) -> int | None:
    """The 1-based line of TOML text that sets `key`, else that opens its table, else None."""
    section, _, name = key.rpartition(".")
    table, opened = "", None
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            table = match.group(1)
            opened = number if table == section else opened
        elif table == section and re.match(rf"""\s*["']?{re.escape(name)}["']?\s*=""", line):
            return number
        elif not table and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return number
    return opened


def to_toml(recipe: Recipe) -> str:
    """Write the resolved recipe; what is None is left out, since that is its default. Loads back equal."""
    lines: list[str] = []
    for section in ("", *SECTIONS):
        lines += ["", f"[{section}]"] if section else []
        for name in _fields(section):
            value = recipe.value(f"{section}.{name}".lstrip("."))
            lines += [] if value is None else [f"{name} = {toml_value(value)}"]
    return "\n".join(lines) + "\n"
