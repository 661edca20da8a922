"""JPEG segments, and what a decoder cannot judge: a missing end marker, more scans than programs write."""

from __future__ import annotations

import io
import re

from PIL.JpegImagePlugin import JpegImageFile

from pixel2style2pixel_cli.errors import InputError

_END = b"\xff\xd9"
# Bits of all kinds: where they are taken for picture data, the picture differs from one that ends there.
_OTHER_BITS = bytes((37 * i + 11) % 251 for i in range(64))
_COMMENT = 0xFE
_SCAN = b"\xff\xda"
_MOST_SEGMENTS = 10_000
_NO_FILL = re.compile(rb"[^\xff]")
# Progressive pictures have about 10 scans, and each passes over the whole picture again: 3 billion pixels take 10 s.
_USUAL_SCANS, _MOST_SCANS, _MOST_PASSED = 20, 200, 3_000_000_000
_BAND = 1 << 22


def jpeg_segments(data: bytes) -> list[tuple[int, int, int]]:
    """Marker, start and end of the payload of every segment before the picture data."""
    segments: list[tuple[int, int, int]] = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and len(segments) < _MOST_SEGMENTS:
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes, any number of them
            found = _NO_FILL.search(data, at)
            if found is None:
                break
            at = found.start() - 1
            continue
        if marker == 0xDA or marker == 0xD9:
            break
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        segments.append((marker, at + 4, at + 2 + length))
        at += 2 + max(length, 2)
    return segments


def without_extras(data: bytes) -> bytes:
    """The file without segments that only describe it, but for EXIF: the decoder fails at damage in any of them."""
    kept, at = [], 0
    for marker, start, end in jpeg_segments(data):
        described = 0xE0 <= marker <= 0xEF or marker == _COMMENT
        if described and not data[start:end].startswith((b"Exif\x00\x00", b"Adobe")):
            kept.append(data[at : start - 4])
            at = end
    return b"".join([*kept, data[at:]])


def check_scans(data: bytes, pixels: int, name: str) -> None:
    """Raise InputError for a picture that would be drawn over so often that it takes minutes."""
    count = data.count(_SCAN)
    most = min(_MOST_SCANS, max(_USUAL_SCANS, _MOST_PASSED // max(1, pixels)))
    if count > most:
        raise InputError(
            f"{name} has {count} scans, more than the {most} that are allowed for its size",
            "save it again as JPEG or PNG",
        )


def without_end(data: bytes) -> JpegImageFile | None:
    """The picture of a file that lacks nothing but its end marker; None where picture data are missing.

    Decoded twice, once with other bits in front of the marker: only if nothing was missing are they left unread.
    """
    body = data[:-1] if data.endswith(b"\xff") else data
    first = _decode(body + _END)
    second = _decode(body + _OTHER_BITS + _END)
    if first is None or second is None or first.size != second.size or first.mode != second.mode:
        return None
    rows = max(1, _BAND // first.width)
    for top in range(0, first.height, rows):
        box = (0, top, first.width, min(first.height, top + rows))
        if first.crop(box).tobytes() != second.crop(box).tobytes():
            return None
    return first


def _decode(data: bytes) -> JpegImageFile | None:
    try:
        image = JpegImageFile(io.BytesIO(data), "")
        image.load()
    except MemoryError:
        raise
    except Exception:  # the caller has the error of the file as it is
        return None
    return image
