"""A user without a name, a home, or a folder to write to is a user as well."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="users by number, as containers have them")
KERNEL = "from numba import njit\n@njit(cache=True)\ndef twice(x):\n    return 2 * x\n"
NUMBA = (
    "from psr_studio.core.home import provide_home; provide_home(); from kernel import twice; print(twice(4))"
)
NAMELESS = """
from pathlib import Path
from psr_studio.core.home import provide_home
provide_home()
import torch._dynamo  # asks for the name of the user
import stat, tempfile
home = Path.home()
assert home.is_relative_to(tempfile.gettempdir()) and stat.S_IMODE(home.stat().st_mode) == 0o700, home
(home / "file").write_text("kept")
print("fine")
"""


def test_compiled_code_is_kept_where_neither_install_nor_home_can_be_written(tmp_path):
    """A file in the place of the folder beside the code, and a home that cannot be made: not even by root."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "kernel.py").write_text(KERNEL)
    (tmp_path / "code" / "__pycache__").write_text("")
    env = {
        key: value for key, value in os.environ.items() if key not in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR")
    }
    path = os.pathsep.join(filter(None, [env.get("PYTHONPATH"), str(tmp_path / "code")]))
    env |= {"HOME": "/proc/none", "TMPDIR": str(tmp_path), "PYTHONPATH": path}
    run = subprocess.run([sys.executable, "-c", NUMBA], capture_output=True, text=True, env=env, timeout=60)
    assert run.stdout == "8\n", run.stderr
    assert list(tmp_path.glob(f"psr-studio-{os.getuid()}/numba/**/*.nbc"))


def test_a_user_without_account_and_home(tmp_path):
    tmp_path.chmod(0o777)
    env = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if key in os.environ}
    nobody = ["unshare", "--user", "--map-user=12345", "--map-group=12345"]
    try:
        able = subprocess.run([*nobody, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        able = False
    if not able:
        pytest.skip("this system gives a process no other user id (unshare --user)")
    run = subprocess.run(
        [*nobody, sys.executable, "-c", NAMELESS],
        capture_output=True, text=True, env={**env, "TMPDIR": str(tmp_path)}, timeout=120,
    )  # fmt: skip
    assert run.stdout == "fine\n", run.stderr


def test_a_spare_folder_that_somebody_else_made_is_not_used(tmp_path, monkeypatch):
    """A name in the shared temporary folder can be taken by anyone."""
    from psr_studio.core import home

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    taken = tmp_path / f"psr-studio-{os.getuid()}"
    taken.mkdir()
    taken.chmod(0o777)
    assert home.spare_folder() != taken
    taken.chmod(0o700)
    assert home.spare_folder() == taken


def test_who_has_a_home_keeps_it(tmp_path, monkeypatch):
    from psr_studio.core.home import NUMBA_CACHE, provide_home

    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (NUMBA_CACHE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    provide_home()
    assert dict(os.environ) == before and not list(tmp_path.iterdir())
