"""Pictures from anywhere, safely: known formats only, size checked before decoding, cut to the shape at rest."""

from __future__ import annotations

import io
import re
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "PPM")
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".ppm", ".pgm")
UNPACKED = (".bmp", ".ppm", ".pgm")  # pixels as they are: one colour packs a thousand times smaller
FIRST_BYTES = 16  # of a file, enough for `looks_like_picture`
PILLOW = r"PIL\."  # its modules
MODES = {1: "L", 3: "RGB"}  # by channels
SPARE = 2  # a JPEG is decoded at twice the side that is kept or more, so that scaling it stays antialiased
MAX_PIXELS = 64 * 2**20  # of one picture; a photograph has 50 million at most
MAX_BYTES = 128 * 2**20  # of one file


class PictureError(ValueError):
    """A file that is no usable picture; the text says why, for a sentence that names the file."""


def read_picture(data: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """Decode and fit a picture: uint8 (H, W, ch).

    It is turned upright as its file says, scaled so that it covers H x W (bicubic, antialiased) and cut to it
    around the centre. A picture that already has the shape keeps every pixel. What is transparent becomes white; of an
    animation the first frame counts; 16 bits become 8 by rounding, in colour by the upper 8; CMYK becomes RGB by plain
    subtraction of inks, without a colour profile.

    Raises:
        PictureError: another format, broken, or more than `MAX_PIXELS`.
    """
    height, width, channels = shape
    try:
        hush_pillow()
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PictureError(
                    f"it has {image.width} x {image.height} pixels, more than {MAX_PIXELS / 2**20:.0f} million"
                )
            side = SPARE * max(height, width)
            image.draft(None, (side, side))  # of a JPEG: leave out detail that is far finer than what is kept
            image.load()  # some formats keep their metadata behind the pixels
            turn = TURNS.get(orientation(image.info))
            flat, mode = _flat(image.transpose(turn) if turn is not None else image), MODES[channels]
            flat = flat if flat.mode == mode else flat.convert(mode)
    except (PictureError, MemoryError):
        raise
    except UnidentifiedImageError as err:
        raise PictureError(f"it is none of {', '.join(FORMATS)}") from err
    except Image.DecompressionBombError as err:
        raise PictureError(f"it has more than {MAX_PIXELS / 2**20:.0f} million pixels") from err
    except Exception as err:  # a decoder fed with rubbish raises whatever it stumbles over
        raise PictureError(f"it is broken ({str(err) or type(err).__name__})") from err
    if flat.size != (width, height):
        flat = ImageOps.fit(flat, (width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(flat, np.uint8)
    return pixels[..., None] if channels == 1 else pixels


def centres(images: np.ndarray, side: int, shorter: int) -> np.ndarray:
    """Pictures resized to a shorter side of `shorter` (bilinear, antialiased), then cut to the square in the middle.

    As torchvision's Resize and CenterCrop of a Pillow picture: uint8 (N, H, W, ch) -> (N, side, side, ch).
    """
    n, height, width, channels = images.shape
    if (height, width) == (side, side) and shorter == side:
        return images
    scale = shorter / min(height, width)
    size = (int(width * scale), int(height * scale))
    top, left = round((size[1] - side) / 2), round((size[0] - side) / 2)
    found = np.empty((n, side, side, channels), np.uint8)
    for row, image in enumerate(images):
        plain = Image.fromarray(image[..., 0] if channels == 1 else image)
        pixels = np.asarray(plain.resize(size, Image.Resampling.BILINEAR))
        found[row] = pixels.reshape(*pixels.shape[:2], channels)[top : top + side, left : left + side]
    return found


def hush_pillow() -> None:
    """Keep back Pillow's warnings about odd metadata, which say nothing about the pixels and cut a progress line.

    For the process: what Python offers for a block is not for threads, and pictures are decoded in several.
    """
    if not any(
        known[0] == "ignore" and getattr(known[3], "pattern", "") == PILLOW for known in warnings.filters
    ):
        warnings.filterwarnings("ignore", module=PILLOW)


TURNS = {  # EXIF orientation to the transposition that puts the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(info: dict) -> int:
    """The EXIF orientation among what Pillow says of a picture, 1 where there is none.

    Only this one value is read, from the first directory of the EXIF block or from XMP: whatever else stands there,
    broken or not, says nothing about the pixels.
    """
    found = _exif_orientation(bytes(info.get("exif") or b""))
    if found is None:
        xmp = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""
        data = xmp.encode() if isinstance(xmp, str) else bytes(xmp)
        match = re.search(rb"tiff:Orientation(?:=[\"']|>)([1-8])", data)
        found = int(match[1]) if match else None
    return found or 1


def _exif_orientation(exif: bytes) -> int | None:
    """The tag 0x0112 of the first directory of a TIFF header; None where it is not there, or cut off."""
    data = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    try:
        (directory,) = struct.unpack_from(f"{order}I", data, 4)
        (n_entries,) = struct.unpack_from(f"{order}H", data, directory)
        for place in range(directory + 2, directory + 2 + 12 * n_entries, 12):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", data, place)
            if tag == 0x0112:
                return value if kind == 3 and count == 1 else None
    except struct.error:
        return None
    return None


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


BEGINNINGS = {
    ".png": rb"\x89PNG\r\n\x1a\n", ".jpg": rb"\xff\xd8\xff", ".gif": rb"GIF8[79]a", ".bmp": rb"BM",
    ".webp": rb"RIFF....WEBP", ".ppm": rb"P[2356]\s",
}  # fmt: skip


def ending_of(first: bytes) -> str | None:
    """The usual ending of a file that begins so, one of `SUFFIXES`; None for none of `FORMATS`.

    Args:
        first: its first `FIRST_BYTES`, or more.
    """
    return next((ending for ending, start in BEGINNINGS.items() if re.match(start, first, re.DOTALL)), None)


def looks_like_picture(first: bytes) -> bool:
    """Whether a file begins as one of `FORMATS` does; `first` as in `ending_of`."""
    return ending_of(first) is not None
