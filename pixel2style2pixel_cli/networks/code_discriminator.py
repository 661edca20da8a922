"""The discriminator of codes: whether a row is one that the mapping network could have written (Tov et al. 2021).

Shape suffixes: D style width.
"""

from __future__ import annotations

from torch import Tensor, nn

HIDDEN = 3  # layers between the code and the score


class CodeDiscriminator(nn.Module):
    """An MLP with leaky ReLU of slope 0.2, every layer as wide as a code: rows (..., D) to scores (..., 1)."""

    def __init__(self, style_dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(HIDDEN):
            layers += [nn.Linear(style_dim, style_dim), nn.LeakyReLU(0.2)]
        self.mlp = nn.Sequential(*layers, nn.Linear(style_dim, 1))

    def forward(self, row_D: Tensor) -> Tensor:
        score: Tensor = self.mlp(row_D)
        return score
