"""What one server may cost: seconds, bytes and tries; and the error that says that it did not help."""

from __future__ import annotations

import email.utils
import math
import os
import random
import time
from dataclasses import dataclass
from datetime import UTC

from pixel2style2pixel_cli.wording import file_size

# Documented by huggingface_hub, and obeyed for every source: seconds until a silent server is given up.
SILENCE_VARIABLES = {"HEAD": "HF_HUB_ETAG_TIMEOUT", "GET": "HF_HUB_DOWNLOAD_TIMEOUT"}
MOST_SILENCE = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds of one download, in seconds and bytes.

    A file costs at most ``file_copies`` times its size and ``spare_bytes``, headers and repetitions included, and one
    source ``source_copies`` times its size and a quarter of ``spare_bytes``. A try that brings less than
    ``progress_bytes`` (of a small file: than a twentieth) is one without progress.
    """

    silence: float = 10.0  # without a single byte
    connect: float = 15.0  # name, connection, proxy and TLS together
    headers: float = 30.0  # until the headers of an answer are complete, redirects before it included
    header_bytes: int = 128 << 10
    redirects: int = 8
    window: float = 30.0  # of waiting for bytes, over which their rate is measured
    least_rate: int = 4096  # bytes a second
    tries: int = 4  # in a row, without progress
    requests: int = 100  # of one source
    progress_bytes: int = 1 << 20
    pause: float = 1.0  # before the second try, doubled before each further one
    longest_pause: float = 10.0
    longest_wait: float = 60.0  # that a server may ask for
    source_copies: int = 2
    file_copies: int = 4
    spare_bytes: int = 1 << 20
    unknown_size: int = 8 << 30  # that a source may say where the card says none


LIMITS = Limits()


class SourceError(Exception):
    """A source did not help.

    ``wrong``: it sent something that is not the file. ``again``: another try may help, after ``wait`` seconds where the
    server says so.
    """

    def __init__(self, reason: str, *, wrong: bool = False, again: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.wrong, self.again, self.wait = reason, wrong, again, wait


class Budget:
    """Bytes that may come over the wire for one file; SourceError when they are used up."""

    def __init__(self, size: int | None) -> None:
        self._known, self._size, self._largest = size, size or 0, size or 0
        self._file = self._source = 0  # what has come

    def begin_source(self) -> None:
        """Allow another source its share; SourceError where not even one copy is left."""
        self._source, self._size = 0, self._known or 0
        if self._file + self._largest > self._most(LIMITS.file_copies, self._largest):
            raise SourceError(f"not asked: {LIMITS.file_copies} times the size of the file has come already")

    def learn(self, size: int) -> None:
        """The size that this source says, where nobody knew it."""
        if self._known is None:
            self._size, self._largest = size, max(size, self._largest)

    def take(self, count: int) -> None:
        """So many bytes have come."""
        self._file, self._source = self._file + count, self._source + count
        if self._source > self._most(LIMITS.source_copies, self._size) - LIMITS.spare_bytes * 3 // 4:
            raise SourceError(
                f"sent more than {LIMITS.source_copies} times the size of the file ({file_size(self._size)}), "
                "and not the whole of it",
                wrong=True,
            )
        if self._file > self._most(LIMITS.file_copies, self._largest):
            raise SourceError(f"not asked any more: {LIMITS.file_copies} times the size of the file has come already")

    def _most(self, copies: int, size: int) -> int:
        return copies * size + LIMITS.spare_bytes


def silence_of(method: str) -> float:
    """Seconds without a byte after which an answer is given up; SourceError for a variable that is no such number."""
    name = SILENCE_VARIABLES[method]
    text = os.environ.get(name, "").strip()
    if not text:
        return LIMITS.silence
    # whole numbers: with others huggingface_hub does not start
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    if not 0 < seconds <= MOST_SILENCE:
        raise SourceError(f"{name} is {text[:40]!r}, expected whole seconds up to {MOST_SILENCE}")
    return seconds


def retry_after(text: str | None) -> float | None:
    """Seconds that a server asks to wait, from ``Retry-After`` as seconds or a date; None where it says nothing sound.

    Numbers too long for any clock are infinity; a date that has passed is 0.
    """
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= 12 else math.inf
    try:
        date = email.utils.parsedate_to_datetime(text)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def pause_before(failures: int, asked: float | None) -> float:
    """Seconds before the next try, after so many without progress; what the server asked for is never cut short.

    Some more are added at random, so that many callers do not come back together.
    """
    pause = min(LIMITS.pause * 2.0 ** (failures - 1), LIMITS.longest_pause)
    return max(pause, asked or 0.0) * random.Random().uniform(1.0, 1.25)


def sleep(seconds: float) -> None:
    """Wait; an interruption ends it at once."""
    time.sleep(seconds)
