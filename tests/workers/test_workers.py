"""Several workers: the same bytes whoever dies, nothing lost but what was in flight, and nobody left behind."""

from __future__ import annotations

import queue
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest
from steps import SIZES, bytes_of, open_studio
from tiny import finish, run_python, tiny_recipe
from worker_threads import ThreadWorkers

from psr_studio.app.jobs import JobWorker
from psr_studio.app.studio import Studio
from psr_studio.cli.main import main
from psr_studio.core.errors import JobError, StudioError, WorkspaceError
from psr_studio.core.progress import Progress
from psr_studio.stages import evaluate
from psr_studio.stages.batches import FinishParts, Group, Work, plan_work
from psr_studio.stages.generate import stage as pool
from psr_studio.stages.refine import stage as refine
from psr_studio.stages.score import stage as score
from psr_studio.stages.stage import Held, Stage
from psr_studio.stages.table import STAGES
from psr_studio.workers import driver, local
from psr_studio.workers.messages import Message, Task
from psr_studio.workers.request import WorkerRequest, worker_request
from psr_studio.workers.worker import run_task

SECONDS = 60.0  # far beyond what any of these needs

DRIVER = """
from pathlib import Path
from steps import open_studio
root, bundle = map(Path, sys.argv[1:3])
with open_studio(root, bundle, workers=1) as studio:
    for event in studio.generate():
        print(int(event.part_done), flush=True)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """What one undisturbed process makes: pool, scores, a selection and its refinement."""
    root = tmp_path_factory.mktemp("whole") / "ws"
    with Studio(root, tiny_recipe(tiny_bundle, **SIZES)) as studio:
        for stage in ("pool", "score", "select", "refine"):
            finish(studio.runs[stage]())
    return root


def without(whole: Path, root: Path, *folders: str) -> Path:
    """A copy that lacks some folders."""
    shutil.copytree(whole, root)
    for name in folders:
        shutil.rmtree(root / name)
    return root


def shared(threads: ThreadWorkers, stage: Any, studio: Studio, **options: Any) -> Iterator[Any]:
    """A step done by threads of our own."""
    return driver.run(threads, stage.STAGE, studio.workspace, studio.recipe, studio.bundle, **options)  # type: ignore


def our_workers() -> list[psutil.Process]:
    return [
        p for p in psutil.Process().children() if not gone(p) and "psr_studio.workers.process" in p.cmdline()
    ]


def gone(process: psutil.Process) -> bool:
    """Whether it has ended, waited for or not."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_worker_costs_its_group_and_no_byte(tmp_path, tiny_bundle, whole):
    """SIGKILL to one of two in the middle: a third takes over, and the pool is that of an undisturbed run."""
    with open_studio(tmp_path / "ws", tiny_bundle, workers=2) as studio:
        closed = studio.generate()
        assert next(closed).message == "Starting 2 workers on this machine."
        until(lambda: len(our_workers()) == 2)
        closed.close()
        assert not our_workers(), "cancelled while they started"

        events, killed = [], False
        for event in studio.generate():
            events.append(event)
            if event.part_done and not killed:
                killed = True
                our_workers()[-1].kill()
        assert not our_workers() and not list(tmp_path.rglob(".tmp-*"))
    assert any("A worker was ended by signal 9" in e.message for e in events)
    assert any(e.message.startswith(("1 worker: Wrote 3", "2 workers: Wrote 3")) for e in events)
    costs = [e.message for e in events if e.lasting]
    at_work = [bool(e.part_done or e.previews) for e in events]
    assert not any(at_work[: [e.lasting for e in events].index(True)]), "the cost comes before the work"
    assert len(costs) == 1 and costs[0].startswith("Cost: 18 images") and costs[0].endswith("by 2 workers.")
    assert [e.done for e in events] == sorted(e.done for e in events) and events[-1].done == 18
    assert bytes_of(tmp_path / "ws" / "pool") == bytes_of(whole / "pool")


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of another process are set")
def test_a_killed_driver_and_then_a_full_disk_lose_no_part(tmp_path, tiny_bundle, whole):
    """SIGKILL to who hands out: its pipes close, so its one worker goes too. Then the kernel lets no worker write.

    Each time what was written is kept, and in the end the pool is that of an undisturbed run.
    """
    import resource

    root = tmp_path / "ws"
    process = run_python(DRIVER, root, tiny_bundle)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "1":
            break
    (orphan,) = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    process.stdout.close()
    until(lambda: gone(orphan))
    # a file that was being written is cleared away by who goes on
    first = {name: held for name, held in bytes_of(root / "pool").items() if ".tmp-" not in name}
    assert 1 <= len(first) < 5

    with open_studio(root, tiny_bundle, workers=1) as studio, pytest.raises(WorkspaceError) as refused:
        for event in studio.generate():
            for worker in our_workers() if event.part_done else ():
                resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (100, 100))
    assert refused.value.problem.endswith("this process may write files of 0.1 KiB at most.")
    assert refused.value.fix.endswith("then run the step again: whole parts are kept.")
    assert not our_workers()
    assert not [p for p in root.rglob(".*") if p.name != ".lock"], "neither half a part nor a token is left"
    kept = bytes_of(root / "pool")
    assert len(first) < len(kept) < 6 and first.items() <= kept.items() <= bytes_of(whole / "pool").items()

    with open_studio(root, tiny_bundle) as studio:
        assert finish(studio.generate())[0].resumed == 3 * len(kept)
    assert bytes_of(root / "pool") == bytes_of(whole / "pool")


