"""Pictures projected into W: one row for all layers, found together with noise maps that are thrown away afterwards.

The projector of StyleGAN2 (Karras et al. 2020, appendix D) with the settings of pivotal tuning (methods.md 7.1): a code
in W can be edited like a face that the generator drew itself. Shape suffixes: B batch, M draws, Z width of z, N rows,
D style width, s side of a noise map.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.fitting.frozen import FrozenGenerator
from pixel2style2pixel_cli.fitting.noise import normalise, regulariser
from pixel2style2pixel_cli.fitting.objective import Objective
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.seeds import torch_generator

DRAWS = 600
NOISE_WEIGHT = 1e5
RISE, FALL = 0.05, 0.25  # shares of the steps in which the rate rises along a line, and falls along a cosine
CODE_NOISE, QUIET_FROM = 0.05, 0.75

# The peak of the published rate, 0.01, is for 450 steps; so is the way that a code can go, and fewer steps are longer.
RATE, STEPS_OF_RATE = 0.01, 450


def project(
    generator: Generator,
    objective: Objective,
    count: int,
    *,
    steps: int,
    seed: int = 0,
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Codes (B, N, D) of equal rows for the ``count`` targets of an objective, the best of the way.

    Raises InputError where the loss is not a number.
    """
    drawing, like = FrozenGenerator(generator), generator.latent_avg
    chance = torch_generator(seed)
    with torch.no_grad():
        z_MZ = torch.randn(DRAWS, generator.spec.z_dim, generator=chance).to(like)
        w_MD = generator.mapping(z_MZ)
        deviation = float((w_MD - w_MD.mean(dim=0)).square().sum(dim=1).mean().sqrt())
    w_BD = w_MD.mean(dim=0).expand(count, -1).clone().requires_grad_(True)
    maps = [torch.randn(count, 1, s, s, generator=chance).to(like).requires_grad_(True)
            for s in generator.spec.noise_sizes]  # fmt: skip
    optimiser = torch.optim.Adam([w_BD, *maps], lr=RATE, betas=(0.9, 0.999))
    best_BD, least_B = w_BD.detach().clone(), torch.full((count,), math.inf)
    for step in range(steps):
        done = step / steps
        optimiser.param_groups[0]["lr"] = RATE * max(1.0, STEPS_OF_RATE / steps) * _ramp(done)
        shake = deviation * CODE_NOISE * max(0.0, 1 - done / QUIET_FROM) ** 2
        shaken_BD = w_BD + shake * torch.randn(w_BD.shape, generator=chance).to(like)
        with torch.enable_grad():
            loss_B = objective(drawing(generator.repeat(shaken_BD), maps))
            total = loss_B.sum() + NOISE_WEIGHT * regulariser(maps).sum()
            optimiser.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
        if not bool(torch.isfinite(total)):
            raise InputError("the projection has failed: its loss is not a number", "use --pivot encoder")
        if not shake:  # a loss under noise says little about the code itself
            for picture, loss in enumerate(loss_B.tolist()):
                if loss < least_B[picture]:
                    least_B[picture], best_BD[picture] = loss, w_BD[picture].detach()
        optimiser.step()
        normalise(maps)
        if on_step is not None:
            on_step(step + 1)
    found_BD = torch.where(torch.isfinite(least_B)[:, None].to(w_BD.device), best_BD, w_BD.detach())
    return generator.repeat(found_BD).clone()


def _ramp(done: float) -> float:
    """The rate as a share of its peak, after this share of the steps."""
    fall = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - done) / FALL))
    return fall * min(1.0, max(done, 1e-3) / RISE)
