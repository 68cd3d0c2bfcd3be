"""Checkpoints of DiT's own layout: every tensor finds its place, and the network computes the same."""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys

import pytest
import torch
from checkpoints import (
    CHANNELS,
    CLASSES,
    DEPTH,
    HEADS,
    SIDE,
    WIDTH,
    OriginalDiT,
)
from diffusers import DiTTransformer2DModel

from psr_studio.core.errors import DiskError, ModelError
from psr_studio.models.convert import convert, unpack
from psr_studio.models.generator import Generator
from psr_studio.models.weights import open_pretrained


@pytest.fixture
def original():
    torch.manual_seed(0)
    return OriginalDiT().eval()


@pytest.fixture
def given():
    g = torch.Generator().manual_seed(1)
    return (
        torch.randn(3, CHANNELS, SIDE, SIDE, generator=g),
        torch.tensor([3, 500, 999]),
        torch.tensor([0, 7, 1000]),
    )


def opened(folder):
    return open_pretrained(DiTTransformer2DModel, folder / "transformer")


@torch.no_grad()
def test_the_converted_network_computes_what_the_original_does(tmp_path, original, given):
    torch.save(original.state_dict(), tmp_path / "DiT.pt")
    found = convert(tmp_path / "DiT.pt", tmp_path / "out", heads=HEADS)
    assert found["layout"] == "original" and found["blocks"] == DEPTH and found["classes"] == CLASSES
    z, t, y = given
    converted = opened(tmp_path / "out")(z, timestep=t, class_labels=y).sample
    assert converted.shape == (3, 2 * CHANNELS, SIDE, SIDE)
    assert torch.allclose(converted, original(z, t, y), atol=1e-5)


@torch.no_grad()
def test_minimax_scales_are_folded_into_the_weights(tmp_path, given):
    torch.manual_seed(1)
    tuned = OriginalDiT(scaled_blocks=2).eval()
    plain = {key: torch.zeros_like(value) for key, value in tuned.state_dict().items()}
    checkpoint = {
        "model": plain,
        "ema": tuned.state_dict(),
        "opt": {"state": {}},
        "args": argparse.Namespace(lr=1e-3),
    }
    torch.save(checkpoint, tmp_path / "0012000.pt")
    assert convert(tmp_path / "0012000.pt", tmp_path / "out", heads=HEADS)["weights"] == "ema"
    z, t, y = given
    assert torch.allclose(
        opened(tmp_path / "out")(z, timestep=t, class_labels=y).sample, tuned(z, t, y), atol=1e-5
    )


@torch.no_grad()
def test_the_generator_opens_what_was_written(tmp_path, original):
    torch.save(original.state_dict(), tmp_path / "DiT.pt")
    convert(tmp_path / "DiT.pt", tmp_path / "out", heads=HEADS)
    generator = Generator.from_folder(tmp_path / "out", class_rows=[193, 182])
    assert generator.learns_variance and generator.null_class == 2
    z, t = torch.randn(2, CHANNELS, SIDE, SIDE), torch.tensor([10, 800])
    noise = generator.denoise(z, t, torch.tensor([1, 2]))
    assert torch.allclose(noise, original(z, t, torch.tensor([182, 1000]))[:, :CHANNELS], atol=1e-5)


def averaged(table, n_updates=5000, decay=0.9999):
    """A fixed table as the average of a training moves it, in float32 and in place."""
    ema = table.clone()
    for _ in range(n_updates):
        ema.mul_(decay).add_(table, alpha=1 - decay)
    return ema