@pytest.mark.parametrize(("stage", "folder"), [(score, "scores"), (refine, "refined")])
def test_scores_and_refined_picks_are_the_same_bytes_by_three(tmp_path, tiny_bundle, whole, stage, folder):
    root = without(whole, tmp_path / "ws", folder)
    with open_studio(root, tiny_bundle) as studio:
        events = finish(shared(ThreadWorkers(3), stage, studio))
    assert events[-1].done == events[-1].total == (18 if stage is score else 6)
    assert sum(e.part_done for e in events) == len(bytes_of(whole / folder))
    assert bytes_of(root / folder) == bytes_of(whole / folder)
    assert events[-1].message in WHOLE, "it tells of all classes, not of the last one"


WHOLE = [
    "The pool is complete: 18 candidates of 3 classes.",
    "Every candidate is scored: 18 of 3 classes.",
    '"current" is refined: 6 pictures of 3 classes.',
]


def test_a_step_that_is_done_starts_nobody(tmp_path, tiny_bundle, whole):
    root = without(whole, tmp_path / "ws")
    with open_studio(root, tiny_bundle) as studio:
        threads = ThreadWorkers()
        said = [e.message for stage in (pool, score, refine) for e in shared(threads, stage, studio)]
    assert said == WHOLE
    assert not threads.started


def test_an_imported_pool_is_left_alone(tmp_path, tiny_bundle, whole):
    import json

    root = without(whole, tmp_path / "ws")
    about = {"source": "elsewhere", "codec": "x", "counts": {"boot": 18}, "parts": {}}
    (root / "pool" / "import.json").write_text(json.dumps(about), encoding="utf-8")
    (root / "pool" / "class=1" / "part-00000.parquet").unlink()
    with open_studio(root, tiny_bundle) as studio:
        threads = ThreadWorkers()
        (event,) = finish(shared(threads, pool, studio))
    assert event.message.startswith('This pool was imported from "elsewhere"') and not threads.started


def test_one_class_alone_is_generated_by_several(tmp_path, tiny_bundle, whole):
    with open_studio(tmp_path / "ws", tiny_bundle) as studio:
        finish(shared(ThreadWorkers(), pool, studio, only=[1]))
    made = bytes_of(tmp_path / "ws" / "pool")
    assert made.keys() == {"class=1/part-00000.parquet", "class=1/part-00001.parquet"}
    assert made.items() <= bytes_of(whole / "pool").items()


def test_a_group_that_kills_whoever_takes_it_is_named(tmp_path, tiny_bundle, whole):
    """One worker at a time, and each dies over the first group: the third is the last."""
    root = without(whole, tmp_path / "ws", "refined")
    with open_studio(root, tiny_bundle) as studio, pytest.raises(JobError) as refused:
        finish(shared(ThreadWorkers(1, frozenset({1, 2, 3})), refine, studio))
    assert refused.value.problem == (
        '3 workers died while they worked on the picks from "boot" on; the last one fell over.'
    )
    assert refused.value.fix.startswith("Run the step again without workers to see where it fails")


def test_a_group_whose_worker_died_twice_is_made_by_the_third(tmp_path, tiny_bundle, whole):
    root = without(whole, tmp_path / "ws", "refined")
    with open_studio(root, tiny_bundle) as studio:
        events = finish(shared(ThreadWorkers(1, frozenset({1, 2})), refine, studio))
    told = [e.message for e in events if "fell over" in e.message]
    assert told == ['A worker fell over. The picks from "boot" on are made again.'] * 2
    assert bytes_of(root / "refined") == bytes_of(whole / "refined")


