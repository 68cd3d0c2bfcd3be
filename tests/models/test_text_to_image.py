"""Other generators: one small adapter, shown on Stable Diffusion with random tiny weights."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest
import torch
from checkpoints import write_stable_diffusion
from tiny import finish

from psr_studio.app.studio import Studio
from psr_studio.core.errors import ModelError
from psr_studio.method.guidance import Guide, no_pull
from psr_studio.models import kinds
from psr_studio.models.adapters import Opening
from psr_studio.models.generator import Sampling
from psr_studio.models.kinds import open_generator

transformers = pytest.importorskip("transformers", reason="the package transformers is not installed")
CPU, NAMES = torch.device("cpu"), ("boot", "dress")
HOW = Sampling(steps=4, guidance=3.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_stable_diffusion(tmp_path_factory.mktemp("sd"))


def opened(folder, names=NAMES, **options):
    return open_generator("stable-diffusion", Opening(folder, CPU, torch.float32, names, None, options))


def last(generator, classes, seeds, how=HOW):
    return list(generator.sample(classes, seeds, how))[-1][1]


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm-solver++"])
def test_a_candidate_depends_on_its_seed_and_its_class_alone(folder, sampler):
    generator = opened(folder)
    how = Sampling(sampler=sampler, steps=4, guidance=3.0)
    both = last(generator, [0, 1], [5, 6], how)
    assert both.shape == (2, 4, 8, 8) and both.isfinite().all()
    assert torch.allclose(both[1:], last(generator, [1], [6], how), atol=1e-4)
    assert not torch.allclose(both[1:], last(generator, [0], [6], how), atol=1e-3)


def test_a_run_begins_at_its_targets(folder):
    """The fewer steps are taken, the nearer it ends; with all of them it is a plain run, bit for bit."""
    generator = opened(folder)
    guide = Guide(no_pull, torch.tensor([0, 1]), torch.full((2, 4, 8, 8), 3.0))
    runs = [list(generator.sample([0, 1], [5, 6], replace(HOW, skipped=n), guide)) for n in range(4)]
    assert [len(run) for run in runs] == [4, 3, 2, 1]
    gaps = [float((run[-1][1] - guide.targets).norm()) for run in runs]
    assert gaps == sorted(gaps, reverse=True) and gaps[3] < 0.5 * gaps[0], gaps
    assert torch.equal(runs[0][-1][1], last(generator, [0, 1], [5, 6]))


def test_little_memory_halves_the_rows_and_changes_no_candidate(folder):
    from small_memory import MOST, SmallMemory

    generator = opened(folder)
    wanted = last(generator, [0, 1, 0], [3, 4, 5])
    small = generator.unet.conv_in = SmallMemory(generator.unet.conv_in)
    found = last(generator, [0, 1, 0], [3, 4, 5])
    assert (
        small.refused and generator.memory.size <= MOST and "going on with" in generator.memory.take_notice()
    )
    assert torch.allclose(found, wanted, atol=1e-3)  # values up to 30


def test_the_prompt_is_the_class_in_the_template(folder):
    plain, other = opened(folder), opened(folder, prompt="a drawing of a {}")
    assert plain.prompts.shape == (3, 24, 16)  # two classes and the empty prompt
    assert torch.equal(plain.prompts[2], other.prompts[2]) and not torch.equal(
        plain.prompts[0], other.prompts[0]
    )


@torch.no_grad()
def test_a_predicted_velocity_becomes_noise(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "v")
    path = tmp_path / "v" / "scheduler" / "scheduler_config.json"
    path.write_text(path.read_text().replace('"epsilon"', '"v_prediction"'))
    velocity, noise = opened(tmp_path / "v"), opened(folder)
    z, t, y = torch.randn(2, 4, 8, 8), torch.tensor([100, 900]), torch.tensor([0, 1])
    alpha = noise.alphas_cumprod[t].view(-1, 1, 1, 1)
    expected = alpha.sqrt() * noise.denoise(z, t, y) + (1 - alpha).sqrt() * z
    assert torch.allclose(velocity.denoise(z, t, y), expected, atol=1e-5)


def test_refinement_reaches_the_latent(folder):
    z = torch.randn(1, 4, 8, 8, requires_grad=True)
    opened(folder).denoise(z, torch.tensor([500]), torch.tensor([1])).square().sum().backward()
    assert z.grad is not None and z.grad.abs().sum() > 0


def test_what_is_missing_is_named(folder, tmp_path):
    with pytest.raises(ModelError, match="The tokenizer or the text encoder in"):
        opened(tmp_path)
    with pytest.raises(ModelError, match='There is no kind of generator "stable-difusion"') as err:
        open_generator("stable-difusion", Opening(folder, CPU, torch.float32, NAMES))
    assert 'Did you mean "stable-diffusion"?' in err.value.fix


def test_an_installed_package_offers_its_own_kind(folder, monkeypatch):
    point = EntryPoint("mine", f"{__name__}:opened_by_a_package", kinds.ENTRY_POINTS)
    monkeypatch.setattr(kinds, "entry_points", lambda group: [point])
    assert last(open_generator("mine", Opening(folder, CPU, torch.float32, NAMES)), [0], [1]).shape == (
        1,
        4,
        8,
        8,
    )


def opened_by_a_package(opening: Opening):
    return opened(opening.folder, opening.class_names)


def test_every_step_runs_with_stable_diffusion(folder, tmp_path, monkeypatch):
    """From a description like the one in docs/models.md to an export."""
    monkeypatch.setenv("PSR_STUDIO_HOME", str(tmp_path / "home"))
    from safetensors.torch import save_file

    from psr_studio.models.teacher import TeacherConfig, create_backbone

    (tmp_path / "teacher").mkdir()
    facts = {"input_size": [3, 32, 32], "crop_pct": 1.0, "mean": [0.5] * 3, "std": [0.5] * 3}
    config = {"architecture": "convnext_atto", "num_classes": 2, "pretrained_cfg": facts,
              "model_args": {"depths": [1, 1, 1, 1], "dims": [8, 8, 8, 8]}}  # fmt: skip
    (tmp_path / "teacher" / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    network = create_backbone(TeacherConfig.from_timm_folder(tmp_path / "teacher", None))
    save_file(network.state_dict(), tmp_path / "teacher" / "model.safetensors")
    (tmp_path / "shoes.toml").write_text(f'''
title = "Boots and dresses by Stable Diffusion"
image_shape = [16, 16, 3]
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
class_names = ["boot", "dress"]
licence = "CreativeML Open RAIL-M"
[generator]
kind = "stable-diffusion"
source = "{folder}"
prompt = "a photo of a {{}}"
[teacher]
source = "{tmp_path / "teacher"}"
''')
    small = {"pool.pool_size": 2, "pool.steps": 2, "select.ipc": 1, "refine.n_steps": 2, "refine.kl_steps": 1}
    with Studio(tmp_path / "ws", "tiny-dit", bundle=str(tmp_path / "shoes.toml"), **small) as studio:
        for step in (studio.generate, studio.score, studio.select, studio.refine, studio.export):
            finish(step())
        card = (studio.workspace.root / "exports" / "set" / "README.md").read_text()
        assert "CreativeML Open RAIL-M" in card and studio.pool.latents.shape == (4, 4, 8, 8)
