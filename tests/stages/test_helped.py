"""Which picks helped: agreement foretells a small step, leaving out is the same student without the pick."""

from __future__ import annotations

import copy
import csv
import shutil

import numpy as np
import pytest
import torch
from tiny import finish

from psr_studio.app.studio import Studio
from psr_studio.cli.main import main
from psr_studio.core.errors import SelectionError
from psr_studio.method.distillation import hard_label_loss
from psr_studio.stages.evaluate.arms import plan_arms
from psr_studio.stages.evaluate.influence import Helped, agreements, groups_of, mean_gradient
from psr_studio.stages.evaluate.lessons import normalised
from psr_studio.stages.evaluate.training import Trainer
from psr_studio.stages.task import held_out_of, in_task

PICKS = 6  # two of each of three classes


@pytest.fixture
def selected(studio):
    studio.set({"evaluate.arms": ("selected",), "evaluate.n_seeds": 2})
    return studio


def helped(studio, **how) -> Helped:
    found = Helped(studio.workspace, studio.recipe, studio.bundle, **how)
    finish(found.run())
    return found


def held_out_loss(student: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        return float(hard_label_loss(student(images), labels))


@pytest.mark.parametrize("labels_of", ["teacher", "hard"])
def test_a_small_step_on_a_pick_lowers_the_held_out_loss_just_where_it_agrees(selected, labels_of):
    """The change of the loss over a step of h against a gradient g is -h |g| |r| cos: sign and size."""
    selected.set({"evaluate.labels": labels_of})
    trainer = Trainer(selected.workspace, selected.recipe, selected.bundle)
    (arm, *_) = plan_arms(selected.workspace, selected.recipe, selected.bundle)
    images, owners = held_out_of(selected.bundle, arm.classes)
    seen = normalised(images, selected.bundle, trainer.device)
    labels = torch.from_numpy(in_task(owners, arm.classes))
    begun = trainer.begin(arm, 0)
    list(begun.train(seen, labels, n_checks=1))
    reference = mean_gradient(begun, seen, labels, hard_label_loss)
    found, h = agreements(begun, reference), 1e-5
    before = held_out_loss(copy.deepcopy(begun.student).double().eval(), seen[:].double(), labels)
    for row in range(PICKS):
        stepped = copy.deepcopy(begun.student).double().eval()
        loss = begun.taught.loss(
            stepped(begun.images[row : row + 1].double()), begun.taught.targets[row : row + 1]
        )
        parts = torch.autograd.grad(loss, list(stepped.parameters()))
        size = torch.sqrt(sum((part**2).sum() for part in parts))
        with torch.no_grad():
            for weight, part in zip(stepped.parameters(), parts, strict=True):
                weight -= h * part / size
        change = before - held_out_loss(stepped, seen[:].double(), labels)
        assert change / (h * float(reference.norm())) == pytest.approx(found[row], abs=2e-3)


def test_leaving_out_is_the_same_student_without_the_pick(selected):
    """Held-out gains by hand: the student of the arm and the one without its first image, from the same seed."""
    selected.set({"evaluate.n_seeds": 1})
    found = helped(selected, leave_out=True)
    assert len(found.found) == PICKS and found.n_students == 1 + PICKS
    trainer = Trainer(selected.workspace, selected.recipe, selected.bundle)
    images, owners = held_out_of(selected.bundle, found.arm.classes)
    seen = normalised(images, selected.bundle, trainer.device)
    labels = torch.from_numpy(in_task(owners, found.arm.classes))
    losses = []
    for without in ((), (0,)):
        begun = trainer.begin(found.arm, selected.recipe.evaluate.seed, without)
        assert len(begun.images) == PICKS - len(without)
        list(begun.train(seen, labels, n_checks=1))
        losses.append(held_out_loss(begun.student.eval(), seen[:], labels))
    assert found.found[0].loss_gain[0] == pytest.approx(losses[1] - losses[0], abs=1e-5)


def test_groups_hold_every_pick_once(selected):
    record = next(r for r in selected.workspace.ledger.selections() if r.name == "current")
    for by, n in (("pick", PICKS), ("rank", 2), ("class", 3)):
        groups = groups_of(record, selected.bundle.class_names, by)
        assert len(groups) == n
        assert sorted(row for group in groups for row in group.rows) == list(range(PICKS))
    assert [group.candidate_id for group in groups_of(record, selected.bundle.class_names, "pick")] == (
        record.candidate_ids
    )
    with pytest.raises(SelectionError, match='not grouped by "colour"'):
        groups_of(record, selected.bundle.class_names, "colour")


def test_a_group_agrees_as_its_picks_do_on_average_and_students_are_seeds(selected):
    picks, ranks = helped(selected), helped(selected, by="rank")
    alone = np.array([one.agreement for one in picks.found])
    assert (
        alone.shape == (PICKS, 2) and (np.abs(alone) <= 1).all() and not np.allclose(alone[:, 0], alone[:, 1])
    )
    for one in ranks.found:
        assert np.allclose(one.agreement, alone[list(one.group.rows)].mean(axis=0))
        assert one.loss_gain == () == one.accuracy_gain, "off unless it is asked for"


def test_stopped_it_goes_on_and_ends_with_what_it_would_have_found(selected, tmp_path):
    """Closed after the second of eight students: the others are trained, and all numbers are those of one run."""
    shutil.copytree(selected.workspace.root, tmp_path / "other", ignore=shutil.ignore_patterns(".lock"))
    whole = helped(selected, by="class", leave_out=True)
    with Studio(tmp_path / "other") as other:
        events = other.helped(by="class", leave_out=True)
        parts = (event for event in events if event.part_done)
        next(parts), next(parts)
        events.close()
        begun = other.judged("class", leave_out=True)
        assert (begun.found, len(begun.missing)) == ([], 6)
        assert begun.todo_text.startswith(
            "To do: 6 of 8 students, for each seed one with all picks and one without "
        )
        said = finish(other.helped(by="class", leave_out=True))
        assert (said[0].resumed, said[-1].done, said[-1].total) == (6, 24, 24), "three epochs each"
        again = other.judged("class", leave_out=True)
        assert (
            again.found == whole.found and again.todo_text == "Judged by 8 students: nothing is left to do."
        )


def test_a_student_that_is_known_is_not_trained_again(selected):
    """Gradients take the ones with all picks, whatever the groups; another seed costs the difference alone."""
    first = helped(selected, by="rank", leave_out=True)
    assert first.seeds == [0, 1] and len(selected.workspace.ledger.judged()) == 6
    by_gradients = selected.judged()
    assert not by_gradients.missing and len(by_gradients.found) == PICKS
    assert finish(by_gradients.run())[0].message == "6 groups judged.", "nothing is opened or measured"
    selected.set({"evaluate.n_seeds": 3})
    more = selected.judged()
    assert len(more.missing) == 1 and more.seeds == [0, 1] and "n = 2 of 3, seeds 0, 1." in more.title
    selected.set({"evaluate.epochs": 4})
    assert len(selected.judged().missing) == 3 and not selected.judged().found


def test_the_command_prints_a_table_says_the_cost_first_and_writes_csv(selected, tmp_path, capsys):
    root = str(selected.workspace.root)
    selected.close()
    out = tmp_path / "helped.csv"
    asked = ["--set", "evaluate.n_seeds=2", "--set", 'evaluate.arms=["selected"]', "--csv", str(out)]
    assert main(["helped", "-w", root, "--by", "class", "--leave-out", *asked]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("Cost: 8 students, about ")
    assert "TracIn" in said.out and "loss gain" in said.out
    assert 'Selected "current" with labels "teacher, tau 1.5", protocol psr-kd' in said.out
    assert "n = 2, seeds 0, 1." in said.out
    with out.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["class_name"] for row in rows] == ["boot", "T-shirt/top", "dress"]
    assert all(row["images"] == "2" == row["n"] and float(row["loss_gain_std"]) >= 0 for row in rows)


def test_picks_that_did_not_help_are_tagged_and_found_by_a_query(selected, capsys):
    """A tag of an earlier run is taken from those that helped this time; one that is refused trains nothing."""
    root, ledger = selected.workspace.root, selected.workspace.ledger
    ids = selected.selection("current").candidate_ids.tolist()
    ledger.set_tag(ids, "idle")
    worth = {one.group.candidate_id: one.worth for one in helped(selected).found}
    selected.close()
    asked = ["-w", str(root), "--set", "evaluate.n_seeds=2", "--set", 'evaluate.arms=["selected"]']
    assert main(["helped", *asked, "--tag", "idle"]) == 0
    capsys.readouterr()
    assert main(["candidates", "-w", str(root), "--where", "tag idle"]) == 0
    found = {int(row["candidate_id"]) for row in csv.DictReader(capsys.readouterr().out.splitlines())}
    assert found == {cid for cid, value in worth.items() if value <= 0}
    assert main(["helped", *asked, "--tag", 'a"b']) == 2
    assert "epoch" not in capsys.readouterr().err


def test_without_the_only_group_there_is_nothing_to_train_on(selected):
    finish(selected.select(ipc=1))
    with pytest.raises(SelectionError) as err:
        Helped(selected.workspace, selected.recipe, selected.bundle, "rank", leave_out=True)
    assert "There is 1 group" in err.value.problem and "single picks" in err.value.fix
