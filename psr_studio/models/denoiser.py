"""The DiT's forward pass, the same function as diffusers' DiTTransformer2DModel and faster.

diffusers computes the embedding of timestep and class in every block of every pass, three projections where
one does, and a normalised copy for every modulation. Here the conditioning is a table, made once for the
timesteps and classes of a run; what is left is four products per block.

Shape letters: N latents, U conditions, T patches of a latent, D width, L blocks.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DiTTransformer2DModel
from torch import Tensor
from torch.nn import functional as F

from psr_studio.models.linear import FrozenLinear, can_pack

SHORT = 64  # up to so many patches a CPU attends faster by two plain products
NORM_EPS = 1e-6  # of norm1 and norm_out, which diffusers does not let a config change


class PlainDenoiser:
    """diffusers' own forward pass behind the face of `Denoiser`: the reference, and for unusual networks."""

    def __init__(self, transformer: DiTTransformer2DModel) -> None:
        self.transformer = transformer

    def condition(self, t: Tensor, rows: Tensor) -> Tensor:
        """Timesteps (U,) and rows of the class table (U,) -> (U, 2)."""
        return torch.stack([t, rows], dim=1)

    def __call__(self, z: Tensor, condition: Tensor) -> Tensor:
        """As `Denoiser`."""
        t, rows = condition.unbind(1)
        return self.transformer(z, timestep=t, class_labels=rows).sample


class Denoiser:
    """A frozen DiTTransformer2DModel, its weights fused and packed as they are now.

    Args:
        transformer: one that `fits`.
        compiled: compile one block with torch.compile; all blocks share its code.
    """

    def __init__(self, transformer: DiTTransformer2DModel, compiled: bool = False) -> None:
        config = transformer.config
        self.transformer = transformer
        self.patch, self.heads = config.patch_size, config.num_attention_heads
        self.norm_eps = config.norm_eps
        self.pack = can_pack(transformer.device.type, transformer.dtype) and not compiled
        project = transformer.pos_embed.proj
        self.embed = self._linear(project.weight.flatten(1), project.bias)
        self.positions = transformer.pos_embed.pos_embed.to(transformer.dtype)
        self.blocks = [self._weights(block) for block in transformer.transformer_blocks]
        self.out = self._linear(transformer.proj_out_2.weight, transformer.proj_out_2.bias)
        scales = [6 * i + k for i in range(len(self.blocks)) for k in (1, 4)] + [6 * len(self.blocks) + 1]
        self.scales = torch.tensor(scales, device=transformer.device)
        self._block = torch.compile(self._plain_block) if compiled else self._plain_block

    @staticmethod
    def fits(transformer: DiTTransformer2DModel) -> bool:
        """Whether the network is a DiT as published: adaLN-Zero, tanh GELU, norms without weights."""
        config = transformer.config
        return (
            config.norm_type == "ada_norm_zero"
            and config.activation_fn == "gelu-approximate"
            and not config.norm_elementwise_affine
            and not config.upcast_attention
            and all(block.norm3 is not None for block in transformer.transformer_blocks)
        )

    @torch.no_grad()
    def condition(self, t: Tensor, rows: Tensor) -> Tensor:
        """The table of one modulation per pair: timesteps (U,), rows of the class table (U,) -> (U, 6L + 2, D).

        Per block: shift, 1 + scale and gate of the attention, then of the MLP; last the shift and 1 + scale
        of the output.
        """
        dtype, parts = self.transformer.dtype, []
        for block in self.transformer.transformer_blocks:
            norm = block.norm1
            parts.append(norm.linear(F.silu(norm.emb(t, rows, hidden_dtype=dtype))))
        first = self.transformer.transformer_blocks[0].norm1.emb(t, rows, hidden_dtype=dtype)
        parts.append(self.transformer.proj_out_1(F.silu(first)))
        table = torch.cat(parts, dim=1).unflatten(1, (6 * len(self.blocks) + 2, -1))
        table[:, self.scales] += 1
        return table

    def __call__(self, z: Tensor, condition: Tensor) -> Tensor:
        """Noisy latents (N, c, h, w), conditions (N, 6L + 2, D) -> (N, c or 2c, h, w). Differentiable in z."""
        x = self._tokens(z)
        modulation = condition[:, :, None]  # (N, 6L + 2, 1, D)
        for i, weights in enumerate(self.blocks):
            x = self._block(x, modulation[:, 6 * i : 6 * i + 6], weights)
        x = torch.addcmul(modulation[:, -2], self._norm(x, NORM_EPS), modulation[:, -1])
        return self._latents(self.out(x), z.shape)

    def _plain_block(self, x: Tensor, modulation: Tensor, weights: tuple[FrozenLinear, ...]) -> Tensor:
        qkv, out, up, down = weights
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = modulation.unbind(1)
        h = torch.addcmul(shift, self._norm(x, NORM_EPS), scale)
        x = torch.addcmul(x, gate, out(self._attend(qkv(h))))
        h = torch.addcmul(mlp_shift, self._norm(x, self.norm_eps), mlp_scale)
        return torch.addcmul(x, mlp_gate, down(up(h, gelu=True)))

    def _norm(self, x: Tensor, eps: float) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], eps=eps)

    def _attend(self, qkv: Tensor) -> Tensor:
        """(N, T, 3D) -> (N, T, D)."""
        n, tokens, _ = qkv.shape
        split = qkv.reshape(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (3, N, heads, T, d)
        if self.pack and tokens <= SHORT:
            q, k, v = split.flatten(1, 2).unbind(0)
            weights = (torch.bmm(q, k.transpose(1, 2)) * q.shape[-1] ** -0.5).softmax(dim=-1)
            mixed = torch.bmm(weights, v).unflatten(0, (n, self.heads))
        else:
            q, k, v = split.unbind(0)
            mixed = F.scaled_dot_product_attention(q, k, v)
        return mixed.transpose(1, 2).flatten(2)

    def _tokens(self, z: Tensor) -> Tensor:
        n, c, height, width = z.shape
        p = self.patch
        patches = z.reshape(n, c, height // p, p, width // p, p).permute(0, 2, 4, 1, 3, 5)
        return self.embed(patches.reshape(n, -1, c * p * p)) + self.positions

    def _latents(self, x: Tensor, shape: torch.Size) -> Tensor:
        n, _, height, width = shape
        p = self.patch
        patches = x.reshape(n, height // p, width // p, p, p, -1).permute(0, 5, 1, 3, 2, 4)
        return patches.reshape(n, -1, height, width)

    def _weights(self, block: Any) -> tuple[FrozenLinear, ...]:
        attention, mlp = block.attn1, block.ff.net
        parts = [attention.to_q, attention.to_k, attention.to_v]
        weight = torch.cat([part.weight.detach() for part in parts])
        bias = None if parts[0].bias is None else torch.cat([part.bias.detach() for part in parts])
        if not self.pack:  # one storage for both, or the network would take a third more memory
            for part, rows in zip(parts, weight.chunk(3), strict=True):
                part.weight.data = rows
        layers = (attention.to_out[0], mlp[0].proj, mlp[2])
        return (self._linear(weight, bias), *(self._linear(layer.weight, layer.bias) for layer in layers))

    def _linear(self, weight: Tensor, bias: Tensor | None) -> FrozenLinear:
        return FrozenLinear(weight, bias, self.pack)
