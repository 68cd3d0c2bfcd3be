"""Named views: kept with the workspace, replaced by name, and refused with a way on."""

from __future__ import annotations

import pytest

from psr_studio.core.errors import SelectionError
from psr_studio.storage.views import LONGEST_LOOK
from psr_studio.storage.workspace import Workspace


def test_views_outlive_the_workspace_and_a_name_stands_for_the_last(tmp_path):
    with Workspace.open(tmp_path / "ws") as ws:
        for name, look in (
            ("hard ones", "find=difficulty"),
            (" coats ", "class=4"),
            ("hard ones", "map=pca"),
        ):
            ws.ledger.save_view(name, look)
    with Workspace.open(tmp_path / "ws") as ws:
        assert [(v["name"], v["look"]) for v in ws.ledger.views()] == [
            ("coats", "class=4"),
            ("hard ones", "map=pca"),
        ]
        ws.ledger.delete_view("coats")
        assert [view["name"] for view in ws.ledger.views()] == ["hard ones"]
        with pytest.raises(SelectionError, match='no view "hard one"') as err:
            ws.ledger.delete_view("hard one")
        assert err.value.fix.startswith('Did you mean "hard ones"?')


@pytest.mark.parametrize(
    ("name", "look", "words"),
    [
        ("", "", "1 to 40 letters"),
        ("x" * 41, "", "1 to 40 letters"),
        ("a\nb", "", "1 to 40 letters"),
        ("a", "x" * (LONGEST_LOOK + 1), "1,000,001 letters"),
    ],
)
def test_what_cannot_be_a_view_is_refused(workspace, name, look, words):
    with pytest.raises(SelectionError, match=words):
        workspace.ledger.save_view(name, look)
    assert workspace.ledger.views() == []
