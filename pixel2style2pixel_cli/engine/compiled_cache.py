"""Compiled networks on the disk: found by what they were made of, checked whole, the longest unused removed first.

A file holds the sha256 of its content in 64 characters, a newline, and the content. What is said of a pair of networks
is a small JSON file of the same form.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixel2style2pixel_cli.errors import OutputError
from pixel2style2pixel_cli.files.atomic import PART_SUFFIX, write_atomic
from pixel2style2pixel_cli.zoo.find import home_folder

FOLDER = "compiled"
NETWORK, RECORD = ".network", ".json"
MOST_BYTES = 6_000_000_000  # some five models of the published sizes
_TITLE = 65  # the hash and the newline


def key_of(facts: Mapping[str, object]) -> str:
    """A name for what is made of these facts; any other fact gives another name."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


class CompiledCache:
    """Files below the home folder; nothing that is wrong with them is an error, only less time saved."""

    def __init__(self, folder: Path | None = None, most_bytes: int = MOST_BYTES) -> None:
        self.folder = home_folder() / FOLDER if folder is None else folder
        self.most_bytes = most_bytes

    def load(self, key: str) -> bytes | None:
        """The network of that key; None where there is none, or not the one that was written (it is removed)."""
        return self._read(key + NETWORK)

    def store(self, key: str, data: bytes) -> str | None:
        """Keep a network; why that was not possible, or None."""
        if len(data) > self.most_bytes:
            return f"it is larger than the {self.most_bytes / 1e9:.1f} GB kept"
        self._make_room(len(data))
        return self._write(key + NETWORK, data)

    @property
    def has_records(self) -> bool:
        """Whether anything was ever compared on this machine."""
        try:
            return any(entry.name.endswith(RECORD) for entry in os.scandir(self.folder))
        except OSError:
            return False

    def record(self, key: str) -> dict[str, Any] | None:
        """What is written of a pair of networks; None where nothing legible is."""
        data = self._read(key + RECORD)
        if data is None:
            return None
        try:
            found = json.loads(data)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def write_record(self, key: str, facts: Mapping[str, object]) -> str | None:
        """Write what was found of a pair of networks; why that was not possible, or None."""
        return self._write(key + RECORD, json.dumps(facts).encode())

    def _read(self, name: str) -> bytes | None:
        path = self.folder / name
        try:
            with path.open("rb") as file:
                title = file.read(_TITLE)
                data = file.read()
        except OSError:
            return None
        if title == hashlib.sha256(data).hexdigest().encode() + b"\n":
            with contextlib.suppress(OSError):
                os.utime(path)  # the longest unused goes first
            return data
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def _write(self, name: str, data: bytes) -> str | None:
        try:
            write_atomic(self.folder / name, hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
        except OutputError as error:
            return error.message
        return None

    def _make_room(self, needed: int) -> None:
        """Remove the networks that were not used for longest until so many more bytes fit."""
        found = []
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.folder):
                if entry.name.endswith(NETWORK) and PART_SUFFIX not in entry.name:
                    with contextlib.suppress(OSError):
                        stat = entry.stat()
                        found.append((stat.st_mtime, stat.st_size, entry.path))
        total = needed + sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.most_bytes:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108
            total -= size
