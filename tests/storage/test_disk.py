"""What a disk refuses is said as such, for each cause its own words; nothing is given up, and each advice arrives."""

import errno
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from refusing import HELPERS, in_python
from safetensors.numpy import save_file

from psr_studio.cli.main import main
from psr_studio.core import disk
from psr_studio.core.errors import DamagedError, DiskError, WorkspaceError
from psr_studio.core.files import check_path, whole_file
from psr_studio.storage.parquet import write_part
from psr_studio.storage.workspace import Workspace, rescue_ledger

LOOK = """
try:
    with Workspace.open(sys.argv[1]) as ws:
        print(ws.ledger.pinned(), len(ws.pool()))
        for text in sys.argv[2:]:
            ws.ledger.set_marks([int(text)], "pin", "x" * 5000)
except StudioError as err:
    print(err.problem, err.fix, sep="\\n")
"""
WHOLE = ["[0, 4, 7] 18"]
NOTHING_LOST = "then do it again: nothing was lost."


@pytest.fixture
def marked(filled: Workspace) -> Path:
    """A closed workspace with a pool and pins."""
    filled.ledger.set_marks([0, 4, 7], "pin")
    filled.close()
    return filled.root


def said_of_ledger(root: Path, *args: object, **how: object) -> tuple[str, str]:
    *_, problem, fix = in_python(LOOK, root, *args, **how)
    assert "damaged" not in problem and "ove this file away" not in fix
    return problem, fix


# The ledger


@pytest.mark.parametrize(
    ("code", "problem", "remedy"),
    [
        (errno.ENOSPC, "The disk is full: ", "Free at least 256.0 MiB there, "),
        (errno.EDQUOT, "Your quota on this disk is used up: ", "Remove files of yours from that disk, "),
        (
            errno.EFBIG,
            "cannot grow further: the file system of this disk knows no larger files.",
            "Move the folder",
        ),
        (
            errno.EROFS,
            "can be read only (Read-only file system).",
            "Mount it for writing, or copy the folder ",
        ),
        (errno.EACCES, "cannot be written to (Permission denied).", "Give yourself write permission there, "),
        (errno.EIO, "The disk reports an error of its own at ", "Copy the whole folder to another disk, "),
        (errno.ESTALE, "does not answer (Stale file handle).", "Connect it again, "),
    ],
    ids=errno.errorcode.get,
)
def test_the_ledger_is_never_called_damaged_for_what_its_disk_refuses(
    marked, refusing_library, code, problem, remedy
):
    """SQLite says "disk I/O error" to most of these; the folder copied to another place is whole."""
    how = {"LD_PRELOAD": refusing_library, "REFUSE_WRITES_TO": "studio.sqlite", "REFUSE_WITH": code}
    found = said_of_ledger(marked, **how)
    assert problem in found[0] and found[1].startswith(remedy) and found[1].endswith(NOTHING_LOST)
    copied = Path(shutil.copytree(marked, marked.parent / "copy"))
    for root in (
        copied,
        marked,
    ):  # the advice for a disk that fails, and the same disk once its cause is gone
        with Workspace.open(root) as ws:
            assert ws.ledger.pinned() == [0, 4, 7] and len(ws.pool()) == 18


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX")
@pytest.mark.parametrize("blocks", [8, 80])
def test_a_limit_on_the_size_of_files_is_named(marked, blocks):
    """The kernel's own limit, under which SQLite says "disk I/O error"; a shell without it goes on."""
    limited = ("bash", "-c", f'ulimit -f {blocks}; exec "$@"', "_")
    problem, fix = said_of_ledger(marked, *range(8, 40), before=limited)
    assert problem.endswith(f"cannot be written: this process may write files of {blocks}.0 KiB at most.")
    assert fix == f"Start PSR Studio from a shell in which `ulimit -f` says unlimited, {NOTHING_LOST}"
    assert in_python(LOOK, marked)[0].startswith("[0, 4, 7")


def test_a_disk_that_is_really_full(marked):
    """Two MiB of memory as a disk, filled to the last byte; once space is freed, all is whole."""
    script = """
        set -e; disk=$(mktemp -d); mount -t tmpfs -o size=2m none "$disk"; cp -r "$1" "$disk/ws"
        dd if=/dev/zero of="$disk/fill" bs=1k 2>/dev/null || true
        "$2" -c "$3" "$disk/ws"; rm "$disk/fill"; "$2" -c "$3" "$disk/ws"
    """
    command = ["unshare", "-m", "bash", "-c", script, "_", str(marked), sys.executable, HELPERS + LOOK]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if "ermitted" in run.stderr or "denied" in run.stderr:
        pytest.skip("only root may mount a disk")
    problem, fix, after = run.stdout.splitlines()
    assert problem.startswith("The disk is full: ") and problem.endswith(
        'ws/studio.sqlite" cannot be written, 0.0 KiB are free.'
    )
    assert fix == f"Free at least 256.0 MiB there, {NOTHING_LOST}" and [after] == WHOLE


