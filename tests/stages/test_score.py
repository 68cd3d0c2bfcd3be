"""Score: the teacher's outputs of every candidate, of this pool and this teacher, or a named error."""

from __future__ import annotations

import shutil
import time

import numpy as np
import pytest
import torch
from steps import break_teacher
from tiny import EMBEDDING, finish, tiny_recipe

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.core.errors import ModelError, WorkspaceError
from psr_studio.stages.batches import Work, plan_work
from psr_studio.stages.score import stage as score
from psr_studio.storage.pool import Pool


def test_scores_are_the_teachers_answers_on_the_stored_pictures(studio):
    from psr_studio.models.levels import from_uint8

    teacher = studio.bundle.teacher(torch.device("cpu"))
    logits, embeddings = teacher.predict(from_uint8(studio.pool.images))
    assert studio.scores.logits.shape == (18, 3) and studio.scores.embeddings.shape == (18, EMBEDDING)
    assert np.allclose(studio.scores.logits, logits.numpy(), atol=1e-5)
    assert np.allclose(studio.scores.embeddings, embeddings.numpy(), atol=1e-5)


def test_pictures_at_rest_are_scored_as_converted_ones(studio):
    """The device converts them; on a CPU to the same bits."""
    from psr_studio.models.levels import from_uint8

    teacher = studio.bundle.teacher(torch.device("cpu"))
    pictures = studio.pool.images
    for one, other in zip(
        teacher.predict(torch.from_numpy(pictures), 7), teacher.predict(from_uint8(pictures), 7), strict=True
    ):
        assert torch.equal(one, other)


def test_pictures_are_decoded_ahead_where_a_device_computes(studio):
    """The next part's file is read while the first is in hand; alone they come group by group, one at a time."""
    for beside in (False, True):
        pool = Pool([part.path for part in studio.pool.parts()])
        parts = dict(enumerate(pool.parts()))
        work = plan_work(dict.fromkeys(parts, 3), [1, 2, 4, 5], batch_size=6, words=str)
        found = score.decoded(pool, parts, work, alone=True, beside=beside)
        first, pictures = next(found)
        until = time.monotonic() + 20
        while beside and len(pool.encoded) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(pool.encoded) == (2 if beside else 1)
        rest = list(found)
        assert [part.path for part in (first, *(part for part, _ in rest))] == [
            parts[n].path for n in (1, 2, 4, 5)
        ]
        for part, images in ((first, pictures), *rest):
            assert np.array_equal(images, pool.images_at(pool.positions(part.candidate_ids)))


def test_one_of_several_processes_ends_its_group_before_it_asks_for_the_next(studio):
    """What it decoded ahead it could not score while it waits, and others would wait for it."""
    pool, asked = studio.pool, []
    parts = dict(enumerate(pool.parts()))
    whole = plan_work(dict.fromkeys(parts, 3), list(parts), batch_size=6, words=str)

    def handed():
        for group in whole.groups:
            asked.append(group.number)
            yield group

    taken = []
    for part, _ in score.decoded(pool, parts, Work(18, 0, handed()), alone=False, beside=True):
        taken.append((part.part + 2 * part.class_id, len(asked)))
    assert taken == [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (5, 3)]


def test_each_part_is_a_safe_place_to_stop(tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, score__batch_size=2)) as studio:
        finish(studio.generate())
        events = studio.score()
        while not (event := next(events)).part_done:
            pass
        events.close()
        assert event.done == 3 and 0 <= event.metrics["agreement"] <= 1
        assert studio.status()["score"].reason == "1 of 6 score parts are there."
        events = finish(studio.score())
        assert events[0].resumed == 3 and events[-1].done == events[-1].total == 18
        assert studio.status()["score"].state == "fresh"


def test_the_batch_size_does_not_change_the_scores(tmp_path, tiny_bundle, studio):
    """Float32 sums in another order; the tiny teacher's head has weights of some tens."""
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle, score__batch_size=1)) as alone:
        finish(alone.generate())
        finish(alone.score())
        assert np.allclose(alone.scores.logits, studio.scores.logits, atol=1e-3)


def test_a_workspace_without_a_pool_says_what_to_do(tmp_path, tiny_bundle):
    with Studio(tmp_path / "ws", tiny_recipe(tiny_bundle)) as studio:
        assert studio.status()["score"].reason == "There is no pool to score."
        with pytest.raises(WorkspaceError) as err:
            finish(studio.score())
    assert err.value.problem == f'There is no pool in the workspace "{tmp_path / "ws"}".'
    assert err.value.fix == 'Press "Generate" on the Pool tab (or run `psr-studio generate`) first.'


def test_scores_of_another_pool_are_stale_and_not_used(studio):
    """Candidate numbers of the new pool are those of the old one, so only the hash tells them apart."""
    finish(studio.generate(guidance=3.0))
    assert studio.status()["score"].state == "stale"
    with pytest.raises(WorkspaceError) as err:
        finish(studio.select())
    assert err.value.problem == "These scores were made from another pool or by another teacher."
    assert err.value.fix == 'Press "Score" again (or run `psr-studio score`): only what changed is scored.'
    finish(studio.score())
    assert studio.status()["score"].state == "fresh"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_named_and_not_kept(tmp_path, tiny_bundle, value):
    broken = break_teacher(tiny_bundle, tmp_path, value)
    with Studio(tmp_path / "ws", tiny_recipe(broken)) as studio:
        finish(studio.generate())
        with pytest.raises(WorkspaceError) as err:
            finish(studio.score())
        assert studio.status()["score"].state == "missing"
    assert err.value.problem == ("The teacher's outputs of 3 candidates are not finite numbers: 0, 1, 2.")
    assert "check the teacher's weights" in err.value.fix


def test_a_teacher_of_other_classes_is_refused(tmp_path, tiny_bundle):
    """The head keeps two of its three outputs: the task has three classes."""
    import json

    other = shutil.copytree(tiny_bundle, tmp_path / "other")
    config = json.loads((other / "teacher" / "config.json").read_text())
    (other / "teacher" / "config.json").write_text(json.dumps({**config, "class_indices": [0, 1]}))
    with Studio(tmp_path / "ws", tiny_recipe(other)) as studio:
        finish(studio.generate())
        with pytest.raises(ModelError) as err:
            finish(studio.score())
    assert err.value.problem == 'The teacher has 2 outputs, but "tiny" has 3 classes.'
    assert err.value.fix.startswith('Set "class_indices" in the config.json')


def test_another_teacher_has_scores_of_its_own(tmp_path, tiny_bundle, studio):
    other = break_teacher(tiny_bundle, tmp_path, 0.25)
    before = studio.scores.logits.copy()
    studio.set({"bundle": str(other)})
    assert studio.status()["score"].state == "missing", "scores lie under the name of their teacher"
    finish(studio.score())
    assert not np.allclose(before, studio.scores.logits)
    studio.set({"bundle": str(tiny_bundle)})
    assert studio.status()["score"].state == "fresh" and np.array_equal(before, studio.scores.logits)


def test_a_larger_pool_leaves_the_hash_of_old_picks_alone(studio):
    """A selection outlives a pool that only grows: the parts its picks lie in are the same."""
    ids = studio.selection().candidate_ids.tolist()
    bundle = load_bundle(studio.recipe.bundle)
    before = score.picked_hash(studio.pool, bundle, ids)
    finish(studio.generate(pool_size=9))
    assert score.picked_hash(studio.pool, bundle, ids) == before
    finish(studio.score())
    assert len(studio.selection()) == 6
