"""Netpbm's grey and colour maps: the numbers as they were stored, of those that the decoder changes or takes long for.

It takes a second for 4 MB of text, and scales what a map whose largest number is not 255 holds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([25356])" + (_GAP + rb"(\d{1,10})") * 3 + rb"\s")
_HEAD = 1 << 18  # bytes, comments included
_CHANNELS = {b"2": 1, b"3": 3, b"5": 1, b"6": 3}
_TEXT = (b"2", b"3")
_COMMENT = re.compile(rb"#[^\r\n]*")
_SPACE = re.compile(rb"\s")
_PART = 1 << 22  # bytes of text that are looked at together
_DIGITS = 10  # of one number


def largest_number(data: bytes) -> int | None:
    """The number that stands for white; None for a file without one."""
    found = _HEADER.match(data[:_HEAD])
    most = int(found[4]) if found else 0
    return most if 0 < most < 65536 else None


def size_of_samples(data: bytes) -> tuple[int, int] | None:
    """Width and height of a map that ``read_samples`` reads; None for a binary one whose white is 255 or 65535."""
    found = _HEADER.match(data[:_HEAD])
    white = largest_number(data)
    if found is None or white is None or (found[1] not in _TEXT and white in (255, 65535)):
        return None
    return int(found[2]), int(found[3])


def read_samples(data: bytes) -> NDArray[Any]:
    """The numbers of a map that ``size_of_samples`` knows, (H, W, C), uint8 or uint16; OSError if some are missing."""
    found = _HEADER.match(data[:_HEAD])
    assert found is not None  # the caller's mistake
    width, height, most, channels = int(found[2]), int(found[3]), int(found[4]), _CHANNELS[found[1]]
    form = np.dtype(np.uint8) if most < 256 else np.dtype(">u2")
    count, text = width * height * channels, found[1] in _TEXT
    least = 2 * count - 1 if text else count * form.itemsize
    if count == 0 or len(data) - found.end() < least:
        raise OSError("the picture data end early")
    if text:
        return _read_text(data, found.end(), count, most).reshape(height, width, channels)
    numbers = np.frombuffer(data, form, count, found.end()).reshape(height, width, channels)
    return np.asarray(np.minimum(numbers, most), dtype=form.newbyteorder("="))


def _read_text(data: bytes, start: int, count: int, most: int) -> NDArray[Any]:
    """So many numbers written with digits from ``start`` on, uint8 or uint16; OSError where they are none."""
    if data.find(b"#", start) >= 0:
        data, start = _COMMENT.sub(b" ", data[start:]), 0
    numbers = np.empty(count, np.uint8 if most < 256 else np.uint16)
    made = 0
    while made < count and start < len(data):
        gap = _SPACE.search(data, start + _PART)
        end = len(data) if gap is None else gap.start()
        found, wrong = _numbers(data[start:end])
        taken = found[: count - made]
        if taken.size and int(taken.max()) > most:
            raise OSError(f"it holds {int(taken.max())}, and the largest number is to be {most}")
        numbers[made : made + taken.size] = taken
        made, start = made + taken.size, end
        if wrong and made < count:
            raise OSError(f"{wrong!r} stands in the place of a number")
    if made < count:
        raise OSError("the picture data end early")
    return numbers


def _numbers(text: bytes) -> tuple[NDArray[np.int64], str]:
    """The numbers of a text up to the first word that is none, and the beginning of that word."""
    signs = np.frombuffer(text, np.uint8)
    digits = (signs >= ord("0")) & (signs <= ord("9"))
    known = digits | (signs == ord(" ")) | ((signs >= 9) & (signs <= 13))
    ends = np.flatnonzero(np.diff(digits, append=False))  # beginnings and ends of numbers take turns
    ends = np.concatenate([[-1], ends]) if digits[:1].any() else ends
    long = ends[::2][np.diff(ends)[::2] > _DIGITS] + 1
    stops = [int(each[0]) for each in (np.flatnonzero(~known), long) if each.size]
    wrong = ""
    if stops:
        begin = max(text.rfind(gap, 0, min(stops) + 1) for gap in (b" ", b"\n", b"\t", b"\r", b"\f", b"\v")) + 1
        wrong = text[begin : begin + 2 * _DIGITS].split()[0].decode("latin-1")
        text = text[:begin]
    return np.fromstring(text, np.int64, sep=" ") if text.strip() else np.empty(0, np.int64), wrong
