"""Adaptive discriminator augmentation: what a discriminator sees is changed, so that few pictures last longer.

Source: Karras et al., Training Generative Adversarial Networks with Limited Data, 2020, appendix B: pixel blitting,
geometric and colour transformations with their published ranges. The geometric ones are resampled once, bilinearly,
where the authors use orthogonal wavelets. Shape suffixes: B batch, C channels, H W height and width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.training.config import AdaptiveAugmentation
from pixel2style2pixel_cli.training.draws import own, total

SCALE, SHIFT, WHOLE_SHIFT = 0.2 * math.log(2), 0.125, 0.125
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5 * math.log(2), math.log(2)


class AdaptiveAugment:
    """The augmentation and its strength p, which follows the share of real pictures that are told to be real."""

    def __init__(self, config: AdaptiveAugmentation, device: torch.device) -> None:
        self.config = config
        self.p = torch.zeros((), device=device)
        # Sum of the mean signs since p last moved, and over how many steps.
        self._signs = torch.zeros((), device=device)
        self._steps = torch.zeros((), device=device)

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs."""
        return {"ada_p": self.p, "ada_signs": self._signs, "ada_steps": self._steps}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The counterpart of ``state``."""
        for name, value in self.state().items():
            value.copy_(state[name])

    def __call__(self, image_BCHW: Tensor) -> Tensor:
        """Pictures in [-1, 1], each transformation applied with probability p; differentiable once."""
        p = float(self.p)
        return change_colours(change_geometry(image_BCHW, p), p) if p > 0 else image_BCHW

    def follow(self, real_scores: Tensor) -> None:
        """Move p by what the discriminator said of real pictures: up while it is too sure of them (equation 1)."""
        self._signs += real_scores.detach().float().sign().mean()
        self._steps += 1
        if self._steps < self.config.every:
            return
        step = len(real_scores) * self._steps / self.config.images
        direction = (self._signs / self._steps - self.config.target).sign()
        self.p.add_(direction * step).clamp_(0, 1)
        self._signs.zero_()
        self._steps.zero_()


def change_geometry(image_BCHW: Tensor, p: float) -> Tensor:
    """Flips, quarter turns, shifts, scales and turns, as one map per picture; beyond its edge a picture is mirrored."""
    batch = len(image_BCHW)
    size = image_BCHW.shape[-1]

    def chosen(probability: float = p) -> Tensor:
        return own(torch.rand(total(batch))) < probability

    def drawn(values: Tensor, neutral: float) -> Tensor:
        return torch.where(chosen(), values, torch.full_like(values, neutral))

    flip = 1 - 2 * drawn(own(torch.randint(2, (total(batch),))).float(), 0)
    quarter = drawn(own(torch.randint(4, (total(batch),))).float(), 0) * (math.pi / 2)
    whole = torch.where(
        chosen()[:, None], torch.round((2 * own(torch.rand(total(batch), 2)) - 1) * WHOLE_SHIFT * size) / size, 0.0
    )
    even = drawn(torch.exp(SCALE * own(torch.randn(total(batch)))), 1)
    # Two turns, of which at least one happens with probability p.
    turns = [
        torch.where(chosen(1 - math.sqrt(1 - p)), math.pi * (2 * own(torch.rand(total(batch))) - 1), 0.0)
        for _ in range(2)
    ]
    uneven = drawn(torch.exp(SCALE * own(torch.randn(total(batch)))), 1)
    shift = torch.where(chosen()[:, None], SHIFT * own(torch.randn(total(batch), 2)), 0.0)
    ones = torch.ones(batch)
    maps = [
        _scaled(flip, ones), _turned(quarter), _shifted(whole), _scaled(even, even), _turned(turns[0]),
        _scaled(uneven, 1 / uneven), _turned(turns[1]), _shifted(shift),
    ]  # fmt: skip
    rows = reduce(torch.matmul, maps)[:, :2].to(image_BCHW)
    grid = F.affine_grid(rows, list(image_BCHW.shape), align_corners=False)
    return F.grid_sample(image_BCHW, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def change_colours(image_BCHW: Tensor, p: float) -> Tensor:
    """Brightness, contrast, luma flip, hue and saturation as one affine map of RGB per picture."""
    batch = len(image_BCHW)

    def drawn(values: Tensor, neutral: float) -> Tensor:
        return torch.where(own(torch.rand(total(batch))) < p, values, torch.full_like(values, neutral))[:, None, None]

    identity, grey = torch.eye(3), torch.full((3, 3), 1 / 3)
    brightness = drawn(BRIGHTNESS * own(torch.randn(total(batch))), 0).expand(-1, 3, 1)
    contrast = drawn(torch.exp(CONTRAST * own(torch.randn(total(batch)))), 1)
    inverted = drawn(own(torch.randint(2, (total(batch),))).float(), 0)
    hue = drawn(math.pi * (2 * own(torch.rand(total(batch))) - 1), 0)
    saturation = drawn(torch.exp(SATURATION * own(torch.randn(total(batch)))), 1)
    # A turn about the grey axis (Rodrigues), a reflection across it, a stretch away from it.
    axis = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turn = torch.cos(hue) * identity + torch.sin(hue) * axis + (1 - torch.cos(hue)) * grey
    colours = (grey + (identity - grey) * saturation) @ turn @ (identity - 2 * inverted * grey)
    matrix = (colours * contrast).to(image_BCHW)
    offset = (colours @ (contrast * brightness)).to(image_BCHW)
    return (matrix @ image_BCHW.flatten(2) + offset).view_as(image_BCHW)


def _scaled(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], dim=1))


def _turned(angle: Tensor) -> Tensor:
    cosine, sine, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    rows = [cosine, -sine, zero, sine, cosine, zero, zero, zero, zero + 1]
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def _shifted(by: Tensor) -> Tensor:
    """``by`` (B, 2) in shares of the side; the grid of a picture spans two units."""
    matrix = torch.eye(3).repeat(len(by), 1, 1)
    matrix[:, :2, 2] = 2 * by
    return matrix
