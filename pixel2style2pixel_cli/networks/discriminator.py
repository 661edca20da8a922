"""The StyleGAN2 discriminator: residual blocks down to 4x4, minibatch standard deviation, one score.

Shape suffixes: B batch, C channels, H W height and width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import ShapeError, check_shape
from pixel2style2pixel_cli.networks.layers import ConvActivation, EqualConv2d, EqualLinear, Resample
from pixel2style2pixel_cli.networks.specs import DiscriminatorSpec

STDDEV_GROUP = 4


class ResidualBlock(nn.Module):
    """Two convolutions, the second halving the size, and a 1x1 shortcut; the sum is divided by the root of 2."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_first = ConvActivation(in_channels, in_channels, 3)
        self.conv_down = ConvActivation(in_channels, out_channels, 3, down=True)
        self.shortcut_blur = Resample(pad=(1, 1))
        self.shortcut = EqualConv2d(in_channels, out_channels, 1, stride=2, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        main: Tensor = self.conv_down(self.conv_first(x_BCHW))
        skip: Tensor = self.shortcut(self.shortcut_blur(x_BCHW))
        return (main + skip) / math.sqrt(2)


class Discriminator(nn.Module):
    """Scores (B, 1) of images (B, 3, R, R) in [-1, 1]; large for images that look real."""

    def __init__(self, spec: DiscriminatorSpec) -> None:
        super().__init__()
        self.spec = spec
        channels = spec.channels
        self.from_rgb = ConvActivation(3, channels[spec.resolution], 1)
        self.blocks = nn.ModuleList(
            ResidualBlock(channels[r], channels[r // 2]) for r in reversed(spec.resolutions[1:])
        )
        self.conv_last = ConvActivation(channels[4] + 1, channels[4], 3)
        self.linear_hidden = EqualLinear(channels[4] * 16, channels[4], activate=True)
        self.linear_score = EqualLinear(channels[4], 1)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        x = self.conv_last(minibatch_stddev(self.features(image_BCHW)[-1]))
        score: Tensor = self.linear_score(self.linear_hidden(x.flatten(1)))
        return score

    def features(self, image_BCHW: Tensor) -> list[Tensor]:
        """Outputs of the residual blocks, from half the resolution down to 4x4."""
        size = self.spec.resolution
        check_shape(image_BCHW, (None, 3, size, size), "image")
        x = self.from_rgb(image_BCHW)
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return outputs


def minibatch_stddev(x_BCHW: Tensor) -> Tensor:
    """Append one channel: the mean standard deviation over groups of at most four images.

    Karras et al. 2018, section 3.
    """
    batch, channels, height, width = x_BCHW.shape
    group = min(batch, STDDEV_GROUP)
    if batch % group:
        raise ShapeError(f"batch is {batch}, expected a multiple of {group}", "choose a batch size divisible by 4")
    grouped = x_BCHW.reshape(group, batch // group, channels, height, width)
    deviation = torch.sqrt(grouped.var(dim=0, unbiased=False) + 1e-8).mean(dim=(1, 2, 3))
    extra = deviation.repeat(group).view(batch, 1, 1, 1).expand(batch, 1, height, width)
    return torch.cat([x_BCHW, extra], dim=1)
