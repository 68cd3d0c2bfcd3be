"""Endpoints for scripts, such as `gradio_client.Client(url).predict(..., api_name="/select")`."""

from __future__ import annotations

from typing import Any

import gradio as gr

from psr_studio.app.curation import SelectChange
from psr_studio.ui.curate.pack import unpack
from psr_studio.ui.screen import Screen
from psr_studio.ui.words import said


class ScriptApi:
    """Select, pin, veto, clear and run steps over the network, by candidate id."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def build(self) -> None:
        """Add the endpoints to the page; they draw nothing."""
        for name in ("select", "mark", "save", "run", "jobs"):
            gr.api(said(getattr(self, name)), api_name=name)

    def select(self, alpha: float, beta: float, gamma: float, ipc: int, temperature: float) -> dict:
        """Move the sliders and return the picks: {"picks": {class name: [candidate id]}, "message": text}."""
        values = {"alpha": alpha, "beta": beta, "gamma": gamma, "ipc": ipc, "temperature": temperature}
        return self._picks(self.screen.workbench.select(SelectChange.model_validate(values)))

    def mark(self, candidate_ids: list[int], mark: str) -> dict:
        """Pin, veto or clear candidates; returns the picks as `select` does."""
        positions = self.screen.studio.pool.positions(candidate_ids).tolist()
        return self._picks(self.screen.workbench.mark(positions, mark))

    def save(self, name: str) -> dict:
        """Save the selection under a name and make the next steps work on it; returns its settings."""
        self.screen.workbench.save(name)
        record = self.screen.studio.workspace.ledger.selection(name)
        return {"name": record.name, "images": len(record.candidate_ids), "settings": record.settings}

    def run(self, stage: str, settings: dict) -> int:
        """Queue a step with settings by recipe key, such as {"export.name": "first"}; returns its job."""
        return self.screen.submit(stage, settings)

    def jobs(self) -> list:
        """The jobs of this workspace, the newest first."""
        found = self.screen.studio.workspace.ledger.jobs()
        return [
            {"id": j.id, "stage": j.stage, "status": j.status, "done": j.done, "total": j.total}
            for j in found
        ]

    def _picks(self, body: bytes) -> dict[str, Any]:
        header, arrays = unpack(body)
        names, ids = self.screen.studio.bundle.class_names, self.screen.studio.pool.candidate_ids
        picks: dict[str, list[int]] = {name: [] for name in names}
        for position, class_id in zip(arrays["picks"], arrays["pick_class"], strict=True):
            picks[names[class_id]].append(int(ids[position]))
        return {"picks": picks, "message": header["message"]}
