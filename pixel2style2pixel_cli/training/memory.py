"""How much memory a run will take, found out with a batch so small that it takes next to none."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from pixel2style2pixel_cli.device import free_bytes
from pixel2style2pixel_cli.errors import DeviceError
from pixel2style2pixel_cli.training.config import RunConfig
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.training.loop import Trainer
from pixel2style2pixel_cli.wording import file_size

PROBE = 2  # pictures, and then twice as many
GROUP = 4  # the discriminator takes batches that this divides
# The first step has what comes every so many steps from it on, one long after the end of any run what begins late; and
# its number plus one is divided by all up to 16, which is when pictures are drawn that are not drawn in every step.
STEPS = (0, 720_719)
# Beside what the backward pass keeps: its gradients, workspaces, freed blocks that do not fit what is asked next.
# Measured beside the weights: 1.3 times what is kept, up to 2.4 times where that is little.
OVERHEAD = 1.5


class _Kept:
    """One tensor that the backward pass keeps, counted while it lives."""

    def __init__(self, tensor: Tensor, meter: _Meter) -> None:
        self.tensor, self.meter = tensor, meter
        meter.take(tensor)

    def __del__(self) -> None:
        self.meter.release(self.tensor)


class _Meter:
    """Bytes kept for backward passes: now, and at most."""

    def __init__(self) -> None:
        self.holders: Counter[int] = Counter()
        self.now = self.most = 0

    def take(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if not self.holders[storage.data_ptr()]:
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
        self.holders[storage.data_ptr()] += 1

    def release(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self.holders[storage.data_ptr()] -= 1
        if not self.holders[storage.data_ptr()]:
            self.now -= storage.nbytes()


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes of a step: those of each picture, those beside them, and those that are free on the device.

    A batch is computed in so many ``shares``, here or by other processes; one at a time takes memory.
    """

    each: float
    fixed: float
    free: int
    shares: int = 1

    def needed(self, batch: int) -> int:
        """What a step with so many pictures takes, about."""
        return int(self.fixed + batch / self.shares * self.each)

    @property
    def fitting(self) -> int:
        """The largest batch that fits, as the discriminator takes them; 0 where none does."""
        return max(0, int((self.free - self.fixed) / self.each)) // GROUP * GROUP * self.shares


def estimate_memory(trainer: Trainer, source: PictureSource) -> Estimate | None:
    """What steps of a copy of the trainer with a few pictures tell.

    None where nobody knows what is free, or the pictures are too few to tell.
    """
    free, parts = free_bytes(trainer.device), trainer.runtime.accumulate
    if free is None or len(source) < 2 * PROBE * parts:
        return None
    small, large = (_kept_by_steps(trainer, source, parts * count) for count in (PROBE, 2 * PROBE))
    each = OVERHEAD * max(large - small, 1) / PROBE
    fixed = OVERHEAD * max(small - PROBE * (large - small) / PROBE, 0) + _weight_bytes(trainer)
    return Estimate(each, fixed, free, trainer.runtime.processes * parts)


def require_memory(trainer: Trainer, run: RunConfig, source: PictureSource) -> None:
    """Raise DeviceError where a step of the run would take more memory than is free, and say which batch would fit.

    Does nothing where the batch is as small as those that an estimate is made with.
    """
    shares = trainer.runtime.processes * trainer.runtime.accumulate
    estimate = estimate_memory(trainer, source) if run.batch > GROUP * shares else None
    if estimate is None or estimate.needed(run.batch) <= estimate.free:
        return
    needed, free = file_size(estimate.needed(run.batch)), file_size(estimate.free)
    raise DeviceError(
        f"a step with {run.batch} pictures takes about {needed}, and {free} are free",
        f"type --set run.batch={estimate.fitting}, or train on another device"
        if estimate.fitting
        else "train smaller networks, or on another device",
    )


def _kept_by_steps(trainer: Trainer, source: PictureSource, count: int) -> int:
    """Bytes that the backward passes of a step with so many pictures keep, at most."""
    copied, meter = copy.deepcopy(trainer), _Meter()
    batch = source.batch(range(count), [False] * count)
    with (
        torch.random.fork_rng(),
        torch.autograd.graph.saved_tensors_hooks(lambda tensor: _Kept(tensor, meter), lambda kept: kept.tensor),
    ):
        torch.manual_seed(0)
        for step in STEPS:
            copied.step(batch, step)
    return meter.most


def _weight_bytes(trainer: Trainer) -> int:
    """Gradients and the two averages of the optimiser; the weights themselves are there already."""
    return 3 * sum(p.numel() * p.element_size() for module in trainer.modules().values() for p in module.parameters())
