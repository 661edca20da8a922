"""Feature loss: the difference of two pictures in the maps of a pretrained trunk, at five depths.

What LPIPS does with AlexNet (Zhang et al. 2018), on EfficientNet-Lite and without learnt weights: every channel is
divided by its mean magnitude in the target. Shape suffixes: B batch, C channels, H W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.errors import ShapeError

# The face inside an FFHQ crop, brows to chin, as shares of the side: first row, end, first column, end.
INNER_FACE = (0.28125, 0.84375, 0.21875, 0.78125)

# Added to a channel's mean magnitude: a channel that is silent in every target does not count without bounds.
LEAST_MAGNITUDE = 1e-3


def alone(value: Tensor) -> Tensor:
    """The mean over the processes that share a batch, where there is one."""
    return value


def feature_distance(
    maps: Sequence[Tensor], targets: Sequence[Tensor], mean: Callable[[Tensor], Tensor] = alone
) -> Tensor:
    """Distance (B,) of the maps of pictures from those of their targets, the mean over depths.

    At each depth the mean absolute difference, each channel divided by its mean magnitude over all targets. No gradient
    flows into the targets. ``mean`` averages the magnitudes over the processes that share a batch.
    """
    if len(maps) != len(targets):
        raise ShapeError(f"{len(maps)} maps against {len(targets)}")
    pairs = zip(maps, targets, strict=True)
    return torch.stack([_at_one_depth(x, target.detach(), mean) for x, target in pairs]).mean(dim=0)


def _at_one_depth(x_BCHW: Tensor, target_BCHW: Tensor, mean: Callable[[Tensor], Tensor]) -> Tensor:
    magnitude_1C11 = mean(target_BCHW.abs().mean(dim=(0, 2, 3), keepdim=True)) + LEAST_MAGNITUDE
    return ((x_BCHW - target_BCHW) / magnitude_1C11).abs().mean(dim=(1, 2, 3))


def whole(image_BCHW: Tensor) -> Tensor:
    """The picture itself: the view that is the counterpart of ``inner_face``."""
    return image_BCHW


def inner_face(image_BCHW: Tensor, side: int | None = None) -> Tensor:
    """The inside of the face of an FFHQ crop at ``side`` px, by default enlarged to the whole picture's (bilinear)."""
    size = image_BCHW.shape[-1]
    top, bottom, left, right = (round(edge * size) for edge in INNER_FACE)
    face = image_BCHW[:, :, top:bottom, left:right]
    return F.interpolate(face, size=(side or size, side or size), mode="bilinear", align_corners=False)
