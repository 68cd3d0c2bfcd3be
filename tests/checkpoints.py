"""Checkpoints of the kinds that users bring, a few thousand parameters each."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.embeddings import get_2d_sincos_pos_embed
from torch import nn

WIDTH, HEADS, DEPTH, PATCH, CHANNELS, SIDE, CLASSES = 24, 2, 3, 2, 4, 8, 1000


def modulate(x, shift, scale):
    return x * (1 + scale[:, None]) + shift[:, None]


class Holder(nn.Module):
    """A name for parts, so that the keys are those of DiT's own code."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class Block(nn.Module):
    """A block as DiT computes it; with `scales`, as Minimax fine-tunes it."""

    def __init__(self, scales):
        super().__init__()
        self.attn = Holder(qkv=nn.Linear(WIDTH, 3 * WIDTH), proj=nn.Linear(WIDTH, WIDTH))
        self.mlp = Holder(fc1=nn.Linear(WIDTH, 4 * WIDTH), fc2=nn.Linear(4 * WIDTH, WIDTH))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(WIDTH, 6 * WIDTH))
        self.scales = scales
        if scales:
            self.attn.gamma1, self.attn.gamma2 = (nn.Parameter(torch.rand(n * WIDTH) + 0.5) for n in (3, 1))
            self.gamma1, self.gamma2 = (nn.Parameter(torch.rand(WIDTH) + 0.5) for _ in range(2))

    def forward(self, x, c):
        one = torch.ones(())
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(c).chunk(6, dim=1)
        norm = lambda h: nn.functional.layer_norm(h, (WIDTH,), eps=1e-6)  # noqa: E731
        on_qkv, on_proj = (self.attn.gamma1, self.attn.gamma2) if self.scales else (one, one)
        on_a, on_m = (self.gamma1, self.gamma2) if self.scales else (one, one)
        h = modulate(norm(x), shift_a, scale_a)
        qkv = (on_qkv * self.attn.qkv(h)).unflatten(-1, (3, HEADS, WIDTH // HEADS))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + on_a * gate_a[:, None] * (on_proj * self.attn.proj(mixed))
        h = nn.functional.gelu(self.mlp.fc1(modulate(norm(x), shift_m, scale_m)), approximate="tanh")
        return x + on_m * gate_m[:, None] * self.mlp.fc2(h)


class OriginalDiT(nn.Module):
    """A tiny DiT with the key layout and the arithmetic of DiT's own code, written from its description."""

    def __init__(self, scaled_blocks=0):
        super().__init__()
        self.x_embedder = Holder(proj=nn.Conv2d(CHANNELS, WIDTH, PATCH, PATCH))
        self.t_embedder = Holder(mlp=nn.Sequential(nn.Linear(256, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH)))
        self.y_embedder = Holder(embedding_table=nn.Embedding(CLASSES + 1, WIDTH))
        positions = get_2d_sincos_pos_embed(WIDTH, SIDE // PATCH, base_size=SIDE // PATCH, output_type="pt")
        self.pos_embed = nn.Parameter(positions.float()[None], requires_grad=False)
        self.blocks = nn.ModuleList(Block(index < scaled_blocks) for index in range(DEPTH))
        self.final_layer = Holder(
            linear=nn.Linear(WIDTH, PATCH**2 * 2 * CHANNELS),
            adaLN_modulation=nn.Sequential(nn.SiLU(), nn.Linear(WIDTH, 2 * WIDTH)),
        )

    def forward(self, z, t, y):
        x = self.x_embedder.proj(z).flatten(2).transpose(1, 2) + self.pos_embed
        angles = t[:, None].float() * torch.exp(-math.log(10000) * torch.arange(128) / 128)
        c = self.t_embedder.mlp(torch.cat([angles.cos(), angles.sin()], dim=1))
        c = c + self.y_embedder.embedding_table(y)
        for block in self.blocks:
            x = block(x, c)
        shift, scale = self.final_layer.adaLN_modulation(c).chunk(2, dim=1)
        x = self.final_layer.linear(modulate(nn.functional.layer_norm(x, (WIDTH,), eps=1e-6), shift, scale))
        n = SIDE // PATCH
        x = x.reshape(-1, n, n, PATCH, PATCH, 2 * CHANNELS)
        return torch.einsum("nhwpqc->nchpwq", x).reshape(-1, 2 * CHANNELS, SIDE, SIDE)


def write_stable_diffusion(folder: Path, prediction: str = "epsilon") -> Path:
    """A StableDiffusionPipeline folder of a few thousand parameters."""
    import transformers

    torch.manual_seed(0)
    UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16, attention_head_dim=4, norm_num_groups=4,
    ).save_pretrained(folder / "unet")  # fmt: skip
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=4, sample_size=16,
    ).save_pretrained(folder / "vae")  # fmt: skip
    tokens = ["<|startoftext|>", "<|endoftext|>"]
    letters = [chr(i) for i in range(ord("a"), ord("z") + 1)]
    vocabulary = {word: i for i, word in enumerate([*letters, *(f"{c}</w>" for c in letters), *tokens])}
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    transformers.CLIPTokenizer(
        str(folder / "tokenizer" / "vocab.json"), str(folder / "tokenizer" / "merges.txt")
    ).save_pretrained(folder / "tokenizer")
    config = transformers.CLIPTextConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=24, bos_token_id=vocabulary[tokens[0]],
        eos_token_id=vocabulary[tokens[1]],
    )  # fmt: skip
    transformers.CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        prediction_type=prediction,
    ).save_pretrained(folder / "scheduler")  # fmt: skip
    return folder
