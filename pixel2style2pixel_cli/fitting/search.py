"""Gradient descent on what a picture is drawn from: the best so far is kept, and each picture ends by itself.

Adam as Image2StyleGAN uses it (Abdal et al. 2019, section 5.2), written out so that every picture of a batch has a
rate of its own. Shape suffixes: B batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.interrupts import uninterrupted

BETAS, EPSILON = (0.9, 0.999), 1e-8
# The last quarter of the steps falls to nothing along a cosine, which takes the unrest of the large ones out.
FALL = 0.25
# A loss is flat when a line through so many of its last values falls by less than this share of it from end to end.
WINDOW, FLAT = 60, 0.01
FEWEST = 100  # steps before a loss may be called flat: the first ones say nothing about the rest


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How long and how fast: at most ``steps``, ``rate`` of the first, whether a flat loss ends it earlier."""

    steps: int
    rate: float
    until_flat: bool = True


@dataclass(slots=True)
class Descent:
    """What a search has found, also one that was interrupted: the best of each picture, and how it got there.

    ``best`` are the variables with the least loss of each picture, ``losses`` these losses, ``steps`` how many were
    made of each picture. ``history`` holds the losses (B,) of every step.
    """

    best: list[Tensor]
    losses: list[float]
    steps: list[int]
    interrupted: bool = False
    history: list[list[float]] = field(default_factory=list)


def search(
    start: Sequence[Tensor],
    loss_of: Callable[[Sequence[Tensor]], Tensor],
    pace: Pace,
    *,
    settle: Callable[[Sequence[Tensor]], None] | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Descent:
    """Adam from ``start`` on variables whose first axis is the picture; ``loss_of`` gives the losses (B,).

    A picture whose loss is flat begins its fall at once and ends sooner; what is found for one does not depend on
    those beside it. ``settle`` puts the variables right after each step, in place. ``on_step`` is told how many steps
    are made, and the mean loss. Ctrl-C ends the search, and what was best until then is found. Raises InputError where
    a loss is not a number from the first step on.
    """
    return _Search(start, loss_of, pace, settle, on_step).run()


class _Search:
    """The variables of one search, their moments, and the best of them so far."""

    def __init__(
        self,
        start: Sequence[Tensor],
        loss_of: Callable[[Sequence[Tensor]], Tensor],
        pace: Pace,
        settle: Callable[[Sequence[Tensor]], None] | None,
        on_step: Callable[[int, float], None] | None,
    ) -> None:
        self.loss_of, self.pace, self.settle, self.on_step = loss_of, pace, settle, on_step
        self.free = [tensor.detach().clone() for tensor in start]
        self.first = [torch.zeros_like(tensor) for tensor in self.free]
        self.second = [torch.zeros_like(tensor) for tensor in self.free]
        batch = len(self.free[0])
        self.ends = [pace.steps] * batch
        self.falls = [pace.steps - math.floor(FALL * pace.steps)] * batch
        self.found = Descent([tensor.clone() for tensor in self.free], [math.inf] * batch, [0] * batch)

    def run(self) -> Descent:
        """All steps, or as many as there is time for."""
        try:
            for step in range(self.pace.steps):
                if step >= max(self.ends):
                    break
                self._step(step)
            with torch.no_grad():
                self._keep(self.loss_of(self.free).detach(), len(self.found.history))
        except KeyboardInterrupt:
            self.found.interrupted = True
        if self.pace.steps and not self.found.interrupted and not all(map(math.isfinite, self.found.losses)):
            raise InputError(
                "the loss is not a number, so no code can be found",
                "use --dtype float32, a smaller --rate or another --start",
            )
        return self.found

    def _step(self, step: int) -> None:
        with torch.enable_grad():
            for tensor in self.free:
                tensor.requires_grad_(True)
            losses_B = self.loss_of(self.free)
            gradients = torch.autograd.grad(losses_B.sum(), self.free)
        for tensor in self.free:
            tensor.requires_grad_(False)
        losses_B = losses_B.detach()
        self._keep(losses_B, step)
        history = self.found.history
        history.append([float(loss) for loss in losses_B.cpu()])
        if self.pace.until_flat:
            self._shorten(step)
        rates = [self._rate(step, picture) for picture in range(len(self.ends))]
        self._move(gradients, rates, step)
        if self.on_step is not None:
            self.on_step(step + 1, sum(history[-1]) / len(history[-1]))

    @torch.no_grad()
    @uninterrupted()
    def _keep(self, losses_B: Tensor, step: int) -> None:
        """Remember the variables of every picture that is better than before and has not ended."""
        for picture, loss in enumerate(losses_B.tolist()):
            if step > self.ends[picture]:
                continue
            self.found.steps[picture] = step
            if loss < self.found.losses[picture]:
                for best, tensor in zip(self.found.best, self.free, strict=True):
                    best[picture] = tensor[picture]
                self.found.losses[picture] = loss

    def _shorten(self, step: int) -> None:
        """Begin the fall of pictures whose loss is flat."""
        if step + 1 < max(FEWEST, WINDOW):
            return
        for picture, fall in enumerate(self.falls):
            if step < fall and is_flat([losses[picture] for losses in self.found.history[-WINDOW:]]):
                self.falls[picture] = step
                self.ends[picture] = min(self.ends[picture], step + math.ceil(step * FALL / (1 - FALL)))

    def _rate(self, step: int, picture: int) -> float:
        fall, end = self.falls[picture], self.ends[picture]
        if step < fall:
            return self.pace.rate
        if step >= end:
            return 0.0
        return self.pace.rate * (0.5 + 0.5 * math.cos(math.pi * (step - fall + 1) / (end - fall + 1)))

    @torch.no_grad()
    def _move(self, gradients: Sequence[Tensor], rates: Sequence[float], step: int) -> None:
        """One step of Adam; a picture whose gradient is not a number stays where it is."""
        corrections = [1 - beta ** (step + 1) for beta in BETAS]
        for free, gradient, first, second in zip(self.free, gradients, self.first, self.second, strict=True):
            whole = torch.isfinite(gradient).flatten(1).all(dim=1).view(-1, *[1] * (gradient.ndim - 1))
            gradient = torch.where(whole, gradient, 0)
            first.lerp_(gradient, 1 - BETAS[0])
            second.lerp_(gradient.square(), 1 - BETAS[1])
            size = (second / corrections[1]).sqrt().add_(EPSILON)
            rate = torch.tensor(rates, dtype=free.dtype, device=free.device).view(-1, *[1] * (free.ndim - 1))
            free.sub_(rate * (first / corrections[0]) / size)
        if self.settle is not None:
            self.settle(self.free)


def is_flat(losses: Sequence[float]) -> bool:
    """Whether the line that fits these losses best falls by less than a hundredth of their mean from end to end."""
    count = len(losses)
    centre, mean = (count - 1) / 2, sum(losses) / count
    spread = sum((i - centre) ** 2 for i in range(count))
    slope = sum((i - centre) * (loss - mean) for i, loss in enumerate(losses)) / spread
    return slope * (count - 1) > -FLAT * abs(mean)
