"""Pictures from anywhere, safely: known formats only, size checked before decoding, cut to the shape at rest."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".pgm")
MAX_PIXELS = 64 * 2**20  # of one picture; a photograph has 50 million at most
MAX_BYTES = 128 * 2**20  # of one file


class PictureError(ValueError):
    """A file that is no usable picture; the text says why, for a sentence that names the file."""


def read_picture(data: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """Decode and fit a picture: uint8 (H, W, ch).

    It is turned upright as its file says, scaled so that it covers H x W (bicubic, antialiased) and cut to it
    around the centre. A picture that already has the shape keeps every pixel. What is transparent becomes white.

    Raises:
        PictureError: another format, broken, or more than `MAX_PIXELS`.
    """
    height, width, channels = shape
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PictureError(
                    f"it has {image.width} x {image.height} pixels, more than {MAX_PIXELS / 2**20:.0f} million"
                )
            upright = ImageOps.exif_transpose(image)
            flat = _flat(upright).convert("L" if channels == 1 else "RGB")
    except UnidentifiedImageError as err:
        raise PictureError(f"it is none of {', '.join(FORMATS)}") from err
    except Image.DecompressionBombError as err:
        raise PictureError(f"it has more than {MAX_PIXELS / 2**20:.0f} million pixels") from err
    except (OSError, SyntaxError, ValueError) as err:
        if isinstance(err, PictureError):
            raise
        raise PictureError(f"it is broken ({str(err) or type(err).__name__})") from err
    if flat.size != (width, height):
        flat = ImageOps.fit(flat, (width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(flat, np.uint8)
    return pixels[..., None] if channels == 1 else pixels


def _flat(image: Image.Image) -> Image.Image:
    """Without transparency and in 8 bits."""
    if image.mode in ("I;16", "I;16B", "I"):
        levels = np.asarray(image, np.float64) / (65535 / 255)
        return Image.fromarray(np.clip(levels, 0, 255).round().astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image


def is_picture(path: Path | str) -> bool:
    """Whether the name is that of a picture; hidden files are none."""
    name = Path(path).name
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
