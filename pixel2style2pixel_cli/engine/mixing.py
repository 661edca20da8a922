"""Style rows: which rows of a W+ code a style takes over, and how far (methods.md 4.6).

Shape suffixes: N rows, D style width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import check_shape
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.seeds import torch_generator


def mix_rows(codes: Tensor, style: Tensor, layers: Sequence[int], alpha: float) -> Tensor:
    """Rows ``layers`` become alpha x style + (1 - alpha) x code, the others stay; shapes (..., N, D) that broadcast."""
    chosen = torch.zeros(codes.shape[-2], 1, dtype=codes.dtype, device=codes.device)
    chosen[list(layers)] = alpha
    # where, not arithmetic alone: a replaced row is the style's to the bit, an untouched one the code's
    mixed = torch.where(chosen == 1, style, chosen * style + (1 - chosen) * codes)
    return torch.where(chosen == 0, codes, mixed)


@torch.inference_mode()
def sample_styles(generator: Generator, seeds: Sequence[int], truncation: float = 1.0) -> Tensor:
    """One style (N, D) a seed, stacked: mapping(z) with z ~ N(0, I) drawn on the CPU from the seed alone.

    ``truncation`` pulls the styles towards the average code. Each is mapped by itself, so that a style does not depend
    on which others are asked for.
    """
    like = generator.latent_avg
    styles = [
        generator.map(torch.randn(1, generator.spec.z_dim, generator=torch_generator(seed)).to(like), truncation)
        for seed in seeds
    ]
    found = torch.cat(styles)
    check_shape(found, (len(seeds), generator.spec.n_styles, generator.spec.style_dim), "styles")
    return found
