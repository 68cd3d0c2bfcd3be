"""ImageNette photographs as pool and as real side, by the command line: from a folder to a table and an export."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from psr_studio.bundles.catalogue import load_bundle
from psr_studio.cli.main import main

PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "shared" / "data" / "imagenette-sample"
TRAIN, VAL, SIDE = 4, 1, 64
QUICK = {
    "evaluate.compare": '["dgs"]', "evaluate.student": "convnet-1", "evaluate.epochs": "1",
    "evaluate.n_seeds": "1", "evaluate.n_checks": "1",
}  # fmt: skip


@pytest.fixture
def few(tmp_path) -> Path:
    """The first photographs of each class in the folders that they come in."""
    for split, n in (("train", TRAIN), ("val", VAL)):
        for folder in (PHOTOGRAPHS / split).iterdir():
            (tmp_path / "photographs" / split / folder.name).mkdir(parents=True)
            for file in sorted(folder.iterdir())[:n]:
                shutil.copy(file, tmp_path / "photographs" / split / folder.name)
    return tmp_path / "photographs"


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="no photographs beside the checkout")
def test_photographs_become_a_table_with_controls_and_an_export(few, tmp_path, monkeypatch, capsys):
    """The preset at 64 px: PSR and DGS choose among photographs, a ConvNet is trained on both and on the controls."""
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    text = Path(load_bundle("imagenette-photos").path).read_text()
    (tmp_path / "small.toml").write_text(text.replace("[224, 224, 3]", f"[{SIDE}, {SIDE}, 3]"))
    bundle, ws = str(tmp_path / "small.toml"), ["-w", str(tmp_path / "ws"), "--device", "cpu", "-q"]
    assert main(["weights", bundle, "--images", str(few)]) == 0
    preset = ["-p", "imagenette-photos", "--set", f"bundle={bundle}"]
    assert main(["import", str(few), "--split", "train", *ws, *preset]) == 0
    assert 'Imported 40 pictures of 10 classes from "photographs"' in capsys.readouterr().out
    assert main(["score", *ws]) == 0
    for name in ("dgs", "psr"):
        chosen = ["--set", f"select.selector={name}", "--set", f"select.name={name}"]
        assert main(["select", *ws, "--ipc", "2", *chosen]) == 0
    capsys.readouterr()
    assert main(["evaluate", *ws, *(part for key in QUICK for part in ("--set", f"{key}={QUICK[key]}"))]) == 0
    table = capsys.readouterr().out
    for arm in ('selected "psr"', 'selected "dgs"', "random real", "generate-and-use"):
        assert arm in table
    assert main(["export", *ws]) == 0
    made = tmp_path / "ws" / "exports" / "set"
    assert json.loads((made / "manifest.json").read_text())["provenance"]["candidates"] == 40
    assert len(list(made.glob("*/*.png"))) == 20 and 'selected "psr"' in (made / "README.md").read_text()
