"""The encoders of ReStyle: every row from the last features, without a pyramid (Alaluf et al. 2021, section 3.2).

Published ones read six channels, a picture and what was drawn of it so far; see ``engine/passes.py``.
Shape suffixes: B batch, C channels, H W height and width, N styles, D style width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import check_shape
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.irse import IRSETrunk
from pixel2style2pixel_cli.networks.psp import MapToStyle
from pixel2style2pixel_cli.networks.resnet import ResNetTrunk
from pixel2style2pixel_cli.networks.specs import EncoderSpec

# How much smaller the last features are than the input.
LAST_STRIDE = 16


class LastMapEncoder(Encoder):
    """Every row from its own block on the last features of the trunk. Input (B, C, S, S), offsets (B, N, D)."""

    trunk_of: Callable[..., nn.Module] = IRSETrunk

    def __init__(self, spec: EncoderSpec, n_styles: int, style_dim: int) -> None:
        super().__init__(spec, n_styles, style_dim)
        self.trunk = type(self).trunk_of(spec.input_channels, spec.units, spec.widths)
        size = spec.input_size // LAST_STRIDE
        self.heads = nn.ModuleList(
            MapToStyle(spec.widths[-1], spec.head_width, style_dim, size) for _ in range(n_styles)
        )

    def last_map(self, x_BCHW: Tensor) -> Tensor:
        """The features that all rows are made of."""
        size = self.spec.input_size
        check_shape(x_BCHW, (None, self.spec.input_channels, size, size), "encoder input")
        features: Tensor = self.trunk(x_BCHW)[-1]
        return features

    def offsets(self, x_BCHW: Tensor) -> Tensor:
        features = self.last_map(x_BCHW)
        return torch.stack([head(features) for head in self.heads], dim=1)


class ProgressiveLastMapEncoder(LastMapEncoder):
    """The same by e4e's rule: row 0 everywhere, plus an offset of each further row."""

    offset_rows = True

    def offsets(self, x_BCHW: Tensor) -> Tensor:
        features = self.last_map(x_BCHW)
        base_BD = self.heads[0](features)
        return torch.stack([base_BD, *(base_BD + head(features) for head in self.heads[1:])], dim=1)


class ResNetLastMapEncoder(LastMapEncoder):
    """``LastMapEncoder`` on a ResNet34, as published for other things than faces."""

    trunk_of = ResNetTrunk


class ProgressiveResNetLastMapEncoder(ProgressiveLastMapEncoder):
    """``ProgressiveLastMapEncoder`` on a ResNet34, as published for other things than faces."""

    trunk_of = ResNetTrunk
