"""Image2StyleGAN: pictures embedded into the space of a generator, in one stage or two (Abdal et al. 2019, 2020).

The code first, in Z, W or W+; then, where asked, noise maps of the picture's own (methods.md 9). Shape suffixes:
B batch, C channels, H W height and width, N rows, D style width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.fitting.frozen import FrozenGenerator
from pixel2style2pixel_cli.fitting.noise import normalise, regulariser
from pixel2style2pixel_cli.fitting.objective import Objective
from pixel2style2pixel_cli.fitting.search import Descent, Pace, search
from pixel2style2pixel_cli.fitting.spaces import Space, rows_of
from pixel2style2pixel_cli.networks.stylegan2 import Generator, NoiseMode

SNAPSHOTS, SNAPSHOT_SIDE = 60, 256

# Told after every step: how many are made of how many, and the mean loss.
OnStep = Callable[[int, int, float], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stages:
    """What is looked for, and how long: the code, then the noise maps.

    ``noise_weight`` is that of the regulariser of the noise maps; ``snapshots`` keeps pictures on the way.
    """

    space: Space = "w+"
    code: Pace
    noise: Pace | None = None
    noise_weight: float = 0.0
    snapshots: bool = False

    @property
    def total(self) -> int:
        """Steps of both stages."""
        return self.code.steps + (self.noise.steps if self.noise else 0)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Embedded:
    """What pictures were embedded as: rows (B, N, D), noise maps (B, 1, s, s) where looked for, and how it went.

    ``frames`` are the pictures on the way, each (B, 3, S, S) on the CPU.
    """

    codes: Tensor
    noise: tuple[Tensor, ...] | None
    descents: Sequence[Descent]
    frames: Sequence[Tensor]

    @property
    def interrupted(self) -> bool:
        """Whether it ended before its time."""
        return any(descent.interrupted for descent in self.descents)

    def steps(self, picture: int) -> int:
        """Steps made of a picture, of both stages."""
        return sum(descent.steps[picture] for descent in self.descents)


class Embedding:
    """Pictures with their objective on a generator; ``noise`` says what maps are drawn with while the code is found."""

    def __init__(self, generator: Generator, objective: Objective, noise: NoiseMode = "fixed") -> None:
        self.generator, self.objective, self.noise = generator, objective, noise
        self.frozen = FrozenGenerator(generator)
        self._frames: list[Tensor] = []
        self._drawn = 0

    def run(self, start: Tensor, stages: Stages, on_step: OnStep | None = None) -> Embedded:
        """Both stages from ``start``, which is free in the space of the stages; Ctrl-C ends both."""
        every = max(1, stages.total // SNAPSHOTS) if stages.snapshots else 0
        code = self._find_code(start, stages, every, on_step)
        with torch.no_grad():
            rows_BND = rows_of(self.generator, stages.space, code.best[0]).detach()
        if stages.noise is None or code.interrupted:
            return Embedded(codes=rows_BND, noise=None, descents=[code], frames=self._frames)
        noise = self._find_noise(rows_BND, stages, every, on_step)
        return Embedded(codes=rows_BND, noise=tuple(noise.best), descents=[code, noise], frames=self._frames)

    def _find_code(self, start: Tensor, stages: Stages, every: int, on_step: OnStep | None) -> Descent:
        def loss_of(free: Sequence[Tensor]) -> Tensor:
            image = self.frozen(rows_of(self.generator, stages.space, free[0]), self.noise)
            self._snap(image, every)
            return self.objective(image)

        return search([start], loss_of, stages.code, on_step=_told(on_step, 0, stages.total))

    def _find_noise(self, rows_BND: Tensor, stages: Stages, every: int, on_step: OnStep | None) -> Descent:
        """Maps that start as the stored ones; the code is fixed from here on (Image2StyleGAN++, algorithm 1)."""
        stored = [m for m in self.generator.noise_maps("fixed", rows_BND) if m is not None]
        maps = [map_.expand(len(rows_BND), -1, -1, -1).clone() for map_ in stored]
        normalise(maps)

        def loss_of(free: Sequence[Tensor]) -> Tensor:
            image = self.frozen(rows_BND, free)
            self._snap(image, every)
            loss_B = self.objective(image)
            return loss_B + stages.noise_weight * regulariser(free) if stages.noise_weight else loss_B

        assert stages.noise is not None
        told = _told(on_step, stages.code.steps, stages.total)
        return search(maps, loss_of, stages.noise, settle=normalise, on_step=told)

    def _snap(self, image_BCHW: Tensor, every: int) -> None:
        """Keep every so manieth picture drawn, at a side that an animation needs."""
        if every and self._drawn % every == 0:
            image = image_BCHW.detach()
            if image.shape[-1] > SNAPSHOT_SIDE:
                image = F.interpolate(image, size=(SNAPSHOT_SIDE, SNAPSHOT_SIDE), mode="area")
            self._frames.append(image.float().cpu())
        self._drawn += 1


def _told(on_step: OnStep | None, before: int, total: int) -> Callable[[int, float], None] | None:
    """The callback of one stage; steps are counted over both."""
    if on_step is None:
        return None
    return lambda step, loss: on_step(before + step, total, loss)
