"""The binary answer: a JSON header and plain arrays in one body, so that the browser parses no numbers.

```
uint32 LE   length of the header in bytes
header      JSON (UTF-8), padded with spaces to a multiple of 4; "arrays" lists name, dtype, length, offset
arrays      back to back, little endian, each padded to 4 bytes; offsets count from the end of the header
```
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import Response

DTYPES = {"f32": "<f4", "u32": "<u4", "u16": "<u2", "u8": "|u1"}
PACKED = "application/octet-stream"
NO_STORE = {"Cache-Control": "no-store"}


def pack(header: Mapping[str, Any], arrays: Mapping[str, tuple[str, np.ndarray]]) -> bytes:
    """Write a header and named arrays.

    Args:
        header: JSON values; "arrays" is added.
        arrays: name to (dtype, values), dtype one of `DTYPES`; values are flattened row by row.
    """
    listed, bodies, offset = [], [], 0
    for name, (dtype, values) in arrays.items():
        flat = np.ascontiguousarray(values, DTYPES[dtype]).ravel()
        body = _padded(flat.tobytes(), b"\0")
        listed.append({"name": name, "dtype": dtype, "length": flat.size, "offset": offset})
        bodies.append(body)
        offset += len(body)
    text = _padded(json.dumps({**header, "arrays": listed}, allow_nan=False).encode(), b" ")
    return b"".join([len(text).to_bytes(4, "little"), text, *bodies])


def unpack(body: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what `pack` wrote: the header and the arrays, each 1-d."""
    start = 4 + int.from_bytes(body[:4], "little")
    header = json.loads(body[4:start])
    arrays = {
        spec["name"]: np.frombuffer(body, DTYPES[spec["dtype"]], spec["length"], start + spec["offset"])
        for spec in header["arrays"]
    }
    return header, arrays


def packed(body: bytes) -> Response:
    """What `pack` wrote as an answer that no browser keeps."""
    return Response(body, media_type=PACKED, headers=NO_STORE)


def _padded(data: bytes, filler: bytes) -> bytes:
    return data + filler * (-len(data) % 4)
