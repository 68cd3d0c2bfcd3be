"""A preset of a second, and commands run on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny import tiny_recipe

from psr_studio.cli.main import main
from psr_studio.recipe.toml import to_toml


@pytest.fixture
def preset(tmp_path, tiny_bundle) -> Path:
    """A preset file that runs every step in a second."""
    path = tmp_path / "tiny.toml"
    path.write_text(to_toml(tiny_recipe(tiny_bundle, evaluate__n_seeds=1)), encoding="utf-8")
    return path


@pytest.fixture
def call(tmp_path, preset, capsys):
    """`call("select", "--ipc", "3")` runs a command on one workspace: (exit status, stdout, stderr)."""

    def run(command: str, *flags: str, workspace: Path = tmp_path / "ws") -> tuple[int, str, str]:
        status = main([command, "--workspace", str(workspace), "--preset", str(preset), *flags])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def scored(tmp_path, scored_workspace) -> Path:
    return Path(shutil.copytree(scored_workspace, tmp_path / "scored"))
