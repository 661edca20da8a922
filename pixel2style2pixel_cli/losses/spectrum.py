"""How much detail pictures have, by its fineness: the power of their spectrum at a number of cycles per picture.

Shape suffixes: B batch, C channels, S side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

CYCLES = (8, 16, 32, 48)


def spectral_power(image_BCSS: Tensor, cycles: Sequence[int] = CYCLES) -> Tensor:
    """Mean power of the pictures at each number of cycles, one ring of three wide; shape (len(cycles),).

    Of the grey picture without its mean, under a Hann window, so that the borders do not count as edges.
    """
    grey_BSS = image_BCSS.mean(dim=1)
    grey_BSS = grey_BSS - grey_BSS.mean(dim=(1, 2), keepdim=True)
    side = grey_BSS.shape[-1]
    window = torch.hann_window(side, device=grey_BSS.device)
    power_SS = torch.fft.fft2(grey_BSS * window[:, None] * window).abs().square().mean(dim=0)
    steps = torch.fft.fftfreq(side, 1 / side, device=grey_BSS.device)
    radius_SS = torch.hypot(steps[:, None], steps[None]).round()
    return torch.stack([power_SS[(radius_SS - count).abs() <= 1].mean() for count in cycles])


def spectrum_ratio(image_BCSS: Tensor, target_BCSS: Tensor, cycles: Sequence[int] = CYCLES) -> Tensor:
    """Power of some pictures over that of others: under 1 they are too soft, over 1 too harsh."""
    return spectral_power(image_BCSS, cycles) / spectral_power(target_BCSS, cycles)