def test_a_damaged_part_is_named_when_the_others_are_scored(tmp_path, tiny_bundle, whole):
    root = without(whole, tmp_path / "ws", "scores")
    (root / "pool" / "class=1" / "part-00000.parquet").write_bytes(b"no parquet")
    with open_studio(root, tiny_bundle) as studio, pytest.raises(WorkspaceError) as refused:
        finish(shared(ThreadWorkers(), score, studio))
    assert refused.value.problem.startswith("1 part of the pool could not be scored.")
    assert len(bytes_of(root / "scores")) == 5


def test_stop_after_this_part_lets_the_groups_in_flight_finish(tmp_path, tiny_bundle, whole):
    """Both workers hold a group when the first part is written: that of the other is written too, and no third."""
    root = without(whole, tmp_path / "ws", "pool", "scores", "refined")
    with open_studio(root, tiny_bundle) as studio:
        threads = ThreadWorkers()
        worker = JobWorker(studio.workspace.ledger, {"pool": lambda: stopping(shared(threads, pool, studio))})

        def stopping(events: Iterator[Any]) -> Iterator[Any]:
            worker.stop_after_part(1)
            return events

        state = worker.wait(worker.submit("pool"), SECONDS)
        worker.close()
        assert (state.state, state.done) == ("cancelled", 6)
        assert pool.status(studio.workspace, studio.recipe, studio.bundle).state == "partial"
    kept = bytes_of(root / "pool")
    assert len(kept) == 2 and kept.items() <= bytes_of(whole / "pool").items()


def test_stop_after_this_part_ends_a_step_of_one_process_where_it_is(tmp_path, tiny_bundle):
    with open_studio(tmp_path / "ws", tiny_bundle) as studio:
        events = studio.generate()
        while not next(events).part_done:
            pass
        with pytest.raises(FinishParts):
            events.throw(FinishParts())
        assert len(bytes_of(tmp_path / "ws")) == 1


def test_workers_that_cannot_start_are_an_error_with_their_last_words(tmp_path, tiny_bundle, monkeypatch):
    """A Python that ends at once stands for a broken installation."""
    monkeypatch.setattr(local, "COMMAND", [sys.executable, "-c", "import sys; sys.exit('no torch here')"])
    with open_studio(tmp_path / "ws", tiny_bundle, workers=1) as studio, pytest.raises(JobError) as refused:
        finish(studio.generate())
    assert refused.value.problem == (
        "3 workers died while they started; the last one ended with status 1: no torch here."
    )


def test_a_folder_that_is_not_shared_is_said_clearly(tmp_path):
    from psr_studio.recipe.schema import Recipe

    said: list[Message] = []
    run_task(Task("pool", tmp_path, ".workers-x", Recipe(), 1, 0, 1), queue.SimpleQueue(), said.append)
    (err,) = said
    assert isinstance(err, WorkspaceError)
    assert err.problem.startswith(f'The workspace "{tmp_path}" is not the same folder on "')
    assert err.fix.startswith("Put the workspace on a disk that all machines mount under the same path")


def test_units_that_lack_one_keep_their_group():
    """Groups are those of all units, so that a batch is computed again as it was."""
    work = plan_work({10: 3, 11: 3, 12: 3}, {11, 12}, 6, lambda units: f"from {units[0]}")
    assert (work.total, work.found) == (9, 3)
    assert work.groups == (Group(0, (10, 11), (11,), 3, "from 10"), Group(1, (12,), (12,), 3, "from 12"))


@pytest.mark.parametrize(
    ("asked", "problem", "fix"),
    [
        ({"workers": 0}, "0 workers are asked for, but the number must be 1 to 1024.", 'Set "--workers" to'),
        ({"workers": 2, "ray": "auto"}, 'Both 2 workers and Ray at "auto" are asked for', "Leave out"),
        ({"ray": " "}, "Ray is asked for without an address.", 'Set "--ray" to "auto"'),
    ],
)
def test_what_is_asked_for_is_checked_before_anything_is_opened(tmp_path, asked, problem, fix):
    with pytest.raises(StudioError) as refused:
        Studio(tmp_path / "ws", "fashion-mnist", **asked)
    assert refused.value.problem.startswith(problem) and refused.value.fix.startswith(fix)
    assert not (tmp_path / "ws").exists()


