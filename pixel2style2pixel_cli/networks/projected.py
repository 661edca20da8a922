"""A discriminator that looks through a pretrained network: frozen random mixing of its maps, a small head on each.

Source: Sauer et al., Projected GANs Converge Faster, 2021, without their mixing across scales: the maps of the trunk
are used as they are. Shape suffixes: B batch, C channels, H W height and width, P side of a map of patch logits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from pixel2style2pixel_cli.errors import ShapeError, UsageError, shown_value
from pixel2style2pixel_cli.networks.specs import MOST_WIDTH

# Heads halve a map until it has this side, or less than twice it; each place of the last map is one verdict on a patch.
PATCH_SIDE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectedSpec:
    """Channels that each map is mixed to, and the seed of the mixing."""

    width: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MOST_WIDTH:
            raise UsageError(
                f"projected.width is {shown_value(self.width)}, expected 1 to {MOST_WIDTH}", "set projected.width"
            )
        if not 0 <= self.seed < 2**63:
            raise UsageError(
                f"projected.seed is {shown_value(self.seed)}, expected 0 to {2**63 - 1}", "set projected.seed"
            )


class ProjectedHeads(nn.Module):
    """Patch logits (B, 1, P, P) for each of several maps (B, C, H, W); large where a patch looks real.

    The mixing is a buffer, never trained; ``calibrate`` brings what it writes to unit deviation, once.
    """

    def __init__(self, spec: ProjectedSpec, widths: Sequence[int], sizes: Sequence[int]) -> None:
        super().__init__()
        if len(widths) != len(sizes):
            raise ShapeError(f"{len(widths)} widths for {len(sizes)} sizes of maps")
        self.spec = spec
        draws = torch.Generator().manual_seed(spec.seed)
        for i, channels in enumerate(widths):
            mixing = torch.randn(spec.width, channels, 1, 1, generator=draws) * math.sqrt(2 / channels)
            self.register_buffer(f"mixing_{i}", mixing)
        self.register_buffer("gain", torch.ones(len(widths)))
        self.heads = nn.ModuleList(_head(spec.width, size) for size in sizes)

    gain: Tensor

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        mixed = self.mix(maps)
        return [head(x * gain) for head, x, gain in zip(self.heads, mixed, self.gain, strict=True)]

    def mix(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The maps in other channels, each (B, width, H, W)."""
        return [F.conv2d(x, self.get_buffer(f"mixing_{i}")) for i, x in enumerate(maps)]

    @property
    def calibrated(self) -> bool:
        """Whether the gains have been set: no map deviates by exactly one."""
        return not bool((self.gain == 1).all())

    @torch.no_grad()
    def calibrate(self, maps: Sequence[Tensor]) -> None:
        """Set the gains by the maps of some real pictures."""
        self.gain.copy_(torch.stack([1 / x.std().clamp_min(1e-6) for x in self.mix(maps)]))


def _head(width: int, size: int) -> nn.Sequential:
    """Halvings down to ``PATCH_SIDE``, or one layer of the same size, then one logit a patch."""
    halvings = max(int(math.log2(size / PATCH_SIDE)), 0)
    layers: list[nn.Module] = []
    for _ in range(halvings):
        layers += _layer(nn.Conv2d(width, width, 4, 2, 1, bias=False))
    if not halvings:
        layers += _layer(nn.Conv2d(width, width, 3, 1, 1, bias=False))
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(width, 1, 1)))


def _layer(conv: nn.Conv2d) -> list[nn.Module]:
    # Statistics of the batch at hand, in training and after: pictures that are judged together are of one kind.
    norm = nn.BatchNorm2d(conv.out_channels, track_running_stats=False)
    return [spectral_norm(conv), norm, nn.LeakyReLU(0.2)]
