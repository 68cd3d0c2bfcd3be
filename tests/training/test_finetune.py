"""Fine-tuning as a step: the same weights however often it is stopped, a pool that knows what made it, bad input."""

from __future__ import annotations

import pickle
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from own_pictures import QUICK, write_description, write_pictures, write_teacher
from safetensors.torch import load_file
from steps import bytes_of
from tiny import TRAIN_PER_CLASS, finish, run_python, tiny_recipe, write_bundle, write_index
from worker_threads import ThreadWorkers

from psr_studio.app.studio import Studio
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.described import ExternalBundle
from psr_studio.bundles.embedded import write_idx
from psr_studio.cli.main import main
from psr_studio.core import checkpoints
from psr_studio.core.errors import ModelError, RecipeError
from psr_studio.models import kinds
from psr_studio.models.tuning import Delta, read_delta, write_delta
from psr_studio.stages.finetune import STAGE
from psr_studio.stages.generate import tuned
from psr_studio.training.finetune import FineTuning

# Fine-tunes with a checkpoint after every step, so that a test can kill it anywhere.
TRAIN = """
from pathlib import Path
from tiny import tiny_recipe
from psr_studio.app.studio import Studio
from psr_studio.core import checkpoints
checkpoints.SECONDS_BETWEEN = 0.0
with Studio(sys.argv[1], tiny_recipe(Path(sys.argv[2]), finetune__epochs=6)) as studio:
    for event in studio.runs["finetune"]():
        print(event.done, event.total, flush=True)
"""
SMALL = {"finetune__epochs": 6}  # of 4 steps


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))


def file_of(root: Path) -> Path:
    return root / tuned.FOLDER / "minimax.safetensors"


def finetune(root: Path, bundle: Path, **changes) -> tuple[dict[str, torch.Tensor], list]:
    with Studio(root, tiny_recipe(bundle, **{**SMALL, **changes}), replace_recipe=True) as studio:
        events = finish(studio.runs["finetune"]())
    return load_file(file_of(root)), events


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_bundle) -> Path:
    """A workspace whose generator was fine-tuned without a stop."""
    root = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PSR_STUDIO_HOME", str(root / "home"))
        finetune(root / "ws", tiny_bundle)
    return root / "ws"


def test_a_kill_in_the_middle_and_a_stop_later_give_the_same_weights(tmp_path, tiny_bundle, whole):
    """Killed after step 10 of 24 without warning, then closed after 20, then to the end; no checkpoint is left."""
    root = tmp_path / "ws"
    process = run_python(TRAIN, root, tiny_bundle)
    next(line for line in process.stdout if line == "10 24\n")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not file_of(root).exists() and len(list((root / tuned.FOLDER).glob("minimax-*.pt"))) == 1
    with Studio(root, tiny_recipe(tiny_bundle, **SMALL)) as studio:
        events = studio.runs["finetune"]()
        resumed = next(event for event in events if event.done >= 10)
        assert resumed.resumed >= 10
        next(event for event in events if event.done == 20)
        events.close()
    found, events = finetune(root, tiny_bundle)
    assert next(event for event in events if event.done).resumed == 20, (
        "where it was closed, not a minute before"
    )
    assert same(found, load_file(file_of(whole)))
    assert [path.name for path in (root / tuned.FOLDER).iterdir()] == ["minimax.safetensors"]


def test_each_setting_counts_and_the_losses_are_told(tmp_path, tiny_bundle, whole):
    """Weights of 0 are plain fine-tuning; mirrored images double the steps."""
    plain, _ = finetune(
        tmp_path / "a", tiny_bundle, finetune__representativeness=0.0, finetune__diversity=0.0
    )
    assert not same(plain, load_file(file_of(whole)))
    _, events = finetune(tmp_path / "b", tiny_bundle, finetune__mirrored=True)
    assert events[-1].total == 2 * (6 * 4) + 6, "72 images in batches of 8"
    told = [event.metrics for event in events if event.metrics]
    assert (
        all(set(one) == {"loss", "noise", "representativeness", "diversity"} for one in told)
        and len(told) > 3
    )
    for one in told[1:]:
        assert one["loss"] == pytest.approx(
            one["noise"] + 0.002 * one["representativeness"] + 0.008 * one["diversity"], rel=1e-4
        )


