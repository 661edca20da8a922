"""The e4e encoders: one row for all layers plus learned offsets of the others (Tov et al. 2021, section 4).

``e4e`` has the tensors of the pSp encoder, ``lite_e4e`` those of the encoder on EfficientNet-Lite0; only the rule of
forming the code is another. Shape suffixes: B batch, C channels, H W height and width, N styles, D style width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.lite import LiteEncoder
from pixel2style2pixel_cli.networks.psp import PyramidEncoder
from pixel2style2pixel_cli.networks.specs import EncoderSpec, level_of_row


class E4EEncoder(PyramidEncoder):
    """Row 0 everywhere, plus the offset of row i for 1 <= i <= ``stage``; stage 0 is W, n - 1 opens all offsets."""

    offset_rows = True

    def __init__(self, spec: EncoderSpec, n_styles: int, style_dim: int) -> None:
        super().__init__(spec, n_styles, style_dim)
        self.stage = spec.open_rows(n_styles)

    def offsets(self, x_BCHW: Tensor) -> Tensor:
        levels = self.pyramid(x_BCHW)
        rows = _rows(self.heads, [levels[level_of_row(i)] for i in range(self.n_styles)], self.stage)
        return torch.stack(rows, dim=1)


class LiteE4EEncoder(LiteEncoder):
    """The same on EfficientNet-Lite0, from whose maps every head reads that of its level."""

    offset_rows = True

    def __init__(self, spec: EncoderSpec, n_styles: int, style_dim: int) -> None:
        super().__init__(spec, n_styles, style_dim)
        self.stage = spec.open_rows(n_styles)

    def offsets(self, x_BCHW: Tensor) -> Tensor:
        maps = self.pyramid(x_BCHW)
        rows = _rows(self.heads, [maps[level] for level in self.levels], self.stage)
        # Rows without a head repeat the last offset where theirs is open.
        rows += [rows[-1] if row <= self.stage else rows[0] for row in range(len(rows), self.n_styles)]
        return torch.stack(rows, dim=1)


def _rows(heads: Iterable[nn.Module], features: Sequence[Tensor], stage: int) -> list[Tensor]:
    """w_i = w_0 + Delta_i (B, D) with Delta_i = 0 beyond the stage."""
    first, *others = zip(heads, features, strict=True)
    base_BD = first[0](first[1])
    rows = [base_BD]
    for i, (head, x_BCHW) in enumerate(others, start=1):
        rows.append(base_BD + head(x_BCHW) if i <= stage else base_BD)
    return rows


def set_stage(encoder: Encoder, stage: int) -> None:
    """Open the offsets of rows 1 to ``stage`` of an encoder that has such, and close the others."""
    if not isinstance(encoder, (E4EEncoder, LiteE4EEncoder)):
        raise TypeError(f"a {type(encoder).__name__} has no offsets")
    encoder.stage = stage
