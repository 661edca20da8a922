"""How many bytes of decoded pictures may wait at once: a file of 35 bytes can unfold to half a gigabyte."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pixel2style2pixel_cli.files.decode import open_header
from pixel2style2pixel_cli.files.source import LARGE, HeaderStream
from pixel2style2pixel_cli.tasks.base import Pixels, Prepared

# Of photographs that are being decoded, or read and not drawn yet: half a dozen of 24 million pixels at once. A picture
# that takes more than that is read alone.
MOST_BYTES = 2_000_000_000
# Of photographs that wait until their results are written.
MOST_KEPT = 1_000_000_000
_FOR_A_PIXEL = 12  # bytes while it is decoded and converted; measured, 7 to 14
_FOR_A_BYTE = 4  # of a file whose header does not tell
_HEAD = 512
_ENOUGH = 1 << 20  # bytes of a file that hold its header
_WHOLE = (b"RIFF", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # WebP and TIFF are opened with the whole file


class Dropped(Exception):
    """The run ends, and what has not begun is not read any more."""


class Budget:
    """Bytes shared out in the order of the plan, so that whoever is waited for never waits for those behind it."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._held: dict[int, int] = {}
        self._next = 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self, turn: int, amount: int) -> None:
        """Wait until the earlier turns have theirs and there is room, or nobody else holds any; raises Dropped."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (turn == self._next and self._fits(amount)))
            if self._closed:
                raise Dropped
            self._held[turn] = amount
            self._next += 1
            self._changed.notify_all()

    def keep(self, turn: int, amount: int) -> None:
        """From now on this turn holds that much at most; with 0 it has given everything back."""
        with self._changed:
            left = min(amount, self._held.pop(turn, 0))
            if left:
                self._held[turn] = left
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fits(self, amount: int) -> bool:
        held = sum(self._held.values())
        return held == 0 or held + amount <= self._most


def needed_bytes(source: Path | bytes) -> int:
    """What decoding the picture will take, by its header; by the length of the file where that does not tell."""
    try:
        start, length = _beginning(source)
    except OSError:  # the reader says what is wrong with it
        return 0
    try:
        width, height = open_header(HeaderStream(start), start[:_HEAD], "").size
    except Exception:  # a damaged header, no picture, or one whose size stands further on
        return length * _FOR_A_BYTE
    return int(width) * int(height) * _FOR_A_PIXEL


def _beginning(source: Path | bytes) -> tuple[bytes, int]:
    """Enough of a file for its header, and its length; nothing of a pipe, whose bytes come once."""
    if isinstance(source, bytes):
        return source, len(source)
    if not source.is_file():
        return b"", 0
    with source.open("rb") as stream:
        start = stream.read(_ENOUGH)
        if start.startswith(_WHOLE) or start[4:8] == b"ftyp":
            start += stream.read(LARGE)
    return start, source.stat().st_size


def detached(prepared: Sequence[Prepared], photo: Pixels) -> list[Prepared]:
    """The same without views into the photograph, which would keep all of it in memory."""

    def own(array: Pixels) -> Pixels:
        return array.copy() if np.may_share_memory(array, photo) else array

    return [
        replace(
            each,
            crop=own(each.crop),
            target=None if each.target is None else own(each.target),
            encoder_pixels=None if each.encoder_pixels is None else own(each.encoder_pixels),
        )
        for each in prepared
    ]