def test_memories_are_by_class_and_of_the_size_asked_for(tmp_path, tiny_bundle):
    """After one pass over 12 images of each class, a memory of 5 holds the newest latents of the class, in order."""
    recipe = tiny_recipe(tiny_bundle, finetune__memory=5)
    with Studio(tmp_path / "ws", recipe) as studio:
        training = FineTuning(recipe, studio.bundle, tmp_path / "c.pt", torch.device("cpu"))
        seen: dict[int, list[int]] = {c: [] for c in range(3)}
        for index in range(4):
            for row in training.rows_of(index):
                seen[training.labels[row]].append(row)
            training.step(index)
        for class_id, rows in seen.items():
            real = training.memories.real[class_id]
            assert torch.equal(real, training.latents[rows[-5:]].flatten(1))
            assert training.memories.generated[class_id].shape == real.shape


def test_each_pass_draws_its_order_once_and_sees_every_image(tmp_path, tiny_bundle, monkeypatch):
    recipe, drawn, randperm = tiny_recipe(tiny_bundle), [], torch.randperm

    def counted(n: int, **how) -> torch.Tensor:
        drawn.append(n)
        return randperm(n, **how)

    with Studio(tmp_path / "ws", recipe) as studio:
        training = FineTuning(recipe, studio.bundle, tmp_path / "c.pt", torch.device("cpu"))
    monkeypatch.setattr(torch, "randperm", counted)
    first, second, again = ([training.rows_of(4 * epoch + step) for step in range(4)] for epoch in (0, 1, 0))
    assert drawn == [36] * 3 and first == again != second
    assert len({row for rows in first for row in rows}) == 4 * 8


def test_a_pool_knows_the_generator_that_made_it(tmp_path, tiny_bundle, whole):
    """Other bytes than the bundle's own generator makes, the same by workers, and refined by that generator."""
    root = shutil.copytree(whole, tmp_path / "ws")
    with Studio(root, tiny_recipe(tiny_bundle)) as studio:
        finish(studio.generate())
        plain = studio.pool.latents.copy()
        assert tuned.KEY not in studio.pool.settings
        finish(studio.generate(**{"generator": "minimax"}))
        assert studio.pool.settings[tuned.KEY] == tuned.identity(file_of(root))
        assert np.abs(studio.pool.latents - plain).max() > 1e-3
        for stage in (studio.score, studio.select, studio.refine):
            finish(stage())
        assert studio.status()["refine"].state == "fresh"
    other = shutil.copytree(whole, tmp_path / "other")
    with Studio(other, tiny_recipe(tiny_bundle, pool__generator="minimax")) as studio:
        studio.workers = ThreadWorkers(2)
        finish(studio.generate())
    assert bytes_of(other / "pool") == bytes_of(root / "pool")
    file_of(root).rename(tmp_path / "elsewhere.safetensors")
    with Studio(root) as studio:
        assert studio.status()["pool"].state == "stale"
        (root / "refined" / "current" / "class=0.parquet").unlink()
        with pytest.raises(ModelError, match="generator that made this pool is not in .*generators any more"):
            finish(studio.refine())


def test_a_fine_tuned_generator_that_is_not_there_is_named(tmp_path, tiny_bundle, whole):
    root = shutil.copytree(whole, tmp_path / "ws")
    with Studio(root, tiny_recipe(tiny_bundle, pool__generator="minmax")) as studio:
        assert studio.status()["pool"].state == "missing"
        with pytest.raises(RecipeError) as err:
            finish(studio.generate())
    assert err.value.problem == 'This workspace has no fine-tuned generator "minmax": it has minimax.'
    assert err.value.fix.startswith('Did you mean "minimax"? To make it, press "Fine-tune" on the Pool tab')


def test_a_class_that_a_fine_tuned_generator_never_saw_is_not_made_by_it(tmp_path, tiny_bundle, whole):
    root = shutil.copytree(whole, tmp_path / "ws")
    file = root / tuned.FOLDER / "minimax.safetensors"
    delta = read_delta(file)
    write_delta(file, replace(delta, facts={**delta.facts, "classes": [0, 2]}))
    recipe = tiny_recipe(tiny_bundle, pool__generator="minimax")
    with Studio(root, recipe) as studio, pytest.raises(ModelError) as err:
        finish(studio.generate())
    assert err.value.problem == 'The generator "minimax" was fine-tuned without images of "T-shirt/top".'
    assert err.value.fix.startswith('Fine-tune one with these classes by "Fine-tune" on the Pool tab')
    with Studio(root, recipe) as studio:
        finish(studio.generate(classes=[0, 2]))
        assert set(studio.pool.labels.tolist()) == {0, 2}


