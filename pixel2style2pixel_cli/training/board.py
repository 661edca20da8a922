"""TensorBoard's event files of a run, where the package is installed; the run itself never depends on them."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import in_one_line
from pixel2style2pixel_cli.events import Notice, OnEvent

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


class Board:
    """Scalars and sample sheets in ``tensorboard/`` of a run folder; nothing where TensorBoard is not installed.

    What an earlier part of the run wrote past the checkpoint is struck out when the run goes on. Where it cannot be
    written, for a disk that is full, it is given up with a warning.
    """

    def __init__(self, folder: Path, *, step: int, on_event: OnEvent) -> None:
        self.folder, self.on_event = folder / FOLDER, on_event
        self._writer: SummaryWriter | None = None
        if importlib.util.find_spec("tensorboard") is not None:
            with self._held():
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(str(self.folder), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """The losses of a step."""
        with self._held():
            if self._writer is not None:
                for name, value in values.items():
                    self._writer.add_scalar(name if "/" in name else f"training/{name}", value, step)
                self._writer.flush()

    def show(self, step: int, sheet_HWC: NDArray[np.uint8]) -> None:
        """A sheet of samples."""
        with self._held():
            if self._writer is not None:
                self._writer.add_image("samples", sheet_HWC, step, dataformats="HWC")

    def close(self) -> None:
        """Write what is left."""
        with self._held():
            if self._writer is not None:
                self._writer.close()

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever its writer and its thread meet
            self._writer = None
            why = in_one_line(error) or type(error).__name__
            self.on_event(Notice(message=f"no more event files in {self.folder}: {why}", level="warning"))
