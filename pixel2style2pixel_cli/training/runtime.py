"""Where the networks of a run live and compute: what one process does here, several would do otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.device import is_fast_in_bfloat16

M = TypeVar("M", bound=nn.Module)


class Runtime:
    """One process on one device.

    Trainers and their loop go through it for everything that depends on how many processes share a run: where modules
    and pictures lie, in which precision networks run, how gradients are found, who writes files, and whose losses are
    logged.
    """

    rank = 0
    processes = 1

    def __init__(self, device: torch.device, precision: str) -> None:
        self.device, self.precision = device, precision

    @property
    def main(self) -> bool:
        """Whether this process writes the log, samples and checkpoints."""
        return self.rank == 0

    def prepare(self, module: M) -> M:
        """A network on the device, in the layout that convolutions are fastest in."""
        return module.to(self.device).to(memory_format=torch.channels_last)

    def place(self, image_BCHW: Tensor) -> Tensor:
        """Pictures (B, C, H, W) likewise."""
        return image_BCHW.to(self.device).contiguous(memory_format=torch.channels_last)

    def autocast(self) -> torch.autocast:
        """The context in which networks run: bfloat16 when asked for, or when ``auto`` and the device is fast in it."""
        half = self.precision == "bfloat16" or (self.precision == "auto" and is_fast_in_bfloat16(self.device))
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)

    def backward(self, loss: Tensor) -> None:
        """Gradients of a scalar loss, added up in the parameters."""
        torch.autograd.backward(loss)

    def reduce(self, values: Mapping[str, float]) -> dict[str, float]:
        """Losses of a step, averaged over the processes."""
        return dict(values)
