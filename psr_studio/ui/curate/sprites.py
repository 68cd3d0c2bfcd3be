"""Sprite sheets: all pictures of a class in one PNG, so that a page asks once per class, not per picture."""

from __future__ import annotations

import base64
import io
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from PIL import Image

LARGEST_TILE = 64  # px; larger pictures are reduced, the inspector asks for the original
WIDEST_SHEET = 4096  # px; browsers refuse to draw much larger pictures
CACHED_BYTES = 64 * 2**20


def tile_size(image_shape: Sequence[int], columns: int = 1) -> int:
    """Edge of a tile in px for pictures (H, W, C): their own size, as far as tile and sheet limits allow."""
    return max(1, min(LARGEST_TILE, WIDEST_SHEET // columns, max(image_shape[:2])))


def sheet_columns(counts: Sequence[int] | np.ndarray) -> int:
    """Tiles in a row, the same for each class, so that the largest sheet is about square."""
    return max(1, math.ceil(math.sqrt(max((int(n) for n in counts), default=1))))


def sheet_png(images: np.ndarray, tile: int, columns: int, gap: int = 0) -> bytes:
    """Lay uint8 pictures (n, H, W, C) out row by row in tiles of `tile` px, `gap` px apart, as one PNG.

    A picture that is not square is centred in its tile; what no picture covers is transparent.
    """
    rows = max(1, math.ceil(len(images) / columns))
    mode = "LA" if images.ndim == 4 and images.shape[-1] == 1 else "RGBA"
    pitch = tile + gap
    sheet = Image.new(mode, (columns * pitch - gap, rows * pitch - gap))
    for i, pixels in enumerate(images):
        picture = _fitted(to_pillow(pixels), tile)
        left, top = (i % columns) * pitch, (i // columns) * pitch
        sheet.paste(picture, (left + (tile - picture.width) // 2, top + (tile - picture.height) // 2))
    return encode(sheet)


def to_pillow(pixels: np.ndarray) -> Image.Image:
    """A uint8 picture (H, W, C), C = 1 or 3, as Pillow's."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def encode(picture: Image.Image) -> bytes:
    """PNG at Pillow's fastest level: sheets go to a browser on the same machine."""
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()


def data_uri(png: bytes) -> str:
    """A PNG as a data: address, for small pictures inside a page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _fitted(picture: Image.Image, tile: int) -> Image.Image:
    largest = max(picture.size)
    if largest <= tile:
        return picture
    size = (max(1, round(picture.width * tile / largest)), max(1, round(picture.height * tile / largest)))
    return picture.resize(size, Image.Resampling.BOX)


class SheetCache:
    """The sheets used last, up to `CACHED_BYTES`; safe to share between threads."""

    def __init__(self, limit: int = CACHED_BYTES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._sheets: OrderedDict[tuple, bytes] = OrderedDict()

    def get(self, key: tuple) -> bytes | None:
        """The sheet of that key, None when it is not kept."""
        with self._lock:
            if key in self._sheets:
                self._sheets.move_to_end(key)
            return self._sheets.get(key)

    def put(self, key: tuple, sheet: bytes) -> None:
        """Keep a sheet and forget the oldest ones beyond the limit."""
        with self._lock:
            self._sheets[key] = sheet
            while len(self._sheets) > 1 and sum(map(len, self._sheets.values())) > self._limit:
                self._sheets.popitem(last=False)
