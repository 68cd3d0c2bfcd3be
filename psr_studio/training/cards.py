"""The model cards of a bundle: what each part is, how it was made, and every gate as measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

FASHION_MNIST_LICENCE = """The MIT License (MIT)

Copyright (c) 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER
IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR
THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

COMMAND = "psr-studio train-bundle fashion-mnist"

PARTS = {
    "teacher": (
        "Teacher",
        "A timm `resnet10t` with a deep stem and widths 56, 112, 192, 256 (1.8 M parameters), shown the "
        "28-pixel picture at 56 pixels. Trained on 57,000 of the 60,000 training images with SGD, shifts, flips "
        "and erasing; its logits are divided by a temperature fitted on the other 3,000. Used to score "
        "candidates and to label them; it is not meant as a product classifier.",
        ("teacher",),
    ),
    "generator/vae": (
        "Codec",
        "A diffusers `AutoencoderKL` (0.7 M parameters): the picture padded to 32x32, latents 4x8x8 of unit "
        "variance. Loss: squared and absolute error, posterior KL, and the teacher's label and features on the "
        "reconstruction, so that what the teacher sees survives.",
        ("codec",),
    ),
    "generator": (
        "Generator",
        "A class-conditional diffusers `DiTTransformer2DModel` on those latents (8.0 M parameters, 16 tokens, "
        "width 256, 5 blocks) with 10 % label dropout; EMA weights in bfloat16. The folder opens with "
        "`DiTPipeline.from_pretrained`. Its label table has 1,000 rows because that pipeline's null class is "
        "1000; classes 0 to 9 and the null row are used.",
        ("generator",),
    ),
}
GATES_OF = {"teacher": ("teacher top-1", "teacher ECE"), "generator/vae": ("teacher top-1 lost",)}


def _gate_rows(gates: list[dict], part: str) -> list[dict]:
    others = [prefix for p, prefixes in GATES_OF.items() if p != part for prefix in prefixes]
    if part in GATES_OF:
        return [g for g in gates if str(g["name"]).startswith(GATES_OF[part])]
    return [g for g in gates if not str(g["name"]).startswith(tuple(others))]


def gate_table(gates: list[dict]) -> str:
    """A Markdown table of gates: measured, needed, passed, conditions."""
    lines = ["| gate | measured | needed | | conditions |", "|---|---|---|---|---|"]
    for gate in gates:
        sign = "at most" if gate["at_most"] else "at least"
        verdict = "reached" if gate["passed"] else "**not reached**"
        lines.append(
            f"| {gate['name']} | {gate['value']:.4g} | {sign} {gate['needed']:g} | {verdict} | {gate['note']} |"
        )
    return "\n".join(lines)


def write(
    made: Path, seconds: dict[str, float], device: str, seed: int, notes: Mapping[str, str] | None = None
) -> None:
    """README.md beside each part, and one for the bundle and its data, from gates.json.

    Args:
        seconds: time spent training, by part.
        notes: by folder of PARTS, what a reader must know about this very training run.
    """
    gates = json.loads((made / "gates.json").read_text(encoding="utf-8"))
    for folder, (title, text, timed) in PARTS.items():
        spent = sum(seconds.get(part, 0.0) for part in timed)
        note = f"- This run: {notes[folder]}\n" if notes and folder in notes else ""
        body = (
            f"# {title} of the Fashion-MNIST bundle\n\n{text}\n\n- Data: Fashion-MNIST, train split (MIT, Zalando SE)\n"
            f"- Command: `{COMMAND}`, seed {seed}\n- Training: {spent:.0f} s on {device}\n"
            f"{note}- Licence: Apache-2.0\n\n{gate_table(_gate_rows(gates, folder))}\n"
        )
        (made / folder / "README.md").write_text(body, encoding="utf-8")
    (made / "data" / "README.md").write_text(
        "# Data of the Fashion-MNIST bundle\n\n- `test-*`: the official test split, 10,000 images\n"
        "- `train-subset-*`: 600 training images per class, drawn with the bundle's seed, for controls and guidance\n"
        "- `train_difficulty.safetensors`: the teacher's difficulty 1 - p(label) of all 60,000 training images, in "
        "their original order, with labels. 57,000 of them trained the teacher, so these are training-set "
        "confidences and lower than on unseen images.\n"
        "- Source: Fashion-MNIST (Xiao, Rasul, Vollgraf 2017), MIT licence, see LICENSE. The full train split is read "
        "from Debian's package dataset-fashion-mnist or torchvision's download.\n",
        encoding="utf-8",
    )
    (made / "README.md").write_text(
        f"# Fashion-MNIST bundle\n\nGenerator, codec, teacher, data and demo pool, made by one command: `{COMMAND}`.\n"
        f"The demo pool holds 60 candidates per class, scored.\n\n{gate_table(gates)}\n\n"
        f"Made on {device}, seed {seed}. Cards: [generator](generator/README.md), [codec](generator/vae/README.md), "
        "[teacher](teacher/README.md), [data](data/README.md).\n",
        encoding="utf-8",
    )
