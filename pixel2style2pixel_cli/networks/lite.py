"""pSp on an EfficientNet-Lite0 trunk: starts from features that know pictures, at a third of the cost of IR-SE.

The feature pyramid and the head per row are pSp's (Richardson et al. 2021, section 3); heads end in a small map, not in
one pixel, and the pyramid starts one level coarser, where the trunk has seen the whole picture.
Shape suffixes: B batch, C channels, H W height and width, N styles, D style width.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import UsageError, check_shape
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.specs import EncoderSpec

# Blocks and channels of Lite0 up to strides 4, 8, 16, 32: what ``units`` and ``widths`` of such an encoder's spec say.
LITE_UNITS, LITE_WIDTHS = (3, 2, 6, 5), (24, 40, 112, 320)

# The pyramid is so many times wider than the heads inside.
PYRAMID_WIDTH = 2

# Coarse and middle rows each; a larger generator only lengthens the fine group.
ROWS_PER_LEVEL = 4

# Heads end in a map of this side, and know where in it a feature lies.
LAST_SIDE = 4


class LiteEncoder(Encoder):
    """Every row from its own head on the features of its level. Input (B, C, S, S), S at least 64, offsets (B, N, D).

    Inputs of other than three channels pass an adapter, a 3 x 3 convolution, in front of the trunk. Six are those of
    a ReStyle encoder: both pictures pass the same network, and its rows for the second are taken from those for the
    first. It has no more numbers than an encoder of one picture, can start from one, and leaves alone what is drawn
    right already.
    Where the spec has fewer ``heads`` than there are rows, the last rows are alike: a generator that grew needs no
    more.
    """

    def __init__(self, spec: EncoderSpec, n_styles: int, style_dim: int) -> None:
        super().__init__(spec, n_styles, style_dim)
        check_lite(spec)
        width = PYRAMID_WIDTH * spec.head_width
        channels = spec.given_channels
        self.adapter = _adapter(channels) if channels != 3 else None
        self.trunk = LiteTrunk(LiteSpec())
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in LITE_WIDTHS)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in LITE_WIDTHS[:-1])
        self.levels = [level_of_row(row) for row in range(spec.head_rows(n_styles))]
        sizes = [spec.input_size // stride for stride in (4, 8, 16)]
        self.heads = nn.ModuleList(_head(width, spec.head_width, style_dim, sizes[level]) for level in self.levels)

    def offsets(self, x_BCHW: Tensor) -> Tensor:
        size = self.spec.input_size
        check_shape(x_BCHW, (None, self.spec.input_channels, size, size), "encoder input")
        if not self.spec.residual:
            return self.rows(x_BCHW)
        given_BND, drawn_BND = self.rows(torch.cat(x_BCHW.chunk(2, dim=1))).chunk(2)
        return given_BND - drawn_BND

    def rows(self, x_BCHW: Tensor) -> Tensor:
        """What every head makes (B, N, D) of inputs with the channels of one picture."""
        maps = self.pyramid(x_BCHW)
        rows = [head(maps[level]) for head, level in zip(self.heads, self.levels, strict=True)]
        return torch.stack(rows + rows[-1:] * (self.n_styles - len(rows)), dim=1)

    def pyramid(self, x_BCHW: Tensor) -> list[Tensor]:
        """Features at strides 4, 8 and 16, each summed with the coarser ones."""
        _, *found = self.trunk(x_BCHW if self.adapter is None else self.adapter(x_BCHW))
        x = self.lateral[-1](found[-1])
        maps: list[Tensor] = []
        for lateral, smooth, features in reversed(list(zip(self.lateral, self.smooth, found, strict=False))):
            x = smooth(F.interpolate(x, scale_factor=2, mode="nearest") + lateral(features))
            maps.insert(0, x)
        return maps


def check_lite(spec: EncoderSpec) -> None:
    """Raise UsageError where a spec asks for another trunk than Lite0, or for pictures too small for it."""
    if spec.units != LITE_UNITS or spec.widths != LITE_WIDTHS:
        raise UsageError(
            f"an encoder of kind lite has Lite0's trunk, units {LITE_UNITS} and widths {LITE_WIDTHS}; "
            f"found {spec.units} and {spec.widths}",
            f"set encoder.units={list(LITE_UNITS)} and encoder.widths={list(LITE_WIDTHS)}",
        )
    if spec.input_size < 64:
        raise UsageError(f"an encoder of kind lite takes 64 px or more, not {spec.input_size}", "set input_size")


def level_of_row(row: int) -> int:
    """2 for the coarse rows 0-3 (stride 16), 1 for the middle rows 4-7 (stride 8), 0 for the fine ones (stride 4)."""
    return max(0, 2 - row // ROWS_PER_LEVEL)


def _adapter(channels: int) -> nn.Conv2d:
    """From other inputs to something like a picture, at first without looking around.

    One channel in [0, 1] becomes grey in [-1, 1]; of four, three are the picture; of more, each becomes a colour.
    """
    adapter = nn.Conv2d(channels, 3, 3, padding=1)
    nn.init.zeros_(adapter.weight)
    assert adapter.bias is not None
    nn.init.constant_(adapter.bias, -1.0 if channels == 1 else 0.0)
    middle = adapter.weight[:, :, 1, 1]
    with torch.no_grad():
        if channels == 1:
            middle.fill_(2.0)
        elif channels == 4:
            middle[:, :3].copy_(torch.eye(3))
        else:
            nn.init.uniform_(middle, -1.0, 1.0)
    return adapter


def _head(in_channels: int, width: int, style_dim: int, size: int) -> nn.Sequential:
    """Convolutions of stride 2 down to 4 x 4, then one row; small at first: training starts at the average code."""
    layers: list[nn.Module] = []
    widths = [in_channels] + [width] * int(math.log2(size // LAST_SIDE))
    for before, after in itertools.pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.LeakyReLU(0.2)]
    linear = nn.Linear(widths[-1] * LAST_SIDE**2, style_dim)
    if not linear.weight.is_meta:  # where drawing nothing costs two seconds of imports
        nn.init.normal_(linear.weight, std=0.002)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(*layers, nn.Flatten(), linear)
