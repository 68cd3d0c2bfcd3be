"""The embedded bundle is whole, small enough, opens with diffusers alone, and still recognises clothes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from psr_studio.bundles.bundle import Bundle
from psr_studio.bundles.catalogue import load_bundle
from psr_studio.bundles.embedded import EmbeddedBundle, bundles
from psr_studio.core.devices import candidate_seed
from psr_studio.core.resources import resource_dir
from psr_studio.models.generator import Generator, Sampling
from psr_studio.models.levels import from_uint8

MIB = 2**20


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle("fashion-mnist")


@pytest.mark.parametrize("name", bundles())
def test_every_file_matches_its_checksum_and_no_file_is_unlisted(name: str) -> None:
    bundle = load_bundle(name)
    assert bundle.verify() == []
    on_disk = {p.relative_to(bundle.path).as_posix() for p in bundle.path.rglob("*") if p.is_file()}
    unlisted = {
        name for name in on_disk - set(bundle.files) if not name.endswith(("README.md", "bundle.toml"))
    }
    assert unlisted == set()


def test_a_changed_file_is_named(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "LICENSE").write_text("changed", encoding="utf-8")
    problems = EmbeddedBundle(tmp_path, bundle.index).verify()
    assert any("LICENSE differs from its SHA-256" in problem for problem in problems)
    assert any("model.safetensors is missing" in problem for problem in problems)


@pytest.mark.parametrize(("name", "most"), [("fashion-mnist", 30 * MIB), ("cifar10", 20 * MIB)])
def test_sizes_keep_within_the_budget(name: str, most: int) -> None:
    """Of each bundle that ships; git and wheels carry them all, so they have a budget together, too."""
    if name not in bundles():
        pytest.skip("not made yet")
    sizes = [p.stat().st_size for p in bundles()[name].rglob("*") if p.is_file()]
    assert max(sizes) < 16 * MIB
    assert sum(sizes) < most
    whole = resource_dir("assets")
    assert sum(p.stat().st_size for p in whole.rglob("*") if p.is_file()) < 60 * MIB


def test_diffusers_opens_and_runs_the_generator_folder(bundle: Bundle) -> None:
    from diffusers import DiTPipeline

    pipe = DiTPipeline.from_pretrained(bundle.path / "generator", local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    assert sum(p.numel() for p in pipe.transformer.parameters()) <= 8_000_000
    images = pipe(class_labels=[1, 9], num_inference_steps=3, guidance_scale=2.0, output_type="np").images
    assert images.shape[:3] == (2, 32, 32)
    assert np.isfinite(images).all()


def test_our_loop_takes_the_same_steps_as_the_pipeline(bundle: Bundle) -> None:
    """From the same noise and with the same scheduler both loops are the same arithmetic; float32, so to 1e-4."""
    from diffusers import DDIMScheduler, DiTPipeline

    generator = Generator.from_folder(bundle.path / "generator")
    seeds = [candidate_seed(3, c, 0) for c in (0, 5)]
    how = Sampling(sampler="ddim", steps=4, guidance=2.0)
    *_, (_, ours) = generator.sample([0, 5], seeds, how)
    pipe = DiTPipeline.from_pretrained(bundle.path / "generator", local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = DDIMScheduler.from_config(
        pipe.scheduler.config, timestep_spacing="trailing", set_alpha_to_one=True
    )
    theirs = pipe(
        class_labels=[0, 5], num_inference_steps=4, guidance_scale=2.0, output_type="np",
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
    ).images  # fmt: skip
    codec = bundle.codec(torch.device("cpu"))
    with torch.no_grad():
        decoded = codec.vae.decode(ours / codec.scale).sample
    pictures = (decoded / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
    assert torch.allclose(pictures, torch.from_numpy(theirs), atol=1e-4)


def test_the_teacher_recognises_real_clothes_through_the_codec(bundle: Bundle) -> None:
    """94 % on all 10,000; the first 400 must stay above 90 %, and lose little through the codec."""
    images, labels = bundle.test_set
    pictures = from_uint8(images[:400])
    teacher, codec = bundle.teacher(torch.device("cpu")), bundle.codec(torch.device("cpu"))
    with torch.no_grad():
        rebuilt = from_uint8(codec.decode_uint8(codec.encode(pictures)))
    direct = (teacher.predict(pictures)[0].argmax(1).numpy() == labels[:400]).mean()
    through = (teacher.predict(rebuilt)[0].argmax(1).numpy() == labels[:400]).mean()
    assert direct > 0.90
    assert through > direct - 0.06


def test_the_train_subset_is_balanced_and_difficulty_covers_the_train_split(bundle: Bundle) -> None:
    counts = [np.bincount(labels).tolist() for _, labels in (bundle.train_subset, bundle.held_out)]
    assert counts == [[450] * 10, [150] * 10]
    difficulty, labels = bundle.train_difficulty
    assert difficulty.shape == (60_000,)
    assert np.bincount(labels).tolist() == [6000] * 10
    assert difficulty.min() >= 0 and difficulty.max() <= 1
