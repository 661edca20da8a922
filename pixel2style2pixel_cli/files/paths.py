"""How path names are shown, sorted and compared."""

# Strings and os.path: a plan may hold 100 000 paths, and a Path for each step would cost seconds.
# ruff: noqa: PTH100, PTH110, PTH118, PTH120, PTH121

from __future__ import annotations

import os
import re
import sys
import unicodedata
from pathlib import PurePath

_DIGITS = re.compile(r"[0-9]+")


def display(path: str | PurePath) -> str:
    """The path with forward slashes and in characters that UTF-8 can carry; undecodable bytes become ``\\udcNN``."""
    text = path.as_posix() if isinstance(path, PurePath) else path.replace(os.sep, "/")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def natural_key(relative: str) -> tuple[str, str]:
    """Sort key by which ``2.png`` comes before ``10.png``, folder by folder, the same on every system."""
    return _DIGITS.sub(_sortable, relative.replace("/", "\0").casefold()), relative


def _sortable(digits: re.Match[str]) -> str:
    """A number as text that sorts by value: its length first; the 0 keeps it among the other characters' order."""
    plain = digits[0].lstrip("0")
    return f"0{chr(len(plain))}{plain}"


def fold(name: str) -> str:
    """The name as a file system without case, or with composed accents (macOS), would compare it."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def nearest_existing(path: str) -> str:
    """The path itself, or the first of its parents that exists."""
    current = os.path.abspath(path)
    while not os.path.lexists(current):
        current = os.path.dirname(current)
    return current


def ignores_case(folder: str) -> bool:
    """Whether the file system below ``folder`` takes ``A`` and ``a`` for one name; found out without writing."""
    current = nearest_existing(folder)
    while True:
        head, name = os.path.split(current)
        if not name:  # at the root without one letter on the way
            return sys.platform in ("darwin", "win32")
        swapped = os.path.join(head, name.swapcase())
        if name.isascii() and swapped != current:
            return os.path.exists(swapped) and os.path.samefile(swapped, current)
        current = head
