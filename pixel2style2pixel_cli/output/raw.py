"""What libraries write to standard error by themselves: caught below Python, so that ``Output`` decides about it.

Decoders in C and torch's kernels write to the descriptor, whatever Python's ``sys.stderr`` is. A file in memory takes
its place, not a pipe: a library that writes more than a pipe holds would wait for ever.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import tempfile
from typing import TextIO

from pixel2style2pixel_cli.wording import short_warnings

_MOST = 1 << 20  # bytes kept before the file is emptied


class LibraryLines:
    """Takes over standard error of this process and its children; ``stderr`` is the one that people see."""

    def __init__(self) -> None:
        self.stderr: TextIO | None = sys.stderr
        self._file: int | None = None
        self._read = 0
        short_warnings()
        if sys.stderr is None or not hasattr(os, "pread"):
            return
        with contextlib.suppress(OSError, ValueError):
            file = os.memfd_create("messages") if hasattr(os, "memfd_create") else _temporary()
            people = os.fdopen(
                os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding, errors="backslashreplace"
            )
            os.dup2(file, sys.stderr.fileno())
            self.stderr, self._file = people, file
            faulthandler.enable(people)  # a crash must not be silent

    def take(self) -> list[str]:
        """The lines that have come since the last call."""
        if self._file is None:
            return []
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
            size = os.fstat(self._file).st_size
            data = os.pread(self._file, min(size - self._read, _MOST), self._read) if size > self._read else b""
            self._read = size
            if size > _MOST:
                os.ftruncate(self._file, 0)
                os.lseek(self._file, 0, os.SEEK_SET)
                self._read = 0
            return [line.strip() for line in data.decode("utf-8", "backslashreplace").splitlines() if line.strip()]
        return []


def _temporary() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