def test_a_delta_of_another_bundle_is_refused(tmp_path, whole):
    """Another seed of the same networks: every shape fits, and the hash of the base does not."""
    root = tmp_path / "ws"
    shutil.copytree(whole / tuned.FOLDER, root / tuned.FOLDER)
    other = write_bundle(tmp_path / "other", seed=1)
    with Studio(root, tiny_recipe(other, pool__generator="minimax")) as studio:
        with pytest.raises(ModelError) as err:
            finish(studio.generate())
    assert err.value.problem.startswith(
        'The fine-tuned generator "minimax" does not fit the generator of this bundle'
    )
    assert err.value.fix.startswith("Use it with the bundle that it was made from")


def test_a_name_that_is_taken_by_other_settings_is_not_overwritten(tmp_path, tiny_bundle, whole):
    root = shutil.copytree(whole, tmp_path / "ws")
    before = file_of(root).read_bytes()
    _, events = finetune(root, tiny_bundle)
    assert events[-1].message == '"minimax" is fine-tuned already.'
    with pytest.raises(ModelError) as err:
        finetune(root, tiny_bundle, finetune__lr=0.01)
    assert err.value.problem == (
        'The generator "minimax" was fine-tuned with other settings: lr is 0.01 now and was 0.001.'
    )
    assert 'Choose another "finetune.name"' in err.value.fix and file_of(root).read_bytes() == before


def state_of(root: Path, bundle: Path, **changes) -> tuple[str, str]:
    with Studio(root, tiny_recipe(bundle, **{**SMALL, **changes}), replace_recipe=True) as studio:
        found = STAGE.status(studio.workspace, studio.recipe, studio.bundle)
        return found.state, found.reason


def test_other_real_images_are_seen_and_a_file_that_names_none_counts_as_fine(tmp_path, tiny_bundle, whole):
    root, other = shutil.copytree(whole, tmp_path / "ws"), shutil.copytree(tiny_bundle, tmp_path / "other")
    images, _ = load_bundle(other).all_train_images
    write_idx(255 - images[..., 0], other / "data" / "train-subset-images-idx3-ubyte.gz")
    write_index(other)
    told = (
        'The generator "minimax" was fine-tuned on other real images, or these were moved or changed since.'
    )
    assert state_of(root, tiny_bundle)[0] == "fresh" and state_of(root, other) == ("stale", told)
    with pytest.raises(ModelError) as err:
        finetune(root, other)
    assert err.value.problem == told and 'Choose another "finetune.name"' in err.value.fix
    delta = read_delta(file_of(root))
    facts = {name: value for name, value in delta.facts.items() if name != "data"}
    write_delta(file_of(root), Delta(delta.tensors, delta.rows, facts))
    assert state_of(root, other)[0] == "fresh"


def test_only_what_a_run_goes_on_from_counts_as_begun(tmp_path, tiny_bundle):
    """A checkpoint of "minimax-2", and one of other settings, which the run names and leaves where it is."""
    root = tmp_path / "ws"
    for changes in ({"finetune__name": "minimax-2"}, {}):
        with Studio(root, tiny_recipe(tiny_bundle, **{**SMALL, **changes}), replace_recipe=True) as studio:
            events = studio.runs["finetune"]()
            next(event for event in events if event.done == 10)
            events.close()
        if changes:
            assert state_of(root, tiny_bundle) == ("missing", '"minimax" is not fine-tuned yet.')
    assert state_of(root, tiny_bundle) == ("partial", '"minimax" is begun.')
    told = "A fine-tuning with other settings was begun and is not taken up."
    other = {"finetune__lr": 0.01}
    assert state_of(root, tiny_bundle, **other) == ("missing", f'"minimax" is not fine-tuned yet. {told}')
    _, events = finetune(root, tiny_bundle, **other)
    assert [event.message for event in events].count(told) == 1
    assert not list((root / tuned.FOLDER).glob("minimax-[!2]*.pt")), "of no use once the name is taken"
    assert next(event for event in events if event.done).resumed == 0


def test_a_loss_that_is_no_number_ends_with_the_setting_to_lower(tmp_path, tiny_bundle):
    """A picture may be any, so the latents of one class are spoilt where they are kept."""
    finetune(tmp_path / "first", tiny_bundle, finetune__epochs=1)
    (kept,) = (tmp_path / "home" / "real").glob("latents-*/class=1.npy")
    np.save(kept, np.full_like(np.load(kept), np.inf))
    with pytest.raises(
        ModelError, match="Fine-tuning diverged by step 10: a loss is no finite number"
    ) as err:
        finetune(tmp_path / "ws", tiny_bundle)
    assert '"finetune.lr"' in err.value.fix and not list((tmp_path / "ws").glob(f"{tuned.FOLDER}/*"))


