"""Losses on pixels: mean squared error, and L1 on a pyramid with gradients.

Shape suffixes: B batch, C channels, H W height and width. Images are in [-1, 1].
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def mse(image_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Mean of the squared differences over all elements (the l2 of pSp, eq. 2)."""
    return F.mse_loss(image_BCHW, target_BCHW)


def pyramid_l1(image_BCHW: Tensor, target_BCHW: Tensor, levels: int = 5) -> Tensor:
    """Mean over ``levels`` halvings of the mean absolute difference: coarse layout counts as much as detail.

    A picture too small for so many has as many as it takes to reach one pixel.
    """
    levels = min(levels, min(image_BCHW.shape[-2:]).bit_length())
    total = F.l1_loss(image_BCHW, target_BCHW)
    for _ in range(levels - 1):
        image_BCHW, target_BCHW = F.avg_pool2d(image_BCHW, 2), F.avg_pool2d(target_BCHW, 2)
        total = total + F.l1_loss(image_BCHW, target_BCHW)
    return total / levels


def gradient_l1(image_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Mean absolute difference of the horizontal and vertical differences: edges in the right place and strength."""
    difference = image_BCHW - target_BCHW
    across = difference[..., :, 1:] - difference[..., :, :-1]
    down = difference[..., 1:, :] - difference[..., :-1, :]
    return across.abs().mean() + down.abs().mean()
