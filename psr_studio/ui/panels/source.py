"""A source of pictures or labels on screen: a path on the machine that runs the studio, or an upload."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from psr_studio.core.errors import StudioError

PICTURES = (".zip", ".tar", ".tgz", ".gz", ".parquet", ".npz")  # that are whole by themselves
WAYS = "A path on the machine that runs the studio, or an upload below: {}."
UPLOAD_HEIGHT = 72  # pixels


class Source:
    """A field for a path and, below it, a place to drop one file.

    Args:
        label: of the field, by which errors call the source. about: what is taken, a sentence.
        elem_id: of the field; that of the upload ends in "-file". kinds: endings of files that can be uploaded.
    """

    def __init__(self, label: str, about: str, elem_id: str, kinds: Sequence[str] = PICTURES) -> None:
        self.label, self.about, self.elem_id, self.kinds = label, about, elem_id, kinds

    def build(self) -> list[gr.components.Component]:
        """Draw it here; the two inputs that `named` reads."""
        *most, last = (kind.removeprefix(".") for kind in self.kinds)
        ways = WAYS.format(f"{', '.join(most)} or {last}")
        path = gr.Textbox(label=self.label, info=f"{self.about} {ways}", max_lines=1, elem_id=self.elem_id)
        upload = gr.File(
            label="Or an upload", file_types=list(self.kinds), type="filepath", height=UPLOAD_HEIGHT,
            elem_id=f"{self.elem_id}-file",
        )  # fmt: skip
        return [path, upload]

    def named(self, path: str, upload: str | None) -> str | None:
        """What the two name; None for neither.

        Raises:
            StudioError: both are given.
        """
        if path.strip() and upload:
            raise StudioError(
                f'"{self.label}" has a path and an upload, and takes one of them.',
                "Empty the field, or take the upload away with its cross.",
            )
        return path.strip() or upload or None
