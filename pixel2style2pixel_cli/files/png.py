"""PNG chunks: which of them reach the decoder, what they say about colour, and 16-bit colours in full."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.gamut import SRGB, ColourSpace, coded_space, gamma_space
from pixel2style2pixel_cli.files.metadata import PNG_RECIPE, PNG_XMP

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What shapes the pixels or is read later. Of an animation that leaves the first picture, without the frames behind it.
_KEPT = frozenset({b"tRNS", b"eXIf"})
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_KEYWORDS = frozenset({PNG_RECIPE.encode(), PNG_XMP.encode(), b"Raw profile type exif"})
_MOST_TEXT = 1 << 20  # bytes of one text, unpacked: the limit of Pillow, which refuses the picture for a longer one
_MOST_PROFILE = 16 << 20  # profiles with large tables take a few million bytes
_MOST_CHUNKS = 100_000  # those of a picture hold 8,192 bytes or more
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: first column, first row, and steps of the seven passes of an interlaced picture.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def is_png(data: bytes) -> bool:
    """Whether the file begins like a PNG."""
    return data.startswith(SIGNATURE)


def header(data: bytes) -> tuple[int, int, int, int, int]:
    """Width, height, bits, colour type and interlacing; zeros where there is no whole header."""
    if data[12:16] != b"IHDR" or len(data) < 29:
        return 0, 0, 0, 0, 0
    width, height, bits, kind, _, _, interlaced = struct.unpack(">2I5B", data[16:29])
    return width, height, bits, kind, interlaced


def without_extras(data: bytes) -> bytes:
    """The file with what the decoder needs and we read: damage or size of any other chunk costs no picture."""
    view = memoryview(data)
    kept: list[memoryview] = [view[: len(SIGNATURE)]]
    end = len(SIGNATURE)
    for kind, start, end in _chunks(data):
        if kind[0] & 0x20 == 0 or kind in _KEPT or (kind in _TEXTS and _is_kept_text(kind, data[start : end - 4])):
            kept.append(view[start - 8 : end])
    kept.append(view[end:])  # what is no whole chunk is the decoder's to complain about
    return b"".join(kept)


def profile(data: bytes) -> bytes | None:
    """The ICC profile, None without one or where it is damaged or larger than profiles are."""
    body = _find(data, b"iCCP")
    if body is None:
        return None
    _, _, packed = body.partition(b"\x00")
    return _inflate(packed[1:], _MOST_PROFILE)


def colour_space(data: bytes, name: str) -> ColourSpace:
    """What the chunks for colour say where there is no profile, in the order of the standard: cICP, sRGB, gAMA, cHRM.

    Raises InputError for the curves of high dynamic range.
    """
    coded = _find(data, b"cICP")
    if coded is not None and len(coded) >= 4:
        space = coded_space(coded[0], coded[1], name)
        if space is not None:
            return space
    if _find(data, b"iCCP") is not None or _find(data, b"sRGB") is not None:
        return SRGB
    gamma, chroma = _find(data, b"gAMA"), _find(data, b"cHRM")
    exponent = None if gamma is None or len(gamma) < 4 else int.from_bytes(gamma[:4], "big") / 1e5
    points = (
        None if chroma is None or len(chroma) < 32 else [value / 1e5 for value in struct.unpack(">8I", chroma[:32])]
    )
    return gamma_space(exponent, points)


def samples(data: bytes) -> NDArray[np.uint16]:
    """The stored numbers of a picture with 16 bits per channel, (H, W, C): the decoder keeps the upper 8 alone.

    The filters of PNG work on each byte of a pixel by itself, so that upper and lower bytes are decoded as two
    pictures of 8 bits.
    """
    width, height, _, kind, interlaced = header(data)
    channels = _CHANNELS[kind]
    packed = b"".join(data[start : end - 4] for chunk, start, end in _chunks(data) if chunk == b"IDAT")
    sizes = [(width, height)]
    if interlaced:
        sizes = [(len(range(x, width, dx)), len(range(y, height, dy))) for x, y, dx, dy in _PASSES]
    needed = sum(h * (1 + 2 * channels * w) for w, h in sizes if w)
    raw = np.frombuffer(zlib.decompressobj().decompress(packed, needed), np.uint8)
    if len(raw) < needed:
        raise OSError("the picture data end early")
    halves: list[list[bytes]] = [[], []]
    at = 0
    for w, h in sizes:
        length = 1 + 2 * channels * w
        rows = raw[at : at + h * length].reshape(h, length) if w else raw[:0].reshape(0, 1)
        at += rows.size
        for half in (0, 1):
            halves[half].append(np.concatenate([rows[:, :1], rows[:, 1 + half :: 2]], axis=1).tobytes())
    start = struct.pack(">2I5B", width, height, 8, kind, 0, 0, interlaced)
    upper, lower = (_decode(start, b"".join(half)).reshape(height, width, channels) for half in halves)
    return np.asarray(upper.astype(np.uint16) << 8 | lower)


def transparent_colour(data: bytes) -> tuple[int, ...] | None:
    """The one colour that is transparent in a picture without alpha: a number for each channel."""
    body = _find(data, b"tRNS")
    count = _CHANNELS.get(header(data)[3], 0)
    if body is None or header(data)[3] not in (0, 2) or len(body) < 2 * count:
        return None
    return struct.unpack(f">{count}H", body[: 2 * count])


def check_palette(data: bytes, name: str) -> None:
    """Raise InputError for a picture of palette entries that brings no palette."""
    if header(data)[3] == 3 and not _find(data, b"PLTE"):
        raise InputError(f"{name} is damaged: its pixels refer to a palette that is not there", "save it again")


def _decode(start: bytes, rows: bytes) -> NDArray[Any]:
    parts = [SIGNATURE]
    for kind, body in ((b"IHDR", start), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b"")):
        parts += [struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(kind + body))]
    image = Image.open(io.BytesIO(b"".join(parts)), formats=["PNG"])
    return np.array(image)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start of the body and end with checksum of every whole chunk, up to the last of the picture."""
    at = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        if at + 12 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            return
        yield kind, at + 8, end
        if kind == b"IEND":
            return
        at = end
    raise OSError(f"it has more than {_MOST_CHUNKS} chunks")


def _find(data: bytes, wanted: bytes) -> bytes | None:
    """The body of the first chunk of a kind that stands before the picture data and whose checksum is right."""
    for kind, start, end in _chunks(data):
        if kind == b"IDAT":
            return None
        if kind == wanted and zlib.crc32(kind + data[start : end - 4]) == int.from_bytes(data[end - 4 : end], "big"):
            return data[start : end - 4]
    return None


def _is_kept_text(kind: bytes, body: bytes) -> bool:
    """Whether we read this text and the decoder can."""
    keyword, _, rest = body.partition(b"\x00")
    if keyword not in _KEYWORDS:
        return False
    if kind == b"iTXt" and rest[:1] == b"\x01":
        rest = rest[2:].split(b"\x00", 2)[-1]
    elif kind == b"zTXt":
        rest = rest[1:]
    else:
        return len(rest) <= _MOST_TEXT
    return _inflate(rest, _MOST_TEXT) is not None


def _inflate(packed: bytes, most: int) -> bytes | None:
    """The unpacked bytes; None where they are damaged or more than ``most``."""
    engine = zlib.decompressobj()
    try:
        text = engine.decompress(packed, most)
    except zlib.error:
        return None
    return text if engine.eof else None
