"""Import on the Pool tab: pictures from elsewhere become the pool."""

from __future__ import annotations

from typing import Any

import gradio as gr

from psr_studio.core.errors import StudioError
from psr_studio.stages import importing, score
from psr_studio.stages.importing.reading import VALUES
from psr_studio.stages.importing.tensors import TENSORS
from psr_studio.ui.markup import findings, note
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.panels.source import Source
from psr_studio.ui.press import answered_elsewhere
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import PRESSED, said

TITLE = "Import"
ABOUT = (
    "A folder with a folder per class, a zip or tar of one, WebDataset shards, a Hugging Face data set on disk "
    "(Parquet or Arrow), a CSV or JSON Lines list beside its pictures, tensors (.pt, .npz), or another workspace. "
    "Folders are named as the class, by its WordNet id, or by its number. Pictures are cut to the bundle's size; "
    "their latents are made by the encoder, where there is one, and marked so."
)
LABEL_FILES = (".csv", ".tsv", *TENSORS)
POOL = Source("Pictures", "As listed above.", "psr-import-path")
LABELS = Source(
    "Soft labels", "Used instead of the teacher's; of a folder, a file for each picture.", "psr-import-labels",
    LABEL_FILES,
)  # fmt: skip
REPLACE = "Replace the pool that is here; its pins, vetoes, locks and own budgets go with it"


class ImportPanel:
    """An accordion: "Look" says what would be imported, "Import" starts it as a job of the Pool tab.

    What is said is `found`, which is drawn elsewhere.
    """

    def __init__(self, screen: Screen, jobs: JobPanel) -> None:
        self.screen = screen
        self.jobs = jobs
        self.found = gr.HTML(elem_id="psr-import-found", render=False)

    def build(self) -> None:
        """Draw it here."""
        studio = self.screen.studio
        only_way = not studio.bundle.has("generator") and not len(studio.pool)
        with gr.Accordion(TITLE, open=only_way, elem_id="psr-import"):
            gr.HTML(note(ABOUT))
            pool = POOL.build()
            with gr.Row():
                split = gr.Textbox(
                    label="Split", info="Of a source that has several.", max_lines=1, min_width=120
                )
                limit = gr.Number(
                    0,
                    label="At most per class",
                    info="0: all of them.",
                    precision=0,
                    minimum=0,
                    min_width=120,
                )
            with gr.Row():
                first_label = gr.Dropdown(
                    [("as the numbers say", None), ("0", 0), ("1", 1)],
                    value=None,
                    label="Number of the first class",
                    info="Where folders or labels are numbers.",
                    min_width=120,
                )
                image_column = gr.Textbox(
                    label="Picture column", info="Of a table that has several.", max_lines=1, min_width=120
                )
                label_column = gr.Textbox(
                    label="Label column", info="Of a table that has several.", max_lines=1, min_width=120
                )
            with gr.Row():
                rule = gr.Textbox(
                    label="Naming rule",
                    info='Where names of files say the class, such as "{class}_*"; "#" is digits.',
                    max_lines=1,
                    min_width=120,
                )
                values = gr.Dropdown(
                    [("as their range says", None), *((name, name) for name in VALUES)],
                    value=None,
                    label="Values of the tensors",
                    info="Where pictures come as numbers.",
                    min_width=120,
                )
            labels = LABELS.build()
            replace = gr.Checkbox(False, label=REPLACE, container=False)
            unknown = gr.Checkbox(False, label="Leave out folders that are no class", container=False)
            broken = gr.Checkbox(False, label="Leave out pictures that cannot be read", container=False)
            then_score = gr.Checkbox(True, label="Score when imported", container=False)
            with gr.Row():
                self.look = gr.Button("Look", elem_id="psr-import-look")
                self.button = gr.Button("Import", elem_id="psr-import-run")
        self.given = [
            *pool,
            split,
            limit,
            replace,
            unknown,
            broken,
            first_label,
            image_column,
            label_column,
            then_score,
            rule,
            values,
            *labels,
        ]

    def connect(self) -> None:
        """Events."""
        answered_elsewhere(self.look.click, said(self.on_look), self.given, self.found, **PRESSED)
        self.jobs.starts(self.button, self.on_import, self.given)

    def on_look(self, *given: Any) -> str:
        """What would be imported, soft labels held against the classes; nothing is written."""
        source, options, _ = read_fields(*given)
        return findings(TITLE, self.screen.studio.check_import(source, **options))

    def on_import(self, *given: Any) -> None:
        """Queue the import of what the fields name."""
        source, options, then_score = read_fields(*given)
        self.screen.forget_status()
        job = self.screen.worker.submit(importing.STAGE.name, path=source, **options)
        if then_score:
            self.screen.submit(score.STAGE.name, {}, after=job)


def read_fields(
    path: str,
    upload: str | None,
    split: str,
    limit: float,
    replace: bool,
    skip_unknown: bool,
    skip_broken: bool,
    first_label: int | None,
    image_column: str,
    label_column: str,
    then_score: bool,
    rule: str = "",
    values: str | None = None,
    labels: str = "",
    labels_upload: str | None = None,
) -> tuple[str, dict[str, Any], bool]:
    """The source that the fields name, the options of its import, and whether it is scored then."""
    source = POOL.named(path, upload)
    if not source:
        raise StudioError(
            "Nothing to import is named.", f'Fill in "{POOL.label}", or upload a file below it.'
        )
    options = {
        "split": split.strip() or None,
        "limit": int(limit or 0) or None,
        "replace": replace,
        "skip_unknown": skip_unknown,
        "skip_broken": skip_broken,
        "first_label": first_label,
        "image_column": image_column.strip() or None,
        "label_column": label_column.strip() or None,
        "rule": rule.strip() or None,
        "values": values,
        "labels": LABELS.named(labels, labels_upload),
    }
    return source, options, then_score
