"""Writing files so that each is either there in full or not there at all, and taking names that nobody else has."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pixel2style2pixel_cli.errors import OutputError
from pixel2style2pixel_cli.files.paths import display

PART_SUFFIX = ".part"
_NO_SPACE = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_NOT_PERMITTED = {errno.EACCES, errno.EPERM, errno.EROFS}


_swept: set[Path] = set()  # folders in which this process has looked for what killed ones left


class TakenError(OutputError):
    """A file was to be created, and one of that name is there already."""


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path`` and rename it into place; after a failure of any kind ``path`` is as it was.

    Missing parent folders are made. Raises OutputError for every reason the operating system gives.
    """
    write_together([(path, data)], may_replace=lambda path: True)


def write_together(files: Sequence[tuple[Path, bytes]], *, may_replace: Callable[[Path], bool]) -> None:
    """Write files that belong together; they get their names in this order once all of them are on the disk.

    A file that may not replace another is created only if nothing has its name at that moment, whatever other
    processes do: TakenError otherwise. After a failure of any kind those that were created are gone again. Missing
    parent folders are made, and what killed processes left half-written in these folders is removed. Raises OutputError
    for every reason the operating system gives.
    """
    parts = [hidden_beside(path, PART_SUFFIX) for path, _ in files]
    created: list[Path] = []
    path = Path()
    try:
        for (path, data), part in zip(files, parts, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parent not in _swept:
                _swept.add(path.parent)
                remove_abandoned([path.parent])
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder")  # Windows would call it a lack of permission
            _write_synced(part, data)
        for (path, _), part in zip(files, parts, strict=True):
            if may_replace(path):
                os.replace(part, path)  # noqa: PTH105 - pathlib's form cannot be made to fail in tests
            else:
                _create(part, path)
                created.append(path)
    except BaseException as error:  # an interrupt must not leave anything behind either
        for left in (*parts, *created):
            with contextlib.suppress(OSError):
                left.unlink()
        if isinstance(error, OSError):
            raise _explain(error, path) from error
        raise


def _create(part: Path, path: Path) -> None:
    """Give a finished file a name that nothing has; TakenError where something has it."""
    try:
        if sys.platform == "win32":
            os.rename(part, path)  # noqa: PTH104 - which never replaces anything there
            return
        try:
            os.link(part, path)
        except FileExistsError:
            raise
        except (OSError, AttributeError):  # a file system, or a Python, without hard links
            _claim(part, path)
            return
    except FileExistsError as error:
        # A network disk may report as taken what its own first, unanswered try created.
        if not _is_same(part, path):
            hint = "give this run a folder of its own with -o, or choose --existing rename"
            raise TakenError(f"{display(path)} was written by another run in the meantime", hint) from error
    part.unlink()


def _claim(part: Path, path: Path) -> None:
    """The same without links: an empty file takes the name, and the finished one its place at once."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        os.replace(part, path)  # noqa: PTH105
    except BaseException:
        path.unlink()
        raise


def _is_same(part: Path, path: Path) -> bool:
    try:
        return os.path.samefile(part, path)  # noqa: PTH121
    except OSError:
        return False


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Delete what killed processes of this machine left half-written in these folders, not in those below them."""
    for folder in folders:
        for part, _ in abandoned_in(folder, PART_SUFFIX):
            with contextlib.suppress(OSError):
                part.unlink()


def hidden_beside(path: Path, ending: str) -> Path:
    """A new hidden name in the folder of ``path``, within the length that file systems take; it says whose it is."""
    mark = f".{_host()}-{os.getpid()}-{secrets.token_hex(4)}{ending}"
    whole = os.fsencode(path.name)[: 250 - len(mark)].decode("utf-8", "ignore")  # no half a character
    kept = os.fsdecode(whole.encode())  # as this machine spells it, which may know ASCII only
    return path.with_name(f".{kept}{mark}")


def abandoned_in(folder: Path, ending: str) -> list[tuple[Path, str]]:
    """What ``hidden_beside`` named in a folder for processes of this machine that have ended, with the names beside."""
    if sys.platform == "win32":
        return []  # no way to ask for a process that does not end it
    mine = re.compile(rf"\.(.*)\.{re.escape(_host())}-(\d+)-[0-9a-f]{{8}}{re.escape(ending)}")
    try:
        found = [(Path(entry.path), mine.fullmatch(entry.name)) for entry in os.scandir(folder)]
    except OSError:
        return []
    return [(path, match[1]) for path, match in found if match is not None and not _is_running(int(match[2]))]


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    return True


def _host() -> str:
    """This machine's name, as far as it may stand in a file's: several machines may write to one folder."""
    return re.sub(r"[^A-Za-z0-9]", "", platform.node())[:32]


def _write_synced(part: Path, data: bytes) -> None:
    # os.open and not open(): "x" mode with the usual permissions, and every byte counted by us
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(data)
        while len(rest):
            rest = rest[os.write(handle, rest) :]
        _sync(handle)
    finally:
        os.close(handle)


def _sync(handle: int) -> None:
    """Have the bytes on the disk before the file gets its name; some network disks cannot be asked for that."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _explain(error: OSError, path: Path) -> OutputError:
    shown = display(path)
    if error.errno in _NO_SPACE:
        hint = "free some space or choose another disk with -o, then repeat with --skip-existing"
        return OutputError(f"no space left on the disk for {shown}", hint)
    if error.errno == errno.EISDIR:
        return OutputError(f"{shown} is a folder, and a file is to be written there", "choose another name with -o")
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return OutputError(
            f"{display(path.parent)} is a file or lies below one, expected a folder", "choose a folder with -o"
        )
    if error.errno in _NOT_PERMITTED:
        return OutputError(f"not permitted to write {shown}", "choose a folder you may write to with -o")
    if error.errno == errno.ENAMETOOLONG:
        return OutputError(f"the name of {shown} is too long for this disk", "choose a shorter one with --name")
    reason = (error.strerror or type(error).__name__).lower()
    return OutputError(f"{shown} could not be written: {reason}", "choose another place with -o")
