"""The spaces that a code can be looked for in: what is free in each, where it starts, and the rows it stands for.

Image2StyleGAN (Abdal et al. 2019, section 3.1) compares Z, W and W+, and finds only the last wide enough for pictures
that the generator has not drawn. Shape suffixes: B batch, N rows, D style width, Z width of z.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.seeds import torch_generator

Space = Literal["w+", "w", "z"]
Start = Literal["average", "random", "encoder"]

# A z whose face is as good as the average one is looked for among so many: no z is mapped to the average itself.
DRAWS = 1000


def start_of(generator: Generator, space: Space, start: Start, encoded_BND: Tensor, seed: int) -> Tensor:
    """What is free at the start: rows (B, N, D) in W+, (B, D) in W, (B, Z) in Z.

    ``average`` is the mean face; ``encoder`` the code (B, N, D) that an encoder found, in W the mean of its rows;
    ``random`` is uniform in [-1, 1] in W+ and W, the paper's start for what is no face (section 4.2), and normal in Z.
    Every picture gets the same random start, so that none depends on those beside it. Raises UsageError for a start
    from the encoder in Z, where it has no code.
    """
    batch, spec, like = len(encoded_BND), generator.spec, generator.latent_avg
    if space == "z":
        if start == "encoder":
            raise UsageError("an encoder finds no code in Z, so nothing can start there", "use --start average")
        drawn = torch.randn(DRAWS if start == "average" else 1, spec.z_dim, generator=torch_generator(seed)).to(like)
        with torch.no_grad():
            nearest = (generator.mapping(drawn) - like).square().sum(dim=1).argmin()
        return drawn[nearest].expand(batch, -1).clone()
    if start == "encoder":
        return encoded_BND.mean(dim=1) if space == "w" else encoded_BND.clone()
    shape = (spec.n_styles, spec.style_dim) if space == "w+" else (spec.style_dim,)
    if start == "average":
        return like.expand(batch, *shape).clone()
    drawn = torch.rand(shape, generator=torch_generator(seed)) * 2 - 1
    return drawn.to(like).expand(batch, *shape).clone()


def rows_of(generator: Generator, space: Space, free: Tensor) -> Tensor:
    """The rows in W+ (B, N, D) that the generator draws from."""
    if space == "w+":
        return free
    return generator.repeat(free) if space == "w" else generator.map(free)
