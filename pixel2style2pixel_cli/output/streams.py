"""Standard output and standard error as a command finds them: open, closed, full, or left by their reader.

A message that is lost stops nothing. A result that is lost is told, and changes the exit code.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, TextIO

from pixel2style2pixel_cli.errors import OutputError


class ReaderGone(KeyboardInterrupt):
    """Whoever read standard output has closed it; the run stops as if it were interrupted."""


class Stream:
    """What both have in common: questions about a text stream that may be closed."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream
        # file names may hold anything; a narrow encoding must not turn a result into a crash
        if stream is not None and hasattr(stream, "reconfigure"):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors="backslashreplace")

    @property
    def encoding(self) -> str:
        """As of the stream; Rich asks for it."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    @property
    def columns(self) -> int | None:
        """The width of the terminal that this stream is; None where it is none, or COLUMNS says it."""
        if self.stream is None or os.environ.get("COLUMNS"):
            return None
        with contextlib.suppress(OSError, ValueError):
            return os.get_terminal_size(self.stream.fileno()).columns or None
        return None

    def isatty(self) -> bool:
        """Whether a person reads along."""
        with contextlib.suppress(OSError, ValueError):
            return self.stream is not None and self.stream.isatty()
        return False


class Messages(Stream):
    """Standard error: when it cannot be written any more, or is closed, what is said there is dropped."""

    def write(self, text: str) -> int:
        """Write what can be written."""
        if self.stream is not None:
            try:
                self.stream.write(text)
                self.stream.flush()
            except (OSError, ValueError):  # ValueError: closed by someone else in this process
                _silence(self.stream)
                self.stream = None
        return len(text)

    def flush(self) -> None:
        """Every write has been flushed; Rich asks for it all the same."""


class Results(Stream):
    """Standard output. ``gone``: its reader left. ``lost``: why something asked for could not be printed."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self.gone = False
        self.lost: OutputError | None = None

    def write(self, text: str) -> None:
        """Print text; what is lost is remembered, so that the work goes on and the loss is told at its end."""
        if self.lost is not None:
            return
        try:
            self._send(text)
        except OutputError as error:
            self.lost = error

    def write_bytes(self, data: bytes) -> None:
        """Write a picture; raises OutputError where it does not get through whole."""
        self._send(data)

    def flush(self) -> None:
        """Send on what libraries have printed, which would otherwise fail after the last line of ours."""
        if self.stream is not None and not self.gone:
            with contextlib.suppress(ReaderGone):
                self.write("")

    def _send(self, data: str | bytes) -> None:
        if self.stream is None:
            raise OutputError(
                "standard output is closed, and results were to be printed there", "redirect it to a file"
            )
        stream: Any = self.stream if isinstance(data, str) else self.stream.buffer
        try:
            if data:  # even nothing is too much for a device that is full
                stream.write(data)
            stream.flush()
        except BrokenPipeError:
            _silence(self.stream)
            self.gone = True
            raise ReaderGone from None
        except (OSError, ValueError) as error:
            _silence(self.stream)
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            raise OutputError(
                f"standard output cannot be written: {reason}", "free some space there, or redirect it elsewhere"
            ) from error


def open_standard_streams() -> None:
    """Put the null device where a standard stream is closed, so that no file of ours is taken for one.

    A library that complains on standard error would else write into whatever file was opened first.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one


def _silence(stream: TextIO) -> None:
    """Send the rest to nowhere: the interpreter flushes both streams once more at its end, which must not fail."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
