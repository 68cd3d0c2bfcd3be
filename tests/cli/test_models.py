"""The commands around models and imports, as a user types them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from checkpoints import HEADS, OriginalDiT
from PIL import Image
from tiny import CLASS_NAMES, SETTINGS, SIZE

from psr_studio.cli.main import main
from psr_studio.storage.workspace import Workspace


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))


def test_convert_weights_says_what_it_found_and_what_comes_next(tmp_path, capsys):
    torch.manual_seed(0)
    torch.save({"model": OriginalDiT().state_dict()}, tmp_path / "0012000.pt")
    out = tmp_path / "minimax"
    command = ["convert-weights", str(tmp_path / "0012000.pt"), "--out", str(out), "--heads", str(HEADS)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert 'Converted original weights ("model"): 3 blocks of width 24, 1000 classes' in said
    assert (
        main(["weights", "imagewoof-dit", "--generator", str(out)]) == 1
    )  # codec and teacher are still missing
    assert f"here    generator  facebook/DiT-XL-2-256  in {out}" in capsys.readouterr().out
    assert main(command) == 2
    assert "is not an empty folder" in capsys.readouterr().err
    assert main([*command[:3], str(tmp_path / "other"), "--heads", "0"]) == 2
    assert "0 attention heads are asked for; a DiT has 1 or more.\n" in capsys.readouterr().err


def test_weights_of_a_bundle_that_is_whole_are_good_news(capsys):
    assert main(["weights", "fashion-mnist"]) == 0
    said = capsys.readouterr().out
    assert (
        said.startswith('"fashion-mnist" is whole: nothing of it lies elsewhere.') and "imagewoof-dit" in said
    )
    assert main(["weights", "fashion-mnist", "--images", "."]) == 2
    assert "Name one of them" in capsys.readouterr().err


def test_import_from_the_command_line(tmp_path, tiny_bundle, capsys):
    for name in CLASS_NAMES:
        folder = tmp_path / "set" / name.replace("/", "-")
        folder.mkdir(parents=True)
        for i in range(3):
            Image.fromarray(np.full((SIZE, SIZE), 20 * i, np.uint8)).save(folder / f"{i}.png")
    settings = [f"--set={key}={value}" for key, value in SETTINGS.items() if key != "device"]
    workspace = ["-w", str(tmp_path / "ws"), "--device", "cpu", f"--set=bundle={tiny_bundle}", *settings]
    assert main(["import", str(tmp_path / "set"), *workspace, "--limit", "2", "--quiet"]) == 0
    assert 'Imported 6 pictures of 3 classes from "set".' in capsys.readouterr().out
    assert main(["import", str(tmp_path / "set"), "-w", str(tmp_path / "ws")]) == 2
    assert "already holds a pool of 6 candidates" in capsys.readouterr().err
    assert main(["status", "-w", str(tmp_path / "ws")]) == 0
    assert 'fresh    Imported from "set".' in capsys.readouterr().out
    with Workspace.open(tmp_path / "ws") as ws:
        assert list(ws.pool().counts) == [2, 2, 2] and ws.recipe.pool.pool_size == 2
        ws.ledger.set_marks([0], "pin")
    assert main(["import", str(tmp_path / "set"), "-w", str(tmp_path / "ws"), "--replace", "--quiet"]) == 0
    assert 'from "set". Gone with the pool before: 1 pin.' in capsys.readouterr().out
    with Workspace.open(tmp_path / "ws") as ws:
        assert ws.ledger.marks() == {}


def test_a_step_never_downloads_unasked(tmp_path, capsys):
    assert main(["generate", "-w", str(tmp_path / "ws"), "-p", "imagewoof-dit", "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert "nothing is downloaded unasked" in said and "--download" in said
    assert main(["generate", "-w", str(tmp_path / "ws"), "--device", "cpu", "--download"]) == 2
    said = capsys.readouterr().err
    assert (
        "facebook/DiT-XL-2-256: about 2.8 GiB, licence: CC BY-NC 4.0" in said
        and "could not be fetched" in said
    )