@torch.no_grad()
@pytest.mark.parametrize("how", ["averaged", "half", "bfloat16"])
def test_positions_that_were_averaged_or_rounded_are_taken_and_computed_exactly(tmp_path, how, given):
    """Averaging moves them by 1.5e-4, half precision by up to 2.4e-4; none of it gets into what is written."""
    torch.manual_seed(2)
    tuned = OriginalDiT(scaled_blocks=2).eval()
    exact = tuned.pos_embed.clone()
    state = dict(tuned.state_dict())
    if how == "averaged":
        state["pos_embed"] = averaged(exact)
    else:
        state = {key: getattr(value, how)() for key, value in state.items()}
    assert 1e-4 < (state["pos_embed"].float() - exact).abs().max() < 4e-3
    torch.save({"model": tuned.state_dict(), "ema": state}, tmp_path / "tuned.pt")
    assert convert(tmp_path / "tuned.pt", tmp_path / "out", heads=HEADS)["weights"] == "ema"
    written = opened(tmp_path / "out")
    assert torch.equal(written.pos_embed.pos_embed, exact)
    tuned.load_state_dict({**{key: value.float() for key, value in state.items()}, "pos_embed": exact})
    z, t, y = given
    assert torch.allclose(written(z, timestep=t, class_labels=y).sample, tuned(z, t, y), atol=1e-5)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_what_wrappers_put_before_the_names_is_left_out(tmp_path, original, prefix):
    state = original.state_dict()
    torch.save({"ema": {prefix + key: value for key, value in state.items()}}, tmp_path / "wrapped.pt")
    assert convert(tmp_path / "wrapped.pt", tmp_path / "out", heads=HEADS)["blocks"] == DEPTH
    compiled = {key.replace("blocks.1.", "blocks.1._orig_mod."): value for key, value in state.items()}
    assert unpack(compiled, tmp_path / "blocks.pt")[0].keys() == state.keys()
    with pytest.raises(ModelError, match="holds 2 tensors, but 1 names without"):
        unpack({"a": torch.zeros(1), f"{prefix}a": torch.zeros(1)}, tmp_path / "twice.pt")


def test_a_pickled_diffusers_state_becomes_safetensors(tmp_path, original):
    torch.save(original.state_dict(), tmp_path / "DiT.pt")
    convert(tmp_path / "DiT.pt", tmp_path / "first", heads=HEADS)
    state = opened(tmp_path / "first").state_dict()
    torch.save(state, tmp_path / "diffusion_pytorch_model.bin")
    found = convert(tmp_path / "diffusion_pytorch_model.bin", tmp_path / "second", heads=HEADS)
    assert found["layout"] == "diffusers"
    again = opened(tmp_path / "second").state_dict()
    assert again.keys() == state.keys() and all(torch.equal(again[key], state[key]) for key in state)
    config = json.loads((tmp_path / "second" / "transformer" / "config.json").read_text())
    assert (
        config["norm_eps"] == 1e-5 and not (tmp_path / "second" / "transformer" / "psr_studio.json").exists()
    )


