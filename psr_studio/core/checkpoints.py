"""Where a training stands, kept so that it can be stopped at any moment and goes on from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from psr_studio.core.disk import reading
from psr_studio.core.errors import DiskError, ModelError
from psr_studio.core.files import whole_file

SECONDS_BETWEEN = 60.0
ANEW = "Remove that file to begin anew, or name another folder with --work."


class Checkpoint:
    """A file with the state of everything that a training changes, written whole, about once a minute.

    Args:
        path: of the file; what lies there is taken up.
        parts: networks, optimizers and random generators by name.
        anew: what to do where it does not fit.

    Raises:
        ModelError: what lies there is damaged, or of networks of another shape.
    """

    def __init__(self, path: Path, parts: Mapping[str, Any], anew: str = ANEW) -> None:
        self._path, self._parts, self._anew = path, parts, anew
        self.step, self._before, self._since = 0, 0.0, time.perf_counter()
        if path.exists():
            self._restore()
        self._saved = time.perf_counter()

    def _restore(self) -> None:
        state = _opened(self._path, self._anew)
        try:
            for name, part in self._parts.items():
                if isinstance(part, torch.Generator):
                    part.set_state(state[name])
                else:
                    part.load_state_dict(state[name])
        except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as err:  # as torch says it
            raise ModelError(
                f"{self._path} was made with other settings than those of this training.",
                self._anew,
            ) from err
        self.step, self._before = state["step"], state["seconds"]

    @property
    def seconds(self) -> float:
        """Spent training so far, the runs before this one included."""
        return self._before + time.perf_counter() - self._since

    @property
    def is_finite(self) -> bool:
        """Whether every number of the parts is finite; a look at the device."""
        return _finite(self._state())

    def reached(self, step: int, final: bool = False, check: Callable[[], None] | None = None) -> None:
        """So many steps are done: write that down where the last time is long ago, or at the end.

        Args:
            check: called before anything is written; what it raises leaves the file as it was.
        """
        self.step = step
        if final or time.perf_counter() - self._saved >= SECONDS_BETWEEN:
            if check is not None:
                check()
            self._save()

    def remove(self) -> None:
        """Begin anew next time."""
        self._path.unlink(missing_ok=True)

    def _state(self) -> dict[str, Any]:
        return {
            name: part.get_state() if isinstance(part, torch.Generator) else part.state_dict()
            for name, part in self._parts.items()
        }

    def _save(self) -> None:
        with whole_file(self._path) as temp:
            torch.save({**self._state(), "step": self.step, "seconds": self.seconds}, temp)
        self._saved = time.perf_counter()


def _finite(state: Any) -> bool:
    """Whether all tensors in a nest of tables and lists are finite."""
    if isinstance(state, torch.Tensor):
        return bool(state.isfinite().all())
    parts = state.values() if isinstance(state, Mapping) else state if isinstance(state, list | tuple) else ()
    return all(map(_finite, parts))


def _opened(path: Path, anew: str) -> dict[str, Any]:
    """What a checkpoint holds.

    Raises:
        ModelError: it is damaged. DiskError: the disk refused.
    """
    try:
        with reading(path):
            state = torch.load(path, weights_only=True, map_location="cpu")
    except DiskError:
        raise
    except Exception as err:  # pickle raises whatever the file makes it raise
        raise _damaged(path, anew) from err
    if not isinstance(state, dict) or not {"step", "seconds"} <= state.keys():
        raise _damaged(path, anew)
    return state


def _damaged(path: Path, anew: str) -> ModelError:
    return ModelError(f"{path} is damaged, or no checkpoint of a training.", anew)


def seconds_of(path: Path) -> float:
    """Spent on the training whose checkpoint lies there, 0 without one; ModelError where it is damaged."""
    return float(_opened(path, ANEW)["seconds"]) if path.exists() else 0.0
