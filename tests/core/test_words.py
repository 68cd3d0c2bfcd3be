"""Durations, counts and tables read alike wherever they are shown."""

from psr_studio.core.words import duration, plural, text_table


def test_durations_and_counts_in_words():
    assert [duration(s) for s in (3.2, 65, 3725)] == ["3 s", "1 min 05 s", "1 h 02 min"]
    assert [plural(1, "class", "classes"), plural(1200, "class", "classes")] == ["1 class", "1,200 classes"]


def test_columns_are_as_wide_as_their_widest_cell():
    table = text_table(("arm", "n"), [("random real", "3"), ("selected", "12")])
    assert table.splitlines() == ["arm          n", "-----------  --", "random real  3", "selected     12"]
