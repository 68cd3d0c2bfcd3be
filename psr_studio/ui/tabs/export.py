"""Export: what will be written, the folder that was written, and the zip."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import gradio as gr

from psr_studio.core.errors import StudioError
from psr_studio.core.words import plural
from psr_studio.stages import export
from psr_studio.stages.export.stage import Summary
from psr_studio.stages.table import stages_of
from psr_studio.ui.curate.island import AS_SHOWN
from psr_studio.ui.markup import card, download, error, loading, note, status_line, tree
from psr_studio.ui.panels.controls import Setting, Settings
from psr_studio.ui.panels.frame import box, halves, head, side, side_body, side_foot, step, work
from psr_studio.ui.panels.jobs import JobPanel
from psr_studio.ui.panels.picker import LOOK_AGAIN, SelectionPicker
from psr_studio.ui.panels.set_pictures import SetPictures
from psr_studio.ui.press import answered
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import LABELS, QUIET

SHOWN_FILES = 3  # of each folder
TO_WRITE, WRITTEN = "<h3>To be written</h3>", "<h3>Written</h3>"
REFINED = "export.refined"


class ExportTab:
    """The fifth tab."""

    id = export.STAGE.tab

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.jobs = JobPanel(screen, stages_of(self.id))
        self.picker = SelectionPicker(screen)
        self.shown = SetPictures(self.picker)
        self.settings = _ExportSettings(self.picker)

    def build(self) -> None:
        """Draw it here."""
        with step():
            with side():
                with side_body():
                    self.status = gr.HTML()
                    self.picker.build("psr-export-selection")
                    self.settings.add("export.name", "export.formats", "export.refined", "export.zip")
                with side_foot(), gr.Row():
                    self.run = gr.Button("Export", variant="primary", elem_id="psr-export")
                    self.dry = gr.Button("Show what will be written", elem_id="psr-dry-run")
            with work():
                self.jobs.build()
                with halves():
                    with box(main=True):
                        head("Pictures that leave")
                        self.pictures = gr.HTML(loading(), elem_id="psr-set")
                        # Holds a comment, which takes no room; when that changes the pictures are drawn.
                        self.drawn_of = gr.HTML()
                    with box():
                        head("Folder")
                        self.summary = gr.HTML(elem_id="psr-summary")
                        self.written = gr.HTML(loading(), elem_id="psr-tree")

    def connect(self, *_: Any) -> None:
        """Events."""
        self.settings.told_by(self.status, self._state, "Export")
        inputs = [self.picker.dropdown, *self.settings.outputs]
        refined = self.settings.controls[REFINED]
        self.picker.dropdown.input(self.picker.is_refined, self.picker.dropdown, refined, **QUIET)
        gr.on(
            [self.picker.dropdown.change, refined.change, self.drawn_of.change],  # type: ignore[attr-defined]
            self.shown.drawn,
            [self.picker.dropdown, refined],
            self.pictures,
            trigger_mode="always_last",
            **QUIET,
        )
        asked = [*inputs, self.picker.shown]
        self.jobs.starts(self.run, self.on_export, asked, [self.summary], js=AS_SHOWN).then(
            None, js=LOOK_AGAIN, **QUIET
        )
        answered(self.dry.click, self.on_dry_run, asked, self.summary, js=AS_SHOWN, **QUIET)

    def panes(self) -> list[Any]:
        """Itself and its parts."""
        return [self, self.jobs, self.picker, *self.settings.parts()]

    @property
    def outputs(self) -> list[gr.components.Component]:
        """What `values` fills."""
        return [self.status, self.written, self.drawn_of]

    def version(self) -> Hashable:
        """Changes whenever the export does, or the selection it should hold."""
        folder = self._folder()
        stamp = folder.stat().st_mtime_ns if folder.is_dir() else 0
        recipe = self.screen.studio.recipe.export
        return self.screen.status()["export"], self._folder(), stamp, self.picker.version(), recipe

    def values(self) -> list[Any]:
        """The state, the folder with its download, and what the pictures are drawn of."""
        return [self._state(), self._written(), f"<!-- {hash(repr(self.picker.version()))} -->"]

    def _state(self, unused: str = "") -> str:
        return unused or status_line(self.screen.status()["export"])

    def on_export(self, choice: str | None, *given: Any) -> str:
        """Save what is shown and queue its export; refused values save nothing."""
        *controls, shown = given
        values = self._checked(choice, controls)
        self.screen.submit("export", {**self.picker.use(choice, shown), **values})
        return ""  # what was said of an export before this one is over

    def on_dry_run(self, choice: str | None, *given: Any) -> str:
        """What an export would write, in words and as a tree; writes nothing."""
        studio, (*controls, shown) = self.screen.studio, given
        try:
            values = self._checked(choice, controls)
            studio.set(self.picker.use(choice, shown))
            found = studio.export_summary(**{key.removeprefix("export."): v for key, v in values.items()})
        except StudioError as err:
            return error(err.problem, err.fix)
        return card(TO_WRITE, _sentences(found), tree(found.folder.name, _planned(found)))

    def _checked(self, choice: str | None, given: Sequence[Any]) -> dict[str, Any]:
        """What the controls say; refused values, and refined pictures that are not there, change nothing."""
        values = self.settings.read(given)
        self.screen.studio.recipe.with_values(values)
        if values[REFINED] and choice:
            self.picker.require_refined(choice, f'Untick "{LABELS[REFINED]}"')
        return values

    def _folder(self) -> Path:
        return self.screen.studio.workspace.export_path(self.screen.studio.recipe.export.name)

    def _written(self) -> str:
        folder = self._folder()
        if not folder.is_dir():
            return note('No export of that name yet. Press "Export" to write one.')
        path = self.screen.zip_path(folder.name)
        link = ""
        if path.is_file():
            query = urlencode({"token": self.screen.token})
            address = f"psr/export/{quote(folder.name)}.zip?{query}"
            link = download(address, f"Download {path.name} ({_size(path.stat().st_size)})")
        files = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
        size = _size(sum((folder / name).stat().st_size for name in files))
        facts = note(f"{plural(len(files), 'file')}, {size}, in {folder}")
        return card(WRITTEN, facts, link, tree(folder.name, _shortened(files)))


class _ExportSettings(Settings):
    """Proposes refined pictures where there are some when the tab is opened; from then on the choice is the user's."""

    def __init__(self, picker: SelectionPicker) -> None:
        super().__init__(picker.screen.studio)
        self._picker = picker

    def parts(self) -> list[Setting]:
        """As there; the proposal is made once."""
        return [replace(part, once=part.key == REFINED) for part in super().parts()]

    def unused(self, given: Sequence[Any], verb: str, title: str = "") -> str:
        """As there; refined or not is a choice of each export."""
        known = zip(self.controls, given, strict=True)
        others = [self._value(key) if key == REFINED else value for key, value in known]
        return super().unused(others, verb, title)

    def _value(self, key: str) -> Any:
        return self._picker.is_refined(self._picker.proposed()) if key == REFINED else super()._value(key)


