"""The two losses of codes of e4e: how far rows are from the first, and whether rows look like codes in W.

Sources: Tov et al. 2021; Cycle Encoding has the same two (Mao et al. 2022, eq. 4); methods.md 6. Shape suffixes:
B batch, N rows, D style width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.networks.code_discriminator import CodeDiscriminator


def delta_loss(codes_BND: Tensor, stage: int) -> Tensor:
    """L_d-reg = sum over 1 <= i <= stage of ||w_i - w_0||_2, each a mean over the batch.

    Not squared, as in the published code; closed rows are not counted.
    """
    delta_BND = codes_BND[:, 1 : stage + 1] - codes_BND[:, :1]
    lengths_BN: Tensor = torch.linalg.vector_norm(delta_BND, dim=2)
    return lengths_BN.mean(dim=0).sum()


def code_adversarial(discriminator: CodeDiscriminator, codes_BND: Tensor, stage: int) -> Tensor:
    """Mean over the open rows 0 to ``stage`` of softplus(-D_w(w_i)), the encoder's side of the game."""
    return F.softplus(-discriminator(codes_BND[:, : stage + 1])).mean()
