"""A task for the tests of reading: its results tell in which process they were made."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixel2style2pixel_cli.errors import NoFaceError
from pixel2style2pixel_cli.files.image import Photo, read_image
from pixel2style2pixel_cli.tasks.base import Prepared


@dataclass(frozen=True)
class ReadingTask:
    """Green pictures have no face; ``dies`` ends the process at a red one, unless it is ``home``."""

    home: int
    dies: bool = False
    holds_interpreter: bool = True

    def read(self, source: Path | bytes, *, name: str, max_pixels: int) -> Photo:
        return read_image(source, name=name, max_pixels=max_pixels)

    def prepare(self, photo: Photo, relative: str) -> list[Prepared]:
        print("what a library prints must not disturb the answers")  # noqa: T201
        red, green, _ = photo.pixels[0, 0]
        if green == 255:
            raise NoFaceError("no face found", "look elsewhere")
        if self.dies and red == 255 and os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)
        matrix = np.diag([float(os.getpid()), 1.0, 1.0])
        return [Prepared(face=0, crop=photo.pixels[:4, :4], target=None, matrix=matrix, aligned=True)]
