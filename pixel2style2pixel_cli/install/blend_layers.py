"""Two generators as one: coarse layers of the first, fine layers of the second (Pinkney and Adler 2020).

Where the second was trained on from the first, their layers still understand each other: the result draws the shapes
of one in the manner of the other ("Resolution dependent GAN interpolation for controllable image synthesis").
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import IntegrityError, UsageError
from pixel2style2pixel_cli.networks.specs import GeneratorSpec


def blend_generators(
    structure: Mapping[str, Tensor], look: Mapping[str, Tensor], spec: GeneratorSpec, at: int, width: float = 0.0
) -> dict[str, Tensor]:
    """Tensors of ``look`` for layers that draw at ``at`` px or more, those of ``structure`` for all others.

    Mapping network, constant and ``latent_avg`` are those of ``structure``. With a ``width`` the weights between are
    mixed as ``look_share`` says; noise maps are not, since a mean of two is weaker than either. What is taken from one
    side only is the very tensor. Raises UsageError for a resolution the generators do not have.
    """
    if at not in spec.resolutions:
        raise UsageError(
            f"the generators have no layers at {at} px", f"choose one of {', '.join(map(str, spec.resolutions))}"
        )
    if not (math.isfinite(width) and width >= 0):
        raise UsageError(f"the width of the transition is {width}, expected 0 or more")
    if structure.keys() != look.keys():
        stray = sorted(structure.keys() ^ look.keys())
        raise IntegrityError(f"only one of the two generators has {', '.join(stray)}", "import the models again")
    blended = {}
    for key, first in structure.items():
        size = layer_resolution(key, spec)
        share = 0.0 if size is None else look_share(size, at, 0.0 if key.startswith("noise_") else width)
        blended[key] = _mix(first, look[key], share)
    return blended


def layer_resolution(key: str, spec: GeneratorSpec) -> int | None:
    """Pixels at which the layer of a tensor draws; None for the mapping network, its mean and the constant."""
    head, _, rest = key.partition(".")
    if head in ("conv_first", "to_rgb_first"):
        return spec.resolutions[0]
    if head == "blocks":
        return spec.resolutions[int(rest.partition(".")[0]) + 1]
    if head.startswith("noise_"):
        return spec.noise_sizes[int(head.removeprefix("noise_"))]
    return None


def look_share(size: int, at: int, width: float) -> float:
    """Share of the second generator at ``size`` px: 0 below ``at`` and 1 from there on when ``width`` is 0.

    Otherwise it rises linearly with the logarithm of the size, one half in the middle between ``at`` / 2 and ``at``,
    over ``width`` doublings more than the step itself takes.
    """
    return min(1.0, max(0.0, 0.5 + (math.log2(size / at) + 0.5) / (1 + width)))


def _mix(first: Tensor, second: Tensor, share: float) -> Tensor:
    if share in (0.0, 1.0):
        return second if share else first
    return torch.lerp(first.float(), second.float(), share).to(torch.promote_types(first.dtype, second.dtype))