def test_a_disk_without_room_for_one_more_file(marked):
    """Space is free, but the file system can name no further file."""
    script = """
        set -e; disk=$(mktemp -d); mount -t tmpfs -o size=20m,nr_inodes=60 none "$disk"; cp -r "$1" "$disk/ws"
        mkdir "$disk/many"; (for n in $(seq 60); do : > "$disk/many/$n"; done) 2>/dev/null || true
        "$2" -c "$3" "$disk/ws"; rm -r "$disk/many"; "$2" -c "$3" "$disk/ws"
    """
    command = ["unshare", "-m", "bash", "-c", script, "_", str(marked), sys.executable, HELPERS + LOOK]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if "ermitted" in run.stderr or "denied" in run.stderr:
        pytest.skip("only root may mount a disk")
    problem, fix, after = run.stdout.splitlines()
    assert "has no room for one more file of any size, though " in problem
    assert fix.startswith("Remove files there that you do not need") and [after] == WHOLE


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_a_ledger_that_may_not_be_written_is_named(marked):
    open_to_all(marked)
    (marked / "studio.sqlite").chmod(0o444)
    problem, fix = in_python("become_nobody()" + LOOK, marked)
    assert problem == f'The file "{marked / "studio.sqlite"}" cannot be written to (Permission denied).'
    assert fix == f"Give yourself write permission there, {NOTHING_LOST}"
    for name in (
        "studio.sqlite",
        "studio.sqlite-shm",
    ):  # SQLite makes the second with the permissions of the first
        if (marked / name).exists():
            (marked / name).chmod(0o666)
            *_, said = in_python("become_nobody()" + LOOK, marked)
    assert [said] == WHOLE


def open_to_all(root: Path) -> None:
    """Another user may come here and write."""
    for folder in root.parents:
        if "pytest-" in str(folder):
            folder.chmod(0o755)
    for path in [root, *root.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o666)


def damaged_ledger(root: Path, table: str) -> Path:
    """A workspace with 3,000 pins, whose page that `table` begins on is overwritten."""
    with Workspace.open(root) as ws:
        ws.ledger.set_marks(range(3000), "pin")
    path = root / "studio.sqlite"
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        page, size = db.execute(query, (table,)).fetchone()[0], db.execute("PRAGMA page_size").fetchone()[0]
    data = bytearray(path.read_bytes())
    data[(page - 1) * size : page * size] = bytes([255]) * size
    path.write_bytes(data)
    return path


def test_what_can_be_read_of_a_damaged_ledger_is_taken_over(tmp_path, capsys):
    """The command as the message prints it: the damaged file is kept byte for byte, all pins come back."""
    path = damaged_ledger(tmp_path / "my ws", "trials")
    with Workspace.open(path.parent) as ws, pytest.raises(DamagedError) as err:
        ws.ledger.trials()
    before = path.read_bytes()
    assert err.value.problem == f'The ledger "{path}" is damaged: database disk image is malformed.'
    assert err.value.fix.startswith(
        'Put a backup in its place, with no older "studio.sqlite-wal" beside it, or run '
    )
    program, *arguments = shlex.split(err.value.fix.partition("`")[2].partition("`")[0])
    assert program == "psr-studio" and main(arguments) == 0
    said = capsys.readouterr().out
    assert (
        "3,000 marks" in said
        and "0 trials" in said
        and str(path.with_name("studio.sqlite.damaged-1")) in said
    )
    assert path.with_name("studio.sqlite.damaged-1").read_bytes() == before
    with Workspace.open(path.parent) as ws:
        assert ws.ledger.pinned() == list(range(3000)) and ws.ledger.trials() == []
    assert main(arguments) == 2 and "is whole." in capsys.readouterr().err, (
        "a second time there is nothing to do"
    )


def test_a_backup_in_the_place_of_a_damaged_ledger_is_whole(tmp_path):
    with Workspace.open(tmp_path / "ws") as ws:
        ws.ledger.set_marks([3], "veto")
    backup = (tmp_path / "ws" / "studio.sqlite").read_bytes()
    path = damaged_ledger(tmp_path / "ws", "marks")
    with Workspace.open(tmp_path / "ws") as ws, pytest.raises(DamagedError):
        ws.ledger.marks()
    path.write_bytes(backup)
    with Workspace.open(tmp_path / "ws") as ws:
        assert ws.ledger.vetoed() == [3]


def test_rows_on_both_sides_of_the_damage_are_taken_over(tmp_path):
    """A page in the middle of a table is lost, those before and behind it are not."""
    with Workspace.open(tmp_path) as ws:
        ws.ledger.set_marks(range(3000), "pin", "a reason " * 20)
    path = tmp_path / "studio.sqlite"
    with closing(sqlite3.connect(path)) as db:
        size = db.execute("PRAGMA page_size").fetchone()[0]
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'marks'").fetchone()[0]
    data = bytearray(path.read_bytes())
    page = data[
        (root - 1) * size : root * size
    ]  # an interior page: its cells begin with the number of a page below
    cell = int.from_bytes(page[12 + 2 * 20 : 14 + 2 * 20], "big")
    below = int.from_bytes(page[cell : cell + 4], "big")
    data[(below - 1) * size : below * size] = bytes(size)
    path.write_bytes(data)
    with Workspace.open(tmp_path) as ws, pytest.raises(DamagedError):
        ws.ledger.marks()
    rescue_ledger(tmp_path)
    with Workspace.open(tmp_path) as ws:
        found = ws.ledger.pinned()
    assert 2900 < len(found) < 3000 and found[0] == 0 and found[-1] == 2999 and found == sorted(found)


