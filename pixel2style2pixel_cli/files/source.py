"""The bytes of one input file, with a limit: nothing endless, nothing larger than a picture can be."""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from pixel2style2pixel_cli.errors import InputError

READABLE = "expected a PNG, JPEG, WebP, TIFF, BMP or GIF picture"
LARGE = 32 << 20  # bytes from which a header is looked at before the rest is read
_BLOCK = 1 << 20
_MOST_READS = 200_000
_PATIENCE = 30.0  # seconds without a byte after which a pipe counts as forgotten


class HeaderStream(io.BytesIO):
    """Bytes for a parser of headers, which may not read for ever: some take a byte at a time until they find a mark."""

    reads_left: int | None = _MOST_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """As ``io.BytesIO``; OSError after more reads than a header takes."""
        if self.reads_left is not None:
            self.reads_left -= 1
            if self.reads_left < 0:
                raise OSError("its header has no end")
        return super().read(size)


def most_bytes(max_pixels: int) -> int:
    """How long a file with ``max_pixels`` may be: 16-bit colours and alpha, uncompressed, and metadata."""
    return (64 << 20) + 8 * max_pixels


def read_stream(stream: BinaryIO, name: str, *, most: int) -> bytes:
    """Everything that comes out of an open stream; InputError once it is more than ``most`` bytes."""
    blocks: list[bytes] = []
    total = 0
    while block := stream.read(_BLOCK):
        blocks.append(block)
        total += len(block)
        if total > most:
            raise _too_long(name, total, most)
    return b"".join(blocks)


def read_bytes(
    path: Path, name: str, *, most: int, check: Callable[[BinaryIO], None] | None = None, expected: str = READABLE
) -> bytes:
    """The whole file or pipe; InputError for a folder, a device, what cannot be read or has more than ``most`` bytes.

    ``check`` looks at the beginning of a large file before the rest is read, and raises InputError to stop that.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{name} is a folder, expected a picture file", "give the folder as an input of its own")
        if stat.S_ISFIFO(mode):
            return _read_pipe(path, name, most, expected)
        if not stat.S_ISREG(mode):
            raise InputError(f"{name} is a device or a socket, expected a file", "give a file")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > LARGE and check is not None:
                check(file)
                file.seek(0)
            if size > most:
                raise _too_long(name, size, most, expected)
            data = file.read(size + 1)  # memory for as much is taken at once
            while len(data) > size and len(data) <= most:  # it has no size, or has grown
                more = file.read(_BLOCK)
                if not more:
                    break
                data += more
        if len(data) > most:
            raise _too_long(name, len(data), most, expected)
        return data
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{name} does not exist, {expected}", "check the spelling of the path") from error
    except PermissionError as error:
        raise InputError(f"{name} cannot be read: permission denied", "make the file readable (chmod u+r)") from error
    except OSError as error:
        hint = "shorten the path" if error.errno == errno.ENAMETOOLONG else "check the disk and the path"
        raise InputError(f"{name} cannot be read: {error.strerror or error}", hint) from error
    except ValueError as error:  # a zero byte in the path
        raise InputError(f"{name} is not a valid path: {error}", "check the spelling of the path") from error


def _read_pipe(path: Path, name: str, most: int, expected: str) -> bytes:
    """All that comes through a pipe; opened so that one nobody writes to does not stop the run for ever."""
    if not hasattr(os, "O_NONBLOCK"):  # Windows, whose pipes have names of another kind
        with path.open("rb") as file:
            return read_stream(file, name, most=most)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    blocks: list[bytes] = []
    total, deadline = 0, time.monotonic() + _PATIENCE
    try:
        while total <= most:
            ready, _, _ = select.select([handle], [], [], 0.2)
            if not ready and time.monotonic() > deadline:
                raise InputError(f"{name} is a pipe that sent nothing for {_PATIENCE:.0f} seconds", "give a file")
            if not ready:
                continue
            block = os.read(handle, _BLOCK)
            if not block:
                return b"".join(blocks)
            blocks.append(block)
            total += len(block)
            deadline = time.monotonic() + _PATIENCE
    finally:
        os.close(handle)
    raise _too_long(name, total, most, expected)


def _too_long(name: str, size: int, most: int, expected: str = READABLE) -> InputError:
    if expected != READABLE:
        return InputError(f"{name} has {size / 1e6:.3g} MB or more, {expected}", "give a smaller file")
    return InputError(
        f"{name} has {size / 1e9:.3g} GB or more, and no picture within the limit of pixels takes more than "
        f"{most / 1e9:.3g} GB",
        "convert it to PNG or JPEG, or raise --max-pixels if you trust the file",
    )
