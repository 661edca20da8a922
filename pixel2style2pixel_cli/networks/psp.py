"""The pSp encoders: an image straight into W+, and the two ablations into W and naive W+.

Source: Richardson et al. 2021, section 3.

Shape suffixes: B batch, C channels, H W height and width, N styles, D style width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import check_shape
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.irse import IRSETrunk
from pixel2style2pixel_cli.networks.layers import EqualLinear
from pixel2style2pixel_cli.networks.specs import EncoderSpec, level_of_row


class MapToStyle(nn.Module):
    """Convolutions of stride 2 from a feature map of side ``size`` down to one style row."""

    def __init__(self, in_channels: int, width: int, style_dim: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(int(math.log2(size))):
            layers += [nn.Conv2d(in_channels if i == 0 else width, width, 3, 2, 1), nn.LeakyReLU(0.01, inplace=True)]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(width, style_dim)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        row_BD: Tensor = self.linear(self.convs(x_BCHW).flatten(1))
        return row_BD


class PyramidEncoder(Encoder):
    """Trunk, feature pyramid and one map2style block per row: what pSp and e4e share."""

    def __init__(self, spec: EncoderSpec, n_styles: int, style_dim: int) -> None:
        super().__init__(spec, n_styles, style_dim)
        self.trunk = IRSETrunk(spec.input_channels, spec.units, spec.widths)
        _, fine, middle, coarse = spec.widths
        self.lateral_middle = nn.Conv2d(middle, coarse, 1)
        self.lateral_fine = nn.Conv2d(fine, coarse, 1)
        sizes = [spec.input_size // s for s in (16, 8, 4)]
        self.heads = nn.ModuleList(
            MapToStyle(coarse, spec.head_width, style_dim, sizes[level_of_row(row)]) for row in range(n_styles)
        )

    def pyramid(self, x_BCHW: Tensor) -> list[Tensor]:
        """Coarse, middle and fine features, all of the coarse width (pSp, figure 2)."""
        size = self.spec.input_size
        check_shape(x_BCHW, (None, self.spec.input_channels, size, size), "encoder input")
        _, fine, middle, coarse = self.trunk(x_BCHW)
        middle = _enlarge(coarse, middle) + self.lateral_middle(middle)
        fine = _enlarge(middle, fine) + self.lateral_fine(fine)
        return [coarse, middle, fine]


class PSPEncoder(PyramidEncoder):
    """pSp: every row from its own block on the features of its level. Input (B, C, S, S), offsets (B, N, D)."""

    def offsets(self, x_BCHW: Tensor) -> Tensor:
        levels = self.pyramid(x_BCHW)
        return torch.stack([head(levels[level_of_row(i)]) for i, head in enumerate(self.heads)], dim=1)


class IntoWEncoder(Encoder):
    """Ablation: one row from the averaged last features, the same for every layer. Offsets (B, 1, D)."""

    def __init__(self, spec: EncoderSpec, n_styles: int, style_dim: int) -> None:
        super().__init__(spec, n_styles, style_dim)
        self.trunk = IRSETrunk(spec.input_channels, spec.units, spec.widths)
        self.linear = EqualLinear(spec.widths[-1], style_dim)

    def offsets(self, x_BCHW: Tensor) -> Tensor:
        row_BD: Tensor = self.linear(self.trunk(x_BCHW)[-1].mean(dim=(2, 3)))
        return row_BD[:, None]


class NaiveWPlusEncoder(Encoder):
    """Ablation: all rows from one linear layer on the last features. Offsets (B, N, D)."""

    def __init__(self, spec: EncoderSpec, n_styles: int, style_dim: int) -> None:
        super().__init__(spec, n_styles, style_dim)
        self.trunk = IRSETrunk(spec.input_channels, spec.units, spec.widths)
        width = spec.widths[-1]
        self.normalise = nn.BatchNorm2d(width)
        self.flatten_linear = nn.Linear(width * 7 * 7, spec.head_width)
        self.linear = EqualLinear(spec.head_width, style_dim * n_styles)

    def offsets(self, x_BCHW: Tensor) -> Tensor:
        features = F.adaptive_avg_pool2d(self.normalise(self.trunk(x_BCHW)[-1]), 7)
        codes: Tensor = self.linear(self.flatten_linear(features.flatten(1)))
        return codes.view(codes.shape[0], self.n_styles, -1)


def _enlarge(x_BCHW: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x_BCHW, size=like.shape[2:], mode="bilinear", align_corners=True)