def test_values_that_are_no_numbers_are_not_kept_and_the_next_try_begins_anew(
    tmp_path, tiny_bundle, monkeypatch
):
    """A weight is spoilt by step 11: a stop keeps nothing of it, and the next write ends the run."""
    step = FineTuning.step

    def spoilt(training: FineTuning, index: int) -> torch.Tensor:
        found = step(training, index)
        if index == 10:
            next(iter(training.tuned.parameters.values())).data.fill_(torch.nan)
        return found

    root = tmp_path / "ws"
    with Studio(root, tiny_recipe(tiny_bundle, **SMALL)) as studio, monkeypatch.context() as patched:
        patched.setattr(FineTuning, "step", spoilt)
        events = studio.runs["finetune"]()
        next(event for event in events if event.done == 10)
        events.close()
        (kept,) = (root / tuned.FOLDER).glob("minimax-*.pt")
        before = kept.read_bytes()
        events = studio.runs["finetune"]()
        next(event for event in events if event.done == 15)
        events.close()
        assert kept.read_bytes() == before
        patched.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
        with pytest.raises(ModelError, match="diverged by step 11: a weight is no finite number"):
            finish(studio.runs["finetune"]())
        assert not kept.exists()
    _, events = finetune(root, tiny_bundle)
    assert next(event for event in events if event.done).resumed == 0


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", pickle.dumps({"step": 3}, protocol=2), None],
    ids=["empty", "begun", "of something else", "without its end"],
)
def test_a_damaged_checkpoint_is_named_and_can_be_removed(tmp_path, tiny_bundle, content):
    root = tmp_path / "ws"
    with Studio(root, tiny_recipe(tiny_bundle, **SMALL)) as studio:
        events = studio.runs["finetune"]()
        next(event for event in events if event.done == 10)
        events.close()
        (kept,) = (root / tuned.FOLDER).glob("minimax-*.pt")
        kept.write_bytes(kept.read_bytes()[:-100] if content is None else content)
        with pytest.raises(ModelError) as err:
            finish(studio.runs["finetune"]())
        assert err.value.problem == f"{kept} is damaged, or no checkpoint of a training."
        assert err.value.fix == "Remove that file to begin anew."
        kept.unlink()
        assert finish(studio.runs["finetune"]())[-1].total == 24


def test_without_real_images_it_says_how_to_get_them(tmp_path):
    """The rule of steered pools: nothing is opened before."""
    with Studio(tmp_path / "ws", "imagewoof-minimax") as studio:
        assert isinstance(studio.bundle, ExternalBundle)
        with pytest.raises(ModelError, match="images folder") as err:
            finish(studio.runs["finetune"]())
        assert "psr-studio weights imagewoof-dit-dgs --images FOLDER" in err.value.fix
        assert studio.recipe.pool.generator == studio.recipe.finetune.name == "minimax"


def test_a_generator_that_is_no_dit_is_refused_before_images_are_encoded(tmp_path, monkeypatch):
    """One of a package's own kind; the bundle's codec would be opened to encode, and there is none."""
    described = write_description(
        tmp_path / "colours.toml", write_teacher(tmp_path / "teacher"), write_pictures(tmp_path / "real", 8)
    )
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "weights").touch()
    with described.open("a") as file:
        file.write(f'[generator]\nkind = "mine"\nsource = "{tmp_path / "own"}"\n')
    mine = SimpleNamespace(name="mine", load=lambda: lambda opening: object())
    monkeypatch.setattr(kinds, "entry_points", lambda group: [mine])
    with Studio(tmp_path / "ws", bundle=str(described), **QUICK) as studio:
        with pytest.raises(ModelError, match='generator of "colours" is no class-conditional DiT'):
            finish(studio.runs["finetune"]())


def test_the_command_says_how_to_use_what_it_made(tmp_path, tiny_bundle, capsys):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(f'bundle = "{tiny_bundle}"\ndevice = "cpu"\n[finetune]\nepochs = 1\nname = "mine"\n')
    assert main(["finetune", "-q", "-w", str(tmp_path / "ws"), "-p", str(recipe)]) == 0
    assert capsys.readouterr().out == (
        f"Use it with: psr-studio generate -w {tmp_path / 'ws'} --set pool.generator=mine\n"
    )
    delta = read_delta(tmp_path / "ws" / tuned.FOLDER / "mine.safetensors")
    assert delta.facts["images"] == 3 * TRAIN_PER_CLASS and delta.facts["steps"] == 4
    write_delta(tmp_path / "again.safetensors", Delta(delta.tensors, delta.rows, delta.facts))
    assert same(load_file(tmp_path / "again.safetensors"), dict(delta.tensors))
