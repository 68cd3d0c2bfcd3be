"""The command line: exit status, what goes to which stream, and errors of two lines without a traceback."""

from __future__ import annotations

import _thread
import io
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import problem_and_fix
from safetensors.numpy import save_file

from psr_studio import __version__
from psr_studio.app.studio import Studio
from psr_studio.cli.console import ProgressLine, progress_text
from psr_studio.cli.main import build_parser, main
from psr_studio.core.progress import Progress
from psr_studio.method.selectors.registry import SELECTORS
from psr_studio.recipe.keys import keys
from psr_studio.recipe.load import presets

COMMANDS = (
    "generate",
    "score",
    "select",
    "refine",
    "evaluate",
    "export",
    "run",
    "bench",
    "doctor",
    "train-bundle",
    "presets",
    "selectors",
)


def test_every_command_goes_past_a_sync_copy_and_a_damaged_row(scored_workspace, tmp_path, capsys):
    """The copy repeats the candidates of its part; the row is the result of a student, of which half is left."""
    root = shutil.copytree(scored_workspace, tmp_path / "ws")
    part = root / "pool" / "class=0" / "part-00000.parquet"
    for name in ("part-00000 (1).parquet", "part-x.parquet"):
        shutil.copy(part, part.with_name(name))
    with sqlite3.connect(root / "studio.sqlite") as db:
        db.execute("INSERT INTO evaluations (record) VALUES ('{')")
    for command in (["generate"], ["score"], ["select"], ["export", "--set", "export.refined=false"]):
        assert main([*command, "-q", "-w", str(root)]) == 0
    capsys.readouterr()
    assert main(["status", "-w", str(root)]) == 0
    said = capsys.readouterr().out
    assert said.count('"pool/class=0/part-00000 (1).parquet" is not read') == 1
    assert said.count("1 more are not read either.") == 1
    assert said.count('Left out: the result "1" of "studio.sqlite", which cannot be read.') == 1


@pytest.mark.parametrize(
    "command",
    [["status"], ["export", "--dry-run"], ["evaluate", "--all"], ["score"], ["select"], ["export"], ["tune"]],
)
@pytest.mark.parametrize("is_there", [False, True])
def test_what_needs_a_pool_makes_no_workspace(call, tmp_path, command, is_there):
    """A mistyped name, and a folder that is no workspace."""
    root = tmp_path / "typo"
    if is_there:
        root.mkdir()
    status, out, err = call(*command, workspace=root)
    assert (status, out) == (2, "")
    assert err == (
        f'Problem: There is no workspace "{root}".\nFix: Check the path, or generate a pool there first.\n'
    )
    assert root.exists() == is_there and (not is_there or list(root.iterdir()) == [])


def test_a_student_nobody_knows_is_not_kept(scored, capsys):
    """Neither in the workspace, where every command after it would be refused too, nor in a new one."""
    before = (scored / "recipe.toml").read_text()
    new = scored.parent / "new"
    for command in (["evaluate", "-w", str(scored)], ["generate", "-w", str(new)]):
        assert main([*command, "-q", "--set", "evaluate.student=small"]) == 2
        problem, fix = problem_and_fix(capsys.readouterr().err)
        assert problem == 'There is no student "small".' and fix.startswith("Name one of convnet-3, ")
    assert (scored / "recipe.toml").read_text() == before and not new.exists()


