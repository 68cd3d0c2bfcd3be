"""What would go wrong on a GPU for the place of a tensor, found without one (see pretended_device.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from torch.utils import backend_registration

from psr_studio.models.samplers import SAMPLERS

HERE = Path(__file__).parent
EXPECTED = [
    "another place is refused",
    "a look is refused",
    *(f"generation by {sampler}" for sampler in SAMPLERS),
    *(["Stable Diffusion"] if find_spec("transformers") else []),
    "refinement by sgd",
    "refinement by adam",
    "refinement by cao2",
    "encoding and scoring",
    "augmentation",
    "images at rest on the device",
    "images at rest on the host",
    *(f"training of {name}" for name in ("convnet-3", "resnetap-10", "resnet-18", "timm:resnet10t")),
    "training of a bundle",
]


def test_every_hot_loop_stays_on_its_device_and_generation_never_waits_for_it():
    """In a process of its own, because a device once known to PyTorch stays so."""
    if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this PyTorch cannot pretend a device")
    path = os.pathsep.join([str(HERE.parent), str(HERE.parents[1])])
    ran = subprocess.run(
        [sys.executable, str(HERE / "pretended_device.py")],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert ran.stdout.splitlines() == EXPECTED, ran.stderr[-2000:]
