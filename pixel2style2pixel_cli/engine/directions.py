"""Directions in the codes of a generator that need no labels: SeFa from its weights, GANSpace from its mapping network.

Shape suffixes: N rows, D style width, Z width of z, C channels, M draws.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.seeds import torch_generator

DRAWS = 10_000
_AT_ONCE = 1000


def modulation_weights(generator: Generator) -> list[Tensor]:
    """For each row of a code, the weight (C, D) of the layer that turns it into styles.

    These are the convolutions, and for the last row the last step to RGB, as in SeFa's code: the other steps to RGB
    share their rows with convolutions and say less about shapes.
    """
    layers = [generator.conv_first.conv]
    for block in generator.blocks:
        layers += [block.conv_up.conv, block.conv.conv]  # type: ignore[union-attr, list-item]
    layers.append(generator.blocks[-1].to_rgb.conv)  # type: ignore[union-attr, arg-type]
    weights: list[Tensor] = [layer.to_style.weight.detach().float().cpu() for layer in layers]
    return weights


@torch.no_grad()
def sefa_directions(generator: Generator, rows: Sequence[int], count: int) -> Tensor:
    """The ``count`` unit directions (count, D) that move the styles of these rows most (methods.md 9.1; SeFa, eq. 7).

    Eigenvectors of A^T A with the largest eigenvalues, A the stacked modulation weights of the rows, each channel's
    vector of length 1 (Shen and Zhou 2021, and their code). Signs are fixed: the largest component is positive.
    """
    weights = modulation_weights(generator)
    if not rows or max(rows) >= len(weights):
        raise UsageError(f"rows {list(rows)} of a generator with {len(weights)}", "name rows it has")
    stacked_CD = torch.cat([weights[row] for row in rows])
    stacked_CD = stacked_CD / stacked_CD.norm(dim=1, keepdim=True).clamp_min(1e-12)
    _, vectors_DD = torch.linalg.eigh((stacked_CD.T @ stacked_CD).double())
    return _signed(vectors_DD.T.flip(0)[:count]).float()


@torch.no_grad()
def draw_codes(generator: Generator, draws: int = DRAWS, seed: int = 0) -> Tensor:
    """Codes in W of random faces, (draws, D), float32 on the CPU, the same for the same seed."""
    chance, like = torch_generator(seed), generator.latent_avg
    parts = []
    for start in range(0, draws, _AT_ONCE):
        z_MZ = torch.randn(min(_AT_ONCE, draws - start), generator.spec.z_dim, generator=chance)
        parts.append(generator.mapping(z_MZ.to(like)).float().cpu())
    return torch.cat(parts)


def principal_directions(codes_MD: Tensor, count: int) -> Tensor:
    """The ``count`` principal axes (count, D) of codes, of length 1 and signed as above (GANSpace, section 3.1)."""
    centred_MD = (codes_MD - codes_MD.mean(dim=0)).double()
    _, vectors_DD = torch.linalg.eigh(centred_MD.T @ centred_MD)
    return _signed(vectors_DD.T.flip(0)[:count]).float()


def deviation_along(direction_D: Tensor, codes_MD: Tensor) -> Tensor:
    """The standard deviation of codes along a direction of length 1."""
    return (codes_MD @ direction_D).std()


def _signed(vectors_KD: Tensor) -> Tensor:
    largest = vectors_KD.gather(1, vectors_KD.abs().argmax(dim=1, keepdim=True))
    return torch.mul(vectors_KD, largest.sign())
