"""Losses on pixels: mean squared error, and L1 on a pyramid with gradients.

Shape suffixes: B batch, C channels, H W height and width. Images are in [-1, 1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.inputs.labels import CELEBAMASK, FEATURES


def mse(image_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Mean of the squared differences over all elements (the l2 of pSp, eq. 2)."""
    return F.mse_loss(image_BCHW, target_BCHW)


def pyramid_l1(image_BCHW: Tensor, target_BCHW: Tensor, levels: int = 5, weight_B1HW: Tensor | None = None) -> Tensor:
    """Mean over ``levels`` halvings of the mean absolute difference: coarse layout counts as much as detail.

    A picture too small for so many has as many as it takes to reach one pixel. ``weight_B1HW`` multiplies the
    differences of the finest level, its averages those of the others.
    """
    levels = min(levels, min(image_BCHW.shape[-2:]).bit_length())
    difference_BCHW = image_BCHW - target_BCHW
    total = _weighted_mean(difference_BCHW, weight_B1HW)
    for _ in range(levels - 1):
        difference_BCHW = F.avg_pool2d(difference_BCHW, 2)
        weight_B1HW = None if weight_B1HW is None else F.avg_pool2d(weight_B1HW, 2)
        total = total + _weighted_mean(difference_BCHW, weight_B1HW)
    return total / levels


def pyramid_l1_each(image_BCHW: Tensor, target_BCHW: Tensor, levels: int = 4) -> Tensor:
    """``pyramid_l1`` of each picture, shape (B,)."""
    difference_BCHW = image_BCHW - target_BCHW
    total_B = difference_BCHW.abs().mean(dim=(1, 2, 3))
    for _ in range(levels - 1):
        difference_BCHW = F.avg_pool2d(difference_BCHW, 2)
        total_B = total_B + difference_BCHW.abs().mean(dim=(1, 2, 3))
    return total_B / levels


def gradient_l1(image_BCHW: Tensor, target_BCHW: Tensor, weight_B1HW: Tensor | None = None) -> Tensor:
    """Mean absolute difference of the horizontal and vertical differences: edges in the right place and strength."""
    difference = image_BCHW - target_BCHW
    across = difference[..., :, 1:] - difference[..., :, :-1]
    down = difference[..., 1:, :] - difference[..., :-1, :]
    if weight_B1HW is None:
        return across.abs().mean() + down.abs().mean()
    return _weighted_mean(across, weight_B1HW[..., 1:]) + _weighted_mean(down, weight_B1HW[..., 1:, :])


def features_weight(labels_BHW: Tensor, extra: float, spread: int = 7) -> Tensor:
    """Weights (B, 1, H, W) from CelebAMask-HQ classes: ``extra`` more on eyes, brows, nose and mouth than elsewhere.

    It falls off across the borders over ``spread`` pixels, so that lids and lip lines count as well.
    """
    classes = torch.tensor([CELEBAMASK.index(name) for name in FEATURES], dtype=labels_BHW.dtype)
    inside = torch.isin(labels_BHW, classes.to(labels_BHW.device))[:, None].float()
    return 1 + extra * F.avg_pool2d(inside, spread, stride=1, padding=spread // 2, count_include_pad=False)


def _weighted_mean(difference_BCHW: Tensor, weight_B1HW: Tensor | None) -> Tensor:
    magnitude = difference_BCHW.abs()
    return (magnitude if weight_B1HW is None else magnitude * weight_B1HW).mean()
