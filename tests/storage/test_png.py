"""PNG: pixel-equal for every shape, a file any reader opens, with and without the fast library."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from psr_studio.storage import png
from psr_studio.storage.png import decode_png, encode_png

SHAPES = [(1, 1, 1), (1, 7, 3), (28, 28, 1), (28, 28, 3), (33, 17, 3), (256, 256, 3)]


def picture(shape: tuple[int, int, int], kind: str) -> np.ndarray:
    height, width, channels = shape
    if kind == "noise":
        return np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    if kind == "flat":
        return np.full(shape, 255, np.uint8)
    y, x = np.mgrid[:height, :width]
    return np.stack([(3 * x + 5 * y + 80 * c) % 256 for c in range(channels)], axis=-1).astype(np.uint8)


@pytest.fixture(params=["isal", "Pillow"])
def encoder(request, monkeypatch) -> str:
    """Both ways: the fast library, and a machine that has none."""
    if request.param == "Pillow":
        monkeypatch.setattr(png, "isal_zlib", None)
    else:
        pytest.importorskip("isal")
    return request.param


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["noise", "flat", "slope"])
def test_pixels_survive(encoder, shape, kind):
    """Pillow, which checks every chunk's CRC and the Adler-32 of the pixels, reads back the same bytes."""
    pixels = picture(shape, kind)
    data = encode_png(pixels)
    with Image.open(io.BytesIO(data)) as opened:
        opened.verify()
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.format == "PNG" and opened.mode == ("L" if shape[-1] == 1 else "RGB")
    assert np.array_equal(decode_png(data), pixels)


def test_a_view_is_encoded_as_it_looks(encoder):
    whole = picture((32, 32, 3), "noise")
    assert np.array_equal(decode_png(encode_png(whole[::2, 3:20])), whole[::2, 3:20])


def test_equal_pictures_give_equal_bytes(encoder):
    pixels = picture((28, 28, 1), "slope")
    assert encode_png(pixels) == encode_png(pixels.copy())


@pytest.mark.parametrize("data", [b"", b"no picture", encode_png(picture((28, 28, 1), "noise"))[:300]])
def test_what_is_no_whole_png_is_a_value_error(data):
    with pytest.raises(ValueError, match=r"\w"):
        decode_png(data)