def test_code_in_a_pickle_is_never_run(tmp_path):
    trap = tmp_path / "trap.pt"
    made = subprocess.run(
        [sys.executable, "-c", f"""
import os, torch
class Trap:
    def __reduce__(self):
        return os.mkdir, ({str(tmp_path / "sprung")!r},)
torch.save({{"model": Trap()}}, {str(trap)!r})"""],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0
    with pytest.raises(ModelError, match=r"no plain checkpoint of tensors: it wants to run \w+\.mkdir"):
        convert(trap, tmp_path / "out")
    assert not (tmp_path / "sprung").exists() and not (tmp_path / "out").exists()


def test_what_is_missing_or_left_over_is_named(tmp_path, original):
    state = original.state_dict()
    torch.save({k: v for k, v in state.items() if k != "blocks.1.attn.proj.bias"}, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"a.pt lacks blocks.1.attn.proj.bias"):
        convert(tmp_path / "a.pt", tmp_path / "out")
    torch.save({**state, "blocks.0.lora.weight": torch.zeros(2)}, tmp_path / "b.pt")
    with pytest.raises(
        ModelError, match=r"holds 1 tensors that a DiT has no place for, such as blocks.0.lora.weight"
    ):
        convert(tmp_path / "b.pt", tmp_path / "out")
    torch.save({**state, "pos_embed": state["pos_embed"] + 0.1}, tmp_path / "c.pt")
    with pytest.raises(ModelError, match=r"other position embeddings .* differ by 0\.1"):
        convert(tmp_path / "c.pt", tmp_path / "out")
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "d.pt")
    with pytest.raises(ModelError, match=r"holds no DiT"):
        convert(tmp_path / "d.pt", tmp_path / "out")
    (tmp_path / "e.pt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ModelError, match="is cut off: its end is missing"):
        convert(tmp_path / "e.pt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_left_alone(tmp_path, original):
    torch.save(original.state_dict(), tmp_path / "DiT.pt")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match="is not an empty folder") as err:
        convert(tmp_path / "DiT.pt", tmp_path / "out")
    assert "Nothing was changed" in err.value.fix
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_weights_by_name_must_be_there(tmp_path):
    with pytest.raises(ModelError, match=r'holds no weights "ema"; it holds model'):
        unpack({"model": {"a": torch.zeros(1)}}, tmp_path / "x.pt", "ema")


def refused(tmp_path, state, **options):
    """What is said of a checkpoint that cannot be converted; nothing may have been written."""
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(ModelError) as err:
        convert(tmp_path / "x.pt", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists() and err.value.fix.endswith(".")
    return err.value.problem.removeprefix(f"{tmp_path / 'x.pt'}: ")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("blocks.0.attn.qkv.weight", torch.tensor(1.0), "has the shape (), but (72, 24) is needed."),
        ("blocks.1.attn.qkv.bias", torch.ones(3), "has the shape (3,), but (72,) is needed."),
        ("blocks.1.adaLN_modulation.1.bias", torch.tensor(1.0), "has the shape (), but (144,) is needed."),
        ("blocks.0.attn.gamma1", torch.ones(24), "has the shape (24,), but (72,) is needed."),
        ("blocks.0.attn.gamma2", torch.ones(24, 1), "has the shape (24, 1), but (24,) is needed."),
        ("blocks.0.gamma1", torch.ones(1), "has the shape (1,), but (24,) is needed."),
        ("blocks.0.gamma2", torch.tensor(1.0), "has the shape (), but (24,) is needed."),
        ("x_embedder.proj.weight", torch.ones(24), "has the shape (24,), but (any, any, any, any) is needed."),
        ("pos_embed", torch.ones(16, 24), "has the shape (16, 24), but (1, any, 24) is needed."),
        ("y_embedder.embedding_table.weight", torch.tensor(1.0), "has the shape (), but (any, 24) is needed."),
        ("final_layer.linear.weight", torch.tensor(1.0), "has the shape (), but (any, 24) is needed."),
        ("y_embedder.embedding_table.weight", torch.ones(1001, 24).long(), "holds int64 values;"),
        ("blocks.2.mlp.fc1.bias", torch.full((96,), math.nan), "holds 96 of 96 values that are not finite;"),
        ("final_layer.linear.bias", torch.tensor([math.inf] + 31 * [0.0]), "holds 1 of 32 values that are not finite;"),
        ("blocks.2.mlp.fc1.bias", torch.ones(0), "holds nothing: its shape is (0,);"),
    ],
)  # fmt: skip
def test_a_tensor_of_another_shape_or_kind_is_named(tmp_path, original, name, value, said):
    assert refused(tmp_path, {**original.state_dict(), name: value}).startswith(f"{name} {said}")


def test_positions_that_are_no_square_are_named(tmp_path, original):
    problem = refused(tmp_path, {**original.state_dict(), "pos_embed": torch.ones(1, 15, WIDTH)})
    assert "has 15 positions of width 24" in problem


@pytest.mark.parametrize("heads", [0, -2, 5])
def test_heads_that_cannot_be_are_refused(tmp_path, original, heads):
    problem = refused(tmp_path, original.state_dict(), heads=heads)
    assert problem in (
        f"{heads} attention heads are asked for; a DiT has 1 or more.",
        "A width of 24 cannot be split among 5 heads.",
    )


