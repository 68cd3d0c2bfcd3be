"""PSR Studio: generative dataset distillation by curation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psr_studio.core.version import __version__

if TYPE_CHECKING:
    from psr_studio.app.studio import Studio

__all__ = ["Studio", "__version__"]


def __getattr__(name: str) -> Any:
    """Import `Studio` on first use only, so that `import psr_studio` loads no torch."""
    if name == "Studio":
        from psr_studio.app.studio import Studio

        return Studio
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
