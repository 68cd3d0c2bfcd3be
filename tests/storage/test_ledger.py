"""The ledger: undo and redo are inverse, survive a restart, and threads lose nothing."""

import json
import sqlite3
import threading
from dataclasses import asdict, replace

import pytest

from psr_studio.core.errors import JobError, SelectionError, WorkspaceError
from psr_studio.storage import history
from psr_studio.storage.ledger import Ledger
from psr_studio.storage.records import EvaluationRecord, SelectionRecord
from psr_studio.storage.trials import TrialRecord


@pytest.fixture
def ledger(tmp_path):
    with_ledger = Ledger(tmp_path / "studio.sqlite")
    yield with_ledger
    with_ledger.close()


def reopen(ledger: Ledger) -> Ledger:
    ledger.close()
    return Ledger(ledger.path)


def state(ledger: Ledger) -> tuple:
    return ledger.marks(), ledger.pinned(), ledger.vetoed(), ledger.settings()


def test_pins_keep_their_order_and_a_veto_takes_a_pin_away(ledger):
    ledger.set_marks([30, 10, 20], "pin", reason="clean")
    ledger.set_marks([10], "veto", "duplicate")
    assert ledger.pinned() == [30, 20]
    assert ledger.vetoed() == [10]
    assert ledger.mark_reasons() == {30: "clean", 20: "clean", 10: "duplicate"}
    ledger.set_marks([10, 30], None)
    assert ledger.marks() == {20: "pin"}


def test_undo_walks_back_through_every_state_and_redo_forth(ledger):
    """States s0..s5 of five actions: undo visits s4..s0, redo s1..s5, also across a restart in the middle."""
    states = [state(ledger)]
    actions = [
        lambda book: book.set_marks([3, 1, 2], "pin"),
        lambda book: book.set_settings({"alpha": 3.0, "ipc": 10}),
        lambda book: book.set_marks([1, 7], "veto", "blurred"),
        lambda book: book.set_settings({"alpha": None}),
        lambda book: book.set_marks([3, 1], None),
    ]
    descriptions = []
    for act in actions:
        descriptions.append(act(ledger))
        states.append(state(ledger))
    assert len({str(s) for s in states}) == 6
    for i in (4, 3):
        assert ledger.next_undo() == descriptions[i] == ledger.undo()
        assert state(ledger) == states[i]
    ledger = reopen(ledger)
    for i in (2, 1, 0):
        assert ledger.undo() == descriptions[i]
        assert state(ledger) == states[i]
    assert ledger.undo() is None and ledger.next_undo() is None
    ledger = reopen(ledger)
    for i in range(5):
        assert ledger.next_redo() == descriptions[i] == ledger.redo()
        assert state(ledger) == states[i + 1]
    assert ledger.redo() is None and ledger.next_redo() is None
    ledger.close()


def test_a_new_action_drops_what_was_undone(ledger):
    ledger.set_marks([1], "pin")
    ledger.set_marks([2], "pin")
    ledger.undo()
    ledger.set_marks([3], "pin")
    assert ledger.redo() is None
    assert ledger.pinned() == [1, 3]
    ledger.undo()
    ledger.undo()
    assert ledger.marks() == {}


def test_the_list_of_actions_marks_what_was_undone_and_forgets_what_was_dropped(ledger):
    for cid in (1, 2, 3):
        ledger.set_marks([cid], "pin")
    ledger.undo()
    ledger.undo()
    listed = [(a["description"], a["undone"]) for a in ledger.actions()]
    assert listed == [("pin candidate 3", True), ("pin candidate 2", True), ("pin candidate 1", False)]
    ledger.set_marks([4], "veto")
    assert [a["description"] for a in ledger.actions()] == ["veto candidate 4", "pin candidate 1"]
    assert [a["description"] for a in ledger.actions(limit=1)] == ["veto candidate 4"]


