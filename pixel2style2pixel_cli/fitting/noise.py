"""Noise maps of a picture's own, found once its code stands still (Image2StyleGAN++, Abdal et al. 2020).

The two are optimised one after the other, never together: noise that is free from the start takes over what belongs
into the code. Shape suffixes: B batch, s side of a map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST = 8  # side of the smallest copy of a map whose neighbours are compared


def regulariser(maps: Sequence[Tensor]) -> Tensor:
    """How much neighbours in the maps (B, 1, s, s) are alike, (B,): 0 for white noise (Karras et al. 2020, appendix D).

    The squared mean product of each map with itself moved by one across, and likewise down, summed over all maps and
    their averages by two down to 8 px.
    """
    total_B = maps[0].new_zeros(len(maps[0]))
    for map_B1ss in maps:
        while True:
            for axis in (2, 3):
                total_B = total_B + (map_B1ss * map_B1ss.roll(1, dims=axis)).mean(dim=(1, 2, 3)).square()
            if map_B1ss.shape[-1] <= SMALLEST:
                break
            map_B1ss = F.avg_pool2d(map_B1ss, 2)
    return total_B


@torch.no_grad()
def normalise(maps: Sequence[Tensor]) -> None:
    """Every map of every picture to mean 0 and variance 1, in place: noise may move, not grow."""
    for map_B1ss in maps:
        map_B1ss.sub_(map_B1ss.mean(dim=(2, 3), keepdim=True))
        map_B1ss.mul_(map_B1ss.square().mean(dim=(2, 3), keepdim=True).clamp_min(1e-12).rsqrt())
