"""The IR-SE trunk of face recognition: residual units with squeeze-and-excitation, in four stages.

Shape suffixes: B batch, C I O channels, H W height and width.
Source: He et al. 2016 (identity mappings), Hu et al. 2018 (squeeze and excitation), Deng et al. 2019 (ArcFace).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.networks.layers import subsampled

SE_REDUCTION = 16


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate computed from the averages of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // SE_REDUCTION)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        gated: Tensor = x_BCHW * self.gate(x_BCHW)
        return gated


class StridedPointwise(nn.Conv2d):
    """A 1x1 convolution of some stride, safe to train (see ``subsampled``)."""

    def forward(self, x_BIHW: Tensor) -> Tensor:
        x_BIHW, stride = subsampled(x_BIHW, 1, self.stride[0])
        return F.conv2d(x_BIHW, self.weight, stride=stride)


class IRUnit(nn.Module):
    """Improved residual unit: normalise, convolve, PReLU, strided convolution, normalise, gate, add the shortcut."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, *, squeeze: bool = True) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels, 3, 1, 1, bias=False),
            nn.PReLU(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        if squeeze:
            self.residual.append(SqueezeExcitation(out_channels))
        self.shortcut: nn.Module
        if in_channels == out_channels:
            self.shortcut = nn.MaxPool2d(1, stride)
        else:
            self.shortcut = nn.Sequential(
                StridedPointwise(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x_BIHW: Tensor) -> Tensor:
        out: Tensor = self.residual(x_BIHW) + self.shortcut(x_BIHW)
        return out


class IRSETrunk(nn.Module):
    """An input layer at full size, then four stages that halve the size each.

    ``units`` counts the units of each stage; the published 50-layer trunk has (3, 4, 14, 3) at widths (64, 128, 256,
    512).
    """

    def __init__(
        self, input_channels: int, units: Sequence[int], widths: Sequence[int], *, squeeze: bool = True
    ) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(input_channels, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0])
        )
        self.stages = nn.ModuleList()
        before = widths[0]
        for count, width in zip(units, widths, strict=True):
            first = IRUnit(before, width, 2, squeeze=squeeze)
            rest = [IRUnit(width, width, 1, squeeze=squeeze) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(first, *rest))
            before = width

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        """Outputs of the four stages, at 1/2, 1/4, 1/8 and 1/16 of the input's side."""
        x_BCHW = self.input_layer(x_BCHW)
        outputs = []
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
            outputs.append(x_BCHW)
        return outputs
