"""Bad input on the command line: one clear error, status 2, nothing lost, and its way out works."""

from __future__ import annotations

import os
import re
import resource
import shutil
import sqlite3
from pathlib import Path

import pytest
import torch
from commands import problem_and_fix
from steps import bytes_of, logits_with_eligible, rescore
from tiny import finish, run_python, tiny_recipe, write_index

from psr_studio.app.studio import Studio
from psr_studio.cli.main import main

HOLD = """
from psr_studio.storage.workspace import Workspace
ws = Workspace.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def refused(call):
    """`refused("select", ...)` runs a command that must fail with status 2: (problem, fix)."""

    def run(command: str, *flags: str, **where: Path) -> tuple[str, str]:
        status, out, err = call(command, *flags, "-q", **where)
        assert (status, out) == (2, ""), err
        return problem_and_fix(err)

    return run


def test_an_unknown_preset(capsys, tmp_path):
    assert main(["run", "-w", str(tmp_path / "ws"), "-p", "fashion-mnst"]) == 2
    problem, fix = problem_and_fix(capsys.readouterr().err)
    assert problem.startswith('There is no preset "fashion-mnst". Presets: ')
    assert fix.startswith('Did you mean "fashion-mnist"?')
    assert not (tmp_path / "ws").exists()


def test_an_unknown_key(refused, preset):
    problem, fix = refused("select", "--set", "select.temprature=2")
    assert problem.startswith('unknown key "select.temprature". Keys of [select]: ')
    assert fix.startswith('Did you mean "temperature"?')
    preset.write_text(preset.read_text().replace("temperature =", "temprature ="))
    problem, fix = refused("select")
    assert problem.startswith(f'{preset}: unknown key "select.temprature"') and "(line " in fix


def test_more_images_than_candidates(refused, scored):
    problem, fix = refused("select", "--ipc", "7", "--set", "pool.pool_size=50", workspace=scored)
    assert problem == 'Class "boot" has 6 candidates, but 7 images per class are asked for.'
    assert fix.startswith('Lower "Images per class" to 6 or less')


def test_a_class_with_no_eligible_candidate(refused, scored, tiny_bundle):
    with Studio(scored, tiny_recipe(tiny_bundle)) as studio:
        rescore(studio, logits_with_eligible(studio, {2: 0}))
    problem, fix = refused("select", "--set", "select.on_shortage=short", workspace=scored)
    assert problem.startswith('No candidate of class "dress" is eligible')
    assert "select.psr.on_shortage" in fix


def test_logits_that_are_not_finite(refused, call, tiny_bundle, tmp_path):
    from steps import break_teacher

    broken = break_teacher(tiny_bundle, tmp_path, float("nan"))
    assert call("generate", "-q")[0] == 0
    problem, fix = refused("score", "--set", f"bundle={broken}")
    assert "are not finite numbers: 0, 1, 2." in problem


def test_a_truncated_part_of_the_pool(call, scored):
    """It is named and left out; the rest is usable; generating again brings back the same bytes."""
    before = bytes_of(scored / "pool")
    path = scored / "pool" / "class=1" / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:200])
    status, out, err = call("select", "--ipc", "3", "-q", workspace=scored)
    assert status == 0 and out.splitlines()[0] == 'Selected 9 images as "current".'
    assert out.splitlines()[-1].startswith(f'Left out: The file "{path}" is damaged: ')
    status, _, err = call("select", "--ipc", "4", "-q", workspace=scored)
    assert status == 2 and 'Class "T-shirt/top" has 3 usable candidates' in err
    assert call("score", "-q", workspace=scored)[0] == 2
    assert call("generate", "-q", workspace=scored)[0] == 0
    assert bytes_of(scored / "pool") == before


def test_a_class_whose_candidates_are_in_a_damaged_part(refused, call, scored):
    """The budget cannot be met because of the damage: the message names the file, not the pool size."""
    parts = sorted((scored / "pool" / "class=2").glob("*.parquet"))
    for part in parts:
        part.write_bytes(part.read_bytes()[:400])
    problem, fix = refused("select", workspace=scored)
    assert problem.startswith('Class "dress" has 0 usable candidates, but 2 ') and str(parts[0]) in problem
    assert fix.startswith("Run the generate and the score step again")
    for command in ("generate", "score", "select"):
        assert call(command, workspace=scored)[0] == 0


@pytest.mark.parametrize("name", ["bundle.toml", "teacher/config.json"])
@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_damaged_index_or_config_of_a_bundle(refused, scored, tiny_bundle, tmp_path, name, content):
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    shutil.rmtree(scored / "scores")
    (tmp_path / "bundle" / name).write_text(content)
    problem, fix = refused("score", "--set", f"bundle={tmp_path / 'bundle'}", workspace=scored)
    assert str(tmp_path / "bundle" / name) in problem and fix.startswith("Restore that file")


def test_a_damaged_picture(refused, call, scored):
    """One byte of the pictures changes: the part is named, the others are scored all the same."""
    before = bytes_of(scored / "pool")
    shutil.rmtree(scored / "scores")
    path = scored / "pool" / "class=0" / "part-00000.parquet"
    data = bytearray(path.read_bytes())
    places = [match.start() for match in re.finditer(b"IDAT", data)]  # some in the statistics of the pages
    data[places[len(places) // 2] + 6] ^= 0xFF
    path.write_bytes(bytes(data))
    problem, fix = refused("score", workspace=scored)
    assert problem.startswith(f'1 part of the pool could not be scored. The file "{path}" is damaged: ')
    assert fix == "Generate and score again: only what is damaged is made anew."
    assert len(list((scored / "scores").rglob("*.parquet"))) == 5
    assert call("generate", "-q", workspace=scored)[0] == call("score", "-q", workspace=scored)[0] == 0
    assert bytes_of(scored / "pool") == before


def test_a_damaged_part_of_the_scores(refused, call, scored):
    path = next((scored / "scores").rglob("class=2/part-00001.parquet"))
    path.write_bytes(b"PAR1" + bytes(100))
    problem, fix = refused("select", workspace=scored)
    assert problem.startswith("3 of 18 candidates have no teacher scores") and str(path) in problem
    assert fix == "Run the score step: it scores only what is missing."
    assert call("score", "-q", workspace=scored)[0] == call("select", "-q", workspace=scored)[0] == 0


def broken_bundle(bundle: Path, target: Path, name: str) -> tuple[Path, Path]:
    """A copy of the bundle and the path of its weights of that name."""
    copy = Path(shutil.copytree(bundle, target))
    return copy, next((copy / name).glob("*.safetensors"))


@pytest.mark.parametrize(
    ("name", "command"),
    [("generator/transformer", "generate"), ("generator/vae", "generate"), ("teacher", "score")],
)
def test_truncated_weights(refused, call, tiny_bundle, tmp_path, name, command):
    bundle, weights = broken_bundle(tiny_bundle, tmp_path / "broken", name)
    if command == "score":
        assert call("generate", "-q")[0] == 0
    weights.write_bytes(weights.read_bytes()[:1000])
    problem, fix = refused(command, "--set", f"bundle={bundle}")
    assert problem.startswith(f"The weights file {weights} is truncated or corrupt")
    assert problem.count(str(bundle)) == 1 and "psr-studio doctor" in fix


@pytest.mark.parametrize("name", ["generator/transformer", "teacher"])
def test_weights_of_another_shape(refused, call, tiny_bundle, tmp_path, name):
    from safetensors.torch import load_file, save_file

    bundle, weights = broken_bundle(tiny_bundle, tmp_path / "other", name)
    assert call("generate", "-q")[0] == 0
    state = load_file(weights)
    key = "head.weight" if name == "teacher" else "proj_out_2.weight"
    state[key] = state[key][:-1].clone()
    save_file(state, weights, {"format": "pt"})
    write_index(bundle)
    command = "score" if name == "teacher" else "generate"
    problem, fix = refused(command, "--set", f"bundle={bundle}")
    assert "of another shape" in problem and str(weights.parent) in problem and fix


def test_a_pickle_given_as_weights(refused, tiny_bundle, tmp_path):
    """It is not opened, though torch could; the message says why and what is wanted."""
    bundle, weights = broken_bundle(tiny_bundle, tmp_path / "pickled", "generator/transformer")
    torch.save({}, weights.parent / "diffusion_pytorch_model.bin")
    weights.unlink()
    problem, fix = refused("generate", "--set", f"bundle={bundle}")
    assert "diffusion_pytorch_model.bin, a pickle, which can run code when opened" in problem
    assert fix.startswith(
        "Put diffusion_pytorch_model.safetensors into the folder, or make it of the pickle with"
    )
    assert "`psr-studio convert-weights`" in fix


def test_a_full_disk_while_a_part_is_written(tmp_path, tiny_bundle):
    """A limit on the size of a file stands for the full disk: the system refuses the write alike."""
    from psr_studio.core.errors import WorkspaceError

    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        events = studio.generate()
        while not next(events).part_done:
            pass
        before = bytes_of(tmp_path / "ws" / "pool")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(WorkspaceError) as err:
                finish(events)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert err.value.problem.endswith("this process may write files of 1.0 KiB at most.")
        assert "run the step again: whole parts are kept" in err.value.fix
        assert bytes_of(tmp_path / "ws" / "pool") == before and not list(
            studio.workspace.root.rglob(".tmp-*")
        )
        assert finish(studio.generate())[-1].done == 18


@pytest.mark.parametrize("layout", ["folder", "parquet", "webdataset", "dd-ranking"])
def test_a_disk_that_refuses_an_export(tmp_path, scored, tiny_bundle, layout):
    """Each writer has its own library; the system's word comes through all of them, and nothing was changed."""
    from psr_studio.core.errors import DiskError

    with Studio(scored, tiny_recipe(tiny_bundle)) as studio:
        settings = {"formats": [layout], "refined": False, "zip": False}
        events = studio.export(**settings)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
        try:
            with pytest.raises(DiskError) as err:
                finish(events)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        folder = studio.workspace.export_path("set")
        assert (
            err.value.problem
            == f'"{folder}" cannot be written: this process may write files of 0.5 KiB at most.'
        )
        assert err.value.fix.endswith("then export again: nothing was changed.") and not list(
            folder.parent.iterdir()
        )
        finish(studio.export(**settings))
        assert folder.is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator writes anywhere")
