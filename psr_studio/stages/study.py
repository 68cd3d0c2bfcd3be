"""Study: the row of the papers' tables and figures in the table of stages; its code stands above, in `studies`."""

from __future__ import annotations

from psr_studio.stages.stage import Stage

STAGE = Stage(
    "study", "Run study", "Running a study", "Reproduce a table or figure of the papers.",
    tab="evaluate", code="psr_studio.studies.running", unit="epochs", shared=True, resumes=True,
)  # fmt: skip
