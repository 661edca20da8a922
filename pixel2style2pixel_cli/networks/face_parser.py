"""A small face parser, which only judges pictures: a U-Net that names the part of the face at each pixel.

It works at half the size of the picture: 2 x 2 pixels become channels at its start and classes at its end.
Shape suffixes: B batch, C channels, H W height and width, K classes.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (16, 32, 64, 128)
SIDES = 2 ** len(WIDTHS)  # height and width are multiples of this


class Block(nn.Sequential):
    """Two convolutions, each normalised."""

    def __init__(self, inputs: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        super().__init__(*layers)


class FaceParser(nn.Module):
    """Picture (B, 3, H, W) in [-1, 1] to class scores (B, K, H, W); H and W divisible by 16."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(Block(a, b) for a, b in zip((12, *WIDTHS), WIDTHS, strict=False))
        self.up = nn.ModuleList(Block(a + b, a) for a, b in itertools.pairwise(WIDTHS))
        self.scores = nn.Conv2d(WIDTHS[0], 4 * classes, 1)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        x = F.pixel_unshuffle(image_BCHW, 2)
        kept: list[Tensor] = []
        for number, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if number else x)
            kept.append(x)
        for number in reversed(range(len(self.up))):
            wider = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.up[number](torch.cat([kept[number], wider], dim=1))
        return F.pixel_shuffle(self.scores(x), 2)