def test_an_action_that_changes_nothing_is_no_action(ledger):
    ledger.set_marks([1], "pin", "sharp")
    ledger.set_settings({"ipc": 10})
    assert ledger.set_marks([1, 1], "pin", "sharp") is None
    assert ledger.set_marks([5], None) is None
    assert ledger.set_settings({"ipc": 10}) is None
    assert (ledger.undo(), ledger.undo(), ledger.undo()) == ("K 10", "pin candidate 1", None)


def test_one_drag_of_a_slider_is_one_undo(ledger):
    ledger.set_settings({"alpha": 1.0})
    for value in (1.5, 2.0, 2.5):
        ledger.set_settings({"alpha": value}, merge_within=0.0 if value == 1.5 else 60.0)
    ledger.set_settings({"gamma": 1.0}, merge_within=60.0)
    assert ledger.undo() == "gamma 1"
    assert ledger.undo() == "alpha 1 to 2.5"
    assert ledger.settings() == {"alpha": 1.0}
    ledger.redo()
    assert ledger.settings() == {"alpha": 2.5}


def test_one_gesture_is_one_undo_however_long_and_whatever_it_moves(ledger):
    """A weight that leaves its preset writes all three, a later move of the drag only its own. The words begin
    where the drag did.
    """
    for values in ({"alpha": 1.0, "beta": 2.0}, {"alpha": 1.5}, {"alpha": 2.0, "ipc": 3}):
        now = {"alpha": 0.5, "beta": 2.0, "ipc": 10} | ledger.settings()
        words = ledger.set_settings(values, gesture="a", absent=now)
    assert words == "alpha 0.5 to 2, K 10 to 3"
    ledger.set_settings({"alpha": 4.0}, merge_within=0.0, gesture="b")
    assert ledger.settings() == {"alpha": 4.0, "beta": 2.0, "ipc": 3}
    ledger.undo()
    assert ledger.settings() == {"alpha": 2.0, "beta": 2.0, "ipc": 3}
    ledger.undo()
    assert ledger.settings() == {} and ledger.undo() is None
    ledger.redo()
    assert ledger.settings() == {"alpha": 2.0, "beta": 2.0, "ipc": 3}


def test_a_drag_is_told_by_this_process_and_not_by_the_calendar(ledger, monkeypatch):
    """Three moves, the clock on the wall set back by an hour before each, 0.5 and 5 s after the move before: the first
    two are one drag. A move that another process made a moment ago is not continued.
    """
    wall, own = iter(range(10**9, 0, -3600)), iter((100.0, 100.5, 100.5, 105.5, 105.5))
    monkeypatch.setattr(history.time, "time", lambda: float(next(wall)))
    monkeypatch.setattr(history.time, "monotonic", lambda: next(own))
    for value in (1.0, 2.0, 3.0):
        ledger.set_settings({"alpha": value}, merge_within=1.0)
    monkeypatch.undo()
    assert [row["description"] for row in ledger.actions()] == ["alpha 2 to 3", "alpha 2"]
    ledger = reopen(ledger)
    ledger.set_settings({"alpha": 4.0}, merge_within=3600.0)
    assert ledger.undo() == "alpha 3 to 4"
    ledger.close()


@pytest.mark.parametrize("limit", [-1, 0, 10**30])
def test_any_number_of_actions_may_be_asked_for(ledger, limit):
    ledger.set_marks([1], "pin")
    assert len(ledger.actions(limit)) == (limit > 0)


def test_an_unknown_mark_is_refused(ledger):
    with pytest.raises(
        SelectionError, match='There is no mark "star".\nUse one of: pin, veto, or none to clear.'
    ):
        ledger.set_marks([1], "star")


def test_threads_lose_no_action(ledger):
    """8 threads make 20 single marks each: 160 marks, and 160 undos lead back to none."""

    def work(thread: int) -> None:
        for i in range(20):
            ledger.set_marks([thread * 100 + i], "pin" if i % 2 else "veto")

    threads = [threading.Thread(target=work, args=(t,)) for t in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.marks()) == 160
    undone = 0
    while ledger.undo():
        undone += 1
    assert undone == 160 and ledger.marks() == {}


