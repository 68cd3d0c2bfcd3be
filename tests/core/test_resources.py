"""The shipped folders are found in a checkout, and a wheel carries them."""

import subprocess
import sys
import zipfile
from pathlib import Path
from shutil import copy, copytree

import pytest

from psr_studio.core import resources
from psr_studio.core.errors import StudioError
from psr_studio.core.resources import resource_dir

ROOT = Path(__file__).resolve().parents[2]


def test_a_checkout_reads_its_own_folders():
    assert resource_dir("presets") == ROOT / "presets" or resource_dir("presets").name == "_presets"
    assert (resource_dir("presets") / "fashion-mnist.toml").is_file()


def test_missing_folders_are_said(monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "psr_studio")
    with pytest.raises(
        StudioError, match='The folder "assets" that ships with PSR Studio is not on this machine'
    ):
        resource_dir("assets")


def test_a_wheel_carries_presets_and_assets(tmp_path):
    """Built from a copy with small assets: what lies in the two folders lies in the wheel."""
    pytest.importorskip("setuptools", minversion="77")
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "LICENSE"):
        copy(ROOT / name, source)
    (source / "README.md").write_text("PSR Studio")
    copytree(ROOT / "presets", source / "presets")
    (source / "psr_studio" / "core").mkdir(parents=True)
    for name in ("__init__.py", "core/__init__.py", "core/version.py"):
        copy(ROOT / "psr_studio" / name, source / "psr_studio" / name)
    (source / "assets" / "tiny").mkdir(parents=True)
    (source / "assets" / "tiny" / "weights.safetensors").write_bytes(b"x" * 10)
    build = "from setuptools import build_meta as b; print(b.build_wheel('out'))"
    run = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    names = zipfile.ZipFile(next((source / "out").glob("*.whl"))).namelist()
    assert {"psr_studio/_presets/fashion-mnist.toml", "psr_studio/_assets/tiny/weights.safetensors"} <= set(
        names
    )
