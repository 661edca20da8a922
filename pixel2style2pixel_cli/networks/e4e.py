"""The e4e encoder: one row for all layers plus learned offsets of the others (Tov et al. 2021, section 4).

Same tensors as the pSp encoder, another rule of forming the code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pixel2style2pixel_cli.networks.psp import PyramidEncoder
from pixel2style2pixel_cli.networks.specs import EncoderSpec, level_of_row


class E4EEncoder(PyramidEncoder):
    """Row 0 everywhere, plus the offset of row i for 1 <= i <= ``stage``; stage 0 is W, n - 1 opens all offsets."""

    offset_rows = True

    def __init__(self, spec: EncoderSpec, n_styles: int, style_dim: int) -> None:
        super().__init__(spec, n_styles, style_dim)
        self.stage = n_styles - 1

    def offsets(self, x_BCHW: Tensor) -> Tensor:
        levels = self.pyramid(x_BCHW)
        base_BD = self.heads[0](levels[0])
        rows = [base_BD]
        for i, head in enumerate(self.heads[1:], start=1):
            rows.append(base_BD + head(levels[level_of_row(i)]) if i <= self.stage else base_BD)
        return torch.stack(rows, dim=1)
