"""The numbers of a TIFF as they were stored, for kinds of pixels that the decoder lacks.

The decoder is asked for the bytes alone: a directory of ours calls each row one of 8-bit grey pixels, as wide as the
row has bytes. What the bytes mean is worked out here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import TiffImagePlugin

from pixel2style2pixel_cli.files.tiff import STRIPS, TILES, Page, with_tags

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BAND = 1 << 19  # bytes whose bits are unpacked at a time
_PER_BLOCK = (STRIPS[0], STRIPS[2], TILES[2], TILES[3])


def read_samples(data: bytes, page: Page) -> NDArray[Any]:
    """The stored numbers, (H, W, C): unsigned of the least width that holds them, signed or float as they are.

    Raises what the decoder raises for damaged data.
    """
    planes = page.channels if page.planar else 1
    count = page.channels // planes
    parts = [_read_plane(data, page, plane, planes, count) for plane in range(planes)]
    return parts[0] if planes == 1 else np.concatenate(parts, axis=2)


def _read_plane(data: bytes, page: Page, plane: int, planes: int, count: int) -> NDArray[Any]:
    """One plane of ``count`` channels, (H, W, count)."""
    tiled = TILES[2] in page.tags
    block = page.value(TILES[0], 0) if tiled else page.width  # pixels of a row that are packed together
    across = -(-page.width // block) if block > 0 else 0
    unit = -(-block * count * page.bits // 8)
    if across < 1 or (tiled and block * count * page.bits % 8):
        raise OSError("tiles whose rows are no whole bytes")
    tags: dict[int, tuple[int, ...]] = {}
    tags |= {256: (unit * across,), 257: (page.height,), 258: (8,), 259: (page.compression,), 262: (1,), 277: (1,)}
    for tag in TILES if tiled else STRIPS:
        values = page.tags.get(tag)
        if values is not None:
            share = len(values) // planes if tag in _PER_BLOCK else 0
            tags[tag] = values[plane * share : (plane + 1) * share] if share else values
    if tiled:
        tags[TILES[0]] = (unit,)
    with TiffImagePlugin.TiffImageFile(with_tags(data, page, tags)) as image:
        rows = np.array(image).reshape(page.height, across, unit)
    parts = [_values(np.ascontiguousarray(rows[:, i]), page, block, count) for i in range(across)]
    return np.concatenate(parts, axis=1)[:, : page.width]


def _values(rows: NDArray[np.uint8], page: Page, width: int, count: int) -> NDArray[Any]:
    """The numbers of rows of one tile or strip: uint8 (H, bytes) to (H, width, count)."""
    bits, order = page.bits, ">" if page.order == ">" else "<"
    if page.predictor == 3 and page.kind == "float":
        return _undo_float_predictor(rows, bits // 8, count).reshape(len(rows), width, count)
    if bits not in (8, 16, 32, 64):
        if page.predictor != 1:
            raise OSError(f"differences of {bits}-bit numbers")
        return _unpack(rows, bits, width * count).reshape(len(rows), width, count)
    numbers = rows.view(f"{order}u{bits // 8}").reshape(len(rows), width, count)
    numbers = numbers.astype(numbers.dtype.newbyteorder("="))
    if page.predictor == 2:
        numbers = np.cumsum(numbers, axis=1, dtype=numbers.dtype)  # differences to the left, modulo the width
    letter = {"float": "f", "signed": "i"}.get(page.kind, "u")
    return numbers.view(f"{letter}{bits // 8}")


def _undo_float_predictor(rows: NDArray[np.uint8], size: int, count: int) -> NDArray[Any]:
    """Adobe's predictor 3: bytes of one rank lie together, most significant first, as differences."""
    height = len(rows)
    added = np.cumsum(rows.reshape(height, -1, count), axis=1, dtype=np.uint8).reshape(height, size, -1)
    return np.ascontiguousarray(added.transpose(0, 2, 1)).view(f">f{size}")[..., 0].astype(f"f{size}")


def _unpack(rows: NDArray[np.uint8], bits: int, count: int) -> NDArray[Any]:
    """Numbers of any other width, packed from the highest bit on: (H, bytes) to (H, count)."""
    if bits * count > 8 * rows.shape[1]:
        raise OSError("rows that are too short")
    out = np.empty((len(rows), count), np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32)
    weights = 1 << np.arange(bits, dtype=np.uint64)[::-1]
    step = max(1, _BAND // max(1, rows.shape[1]))
    for top in range(0, len(rows), step):
        loose = np.unpackbits(rows[top : top + step], axis=1, count=bits * count).reshape(-1, count, bits)
        out[top : top + step] = (loose * weights).sum(axis=2)
    return out
