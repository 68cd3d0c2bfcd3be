"""What cannot be printed never stops or undoes the work that it is about."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.cli.console import error_text
from psr_studio.core.errors import StudioError
from psr_studio.recipe.toml import to_toml

posix = pytest.mark.skipif(os.name != "posix", reason="redirected by a POSIX shell")
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
PRINTED = 'name = "fashion-mnist"'
NO_SPACE = "The command is done, but what it says could not be printed: No space left on device."


def shell(line: str, *arguments: object, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of a shell in which `studio` is `psr-studio` and "$@" the arguments."""
    command = f'studio() {{ "{sys.executable}" -m psr_studio "$@"; }}; {line}'
    return subprocess.run(
        ["sh", "-c", command, "_", *map(str, arguments)],
        capture_output=True,
        env={**os.environ, **env},
        timeout=60,
    )


@posix
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("redirected", "status", "printed"),
    [
        (">&-", 0, ""),
        ("2>&-", 0, PRINTED),
        (">&- 2>&-", 0, ""),
        pytest.param("2>/dev/full", 0, PRINTED, marks=FULL),
        pytest.param(">/dev/full", 2, "", marks=FULL),
        pytest.param(">/dev/full 2>&1", 2, "", marks=FULL),
        ("| head -n 1", 0, PRINTED),
    ],
)
def test_a_stream_that_is_closed_full_or_gone(redirected, status, printed, unbuffered):
    """Closed streams were closed on purpose; what a full one loses, the status tells, and words where they can."""
    run = shell(f"studio presets fashion-mnist {redirected}", PYTHONUNBUFFERED=unbuffered)
    assert run.returncode == status and run.stdout.decode().startswith(printed)
    assert not printed or run.stdout
    assert run.stderr.decode().startswith(f"Problem: {NO_SPACE}" if redirected == ">/dev/full" else "")
    assert b"Traceback" not in run.stderr


@posix
@FULL
def test_a_selection_stands_though_nothing_could_be_said(scored):
    run = shell('studio select -w "$1" --ipc 2 -q --set select.name=mine > /dev/full', scored)
    assert run.returncode == 2 and NO_SPACE in run.stderr.decode()
    with Studio(scored) as studio:
        assert len(studio.selection("mine")) == 2 * studio.bundle.n_classes


@posix
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    """All that libraries print would go into it."""
    code = (
        "import os, sys; from psr_studio.cli.terminal import open_streams; open_streams()\n"
        "file = open(sys.argv[1], 'w'); os.write(1, b'noise'); os.write(2, b'noise')\n"
        "import uvicorn; uvicorn.Config(lambda: None)  # asks the streams whether they are terminals\n"
        "file.write(str(file.fileno() > 2))"
    )
    shell(f'"{sys.executable}" -c "$1" "$2" <&- >&- 2>&-', code, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "True"


@pytest.mark.parametrize(("encoding", "printed"), [("ascii", rb"\u56f3 \xb1"), ("cp1252", b"\\u56f3 \xb1")])
def test_a_character_that_the_encoding_lacks_is_printed_as_its_number(
    tmp_path, tiny_bundle, encoding, printed
):
    path = tmp_path / "mine.toml"
    path.write_text(to_toml(tiny_recipe(tiny_bundle, name="図 ±")), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "psr_studio", "presets", str(path)],
        capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0 and printed in run.stdout, run.stderr


def test_an_error_names_the_command_before_the_button():
    text = error_text(
        StudioError("Nothing is scored.", 'Press "Score" again (or run `psr-studio score`) first.')
    )
    assert text == 'Problem: Nothing is scored.\nFix: Run `psr-studio score` (or press "Score" again) first.'
    fix = 'Make it by "Fine-tune" on the Pool tab (or run `psr-studio finetune`).'
    assert error_text(StudioError("It is not there.", fix)).endswith(fix), "other ways stay as they are"
