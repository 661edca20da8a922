"""BMP palettes that mislead the decoder: 4 bits, or 8 with two colours, are taken for greys of another depth."""

from __future__ import annotations

import struct


def hidden_palette(data: bytes) -> tuple[bytes, list[int]] | None:
    """The file with a palette that does not look grey, and the right colours (r, g, b, ...); None where none is needed.

    Pillow leaves out a palette of greys, but not the reading of its numbers.
    """
    if data[:2] != b"BM" or len(data) < 54:
        return None
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:
        bits, colours, entry = struct.unpack_from("<H", data, 24)[0], 0, 3
    else:
        bits, colours, entry = struct.unpack_from("<H", data, 28)[0], struct.unpack_from("<I", data, 46)[0], 4
    colours = colours or 1 << bits
    start = 14 + size
    palette = data[start : start + entry * colours]
    if bits not in (4, 8) or (bits == 8 and colours > 2) or colours > 256 or len(palette) < entry * colours:
        return None
    changed = data[:start] + bytes([palette[0] ^ 1]) + data[start + 1 :]
    return changed, [palette[at + rank] for at in range(0, len(palette), entry) for rank in (2, 1, 0)]
