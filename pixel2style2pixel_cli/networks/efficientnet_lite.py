"""The trunk of EfficientNet-Lite: inverted residual blocks without squeeze-and-excitation, batch norms folded away.

Source: Tan and Le 2019, and the Lite variants of the TensorFlow authors (ReLU6, stem and last stage never scaled).
Shape suffixes: B batch, C channels, H W height and width, O output channels, I input channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pixel2style2pixel_cli.errors import UsageError, check_shape

STEM_CHANNELS = 32


class Stage(NamedTuple):
    """Blocks of one shape: how often, kernel, stride of the first, widening inside, channels before and after."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    in_channels: int
    out_channels: int


STAGES = (
    Stage(1, 3, 1, 1, 32, 16),
    Stage(2, 3, 2, 6, 16, 24),
    Stage(2, 5, 2, 6, 24, 40),
    Stage(3, 3, 2, 6, 40, 80),
    Stage(3, 5, 1, 6, 80, 112),
    Stage(4, 5, 2, 6, 112, 192),
    Stage(1, 3, 1, 6, 192, 320),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LiteSpec:
    """How much wider and deeper than Lite0 a trunk is; Lite1 is (1.0, 1.1), Lite2 (1.1, 1.2).

    A trunk of fewer than five ``maps`` ends with the last block that they need; the fifth takes four fifths of it.
    """

    width: float = 1.0
    depth: float = 1.0
    maps: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.maps <= 5:
            raise UsageError(f"an EfficientNet-Lite has 1 to 5 maps, not {self.maps}")
        if self.width < 1 or self.depth < 1:
            raise UsageError(f"an EfficientNet-Lite is at least Lite0: width {self.width}, depth {self.depth}")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages at this size; the first and the last are repeated as in Lite0, whatever the depth."""
        last = len(STAGES) - 1
        starts = [i for i, stage in enumerate(STAGES) if stage.stride == 2]
        wanted = STAGES if self.maps == 5 else STAGES[: starts[self.maps - 1]]
        return tuple(
            stage._replace(
                repeats=stage.repeats if i in (0, last) else math.ceil(stage.repeats * self.depth),
                in_channels=STEM_CHANNELS if i == 0 else self._channels(stage.in_channels),
                out_channels=self._channels(stage.out_channels),
            )
            for i, stage in enumerate(wanted)
        )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the maps, at strides 2, 4, 8, 16, 32."""
        stages = self.stages
        ends = [i - 1 for i, stage in enumerate(stages) if stage.stride == 2]
        return (*(stages[i].out_channels for i in ends), stages[-1].out_channels)

    def _channels(self, channels: int) -> int:
        """The nearest multiple of 8, but never less than nine tenths."""
        wanted = channels * self.width
        rounded = max(8, int(wanted + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * wanted else rounded


class FoldedConv(nn.Module):
    """A convolution whose batch norm is part of it, with TensorFlow's padding, and ReLU6 where asked."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1, activate: bool = True
    ) -> None:
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups)
        self.kernel, self.stride, self.activate = kernel, stride, activate

    def forward(self, x_BIHW: Tensor) -> Tensor:
        if self.stride > 1:
            # Even sides get one pixel less before than behind: not what padding=kernel // 2 does.
            (above, below), (left, right) = (self._padding(side) for side in x_BIHW.shape[2:])
            x_BIHW = F.pad(x_BIHW, (left, right, above, below))
        y_BOHW: Tensor = self.conv(x_BIHW)
        # ReLU6 in place: its gradient is known from what it gives, and half of a step's time went into copies.
        return F.hardtanh_(y_BOHW, 0.0, 6.0) if self.activate else y_BOHW

    def _padding(self, side: int) -> tuple[int, int]:
        total = max((math.ceil(side / self.stride) - 1) * self.stride + self.kernel - side, 0)
        return total // 2, total - total // 2


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; the input is added where nothing changes size."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = in_channels * expansion
        self.expand = FoldedConv(in_channels, inside, 1) if expansion > 1 else None
        self.depthwise = FoldedConv(inside, inside, kernel, stride, groups=inside)
        self.project = FoldedConv(inside, out_channels, 1, activate=False)
        self.adds_input = stride == 1 and in_channels == out_channels

    def forward(self, x_BCHW: Tensor) -> Tensor:
        inside = x_BCHW if self.expand is None else self.expand(x_BCHW)
        y_BCHW: Tensor = self.project(self.depthwise(inside))
        return x_BCHW + y_BCHW if self.adds_input else y_BCHW


class LiteTrunk(nn.Module):
    """Pictures (B, 3, H, W) in [-1, 1] to maps at strides 2, 4, 8, 16 and 32, or as many of them as the spec says.

    With ``recompute``, what a block leaves for the gradients is computed again instead of kept.
    """

    recompute = False

    def __init__(self, spec: LiteSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = FoldedConv(3, STEM_CHANNELS, 3, stride=2)
        self.blocks = nn.ModuleList(_blocks(spec))
        # A map is what a block sees that halves the side, and what the last block writes.
        strides = [stage.stride if i == 0 else 1 for stage in spec.stages for i in range(stage.repeats)]
        self._halving = frozenset(i for i, stride in enumerate(strides) if stride == 2)

    def forward(self, image_BCHW: Tensor) -> list[Tensor]:
        check_shape(image_BCHW, (None, 3, None, None), "picture")
        x = self.stem(image_BCHW)
        maps: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            if i in self._halving:
                maps.append(x)
            x = checkpoint(block, x, use_reentrant=False) if self.recompute else block(x)
        return [*maps, x]


def _blocks(spec: LiteSpec) -> Iterator[InvertedResidual]:
    for stage in spec.stages:
        for i in range(stage.repeats):
            before, stride = (stage.in_channels, stage.stride) if i == 0 else (stage.out_channels, 1)
            yield InvertedResidual(before, stage.out_channels, stage.kernel, stride, stage.expansion)


@torch.no_grad()
def fold_batch_norm(
    weight_OIKK: Tensor, scale_O: Tensor, offset_O: Tensor, mean_O: Tensor, variance_O: Tensor, *, eps: float
) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that does what a convolution and the batch norm behind it do."""
    gain_O = scale_O / torch.sqrt(variance_O + eps)
    return weight_OIKK * gain_O[:, None, None, None], offset_O - mean_O * gain_O
