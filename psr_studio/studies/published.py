"""What the two papers print in numbers, and under which conditions. What they only draw is left out.

Sources: PSR (arXiv 2606.01920), Tables 2 to 5; DGS, Tables 4 to 7. Accuracies in percent, mean and standard deviation
over three runs. "N/A" in a paper is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Printed(NamedTuple):
    """One number of a paper; `ipc` is None where the table does not say, `std` where it prints none."""

    ipc: int | None
    student: str
    images: str
    mean: float
    std: float | None


@dataclass(frozen=True)
class Published:
    """A table of a paper on one data set; `conditions` are those of `studies.report.conditions`."""

    place: str
    data: str
    conditions: Mapping[str, str]
    rows: tuple[Printed, ...]


PSR = {
    "generator": "DiT-XL/2 (DiT-Ours) or Minimax (Minimax-Ours), 50 steps",
    "teacher": "pretrained ConvNeXt-B",
    "candidates per class": "at least 2K",
    "labels": "the teacher's, tau 1.5, for its own rows; the columns Random, DM, IDC-1, GLaD, DiT, Minimax and Full "
    "are those of Minimax's paper, which trains with hard labels",
    "training": "loss of eq. 11; optimiser, epochs and augmentation are not stated",
    "students per number": "3",
    "accuracy": "top-1; not stated whether of the last or the best epoch",
}
DGS = {
    "generator": "Minimax, official configuration, 50 steps",
    "teacher": "ResNet-50 of the whole ImageNet, for the difficulty alone",
    "candidates per class": "5K unless the table says otherwise",
    "labels": "hard",
    "training": "learning rate 0.01; the rest as Minimax's code has it: SGD, CutMix on every batch, 224 px",
    "students per number": "3",
    "accuracy": "top-1 on the validation set; Minimax's code keeps the best of 100 checks on it",
}


def _grid(text: str, students: Sequence[str] = ()) -> Iterator[Printed]:
    """Rows of a table: a line of columns, then lines that begin with the budget and, unless one is given, a student."""
    head, *lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    for ipc, *cells in lines:
        student = students[0] if students else cells.pop(0)
        for images, cell in zip(head, cells, strict=True):
            if cell:
                mean, _, std = cell.partition("±")
                yield Printed(
                    int(ipc) if ipc else None, student, images, float(mean), float(std) if std else None
                )


PSR_2 = """
Random|DM|IDC-1|GLaD|RDED|DiT|Minimax|DiT-Ours|Minimax-Ours|Full
1|ConvNet-6|14.2±0.9|21.1±0.5|||18.5±0.9|12.7±0.6|15.2±0.6|18.9±0.4|21.5±0.9|86.4±0.2
1|ResNetAP-10|17.8±2.4|||||18.0±1.3|18.9±2.4|22.8±1.2|23.1±1.5|87.5±0.5
1|ResNet-18|13.5±0.4||||20.8±1.2|15.3±0.7|14.6±0.6|20.7±0.5|21.9±0.9|89.3±1.2
10|ConvNet-6|24.3±1.1|26.9±1.2|33.3±1.1|33.8±0.9|40.6±2.0|34.2±1.1|37.0±1.0|40.6±0.8|40.8±1.3|86.4±0.2
10|ResNetAP-10|29.4±0.8|30.3±1.2|39.1±0.5|32.9±0.9||34.7±0.5|39.2±1.3|42.0±0.7|40.8±0.4|87.5±0.5
10|ResNet-18|27.7±0.9|33.4±0.7|37.3±0.2|31.7±0.8|38.5±2.1|34.7±0.4|37.6±0.9|41.2±0.3|39.3±0.9|89.3±1.2
20|ConvNet-6|29.1±0.7|29.9±1.0|35.5±0.8|||36.1±0.8|37.6±0.2|45.6±1.1|48.4±0.8|86.4±0.2
20|ResNetAP-10|32.7±0.4|35.2±0.6|43.3±0.3|||41.1±0.8|45.8±0.5|48.2±1.7|50.4±0.7|87.5±0.5
20|ResNet-18|29.7±0.5|29.8±1.7|38.6±0.2|||40.5±0.5|42.5±0.6|46.4±0.6|47.6±1.3|89.3±1.2
50|ConvNet-6|41.3±0.6|44.4±1.0|43.9±1.2||61.5±0.3|46.5±0.8|53.9±0.6|56.6±0.7|62.9±1.0|86.4±0.2
50|ResNetAP-10|47.2±1.3|47.1±1.1|48.3±1.0|||49.3±0.2|56.3±1.0|58.8±0.6|63.8±1.6|87.5±0.5
50|ResNet-18|47.9±1.8|46.2±0.6|48.3±0.8|||50.1±0.5|57.1±0.6|57.3±1.8|62.7±0.4|89.3±1.2
100|ConvNet-6|52.2±0.4|55.0±1.3|53.2±0.9|||53.4±0.3|61.1±0.7|60.9±0.4|68.7±1.2|86.4±0.2
100|ResNetAP-10|59.4±1.0|56.4±0.8|56.1±0.9|||58.3±0.8|64.5±0.2|63.6±0.6|72.6±1.1|87.5±0.5
100|ResNet-18|61.5±1.3|60.2±1.0|58.3±1.2|||58.9±1.3|65.7±0.4|62.4±1.2|69.8±1.4|89.3±1.2
"""
PSR_3_NETTE = """
Random|DiT|Minimax|DiT-Ours|Minimax-Ours
10|54.2±1.6|59.1±0.7|62.0±0.2|60.2±1.0|63.1±1.9
20|63.5±0.5|64.8±1.2|66.8±0.4|66.7±0.8|68.3±0.9
50|76.1±1.1|73.3±0.9|76.6±0.2|78.7±1.1|81.1±1.7
"""
PSR_3_IDC = """
Random|DiT|Minimax|DiT-Ours|Minimax-Ours
10|48.1±0.8|54.1±0.4|53.1±0.2|56.6±0.5|54.8±1.5
20|52.5±0.9|58.9±0.2|59.0±0.4|62.7±0.6|65.3±1.1
50|68.1±0.7|64.3±0.6|69.6±0.2|67.8±1.6|70.8±1.4
"""
PSR_4 = {
    "CIFAR-10": """
