"""What every encoder is: a picture to offsets from an average code that it owns.

Shape suffixes: B batch, C channels, H W height and width, N styles, D style width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.networks.specs import EncoderSpec


class Encoder(nn.Module):
    """Encoder inputs (B, C, S, S) to W+ codes (B, N, D): E(x) + average (pSp, eq. 1).

    ``latent_avg`` (N, D) is the average; an encoder that was trained without one holds zeros. ``offset_rows`` says that
    rows after the first are offsets from it, so that only the first one can take up the average.
    """

    latent_avg: Tensor
    offset_rows = False

    def __init__(self, spec: EncoderSpec, n_styles: int, style_dim: int) -> None:
        super().__init__()
        self.spec, self.n_styles = spec, n_styles
        self.register_buffer("latent_avg", torch.zeros(n_styles, style_dim))

    def offsets(self, x_BCHW: Tensor) -> Tensor:
        """E(x) of shape (B, N, D), or (B, 1, D) where all rows are one."""
        raise NotImplementedError

    def forward(self, x_BCHW: Tensor, start_BND: Tensor | None = None) -> Tensor:
        """Codes (B, N, D): the offsets from ``start``, which is the average code where none is given."""
        return self.offsets(x_BCHW) + (self.latent_avg if start_BND is None else start_BND)
