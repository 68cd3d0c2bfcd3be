"""What a machine remembers: written whole, found out again where damaged, no alarm where nobody asked for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from psr_studio.core.errors import DiskError
from psr_studio.core.remembered import ELSEWHERE, home, keep, keep_if_possible, recall


def test_what_is_kept_comes_back_in_folders_that_are_made(tmp_path):
    path = tmp_path / "new" / "facts.json"
    keep(path, {"a": 1, "é": [2.5, None]})
    assert recall(path, {}) == {"a": 1, "é": [2.5, None]}
    assert [found.name for found in path.parent.iterdir()] == ["facts.json"]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[1]", b'"text"', b"null"])
def test_damage_and_values_of_another_kind_are_as_if_nothing_was_kept(tmp_path, data):
    path = tmp_path / "facts.json"
    path.write_bytes(data)
    assert recall(path, {"usual": 1}) == {"usual": 1}
    assert recall(tmp_path / "none.json", ["usual"]) == ["usual"]


def test_a_place_that_cannot_be_written_is_said_only_where_it_was_asked_for(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "facts.json"
    with pytest.raises(DiskError) as caught:
        keep(path, {}, ELSEWHERE)
    assert caught.value.fix.endswith("set PSR_STUDIO_HOME to a folder that you may write to.")
    keep_if_possible(path, {})
    assert "facts.json is not kept" in caplog.text


def test_the_folder_is_the_one_named_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.delenv("PSR_STUDIO_HOME")
    assert home() == Path.home() / ".cache" / "psr-studio"