def test_a_lock_that_cannot_be_noted_is_let_go(tmp_path):
    code = """
        import resource
        Workspace.open(sys.argv[1]).close()
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        try:
            Workspace.open(sys.argv[1])
        except StudioError as err:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print(err.problem)
        Workspace.open(sys.argv[1]).close()
    """
    pytest.importorskip("resource")
    (problem,) = in_python(code, tmp_path / "ws")
    assert problem.endswith('.lock" cannot be written: this process may write files of 0.0 KiB at most.')


# Parts


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_a_part_that_may_not_be_read_is_neither_damaged_nor_missing(marked):
    """Else the next run would make it anew over data that are whole."""
    open_to_all(marked)
    part = marked / "pool" / "class=1" / "part-00000.parquet"
    os.utime(part)  # not as it was when it was written and known to be whole
    part.chmod(0o200)
    code = """
        become_nobody()
        with Workspace.open(sys.argv[1]) as ws:
            expected = {ws.pool_part_path(1, 0): "h0"}
            for look in (ws.pool, lambda: ws.has_part(1, 0, "h0"), lambda: ws.compare(expected, "parts")):
                try:
                    print(look())
                except StudioError as err:
                    print(err.problem, err.fix)
    """
    said = in_python(code, marked)
    assert set(said) == {
        f'"{part}" cannot be read (Permission denied). '
        "Give yourself read permission there, then run the step again: whole parts are kept."
    }
    assert len(said) == 3


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_a_folder_below_the_workspace_that_may_not_be_written(marked):
    open_to_all(marked)
    folder = marked / "pool" / "class=1"
    folder.chmod(0o555)
    code = """
        from psr_studio.core.files import write_bytes
        become_nobody()
        with Workspace.open(sys.argv[1]) as ws:
            for change in (lambda: write_bytes(ws.pool_part_path(1, 9), b"x"), lambda: ws.discard_pool_parts(1, [0])):
                try:
                    change()
                except StudioError as err:
                    print(err.problem)
    """
    said = in_python(code, marked)
    assert said == [f'The folder "{folder}" cannot be written to (Permission denied).'] * 2


def test_a_part_of_a_newer_version_is_not_made_anew(filled, monkeypatch):
    """It is whole, only not ours to read: a run must not write over it."""
    from psr_studio.storage import parquet

    path = filled.pool_part_path(0, 0)
    monkeypatch.setattr(parquet, "FORMAT_VERSION", 3)
    write_part(path, {"candidate_id": np.zeros(1, np.int64)}, inputs_hash="h0")
    monkeypatch.undo()
    with pytest.raises(WorkspaceError, match="has format version 3"):
        filled.has_part(0, 0, "h0")


def test_errors_that_come_from_no_disk_pass(tmp_path):
    with pytest.raises(KeyError), disk.writing(tmp_path / "file"):
        raise KeyError("ours")
    assert not list(tmp_path.iterdir())


# Libraries that keep the system's number to themselves


VALUES = np.random.default_rng(0).normal(size=100_000)


def save_numpy(path: Path) -> None:
    np.save(path, VALUES)


def save_safetensors(path: Path) -> None:
    save_file({"values": VALUES}, path)


def save_parquet(path: Path) -> None:
    pq.write_table(pa.table({"values": VALUES}), path)


def save_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("values", VALUES.tobytes())


@pytest.mark.parametrize("save", [save_numpy, save_safetensors, save_parquet, save_zip])
def test_what_a_library_makes_of_a_refused_write_is_said_as_the_system_said_it(tmp_path, save):
    resource = pytest.importorskip("resource")
    name = "values.npy"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(DiskError, match="this process may write files of 19.5 KiB at most"):
            with whole_file(tmp_path / name) as temp:
                save(temp)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
    with whole_file(tmp_path / name) as temp:
        save(temp)
    assert (tmp_path / name).stat().st_size > VALUES.nbytes // 2


# Paths


def test_a_path_that_no_disk_knows(tmp_path):
    long = str(tmp_path / ("x" * 5000))
    for call in (check_path, Workspace.open):
        with pytest.raises(
            WorkspaceError, match=r"characters, is too long for this disk.\nChoose a shorter one, "
        ):
            call(long)
        with pytest.raises(
            WorkspaceError, match=r"holds a NUL character, which no path can have.\nChoose another"
        ):
            call(str(tmp_path / "a\0b"))


def test_a_home_that_this_user_has_not(tmp_path):
    with pytest.raises(WorkspaceError, match=r"begins at a home folder, .*\nWrite the path in full."):
        check_path("~nobody-of-this-name/runs")


def test_a_folder_below_a_file_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        DiskError, match=f'"{tmp_path / "file"}" is a file, not a folder.\nChoose another path'
    ):
        Workspace.open(tmp_path / "file" / "ws")
