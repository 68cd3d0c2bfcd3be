"""Results by class: kept with each student, in sum the accuracy of the table, and never made up for older ones."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
from tiny import CLASS_NAMES, TEST_PER_CLASS, finish

from psr_studio.core.errors import SelectionError
from psr_studio.stages.evaluate.by_class import by_class, format_by_class
from psr_studio.ui.plots.confusion import confusion_figure


def test_every_student_keeps_its_confusions_and_they_add_up_to_its_accuracy(studio):
    finish(studio.evaluate(arms=["selected"]))
    for record in studio.workspace.ledger.evaluations():
        right = sum(n for true, predicted, n in record.confusion if true == predicted)
        total = sum(n for *_, n in record.confusion)
        assert total == TEST_PER_CLASS * len(CLASS_NAMES) and right / total == pytest.approx(record.last)
    for row in studio.table():
        found = by_class(row)
        assert np.allclose(found.matrix.sum(axis=1), 1) and len(found.results) == len(CLASS_NAMES)
        assert np.mean([result.mean for result in found.results]) == pytest.approx(row.last_mean)
        assert [result.n_images for result in found.results] == [TEST_PER_CLASS] * 3


def test_a_part_of_the_classes_keeps_the_numbers_of_the_bundle(studio):
    finish(studio.select(**{"pool.classes": [0, 2]}))
    finish(studio.evaluate(arms=["selected"], controls=False))
    (row,) = studio.table()
    assert by_class(row).classes == (0, 2)
    assert {true for cells in row.confusions for true, *_ in cells} == {0, 2}


def test_means_and_the_worst_confusion_by_hand(studio):
    """Two students on 4 and 6 images: class 0 is right in 4 and 2 of 4, class 1 is taken for 0 in 3 of 6."""
    finish(studio.evaluate(arms=["selected"], controls=False))
    row = replace(
        studio.table()[0],
        confusions=([(0, 0, 4), (1, 1, 3), (1, 0, 3)], [(0, 0, 2), (0, 1, 2), (1, 1, 3), (1, 0, 3)]),
    )
    first, second = by_class(row).results
    assert (first.mean, second.mean, second.confused_with, second.confused) == (0.75, 0.5, 0, 0.5)
    assert first.std == pytest.approx(0.5 / 2**0.5)
    head, _, worst, best = format_by_class(row, CLASS_NAMES).splitlines()
    assert (
        head.split()[:2] == ["class", "images"] and worst.startswith("T-shirt/top") and "75.0 ± 35.4" in best
    )
    cells = confusion_figure(by_class(row).matrix, CLASS_NAMES[:2]).data[0]
    assert cells.z[1][0] == 50.0 and cells.customdata[1][0] == "T-shirt/top taken for boot"


def test_a_result_from_before_says_that_it_has_none(studio):
    finish(studio.evaluate(arms=["selected"], controls=False))
    with sqlite3.connect(studio.workspace.ledger.path) as ledger:
        for number, text in ledger.execute("SELECT id, record FROM evaluations").fetchall():
            old = {key: value for key, value in json.loads(text).items() if key != "confusion"}
            ledger.execute("UPDATE evaluations SET record = ? WHERE id = ?", (json.dumps(old), number))
    (row,) = studio.table()
    with pytest.raises(SelectionError) as err:
        by_class(row)
    assert "before results by class were kept" in err.value.problem and err.value.fix