def test_who_listens_no_more_is_no_error():
    """As in `psr-studio presets --keys | head -1`."""
    command = [sys.executable, "-m", "psr_studio.cli.main", "presets", "--keys"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert (process.wait(60), process.stderr.read()) == (0, "")
    process.stderr.close()


def test_run_does_all_steps_and_prints_the_table(call, tmp_path):
    status, out, err = call("run", "--ipc", "1")
    assert status == 0
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["arm", "labels", "protocol", "student"]
    assert lines[2].startswith('refined "current"') and "random real" in out and "generate-and-use" in out
    assert lines[-1] == f"The set is in {tmp_path / 'ws' / 'exports' / 'set'}"
    assert (tmp_path / "ws" / "exports" / "set" / "00_boot").is_dir()
    for word in ("pool", "score", "refine", "evaluate", "export"):
        assert any(line.startswith(word) for line in err.splitlines()), word


def test_steps_one_by_one(call, tmp_path):
    for command in ("generate", "score", "select", "refine"):
        assert call(command)[0] == 0
    status, out, _ = call("select", "--quiet")
    assert (status, out) == (0, 'Selected 6 images as "current".\n')
    status, out, err = call("export", "--dry-run")
    assert status == 0 and "  00_boot: 2 files" in out and not (tmp_path / "ws" / "exports").exists()
    assert call("export")[0] == 0
    status, out, _ = call("status")
    states = {line.split()[0]: line.split()[1] for line in out.splitlines()}
    assert states["pool"] == states["export"] == "fresh" and states["evaluate"] == "missing"


def test_the_workspace_remembers_its_recipe(call, capsys, scored):
    assert main(["select", "-w", str(scored), "--ipc", "1", "-q"]) == 0
    assert main(["select", "-w", str(scored), "-q"]) == 0
    assert capsys.readouterr().out.splitlines() == ['Selected 3 images as "current".'] * 2


def test_set_changes_settings(call):
    call("generate", "--set", "pool.pool_size=2", "--set", "select.ipc=1", "-q")
    status, out, _ = call("status", "--set", "pool.pool_size=2", "--set", "select.ipc=1")
    assert status == 0 and "pool      fresh    All 3 pool parts are there." in out


def test_errors_are_two_lines_and_status_2(call, tmp_path, preset):
    Studio(tmp_path / "ws", preset).close()
    status, out, err = call("select", "-q")
    assert (status, out) == (2, "")
    problem, fix = problem_and_fix(err)
    assert problem.startswith("There is no pool in the workspace") and "psr-studio generate" in fix


def test_ctrl_c_says_what_is_kept(call, monkeypatch, request):
    """Interrupted when the first part is written: status 130, and the same command goes on from there."""

    class Interrupting(io.StringIO):
        def write(self, text: str) -> int:
            if "Wrote" in text:
                _thread.interrupt_main()
            return super().write(text)

    stream = Interrupting()
    # A shell starts what runs in the background with SIGINT ignored, and then nothing would be raised.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", stream)
        assert call("generate")[0] == 130
    said = "Stopped. What was written is kept: run the same command again to go on."
    assert stream.getvalue().splitlines()[-1] == said
    status, _, err = call("generate")
    assert status == 0 and "3/18" in err.splitlines()[0]


def test_what_is_unforeseen_goes_to_the_log(call, scored, tiny_bundle, tmp_path):
    """Difficulties of the real images under other names: a line for the user, a traceback for us."""
    broken = Path(shutil.copytree(tiny_bundle, tmp_path / "broken"))
    save_file({"values": np.zeros(1, np.float32)}, broken / "data" / "train_difficulty.safetensors")
    status, out, err = call(
        "select", "-q", "--set", f"bundle={broken}", "--set", "select.selector=dgs", workspace=scored
    )
    assert status == 1
    said, where = err.splitlines()
    assert said.startswith("Something unforeseen stopped \"select\": KeyError: 'difficulty'")
    assert where == f"The details are in {scored / 'log.txt'}."
    log = (scored / "log.txt").read_text()
    assert log.startswith(f"psr-studio {__version__} select\nTraceback") and "KeyError" in log


def test_presets_and_settings_are_listed(capsys):
    assert main(["presets"]) == 0
    assert "fashion-mnist" in [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert main(["presets", "--keys"]) == 0
    out = capsys.readouterr().out
    assert [line.split(" = ")[0] for line in out.splitlines()] == keys()
    assert main(["presets", "fashion-mnist"]) == 0
    assert "[select]" in capsys.readouterr().out


def test_selectors_are_listed_with_parameters_and_ranges(capsys):
    assert main(["selectors"]) == 0
    out = capsys.readouterr().out
    for name, selector in SELECTORS.items():
        assert f"{name}: {selector.title} ({selector.source})" in out
    assert "select.dgs.lam = 0.5  (0.0 to 1.0)" in out
    assert 'select.dgs.target = "scale"  (scale, hill, ground, slope, cliff, drawn)' in out
    assert main(["selectors", "herding"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["selectors", "k-centre"]) == 2
    assert problem_and_fix(capsys.readouterr().err)[1].startswith('Did you mean "k-center"?')


@pytest.mark.parametrize("selector", list(SELECTORS))
def test_select_takes_every_selector(selector, capsys, scored):
    assert main(["select", "-w", str(scored), "-q", "--set", f"select.selector={selector}"]) == 0
    assert capsys.readouterr().out.startswith('Selected 6 images as "current".')


def test_select_takes_targets_budgets_and_none(capsys, scored):
    how = ["select.selector=dgs", "select.dgs.target=drawn", "select.dgs.drawn=[0,0,0,0,1,1,1,1,1,1]"]
    flags = [flag for text in [*how, "select.budgets=[0,3,0]"] for flag in ("--set", text)]
    assert main(["select", "-w", str(scored), "-q", *flags]) == 0
    assert capsys.readouterr().out.startswith('Selected 7 images as "current".')
    assert main(["select", "-w", str(scored), "-q", "--set", "select.budgets=none"]) == 0
    assert capsys.readouterr().out.startswith('Selected 6 images as "current".')


def test_settings_of_before_the_tables_are_taken_and_named(scored, caplog):
    """Given to every selector that reads it, as when they shared it; one sentence on where it stands now."""
    assert (
        main(["select", "-w", str(scored), "-q", "--set", "select.gamma=2", "--set", "select.lam=0.25"]) == 0
    )
    (told,) = [r.getMessage() for r in caplog.records]
    assert told.startswith("--set: settings of a selector stand in its own table now: select.gamma is ")
    with Studio(scored) as studio:
        keys = ("select.psr.gamma", "select.dgs.gamma", "select.dgs.lam")
        assert [studio.recipe.value(key) for key in keys] == [2.0, 2.0, 0.25]


def test_what_dgs_took_from_the_next_bin_is_told_as_the_page_tells_it(capsys, scored):
    how = [
        "select.selector=dgs",
        "select.dgs.target=drawn",
        "select.dgs.drawn=[0,0,0,0,0,0,0,0,0,1]",
        "select.ipc=6",
    ]
    assert main(["select", "-w", str(scored), "-q", *(flag for text in how for flag in ("--set", text))]) == 0
    first, told = capsys.readouterr().out.splitlines()
    with Studio(scored) as studio:
        assert told == studio.curation.select().message
    assert first.startswith("Selected 18 images") and "filled from other bins" in told


def test_every_command_has_help_and_stands_in_the_docs(capsys):
    docs = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    actions = next(a for a in build_parser()._actions if a.choices and "run" in a.choices)
    assert set(COMMANDS) <= set(actions.choices)
    helped = {choice.dest: choice.help for choice in actions._choices_actions}
    for name, parser in actions.choices.items():
        assert helped[name] and parser.description
        assert f"`psr-studio {name}`" in docs, name
        for action in parser._actions:
            assert action.help or action.dest == "seed", (name, action.dest)
            for flag in action.option_strings:
                assert not flag.startswith("--") or flag == "--help" or f"`{flag}" in docs, flag


def test_every_preset_stands_in_the_docs():
    docs = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in docs for name in presets())


def test_a_bundle_nobody_can_train(capsys):
    assert main(["train-bundle", "fashion-mnst"]) == 2
    problem, fix = problem_and_fix(capsys.readouterr().err)
    assert problem == 'There is no training recipe for a bundle "fashion-mnst".'
    assert fix.startswith('Did you mean "fashion-mnist"?')


def test_version(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["--version"])
    assert leaving.value.code == 0 and capsys.readouterr().out == f"psr-studio {__version__}\n"


def test_evaluate_all_prints_older_results(call, scored, capsys):
    flags = ["--set", 'evaluate.arms=["selected"]', "-q"]
    assert call("evaluate", *flags, workspace=scored)[0] == 0
    assert call("evaluate", *flags, "--set", "evaluate.epochs=2", workspace=scored)[0] == 0
    status, out, _ = call("evaluate", *flags, "--all", workspace=scored)
    table = out.split("\n\n")[0]  # DD-Ranking's scores stand below it
    assert status == 0 and table.count('selected "current"') == 2


def test_settings_of_the_last_command_are_saved(call, tmp_path):
    call("generate", "-q", "--ipc", "1")
    saved = (tmp_path / "ws" / "recipe.toml").read_text()
    assert "ipc = 1\n" in saved and json.dumps(str(tmp_path)) not in saved


def test_progress_as_text():
    event = Progress("pool", 120, 600, "Wrote 60.", seconds=10.0, resumed=60)
    assert progress_text(event) == "pool     120/600 images, 6/s, 1 min 20 s left. Wrote 60."
    assert progress_text(event, bar=True).startswith("pool     [####................] 120/600")
    assert progress_text(Progress("select", 1, 1, "Done.")) == "select   1/1 steps. Done."


def test_a_terminal_gets_one_moving_line_and_a_pipe_sparse_ones():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    events = [Progress("score", i, 100, f"Part {i}.", part_done=i % 50 == 0) for i in range(101)]
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        line = ProgressLine(stream)
        for event in events:
            line.show(event)
        line.close()
    assert terminal.getvalue().count("\n") == 1 and "\r" in terminal.getvalue()
    assert pipe.getvalue().splitlines()[1:] == [
        "score    50/100 images. Part 50.",
        "score    100/100 images. Part 100.",
    ]
    quiet = io.StringIO()
    ProgressLine(quiet, quiet=True).show(events[-1])
    assert quiet.getvalue() == ""


def test_bench_measures_every_step_and_writes_its_conditions(preset, tmp_path, capsys):
    out = tmp_path / "bench.json"
    assert main(["bench", "--preset", str(preset), "--images", "4", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    made = json.loads(out.read_text())
    assert [figure["unit"] for figure in made["figures"]] == [
        "images/s",
        "images/s",
        "ms",
        "latents/s",
        "images/s",
    ]
    assert all(figure["value"] > 0 and figure["name"] in printed for figure in made["figures"])
    assert {"device", "threads", "dtype", "torch", "command"} <= made.keys()
    assert not (tmp_path / "workspace").exists()


def test_bench_needs_two_candidates(preset, capsys):
    assert main(["bench", "--preset", str(preset), "--images", "1"]) == 2
    assert "1 candidates per class are asked for, but bench needs 2." in capsys.readouterr().err
