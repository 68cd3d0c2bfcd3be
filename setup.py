"""Carry presets/ and assets/ in the wheel; everything else stands in pyproject.toml."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class BuildWithResources(build_py):
    """Copies the resource folders into the package, where `psr_studio.core.resources` looks for them."""

    def run(self) -> None:
        """Build the package; an editable install reads the checkout's own folders instead."""
        super().run()
        if self.editable_mode:
            return
        for kind in ("presets", "assets"):
            if (ROOT / kind).is_dir():
                copytree(ROOT / kind, Path(self.build_lib, "psr_studio", f"_{kind}"), dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithResources})