def test_blocks_that_are_missing_or_malformed_are_named(tmp_path, original):
    torch.save(original.state_dict(), tmp_path / "DiT.pt")
    convert(tmp_path / "DiT.pt", tmp_path / "made", heads=HEADS)
    state = opened(tmp_path / "made").state_dict()
    without = lambda start: {k: v for k, v in state.items() if not k.startswith(start)}  # noqa: E731
    assert "lacks transformer_blocks.0.norm1.emb" in refused(tmp_path, without("transformer_blocks"))
    assert "lacks block 1 of 3." in refused(tmp_path, without("transformer_blocks.1."))
    assert "lacks proj_out_2.weight." in refused(tmp_path, without("proj_out_2"))
    for odd in ("transformer_blocks.x.bias", "transformer_blocks", f"transformer_blocks.{'9' * 5000}.bias"):
        assert f"{odd} and 0 more tensors" in refused(tmp_path, {**state, odd: torch.ones(1)})
    flat = {**state, "pos_embed.proj.weight": torch.ones(WIDTH)}
    assert "pos_embed.proj.weight has the shape (24,)" in refused(tmp_path, flat)
    none = {k: v for k, v in original.state_dict().items() if not k.startswith("blocks.")}
    assert "lacks transformer_blocks.0" in refused(tmp_path, none)


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
def test_an_empty_file_is_no_checkpoint(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ModelError, match="is empty: it has 0 bytes"):
        convert(tmp_path / name, tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_named(tmp_path, original):
    torch.save(original.state_dict(), tmp_path / "DiT.pt")
    (tmp_path / "file").touch()
    for out, why in (
        (tmp_path / "file" / "out", "is a file, not a folder"),
        (tmp_path / ("x" * 300), "is too long"),
    ):
        with pytest.raises(DiskError, match=why) as err:
            convert(tmp_path / "DiT.pt", out, heads=HEADS)
        assert err.value.fix.endswith("or name another folder: nothing was changed.")


def test_what_a_full_disk_leaves_is_cleared(tmp_path, original):
    """A limit on the size of a file stands for the full disk; the weights do not fit, the settings do."""
    torch.save(original.state_dict(), tmp_path / "DiT.pt")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(DiskError, match="may write files of 9.8 KiB at most"):
            convert(tmp_path / "DiT.pt", tmp_path / "out", heads=HEADS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not any((tmp_path / "out").iterdir())
    convert(tmp_path / "DiT.pt", tmp_path / "out", heads=HEADS)


WEB_PAGE = b"\n<!DOCTYPE html><html><head><title>Sign in</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 2700000000\n"


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
@pytest.mark.parametrize(
    ("content", "said", "fix"),
    [
        (WEB_PAGE, "a web page, such as one that asks to sign in", "Open its address in a browser"),
        (
            POINTER,
            "a pointer of Git LFS that stands for a file of 2,700,000,000 bytes",
            "Run `git lfs pull` ",
        ),
    ],
)
def test_what_stands_in_the_place_of_weights_is_named(tmp_path, name, content, said, fix):
    """In our words: PyTorch's own would advise to open the file without its guard."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError) as err:
        convert(tmp_path / name, tmp_path / "out")
    assert said in err.value.problem and err.value.fix.startswith(fix)
    assert "weights_only" not in str(err.value) and "torch.load" not in str(err.value)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.5, 0.999])
def test_a_checkpoint_that_is_cut_off_is_named(tmp_path, original, zipped, share):
    path = tmp_path / "cut.pt"
    torch.save(original.state_dict(), path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ModelError, match="is cut off|or it is damaged") as err:
        convert(path, tmp_path / "out")
    assert "weights_only" not in str(err.value)


def test_rubbish_is_no_checkpoint(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"neither of them" * 30)
    with pytest.raises(ModelError, match="is no checkpoint that PyTorch has saved, or it is damaged"):
        convert(tmp_path / "x.pt", tmp_path / "out")