def _sentences(found: Summary) -> str:
    kind = "refined" if found.refined else "selected"
    text = (
        f"{plural(found.n_images, f'{kind} picture')} of {plural(len(found.counts), 'class', 'classes')} "
        f"({_size(found.picture_bytes)} of pictures) in {plural(found.n_files, 'file')}."
    )
    text += f" And {found.zip_path.name} beside it." if found.zip_path else ""
    text += " The earlier export of that name is replaced." if found.replaces else ""
    return note(text)


def _planned(found: Summary) -> list[str]:
    return [
        f"{name}/  {plural(n, 'file')}" if n > 1 or name in found.counts else name
        for name, n in found.folders.items()
    ]


def _shortened(files: list[str]) -> list[str]:
    """Paths with only the first few of each folder; what lies in none stands last."""
    groups: dict[str, list[str]] = {}
    for name in files:
        groups.setdefault(name.rpartition("/")[0], []).append(name)
    lines: list[str] = []
    for folder, names in sorted(groups.items(), key=lambda group: (not group[0], group[0])):
        keep = len(names) if not folder else SHOWN_FILES
        lines += names[:keep]
        lines += [f"{folder}/… {len(names) - keep} more"] if len(names) > keep else []
    return lines


def _size(n: int) -> str:
    return f"{n / 2**20:.1f} MiB" if n >= 2**20 else f"{n / 1024:.0f} KiB"
