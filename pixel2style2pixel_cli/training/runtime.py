"""Where the networks of a run live and compute, and how many processes share it.

A trainer goes through its runtime for everything that depends on that. One process is a ``Runtime``; several, on CPUs
or GPUs, are ``Processes`` (``training/processes.py``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.device import is_fast_in_bfloat16
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.training.draws import sharing
from pixel2style2pixel_cli.training.share import Share, is_one_of_several

if TYPE_CHECKING:
    from pixel2style2pixel_cli.training.config import RunConfig
    from pixel2style2pixel_cli.training.data import Batch

M = TypeVar("M", bound=nn.Module)


def runtime_of(device: torch.device, run: RunConfig) -> Runtime:
    """The runtime of a run: of one process, or of those that a launcher has started.

    Raises UsageError where the batch cannot be shared out evenly, MissingError without the package accelerate.
    """
    if not is_one_of_several():
        runtime = Runtime(device, run.precision, accumulate=run.accumulate)
    else:
        from pixel2style2pixel_cli.training.processes import Processes

        runtime = Processes(device, run.precision, accumulate=run.accumulate)
    shares = runtime.processes * runtime.accumulate
    if run.batch % shares:
        raise UsageError(
            f"a batch of {run.batch} pictures cannot be shared out evenly: {runtime.processes} processes, "
            f"run.accumulate {runtime.accumulate}",
            f"set run.batch to a multiple of {shares}; it is that of all processes together",
        )
    return runtime


class Runtime:
    """One process on one device.

    ``accumulate``: a batch is computed in so many parts, whose gradients are added up, in order to take less memory.
    """

    rank = 0
    processes = 1

    def __init__(self, device: torch.device, precision: str, *, accumulate: int = 1) -> None:
        self.device, self.precision, self.accumulate = device, precision, accumulate
        self._parts = 1  # of those that a loss belongs to now

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

    def whole(self) -> contextlib.AbstractContextManager[None]:
        """The context of what is drawn for all pictures of this process at once."""
        return sharing(Share(self.rank, self.processes))

    def parts(self, batch: Batch) -> Iterator[Batch]:
        """The parts of this process's batch, one after the other; losses meanwhile count as parts of a mean.

        Every part finds torch's generator in the same state, and takes its own numbers from it.
        """
        if self.accumulate == 1:
            with self.whole():
                yield batch
            return
        states = _random_states(self.device)
        try:
            self._parts = self.accumulate
            for number in range(self.accumulate):
                _restore(states, self.device)
                share = Share(self.rank + self.processes * number, self.processes * self.accumulate)
                with sharing(share):
                    yield batch.part(number, self.accumulate)
        finally:
            self._parts = 1

    def backward(self, loss: Tensor) -> None:
        """Gradients of a scalar loss, added up in the parameters; of one part, its share of the mean."""
        torch.autograd.backward(loss / self._parts if self._parts > 1 else loss)

    def update(self, *optimisers: torch.optim.Optimizer) -> None:
        """One step of each optimiser, on gradients that are means over all processes."""
        for optimiser in optimisers:
            optimiser.step()

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Make gradients means over all processes, for what happens to them before a step."""

    def mean(self, value: Tensor) -> Tensor:
        """A number, or several, averaged over the processes; without gradient."""
        return value.detach()

    def gather(self, rows: Tensor) -> Tensor:
        """Rows of all processes in the order of the whole batch, without gradient."""
        return rows.detach()

    def reduce(self, values: Mapping[str, float]) -> dict[str, float]:
        """Losses of a step, averaged over the processes."""
        return dict(values)

    def decide(self, here: bool) -> bool:
        """What the main process has decided, for all of them."""
        return here

    def wait(self) -> None:
        """Until every process has come here."""

    def collect(self, found: Mapping[int, str]) -> dict[int, str]:
        """What any process has found, by number."""
        return dict(found)


def averaged(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
    """The losses of several parts of a batch as those of the batch."""
    return {name: sum(float(row[name].detach()) for row in rows) / len(rows) for name in rows[0]}


def _random_states(device: torch.device) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _restore(states: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if states[1] is not None:
        torch.cuda.set_rng_state(states[1], device)