DM|DC|DiT-Ours
1|26.0±0.8|28.3±0.5|22.3±0.8
10|48.9±0.6|44.9±0.5|45.7±0.6
50|63.0±0.4|53.9±0.5|66.8±1.1
""",
    "CIFAR-100": """
DM|DC|DiT-Ours
1|11.4±0.3|12.8±0.3|16.4±0.9
10|29.7±0.3|25.2±0.3|46.2±0.7
50|43.6±0.4||56.8±0.5
""",
    "Tiny-ImageNet": """
DM|DiT-Ours
1|3.9±0.2|15.6±0.2
10|12.9±0.4|35.9±0.6
50|24.1±0.3|42.8±1.2
""",
}
PSR_5 = """
Minimax-IGD|Minimax-Ours
|ConvNet-6|63.0|68.7
|ResNetAP-10|71.5|72.6
|ResNet-18|72.1|69.8
"""
DGS_4 = """
hill|ground|slope|cliff|scale
10|37.7±0.2|35.8±0.2|37.4±0.6|36.7±0.7|37.8±0.3
20|42.7±0.7|41.7±0.3|44.3±0.3|42.7±0.8|45.5±0.4
50|56.1±0.6|56.9±0.5|56.6±0.8|55.0±0.6|57.1±0.9
"""
DGS_5 = """
2K|3K|4K|5K|6K
10|37.9±0.4|35.9±0.8|38.4±0.6|37.4±0.3|37.8±0.3
20|44.3±0.3|41.5±0.5|43.7±0.5|45.5±0.4|42.7±1.1
50|55.8±0.6|56.7±0.4|55.4±0.9|57.1±0.9|54.9±1.3
"""
DGS_6 = """
original, Minimax|original, DGS|random, Minimax|random, DGS|easy, Minimax|easy, DGS|scale, Minimax|scale, DGS
10|59.8±0.3|61.5±0.9|57.1±0.3|59.7±0.3|60.3±1.1|62.3±0.4|56.9±0.8|59.9±0.7
20|66.3±0.4|66.9±0.5|63.5±0.4|66.0±0.5|67.6±0.5|71.5±0.5|62.6±0.6|64.5±0.2
50|75.2±0.2|76.8±0.7|72.2±0.3|75.9±0.3|81.2±0.7|79.5±0.3|73.8±0.7|74.1±0.5
"""
DGS_7 = """
MGD3, stop 25|DAG, stop 25|DAG, stop 30|DAG, stop 40|DAG, stop 50
10|64.9±0.4|65.6±0.3|65.1±0.4|63.6±1.4|61.4±0.8
20|71.1±0.5|72.3±0.2|67.7±0.7|67.5±0.9|67.1±0.4
50|79.3±0.2|80.3±0.4|78.6±0.2|76.3±0.4|70.6±0.3
"""

WOOF = Published("PSR, Table 2", "ImageWoof", PSR, tuple(_grid(PSR_2)))
# The paper names no student for its Tables 3 and 4; the columns of Table 3 that it takes over are of ResNetAP-10.
NETTE = Published("PSR, Table 3", "ImageNette", PSR, tuple(_grid(PSR_3_NETTE, ["not stated"])))
IDC = Published("PSR, Table 3", "ImageIDC", PSR, tuple(_grid(PSR_3_IDC, ["not stated"])))
SMALL = tuple(
    Published("PSR, Table 4", data, PSR, tuple(_grid(text, ["not stated"]))) for data, text in PSR_4.items()
)
TRANSFER = Published("PSR, Table 5", "ImageWoof", PSR, tuple(_grid(PSR_5)))
TARGETS = Published("DGS, Table 4", "ImageWoof", DGS, tuple(_grid(DGS_4, ["ResNetAP-10"])))
POOL_SIZES = Published("DGS, Table 5", "ImageWoof", DGS, tuple(_grid(DGS_5, ["ResNetAP-10"])))
VALIDATION = Published("DGS, Table 6", "ImageNette", DGS, tuple(_grid(DGS_6, ["ResNetAP-10"])))
STOPS = Published(
    "DGS, Table 7",
    "ImageNette",
    {**DGS, "generator": "DiT-XL/2, 50 steps, guided", "candidates per class": "K: all that are generated"},
    tuple(_grid(DGS_7, ["ResNetAP-10"])),
)
