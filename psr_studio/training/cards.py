"""The model cards of a bundle: what each part is, how it was made, and every gate as measured."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from psr_studio.training.settings import NULL_CLASS, BundleSettings

GATES_OF = {"teacher": ("teacher top-1", "teacher ECE"), "generator/vae": ("teacher top-1 lost",)}
TITLES = {"teacher": "Teacher", "generator/vae": "Codec", "generator": "Generator"}
PART_OF = {"teacher": "teacher", "generator/vae": "codec", "generator": "generator"}


def command(settings: BundleSettings) -> str:
    """What makes this bundle."""
    return f"psr-studio train-bundle {settings.data.name}"


def _about_teacher(settings: BundleSettings, size: str) -> str:
    net = settings.teacher
    shown = f", shown the {settings.data.side}-pixel picture at {net.input_size} pixels" * (
        net.input_size != settings.data.side
    )
    changed = ", ".join(
        word
        for word, used in (
            ("shifts", net.shift), ("flips", net.mirror), ("erasing", any(c.erase for c in net.cycles)),
        )
        if used
    )  # fmt: skip
    return (
        f"A timm `{net.architecture}` with {json.dumps(dict(net.kwargs))} ({size} parameters){shown}. Trained on all "
        f"training images but {net.held_out:,} with SGD for {sum(c.epochs for c in net.cycles)} epochs, with "
        f"{changed}; its logits are divided by a temperature fitted on those {net.held_out:,}. Used to score and to "
        "label candidates; it is not meant as a product classifier."
    )


def _about_codec(settings: BundleSettings, size: str) -> str:
    net = settings.codec
    latent = net.size // 2 ** (len(net.widths) - 1)
    padded = f": the picture padded to {net.size}x{net.size}," * (net.size != settings.data.side) or ":"
    return (
        f"A diffusers `AutoencoderKL` ({size} parameters){padded} latents {net.latent_channels}x{latent}x{latent} of "
        "unit variance. Loss: squared and absolute error, posterior KL, and the teacher's label and features on the "
        "reconstruction, so that what the teacher sees survives."
    )


def _about_generator(settings: BundleSettings, size: str) -> str:
    net = settings.generator
    tokens = (settings.codec.size // 2 ** (len(settings.codec.widths) - 1) // net.patch) ** 2
    opens = "The folder opens with `DiTPipeline.from_pretrained`"
    table = (
        f"{opens}. Its label table has {NULL_CLASS:,} rows because that pipeline's null class is {NULL_CLASS}; classes "
        f"0 to {settings.data.n_classes - 1} and the null row are used."
        if net.for_pipeline
        else f"{opens}, whose own guidance asks for a null class {NULL_CLASS}; here it is {settings.label_rows}."
    )
    return (
        f"A class-conditional diffusers `DiTTransformer2DModel` on those latents ({size} parameters, {tokens} tokens, "
        f"width {net.heads * net.head_dim}, {net.layers} blocks) with {net.label_dropout:.0%} label dropout; EMA "
        f"weights in bfloat16. {table}"
    )


ABOUT = {"teacher": _about_teacher, "generator/vae": _about_codec, "generator": _about_generator}


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
    settings: BundleSettings,
    made: Path,
    seconds: Mapping[str, float],
    device: str,
    seed: int,
    about: str = "",
) -> None:
    """README.md beside each part, and one for the bundle, from gates.json.

    Args:
        seconds: time spent training, by part.
        about: what a reader must know of the copy of the data that was used.
    """
    gates = json.loads((made / "gates.json").read_text(encoding="utf-8"))
    note = f"- This copy of the data: {about}\n" if about else ""
    data = f"- Data: {settings.data.title}, train split (licence: {settings.data.licence})\n{note}"
    for folder, text in ABOUT.items():
        size = f"{n_parameters(made / folder) / 1e6:.1f} M"
        body = (
            f"# {TITLES[folder]} of the {settings.data.title} bundle\n\n{text(settings, size)}\n\n{data}"
            f"- Command: `{command(settings)}`, seed {seed}\n"
            f"- Training: {seconds[PART_OF[folder]]:.0f} s on {device}\n"
            f"- Licence: Apache-2.0\n\n{gate_table(_gate_rows(gates, folder))}\n"
        )
        (made / folder / "README.md").write_text(body, encoding="utf-8")
    (made / "README.md").write_text(
        f"# {settings.data.title} bundle\n\nGenerator, codec, teacher, data and demo pool, made by one command: "
        f"`{command(settings)}`.\nThe demo pool is generated and scored.\n\n{data}\n{gate_table(gates)}\n\n"
        f"Made on {device}, seed {seed}. Cards: [generator](generator/README.md), [codec](generator/vae/README.md), "
        "[teacher](teacher/README.md), [data](data/README.md).\n",
        encoding="utf-8",
    )


def n_parameters(folder: Path) -> int:
    """In the weights files of a part."""
    from safetensors import safe_open

    total = 0
    for path in [*folder.glob("*.safetensors"), *folder.glob("transformer/*.safetensors")]:
        with safe_open(path, "np") as file:
            total += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())
    return total


def write_data_card(settings: BundleSettings, target: Path) -> None:
    """README.md of the data folder, and the licence where real images are in it."""
    n_trained = f"all but {settings.teacher.held_out:,} of them trained the teacher"
    lines = [f"# Data of the {settings.data.title} bundle", ""]
    if settings.data.ships_images:
        lines += [
            "- `test-*`: the official test split",
            f"- `train-subset-*`: {settings.data.train_per_class} training images per class, drawn with the bundle's "
            "seed, for controls and guidance",
        ]
    lines.append(
        "- `train_difficulty.safetensors`: the teacher's difficulty 1 - p(label) of every training image, in their "
        f"order, with labels; {n_trained}, so these are training-set confidences and lower than on unseen images."
    )
    if not settings.data.ships_images:
        lines.append(
            f"- No image of {settings.data.title} is in here. Controls and test split are read from where you keep it: "
            f"`psr-studio weights {settings.data.name} --images FOLDER`."
        )
    if settings.data.licence_text:
        (target / "LICENSE").write_text(settings.data.licence_text, encoding="utf-8")
        lines.append(f"- Source: {settings.data.title}, licence: {settings.data.licence}, see LICENSE.")
    (target / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
