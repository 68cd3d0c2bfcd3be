"""The guidances by name; the recipe, the command line, the page and the documents read this table."""

from __future__ import annotations

from psr_studio.method.guidances import d4m, dag, igd, mgd3
from psr_studio.method.guidances.guidance import Guidance

NONE = "none"  # a pool that nothing guides but its classes

GUIDANCES: dict[str, Guidance] = {
    found.name: found
    for found in sorted(
        (mgd3.GUIDANCE, dag.GUIDANCE, d4m.GUIDANCE, igd.GUIDANCE), key=lambda found: found.order
    )
}