def selection(name: str = "current", created: float = 1.0) -> SelectionRecord:
    return SelectionRecord(
        name,
        picks={1: [1_000_002, 1_000_000], 0: [4]},
        scores={1: [3.0, 2.5], 0: [1.0]},
        terms={1: [[3.0, -0.1, 0.0], [2.0, -0.2, 0.7]], 0: [[1.0, 0.0, 0.0]]},
        filled={1: [False, True], 0: [False]},
        shortfall={0: 1, 1: 0},
        settings={"alpha": 3.0, "ipc": 2},
        inputs_hash="ab",
        created=created,
    )


def test_a_selection_comes_back_equal(ledger):
    ledger.save_selection(selection())
    ledger.save_selection(selection("woof", created=0.5))
    ledger = reopen(ledger)
    assert ledger.selection("current") == selection()
    assert [s.name for s in ledger.selections()] == ["woof", "current"]
    assert ledger.selection("current").candidate_ids == [4, 1_000_002, 1_000_000]
    ledger.delete_selection("woof")
    assert len(ledger.selections()) == 1
    ledger.close()


def test_a_selection_keeps_its_note_and_the_marks_it_was_made_with(ledger):
    marked = replace(selection(), note="first try", marks={"pin": [7, 3], "veto": [5]})
    ledger.save_selection(marked)
    ledger.note_selection("current", "kept for the talk")
    assert ledger.selection("current") == replace(marked, note="kept for the talk")


def test_a_selection_from_before_notes_and_marks_is_still_read(ledger):
    """A row as the first release wrote it: the same JSON without the two fields."""
    record = asdict(selection())
    del record["note"], record["marks"]
    with sqlite3.connect(ledger.path) as db:
        db.execute("INSERT INTO selections VALUES (?, ?, ?)", ("current", 1.0, json.dumps(record)))
    assert ledger.selection("current") == selection()
    assert (ledger.selection("current").note, ledger.selection("current").marks) == ("", {})


def test_an_unknown_selection_names_those_there_are(ledger):
    with pytest.raises(SelectionError, match="No selection is saved in this workspace.") as caught:
        ledger.selection("current")
    saving = '"Save selection as" on the Curate tab (or run `psr-studio select`)'
    assert caught.value.fix == f"Press {saving} first."
    ledger.save_selection(selection("woof-10"))
    with pytest.raises(SelectionError) as caught:
        ledger.selection("woof-1")
    assert caught.value.problem == 'There is no selection "woof-1". Selections: woof-10.'
    assert caught.value.fix == f'Did you mean "woof-10"? Name one of them, or press {saving}.'


def test_jobs_of_a_dead_process_become_interrupted(ledger):
    done, running, waiting = (ledger.create_job("pool", {"preset": "x"}) for _ in range(3))
    ledger.update_job(done, status="done", done=5, total=5)
    ledger.update_job(running, status="running", done=2, total=5, message="class 1")
    watcher = Ledger(ledger.path, exclusive=False)  # a second reader must not touch what runs
    assert watcher.job(running).status == "running"
    watcher.close()
    ledger = reopen(ledger)
    assert [job.status for job in ledger.jobs()] == ["interrupted", "interrupted", "done"]
    job = ledger.job(running)
    assert (job.done, job.total, job.message, job.params) == (2, 5, "class 1", {"preset": "x"})
    assert job.started is not None and job.finished is not None
    assert ledger.job(waiting).started is None
    ledger.close()


DAMAGE = {
    "selections": ("record", '{"name": "current", "picks"', 'the selection "current"'),
    "evaluations": ("record", '{"last": "high"}', 'the result "1"'),
    "trials": ("record", "[]", 'the trial "1"'),
    "jobs": ("params", "{", 'the job "1"'),
    "settings": ("value", "", 'the setting "alpha"'),
    "marks": ("mark", "pinned", 'the mark "7"'),
}


