"""Doctor: what is here, what is missing, and how to get it."""

from __future__ import annotations

import shutil

from psr_studio import __version__
from psr_studio.cli.doctor import (
    NEEDED,
    SCREEN,
    Finding,
    bundle_finding,
    examine,
    package_finding,
    preset_finding,
    report,
)
from psr_studio.cli.main import main


def test_versions_device_presets_and_disk_are_told(tmp_path):
    found = {item.name: item for item in examine(tmp_path / "not" / "there")}
    assert found["PSR Studio"].found == __version__
    for name in (*NEEDED, *SCREEN):
        assert name in found
    assert not found["torch"].fix and not found["torchvision"].fix
    assert "sampling in" in found["Device"].found
    assert found['Preset "fashion-mnist"'].found == "bundle fashion-mnist"
    assert found["Free disk"].found.endswith(f"GiB at {tmp_path}")
    assert not (tmp_path / "not").exists(), "it reads, it never writes"


def test_a_preset_whose_weights_are_elsewhere_says_so_and_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    found = preset_finding("imagewoof-dit")
    assert found.found == "bundle imagewoof-dit, weights missing: generator, codec, teacher"
    assert found.fix == "To fetch them: `psr-studio weights imagewoof-dit --download`."
    assert not found.needed_is_missing, "nothing here depends on it"
    assert not preset_finding("fashion-mnist").fix and not preset_finding("tiny-dit").fix


def test_a_preset_whose_networks_nobody_has_made_is_absent_and_says_how_to_make_them():
    found = preset_finding("svhn")
    assert found.found == 'The bundle "svhn" is not made yet: its networks do not ship with PSR Studio.'
    assert found.fix == "Make it from your copy of SVHN: `psr-studio train-bundle svhn --data FOLDER`."
    assert not found.needed_is_missing


def test_a_whole_bundle(tiny_bundle):
    found = bundle_finding(str(tiny_bundle))
    assert not found.fix and "each as its SHA-256 says" in found.found


def test_a_changed_and_a_missing_file_are_named(tiny_bundle, tmp_path):
    broken = shutil.copytree(tiny_bundle, tmp_path / "broken")
    weights = broken / "teacher" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    found = bundle_finding(str(broken))
    assert found.needed_is_missing and found.found == f"{weights} differs from its SHA-256."
    assert "psr-studio train-bundle" in found.fix
    (broken / "data" / "train_difficulty.safetensors").unlink()
    found = bundle_finding(str(broken))
    assert found.found.startswith(f"{broken / 'data' / 'train_difficulty.safetensors'} is missing.")
    assert found.found.endswith("And 1 more file.")


def test_a_bundle_that_cannot_be_read(tmp_path):
    (tmp_path / "bundle.toml").write_text("name = ")
    assert bundle_finding(str(tmp_path)).needed_is_missing


def test_a_package_that_is_not_there():
    found = package_finding("no-such-package-as-this")
    assert (found.found, found.needed_is_missing) == ("not installed", True)
    assert found.fix.startswith("Run `pip install -e . -c constraints.txt`")
    assert not package_finding("no-such-package-as-this", needed=False).needed_is_missing


def test_the_report_has_a_line_each_and_says_what_is_missing():
    findings = [
        Finding("torch", "2.11.0"),
        Finding("timm", "not installed", "Install it."),
        Finding("x", "-", "y", False),
    ]
    lines = report(findings).splitlines()
    assert lines[0].split() == ["ok", "torch", "2.11.0"] and lines[1].startswith("MISSING timm")
    assert lines[2].strip() == "Install it." and lines[3].startswith("absent")
    assert lines[-1] == "Missing: timm."
    assert report(findings[:1]).endswith("All that is needed is here.")


def test_the_exit_status_says_whether_something_is_missing(tmp_path, capsys):
    status = main(["doctor", "--workspace", str(tmp_path)])
    out = capsys.readouterr().out
    assert status == (1 if "MISSING" in out else 0)
