"""The ResNet34 trunk of ReStyle's encoders for other things than faces.

Shape suffixes: B batch, C I O channels, H W height and width.
Source: He et al. 2015 (residual networks). ReStyle keeps its input at half size, without the pooling that follows,
and its first activation is a PReLU.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.networks.irse import StridedPointwise

RESNET34_UNITS = (3, 4, 6, 3)


class BasicUnit(nn.Module):
    """Two 3 x 3 convolutions with batch norms, and the input, projected where its shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut: nn.Module
        if stride == 1 and in_channels == out_channels:
            self.shortcut = nn.Identity()
        else:
            self.shortcut = nn.Sequential(
                StridedPointwise(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x_BIHW: Tensor) -> Tensor:
        return F.relu(self.residual(x_BIHW) + self.shortcut(x_BIHW))


class ResNetTrunk(nn.Module):
    """A convolution of stride 2, a stage that keeps the size, then three that halve it.

    ``units`` counts the units of each stage; ResNet34 has (3, 4, 6, 3) at widths (64, 128, 256, 512).
    """

    def __init__(self, input_channels: int, units: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(input_channels, widths[0], 7, 2, 3, bias=False), nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0])
        )
        self.stages = nn.ModuleList()
        before = widths[0]
        for stage, (count, width) in enumerate(zip(units, widths, strict=True)):
            first = BasicUnit(before, width, 1 if stage == 0 else 2)
            self.stages.append(nn.Sequential(first, *(BasicUnit(width, width, 1) for _ in range(count - 1))))
            before = width

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        """Outputs of the four stages, at 1/2, 1/4, 1/8 and 1/16 of the input's side."""
        x_BCHW = self.input_layer(x_BCHW)
        outputs = []
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
            outputs.append(x_BCHW)
        return outputs
