"""How far a proxy can be trusted: its rank correlation with the full evaluation, as it was measured and shipped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psr_studio.core.resources import resource_dir

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle

FILE = "tune-correlation.json"  # in the folder of the embedded models; made by benchmarks/tune_correlation.py
PARTS = ("generator", "teacher", "data")  # a bundle with other ones is another bundle
LOW = 0.5  # below it the best trial says little


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho over n settings with a bootstrap interval, and the conditions in words."""

    proxy: str
    rho: float
    low: float
    high: float
    n: int
    bundle: str
    ipc: int
    conditions: str

    def sentence(self, ipc: int) -> str:
        """What a reader must know before trusting the proxy at `ipc` images per class."""
        text = (
            f'On the bundle "{self.bundle}", the rank correlation of the proxy "{self.proxy}" with the full '
            f"evaluation is {self.rho:.2f} (n = {self.n} settings, 95 % interval {self.low:.2f} to "
            f"{self.high:.2f}; {self.conditions})."
        )
        if self.rho < LOW:
            text += (
                " That is low: the best trial may well not be the best set. Evaluate several of the trials."
            )
        elif self.low < LOW:
            text += " The interval is wide: evaluate several of the best trials before you rely on one."
        return text if ipc == self.ipc else f"{text} At {ipc} images per class it is not measured."


def shipped(bundle: Bundle, proxy: str) -> Correlation | None:
    """The measured correlation for exactly this bundle, None when there is none."""
    path = resource_dir("assets") / FILE
    if not path.is_file():
        return None
    for entry in json.loads(path.read_text(encoding="utf-8")):
        same = entry["identity"] == identity(bundle)
        if same and entry["bundle"] == bundle.name and proxy in entry["proxies"]:
            found = entry["proxies"][proxy]
            return Correlation(
                proxy, found["rho"], found["low"], found["high"], found["n"],
                bundle.name, entry["ipc"], entry["conditions"],
            )  # fmt: skip
    return None


def trust(bundle: Bundle, proxy: str, ipc: int) -> str:
    """The sentence that stands beside every list of trials."""
    found = shipped(bundle, proxy)
    if found is not None:
        return found.sentence(ipc)
    return (
        f'How well the proxy "{proxy}" ranks settings is not measured for this bundle ("{bundle.name}"): '
        "evaluate several of the best trials before you rely on one."
    )


def identity(bundle: Bundle) -> dict[str, str]:
    """What the correlation was measured with."""
    return {part: bundle.identity(part) for part in PARTS}