@pytest.mark.parametrize("table", DAMAGE)
@pytest.mark.parametrize("rubbish", [False, True])
def test_a_damaged_row_costs_only_itself_and_is_said_once(ledger, table, rubbish):
    """One of two rows of each table holds half a record, or bytes that are no text; everything else is read."""
    for name in ("current", "other"):
        ledger.save_selection(selection(name))
        ledger.create_job("pool", {})
        ledger.add_evaluation(
            EvaluationRecord("current", "refined", "c", "kd", "t", 1, 0, 1, 0.5, 0.5, [(1, 0.5)], 1.0, "h")
        )
        ledger.add_trial(TrialRecord("s", 0, "knn", 0.5, {}, {}, "h", 1, 1.0))
    ledger.set_settings({"alpha": 1.0, "gamma": 2.0})
    ledger.set_marks([7, 8], "pin")

    def sizes() -> dict[str, int]:
        return {
            "selections": len(ledger.selections()),
            "evaluations": len(ledger.evaluations()),
            "trials": len(ledger.trials()),
            "jobs": len(ledger.jobs()),
            "settings": len(ledger.settings()),
            "marks": len(ledger.pinned()),
        }

    assert set(sizes().values()) == {2} and ledger.unreadable() == []
    column, value, words = DAMAGE[table]
    wrong = "X'FFFEFF'" if rubbish else f"'{value}'"
    with sqlite3.connect(ledger.path) as db:
        db.execute(
            f"UPDATE {table} SET {column} = CAST({wrong} AS TEXT) WHERE rowid = (SELECT min(rowid) FROM {table})"
        )
    for _ in range(2):
        assert sizes() == {name: 1 if name == table else 2 for name in DAMAGE}
        assert ledger.unreadable() == [f'{words} of "studio.sqlite", which cannot be read']


def test_a_damaged_selection_and_a_damaged_action_are_said(ledger):
    ledger.save_selection(selection())
    ledger.set_marks([1], "pin")
    with sqlite3.connect(ledger.path) as db:
        db.execute("UPDATE selections SET record = '{'")
        db.execute("UPDATE actions SET before = '{'")
    with pytest.raises(SelectionError, match='"current" is damaged in the ledger') as caught:
        ledger.selection("current")
    assert caught.value.fix == "Save it anew under this name, or name another one."
    with pytest.raises(SelectionError, match='The action "pin candidate 1" is damaged in the ledger'):
        ledger.undo()
    assert ledger.pinned() == [1] and ledger.next_undo() == "pin candidate 1"


def test_an_unknown_job_is_said(ledger):
    with pytest.raises(JobError, match="There is no job 7 in this workspace."):
        ledger.job(7)


def test_evaluations_come_back_equal_and_in_order(ledger):
    records = [
        EvaluationRecord(
            "current", arm, "convnet-3", "kd", "teacher", 10, seed, 100, 0.7, 0.72, [(30, 0.6)], 9.5, "h"
        )
        for arm in ("refined", "random real")
        for seed in (0, 1)
    ]
    for record in records:
        ledger.add_evaluation(record)
    assert ledger.evaluations() == records


def test_a_newer_format_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "studio.sqlite"
    Ledger(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.close()
    with pytest.raises(WorkspaceError) as caught:
        Ledger(path)
    assert caught.value.problem.endswith("has format version 7; this PSR Studio reads versions up to 1.")
    assert caught.value.fix.startswith("Update PSR Studio")
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (7,)
    db.close()


def test_a_damaged_ledger_is_named(tmp_path):
    path = tmp_path / "studio.sqlite"
    path.write_bytes(b"this is no database" * 300)
    with pytest.raises(
        WorkspaceError, match="is damaged: file is not a database.\nPut a backup in its place, "
    ):
        Ledger(path)


def test_a_full_disk_loses_nothing(ledger):
    """SQLite's own page limit stands for the disk: what does not fit is refused whole."""
    ledger.save_selection(selection())
    db = ledger._db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(WorkspaceError, match="The disk is full: .* cannot be written"):
        ledger.set_marks(range(50_000), "pin")
    assert ledger.marks() == {} and ledger.next_undo() is None
    assert ledger.selection("current") == selection()
