"""Sliced Wasserstein distance: how far two clouds of points are apart, seen along random directions.

Source: Bonneel et al. 2015. Shape suffixes: B points, D dimensions, K directions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sliced_wasserstein(points_BD: Tensor, target_BD: Tensor, directions: int) -> Tensor:
    """Mean squared difference of the sorted projections onto ``directions`` random unit vectors; B is the same."""
    drawn_DK = torch.randn(points_BD.shape[1], directions, device=points_BD.device, dtype=points_BD.dtype)
    unit_DK = F.normalize(drawn_DK, dim=0)
    found_BK, wanted_BK = ((cloud @ unit_DK).sort(dim=0).values for cloud in (points_BD, target_BD))
    return (found_BK - wanted_BK).square().mean()
