"""The regulariser of pSp: the length of the encoder's offset from the average code (pSp, eq. 4; methods.md 4.4)."""

from __future__ import annotations

import torch
from torch import Tensor


def w_norm(offset_BND: Tensor) -> Tensor:
    """Mean over the batch of the L2 norm of the whole offset, not squared, as the published code has it."""
    lengths_B: Tensor = torch.linalg.vector_norm(offset_BND.flatten(1), dim=1)
    return lengths_B.mean()
