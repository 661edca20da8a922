"""One input decoded and prepared, or why that cannot be done: the same in a thread and in a helper process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.files.image import Photo
from pixel2style2pixel_cli.jobs.budget import detached
from pixel2style2pixel_cli.tasks.base import Prepared, Preparer
from pixel2style2pixel_cli.tasks.outcome import as_outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """One input, read and prepared; ``seconds`` is what that took."""

    photo: Photo
    prepared: Sequence[Prepared]
    seconds: float


Outcome: TypeAlias = Read | P2S2PError


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """What is done to every input; picklable. Without ``keep_pixels`` only the crops leave, not the photograph."""

    preparer: Preparer
    max_pixels: int
    keep_pixels: bool

    def run(self, source: Path | bytes, label: str, relative: str) -> Outcome:
        """Decode and prepare one input, or say why that cannot be done."""
        started = time.perf_counter()
        try:
            photo = self.preparer.read(source, name=label, max_pixels=self.max_pixels)
            prepared = self.preparer.prepare(photo, relative)
        except P2S2PError as error:
            return error
        except Exception as error:
            return as_outcome(error, label)
        if not self.keep_pixels:
            prepared = detached(prepared, photo.pixels)
            photo = replace(photo, pixels=photo.pixels[:0].copy())  # a view would keep all of them
        return Read(photo=photo, prepared=prepared, seconds=time.perf_counter() - started)
