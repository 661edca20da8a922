"""Files get the names that were planned for them, while other runs may write to the same folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixel2style2pixel_cli.files.atomic import TakenError, write_together
from pixel2style2pixel_cli.jobs.naming import OutputNames
from pixel2style2pixel_cli.jobs.plan import PlanItem
from pixel2style2pixel_cli.options.task import Existing
from pixel2style2pixel_cli.variants import SINGLE, Variant


@dataclass(frozen=True, slots=True)
class File:
    """The bytes of one file of an input: what its name ends in, which face and which variant it belongs to."""

    ending: str
    data: bytes
    face: int
    variant: Variant = SINGLE


class Places:
    """Writes files under their planned names, by the policy for names that are taken; safe in several threads.

    Only ``overwrite`` replaces what others wrote. Under ``rename`` an input whose name was taken since the plan was
    made goes on with the next free number; under the others the loser of such a race gets a TakenError.
    """

    def __init__(self, existing: Existing) -> None:
        self.existing = existing
        self._moved: dict[int, OutputNames] = {}  # the inputs whose planned name was taken
        self._lock = threading.Lock()

    def write(self, item: PlanItem, files: Sequence[File], replaces: Collection[Path]) -> OutputNames:
        """Write files of one input that belong together, all or none; returns the names that they have now.

        ``replaces`` are planned files that may be replaced under every policy. Raises OutputError.
        """
        with self._lock:
            names = self._moved.get(item.index, item.names)
        while True:
            paths = [names.path(file.ending, face=file.face, variant=file.variant) for file in files]
            try:
                if self.existing == "rename" and any(os.path.lexists(path) for path in paths):
                    raise TakenError(f"{paths[0]} is taken")  # goes on with the next number
                write_together(
                    [(Path(path), file.data) for path, file in zip(paths, files, strict=True)],
                    may_replace=lambda path: self.existing == "overwrite" or path in replaces,
                )
                return names
            except TakenError:
                if self.existing != "rename":
                    raise
            names = self._next(item, names)

    def write_shared(self, path: Path, data: bytes, replaces: Collection[Path]) -> None:
        """Write a file that the run has once, by the same rules."""
        number, free = 0, path
        while True:
            try:
                write_together(
                    [(free, data)], may_replace=lambda path: self.existing == "overwrite" or path in replaces
                )
                return
            except TakenError:
                if self.existing != "rename":
                    raise
            number += 1
            free = path.with_name(f"{path.stem}-{number}{path.suffix}")

    def _next(self, item: PlanItem, taken: OutputNames) -> OutputNames:
        """Names with the next number for this and all later files of an input."""
        with self._lock:
            current = self._moved.get(item.index, item.names)
            if current.number <= taken.number:
                current = self._moved[item.index] = taken.numbered(taken.number + 1)
            return current