def test_a_read_only_workspace(refused, scored):
    scored.chmod(0o500)
    try:
        problem, fix = refused("select", workspace=scored)
    finally:
        scored.chmod(0o700)
    assert "cannot be written to" in problem and "write permission" in fix


def test_a_workspace_of_a_newer_version(refused, scored):
    with sqlite3.connect(scored / "studio.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = bytes_of(scored)
    problem, fix = refused("select", workspace=scored)
    assert "has format version 99; this PSR Studio reads versions up to 1." in problem
    assert fix.startswith("Update PSR Studio") and bytes_of(scored) == before


def test_a_second_process_on_the_same_workspace(refused, scored):
    holder = run_python(HOLD, scored, stdin=True)
    try:
        assert holder.stdout.readline() == "open\n"
        problem, fix = refused("select", workspace=scored)
    finally:
        holder.communicate("")
    assert problem == f'The workspace "{scored}" is already open in another process (number {holder.pid}).'
    assert fix.startswith("Close the PSR Studio that runs there")


def test_an_export_folder_that_holds_other_files(refused, scored):
    folder = scored / "exports" / "set"
    folder.mkdir(parents=True)
    (folder / "thesis.tex").write_text("ten years")
    problem, fix = refused("export", "--set", "export.refined=false", workspace=scored)
    assert problem.startswith('The folder "exports/set" already holds 1 file that PSR Studio did not write')
    assert fix == "Choose an empty folder. Nothing was changed."
    assert (folder / "thesis.tex").read_text() == "ten years"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_no_gpu_when_one_is_asked_for(refused):
    problem, fix = refused("generate", "--device", "cuda")
    assert problem.startswith('A GPU ("cuda") was asked for') and '"auto" or "cpu"' in fix
    problem, fix = refused("generate", "--device", "gpu")
    assert problem == '"device" is "gpu". Choices: auto, cpu, cuda, mps.'


def test_a_command_that_is_mistyped_is_refused_with_the_nearest_one(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["generat", "-w", "ws"])
    problem, fix = problem_and_fix(capsys.readouterr().err)
    assert ended.value.code == 2 and problem == 'There is no command "generat".'
    assert fix == 'Did you mean "generate"? `psr-studio --help` lists all commands.'


def test_a_flag_that_a_command_does_not_know_is_refused_with_its_own_usage(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["run", "--dry-run"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith("usage: psr-studio run ")
    assert said.rstrip().endswith("psr-studio run: error: unrecognized arguments: --dry-run")
