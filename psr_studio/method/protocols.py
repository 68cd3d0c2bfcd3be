"""The protocols that the field trains students by, each a frozen record with its source.

A record says what the source does; where ours differs, the file that does it says so. Numbers that a researcher changes
are settings of the recipe, which begin as the record has them; the rest belongs to the protocol.
"""

from __future__ import annotations

from dataclasses import dataclass

HARD = "hard"  # the class
STORED = "stored"  # the teacher's label of each image, one for all epochs
ONLINE = "online"  # the teacher's label of each batch as it is mixed
PER_EPOCH = "per epoch"  # the same, kept for all students: they see the same batches
# Among what names students trained, and pictures refined, with DSA: the square it cuts out was smaller by a pixel once.
DSA_CUTOUT = {"cutout": "of DC"}
DC_STEP, MULTI_STEP, HALF_COSINE, COSINE = "dc", "multistep", "half cosine", "cosine"


@dataclass(frozen=True)
class Protocol:
    """How students are trained and tested.

    Attributes:
        help: one line. source: where it is read.
        labels: `HARD`, `STORED`, `ONLINE` or `PER_EPOCH`.
        epochs, batch_size: numbers, or the rule of the recipe that gives them by images per class.
        n_checks: points of the accuracy curve, the last after the last epoch.
        checks_from: share of the epochs before the first of them.
        all_tested: every point has all test images.
        optimizer: "sgd", or "adamw" with decay on matrices alone. schedule: of the learning rate.
        augmentation: a name of `models.augment.AUGMENTATIONS`. mix: share of the batches that CutMix mixes.
        temperature: of the teacher's labels of a batch; stored labels have that of the selection.
        size: side of what students see, in pixels; None for the pictures as they are.
        margin: test pictures are resized to 8/7 of the side before the centre is cut out.
    """

    name: str
    help: str
    source: str
    labels: str
    epochs: int | str = 300
    batch_size: int | str = 256
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    n_checks: int = 10
    checks_from: float = 0.0
    all_tested: bool = False
    optimizer: str = "sgd"
    schedule: str = DC_STEP
    augmentation: str = "dsa"
    mix: float = 0.0
    temperature: float = 20.0
    size: int | None = None
    margin: bool = False

    @property
    def numbers(self) -> dict[str, int | float | str]:
        """What a recipe may change, by the names of its settings."""
        names = ("epochs", "batch_size", "lr", "momentum", "weight_decay", "n_checks")
        return {name: getattr(self, name) for name in names}


_ALL = (
    Protocol(
        "psr-kd",
        "The teacher's label stored with each image (PSR eq. 11), trained as DC trains.",
        "arXiv 2606.01920, section 3.4, which states the loss; the rest is DC's but for its 1000 epochs",
        STORED,
    ),
    Protocol(
        "psr-kd-64",
        "As psr-kd, on pictures brought to 64 px, which a CPU trains in minutes.",
        "as `psr-kd`; the size is ours",
        STORED,
        size=64,
    ),
    Protocol(
        "dc",
        "Hard labels at 32 px and below: SGD, a tenth of the rate in the second half, one DSA operation a batch.",
        "VICO-UoE/DatasetCondensation, utils.py and main_DM.py",
        HARD,
        epochs=1000,
    ),
    Protocol(
        "minimax",
        "Hard labels at 224 px, as Minimax, MGD3, IGD and DGS evaluate: CutMix on every batch, epochs by images per "
        "class.",
        "vimar-gu/MinimaxDiffusion, data.py and train.py",
        HARD,
        epochs="minimax",
        batch_size=64,
        n_checks=100,
        all_tested=True,
        schedule=MULTI_STEP,
        augmentation="minimax",
        mix=1.0,
        size=224,
    ),
    Protocol(
        "idc-cifar",
        "Hard labels at 32 px as IDC evaluates: CutMix on half of the batches, stronger DSA, 1000 epochs.",
        "snu-mllab/Efficient-Dataset-Condensation, train.py and misc/augment.py",
        HARD,
        epochs=1000,
        batch_size=64,
        n_checks=4,
        all_tested=True,
        schedule=MULTI_STEP,
        augmentation="idc",
        mix=0.5,
    ),
    Protocol(
        "rded",
        "The teacher labels every mixed batch anew (T = 20), as RDED and CaO2 evaluate: AdamW, 300 epochs.",
        "LINs-lab/RDED, validation/main.py",
        ONLINE,
        batch_size="rded",
        lr=1e-3,
        weight_decay=0.01,
        n_checks=6,
        checks_from=0.8,
        all_tested=True,
        optimizer="adamw",
        schedule=HALF_COSINE,
        augmentation="rded",
        mix=1.0,
        size=224,
        margin=True,
    ),
    Protocol(
        "fkd",
        "The teacher's labels of every mixed batch of every epoch, kept for all students (SRe2L, D4M): AdamW, cosine.",
        "suduo94/D4M, matching/ and validate/, after VILA-Lab/SRe2L",
        PER_EPOCH,
        batch_size=1024,
        lr=1e-3,
        weight_decay=0.01,
        n_checks=30,
        all_tested=True,
        optimizer="adamw",
        schedule=COSINE,
        augmentation="fkd",
        mix=1.0,
        size=224,
        margin=True,
    ),
)
PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}
FORMER = {"kd": "psr-kd", HARD: "psr-kd"}  # what two were called, of which the second has hard labels


def convnet_depth(size: int) -> int:
    """The field's depth of a ConvNet for pictures of so many pixels a side: 3 up to 32, 4 at 64, 5 at 128, 6 at 256."""
    return max(3, size.bit_length() - 3)


def name_now(name: str) -> str:
    """The name of a protocol that a result may have noted by a former one."""
    return FORMER.get(name, name)


def noted_as(name: str, hard: bool) -> str:
    """The name under which a way of training is noted: of the two that train as DC does, their labels' former name."""
    if name not in ("psr-kd", "dc"):
        return name
    return HARD if hard else "kd"
