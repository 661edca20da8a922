"""Picture files made byte by byte, of kinds that no library in reach writes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DATA = Path(__file__).parent / "data"
ASCII, SHORT, LONG, UNDEFINED = 2, 3, 4, 7
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}  # bytes, by type
_LETTERS = {1: "B", SHORT: "H", LONG: "I", 6: "b", UNDEFINED: "B", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q"}
_SAMPLE_FORMAT = {"u": 1, "i": 2, "f": 3, "c": 6}


def saved(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """The bytes that Pillow writes."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows: Sequence[bytes], width: int, bits: int, kind: int, *before: bytes) -> bytes:
    """A PNG of unfiltered rows; ``before`` are whole chunks that stand before the picture data."""
    header = struct.pack(">2I5B", width, len(rows), bits, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\x00" + row for row in rows))
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *before, chunk(b"IDAT", data), chunk(b"IEND", b"")])


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """A PNG with chunks put behind its header."""
    return data[:33] + b"".join(chunks) + data[33:]


@dataclass
class TiffPage:
    """One picture of a TIFF: ``values`` (H, W, C) as they are stored, ``tags`` as (type, numbers) over what follows."""

    values: np.ndarray
    photometric: int = 1
    extra: tuple[int, ...] = ()
    bits: int | None = None
    planar: bool = False
    tile: tuple[int, int] | None = None
    compression: int = 1
    predictor: int = 1
    tags: dict[int, tuple[int, Any] | None] = field(default_factory=dict)
    children: list[TiffPage] = field(default_factory=list)


def tiff(*pages: TiffPage, order: str = "<", big: bool = False) -> bytes:
    """A TIFF, or with ``big`` a BigTIFF, of these pages and their children (SubIFDs)."""
    magic = {
        ("<", False): b"II*\0",
        (">", False): b"MM\0*",
        ("<", True): b"II+\0\x08\0\0\0",
        (">", True): b"MM\0+\0\x08\0\0",
    }
    out = bytearray(magic[order, big] + bytes(8 if big else 4))
    link = 8 if big else 4
    for page in pages:
        start, link = _append_page(out, page, link, order, big)
    del start
    return bytes(out)


def _append_page(out: bytearray, page: TiffPage, link: int, order: str, big: bool) -> tuple[int, int]:
    """Write a page, point to it from ``link`` (-1: from nowhere); its place, and where the next is pointed to from."""
    blocks = [_packed(block, page, order) for block in _blocks(page)]
    places = []
    for block in blocks:
        places.append(len(out))
        out += block + bytes(len(block) % 2)
    children = [_append_page(out, child, -1, order, big)[0] for child in page.children]
    tags = _tags(page, places, [len(block) for block in blocks])
    if children:
        tags[330] = (LONG, children)
    return _append_directory(out, tags | page.tags, link, order, big)


def _append_directory(
    out: bytearray, tags: dict[int, tuple[int, Any] | None], link: int, order: str, big: bool
) -> tuple[int, int]:
    """Write the numbers of the tags and their directory; as ``_append_page``."""
    count_form, offset_form, inside = ("Q", "Q", 8) if big else ("H", "I", 4)
    entries = []
    for tag, value in sorted(tags.items()):
        if value is None:
            continue
        kind, numbers = value
        body = (
            numbers if isinstance(numbers, bytes) else struct.pack(f"{order}{len(numbers)}{_LETTERS[kind]}", *numbers)
        )
        count = len(body) // SIZES[kind] if isinstance(numbers, bytes) else len(numbers)
        if len(body) > inside:
            out += bytes(len(out) % 2)
            place = struct.pack(order + offset_form, len(out))
            out += body
        else:
            place = body.ljust(inside, b"\0")
        entries.append(struct.pack(f"{order}HH{offset_form}", tag, kind, count) + place)
    out += bytes(len(out) % 2)
    start = len(out)
    out += struct.pack(order + count_form, len(entries)) + b"".join(entries) + bytes(inside)
    if link >= 0:
        out[link : link + inside] = struct.pack(order + offset_form, start)
    return start, len(out) - inside


def exif(
    tags: dict[int, Any], *, camera: dict[int, Any] | None = None, gps: dict[int, Any] | None = None, order: str = "<"
) -> bytes:
    """EXIF as it stands in a picture, with the directories of the camera and of the place."""
    out = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))
    below = {tag: inner for tag, inner in ((0x8769, camera), (0x8825, gps)) if inner is not None}
    places = {tag: (LONG, [_append_directory(out, inner, -1, order, False)[0]]) for tag, inner in below.items()}
    _append_directory(out, tags | places, 4, order, False)
    return b"Exif\0\0" + bytes(out)


def _tags(page: TiffPage, places: list[int], lengths: list[int]) -> dict[int, tuple[int, Any] | None]:
    height, width, channels = page.values.shape
    bits = page.bits or 8 * page.values.itemsize
    tags: dict[int, tuple[int, Any] | None] = {
        256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, [bits] * channels), 259: (SHORT, [page.compression]),
        262: (SHORT, [page.photometric]), 277: (SHORT, [channels]), 284: (SHORT, [2 if page.planar else 1]),
        339: (SHORT, [_SAMPLE_FORMAT[page.values.dtype.kind]] * channels),
    }  # fmt: skip
    if page.predictor != 1:
        tags[317] = (SHORT, [page.predictor])
    if page.extra:
        tags[338] = (SHORT, list(page.extra))
    if page.tile:
        tags |= {322: (LONG, [page.tile[1]]), 323: (LONG, [page.tile[0]]), 324: (LONG, places), 325: (LONG, lengths)}
    else:
        tags |= {273: (LONG, places), 278: (LONG, [_STRIP]), 279: (LONG, lengths)}
    return tags


_STRIP = 7  # rows


def _blocks(page: TiffPage) -> list[np.ndarray]:
    """The strips or tiles, (h, w, c) each, plane by plane."""
    values = page.values
    planes = np.split(values, values.shape[2], axis=2) if page.planar else [values]
    blocks = []
    for plane in planes:
        rows, columns = page.tile or (_STRIP, plane.shape[1])
        for top in range(0, plane.shape[0], rows):
            for left in range(0, plane.shape[1], columns):
                block = plane[top : top + rows, left : left + columns]
                if page.tile:
                    missing = [(0, rows - block.shape[0]), (0, columns - block.shape[1]), (0, 0)]
                    block = np.pad(block, missing)
                blocks.append(block)
    return blocks


def _packed(block: np.ndarray, page: TiffPage, order: str) -> bytes:
    height, width, channels = block.shape
    if page.predictor == 2:
        unsigned = block.view(f"u{block.itemsize}")
        block = np.diff(unsigned, axis=1, prepend=unsigned.dtype.type(0))
    if page.predictor == 3:
        ranks = np.ascontiguousarray(block.astype(block.dtype.newbyteorder(">"))).view(np.uint8)
        ranks = ranks.reshape(height, width * channels, block.itemsize).transpose(0, 2, 1).reshape(height, -1, channels)
        data = np.diff(ranks, axis=1, prepend=np.uint8(0)).tobytes()
    elif page.bits and page.bits % 8:
        loose = (block.reshape(height, -1, 1) >> np.arange(page.bits)[::-1]) & 1
        data = np.packbits(loose.reshape(height, -1).astype(np.uint8), axis=1).tobytes()
    else:
        data = block.astype(block.dtype.newbyteorder(order)).tobytes()
    return zlib.compress(data) if page.compression == 8 else data
