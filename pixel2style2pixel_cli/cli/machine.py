"""What the machine refuses a command, in the two lines that every error of ours has."""

from __future__ import annotations

import errno
import os
import re

from pixel2style2pixel_cli.errors import DeviceError, OutputError, P2S2PError, UsageError
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.tasks.outcome import lacks_threads

_PERMISSION = "name a place you may use; P2S2P_HOME is the folder for models and what is remembered of them"
_SPACE = "free some space on that disk, or use another one"
_FILES = "close other programs, or allow more open files: ulimit -n 4096"
# Reasons that lie in the machine, not in this program, and what helps.
_HINTS = {
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EROFS: _PERMISSION,
    errno.ENOSPC: _SPACE,
    getattr(errno, "EDQUOT", errno.ENOSPC): _SPACE,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOTDIR: "a part of this path is a file, and a folder is needed there",
    errno.EEXIST: "something else has that name: move it away, or choose another place",
    errno.EIO: "check the disk",
}
# What the loader of libraries says where it finds no room for one.
_NO_ROOM = re.compile("failed to map segment|cannot allocate memory|not enough memory", re.IGNORECASE)
_NAMES = {errno.ENAMETOOLONG: "use a shorter name", errno.ELOOP: "the links in this path lead in a circle: mend them"}


def machine_error(error: Exception) -> P2S2PError | None:
    """The error behind an exception that nobody else has taken; None where it is a bug."""
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and _NO_ROOM.search(str(error))):
        return DeviceError("this machine has too little free memory", "close other programs, or use smaller pictures")
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # what pathlib says
        return UsageError("there is no home folder to put in the place of ~", "set HOME, or write the path without ~")
    if not isinstance(error, OSError):
        return lacks_threads(error)
    if isinstance(error, FileNotFoundError) and not _has_working_folder():
        return UsageError("the folder you are in does not exist any more", "change to one that does: cd ~")
    found = (error.strerror or str(error)).lower()
    if error.filename is not None:
        found = f"{display(os.fsdecode(error.filename))}: {found}"
    if error.errno in _NAMES:
        return UsageError(found, _NAMES[error.errno])
    return OutputError(found, _HINTS[error.errno]) if error.errno in _HINTS else None


def _has_working_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - importing pathlib is not needed for a question
    except OSError:
        return False
    return True