def test_without_ray_the_error_says_how_to_get_it(monkeypatch):
    """As on a machine without it: the finder of modules does not know the name."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StudioError) as refused:
        worker_request(ray="auto")
    assert refused.value.problem == '"--ray auto" needs Ray, which is not installed here.'
    assert 'pip install -e ".[ray]"' in refused.value.fix


def test_nobody_is_asked_for_by_default():
    assert worker_request() is None and worker_request(workers=1) == WorkerRequest(1)


def test_the_command_line_refuses_a_wrong_number(tmp_path, capsys):
    assert main(["generate", "--workspace", str(tmp_path / "ws"), "--workers", "0"]) == 2
    assert capsys.readouterr().err.startswith("Problem: 0 workers are asked for")


def test_a_bundle_given_by_a_relative_path_is_found_elsewhere(tmp_path, tiny_bundle, monkeypatch):
    """Workers stand in folders of their own, so the task names the bundle in full."""
    monkeypatch.chdir(tiny_bundle.parent)
    recipe = tiny_recipe(Path(f"./{tiny_bundle.name}")).with_values({"bundle": f"./{tiny_bundle.name}"})
    with Studio(tmp_path / "ws", recipe) as studio:
        task = driver.task_of("pool", studio.workspace, "t", recipe, Work(1, 0, ()))
    assert Path(task.recipe.bundle).is_absolute() and Path(task.recipe.bundle).samefile(tiny_bundle)


def test_a_stage_says_itself_which_selections_its_workers_read(tmp_path, whole, monkeypatch):
    """And is given them as they were when it began."""
    own = ModuleType("a_stage_of_ours")

    def left(ws, recipe, bundle, names):
        written = (ws.root / "names").exists()
        return plan_work({0: 1}, set() if written else {0}, 1, lambda _: f"the names {names}")

    def run(ws, recipe, bundle, share):
        for done, group in enumerate(share.groups, 1):
            (ws.root / "names").write_text(f"{group.name}, {[one.name for one in ws.ledger.selections()]}")
            yield Progress("ours", done, 1, "Wrote them.", part_done=True)

    own.left = own.begin = left
    own.run = run
    own.held = lambda ws, recipe, bundle: Held((ws.ledger.selection("current"),), {"names": "of then"})
    monkeypatch.setitem(sys.modules, own.__name__, own)
    stage = Stage("ours", "Name", "Naming", "Names.", tab="curate", code=own.__name__, shared=True)
    monkeypatch.setitem(STAGES, "ours", stage)
    with Studio(without(whole, tmp_path / "ws")) as studio:
        finish(studio.select(name="another"))
        finish(shared(ThreadWorkers(1), SimpleNamespace(STAGE=stage), studio))
    assert (tmp_path / "ws" / "names").read_text() == "the names of then, ['current']"


def test_students_are_trained_side_by_side_to_the_same_bits(tmp_path, tiny_bundle, whole):
    """By a process, and by two of which one dies over its first student: each student is trained once, as by none."""

    def trained(studio: Studio) -> dict[str, tuple]:
        return {
            r.inputs_hash: (
                r.arm,
                r.seed,
                r.last,
                r.best,
                r.curve,
                r.confusion,
                r.ece,
                r.n_images,
                r.pictures_hash,
            )
            for r in studio.workspace.ledger.evaluations()
        }

    with Studio(without(whole, tmp_path / "chosen")) as studio:
        finish(studio.select(selector="random", name="by chance"))
        studio.set({"select.selector": "psr", "select.name": "current", "evaluate.compare": ["by chance"]})
    copies = [shutil.copytree(tmp_path / "chosen", tmp_path / name) for name in ("alone", "one", "two")]
    with Studio(copies[0]) as studio:
        finish(studio.evaluate())
        wanted, table = trained(studio), [row.cells[:11] for row in studio.table()]
    with Studio(copies[1], workers=1) as studio:
        events = finish(studio.evaluate())
        assert trained(studio) == wanted and [row.cells[:11] for row in studio.table()] == table
        assert events[-1].done == events[-1].total and any(e.message.startswith("1 worker: ") for e in events)
        (done,) = finish(studio.evaluate())
        assert done.message == "All 12 students are trained."
    with Studio(copies[2]) as studio:
        events = finish(shared(ThreadWorkers(2, frozenset({1})), evaluate, studio))
        assert trained(studio) == wanted
        assert any(e.message.startswith("2 workers: ") for e in events)
        assert any("The epochs of " in e.message and "are made again." in e.message for e in events)
        costs = [e.message for e in events if e.lasting]
        assert (
            len(costs) == 1
            and costs[0].startswith("Cost: 12 students")
            and costs[0].endswith("by 2 workers.")
        )
