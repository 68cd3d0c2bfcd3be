"""Start the studio as a user does, `python app.py`, and read from its output where it listens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0  # a busy machine; an idle one needs about five
END_SECONDS = 60.0


def app_command(*arguments: object) -> list[str]:
    return [sys.executable, str(ROOT / "app.py"), *map(str, arguments)]


def run_app(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it to its end, for arguments that end it."""
    return subprocess.run(app_command(*arguments), capture_output=True, text=True, timeout=START_SECONDS)


@contextmanager
def running_app(workspace: Path, *arguments: object) -> Iterator[str]:
    """A studio on a free port; yields its address, and asks it to end in the end."""
    command = app_command("--workspace", workspace, "--port", 0, "--no-browser", *arguments)
    env = {
        "PSR_STUDIO_HOME": str(workspace.parent / "home"),
        **os.environ,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),
    }
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    said: list[str] = []
    found = threading.Event()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if "is open at" in line:
                found.set()
        found.set()

    threading.Thread(target=listen, daemon=True).start()
    try:
        found.wait(START_SECONDS)
        match = re.search(r"is open at (\S+)", "".join(said))
        assert match, f"the studio did not start:\n{''.join(said)}"
        yield match[1]
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert process.returncode == 0, f"the studio ended with {process.returncode}:\n{''.join(said)}"
