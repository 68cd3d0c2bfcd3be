"""What a stage is: the row that command line, page, jobs and workers read of it; `stages.table` holds them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psr_studio.bundles.bundle import Bundle
    from psr_studio.core.progress import Progress
    from psr_studio.recipe.schema import Recipe
    from psr_studio.stages.batches import Work
    from psr_studio.stages.cost import Cost
    from psr_studio.stages.speeds import Size
    from psr_studio.storage.records import SelectionRecord
    from psr_studio.storage.workspace import StageStatus, Workspace


@dataclass(frozen=True)
class Held:
    """What a shared step began with: the selections that its workers read, who have no ledger.

    Attributes:
        options: what of it `begin`, `left`, `size` and `whole` are given, for others may be saved under these names
            meanwhile.
    """

    selections: tuple[SelectionRecord, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """Long work that a user starts. Its code is imported when it is first asked for, so that listing stages is quick.

    Attributes:
        name: in events, jobs and hashes; also that of its table in the recipe, where it has one.
        verb: what its button says; in small letters and one word its command.
        title: what is happening while it runs.
        help: one sentence.
        tab: of the page, by name.
        code: the module with `run`, and where there are such `status`, `cost`, `size`, `prepare`, `held`, `begin`,
            `left` and `whole`.
        unit: what its events count, "" where a rate would say nothing.
        shared: several workers can do it together.
        resumes: stopped in the middle, it goes on from there.
    """

    name: str
    verb: str
    title: str
    help: str
    tab: str
    code: str
    unit: str = ""
    shared: bool = False
    resumes: bool = False

    @property
    def command(self) -> str:
        """What is typed after `psr-studio`."""
        return self.verb.lower().replace("-", "")

    @property
    def run(self) -> Callable[..., Iterator[Progress]]:
        """`run(ws, recipe, bundle, ...)` does what is missing."""
        return self._own("run")

    @property
    def status(self) -> Callable[[Workspace, Recipe, Bundle], StageStatus] | None:
        """Whether what is on disk was made from just that; None of what no recipe says, such as an import."""
        return self._own("status")

    @property
    def cost(self) -> Callable[[Workspace, Recipe, Bundle], Cost] | None:
        """What it would cost, measured here; None where that is next to nothing."""
        return self._own("cost")

    @property
    def size(self) -> Callable[..., Size] | None:
        """`size(ws, recipe, bundle, ...)` says how much is left to do, without opening a network."""
        return self._own("size")

    @property
    def left(self) -> Callable[..., Work]:
        """`left(ws, recipe, bundle, ...)` finds out what is missing, for workers to share."""
        return self._own("left")

    @property
    def prepare(self) -> Callable[[Workspace, Recipe, Bundle], Iterator[Progress]] | None:
        """What one process must find out before the work can be shared; None where that is nothing."""
        return self._own("prepare")

    @property
    def held(self) -> Callable[[Workspace, Recipe, Bundle], Held] | None:
        """The selections that the recipe has it read; None where it reads none."""
        return self._own("held")

    @property
    def whole(self) -> Callable[..., str] | None:
        """`whole(ws, recipe, bundle, ...)` says what there is when it is done; None where its last event does."""
        return self._own("whole")

    @property
    def begin(self) -> Callable[..., Work]:
        """`begin(ws, recipe, bundle, ...)` removes what no longer belongs there, and then as `left`."""
        return self._own("begin")

    def _own(self, name: str) -> Any:
        return getattr(import_module(self.code), name, None)
