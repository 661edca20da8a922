"""Netpbm's binary grey and colour maps whose largest number is not 255: the numbers as they were stored."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([25356])" + (_GAP + rb"(\d{1,10})") * 3 + rb"\s")
_BINARY = {b"5": 1, b"6": 3}


def largest_number(data: bytes) -> int | None:
    """The number that stands for white; None for a file without one."""
    found = _HEADER.match(data[:4096])
    most = int(found[4]) if found else 0
    return most if 0 < most < 65536 else None


def size_of_samples(data: bytes) -> tuple[int, int] | None:
    """Width and height of a binary map; None for a text file and for one whose white is 255 or 65535.

    The decoder has these, and takes long for the others.
    """
    found = _HEADER.match(data[:4096])
    if found is None or found[1] not in _BINARY or largest_number(data) in (None, 255, 65535):
        return None
    return int(found[2]), int(found[3])


def read_samples(data: bytes) -> NDArray[Any]:
    """The numbers of a map that ``size_of_samples`` knows, (H, W, C), uint8 or uint16; OSError if some are missing."""
    found = _HEADER.match(data[:4096])
    assert found is not None  # the caller's mistake
    width, height, most, channels = int(found[2]), int(found[3]), int(found[4]), _BINARY[found[1]]
    form = np.dtype(np.uint8) if most < 256 else np.dtype(">u2")
    count = width * height * channels
    if count == 0 or len(data) - found.end() < count * form.itemsize:
        raise OSError("the picture data end early")
    numbers = np.frombuffer(data, form, count, found.end()).reshape(height, width, channels)
    return np.asarray(np.minimum(numbers, most), dtype=form.newbyteorder("="))
