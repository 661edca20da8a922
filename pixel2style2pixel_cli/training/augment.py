"""What photographs have and clean pictures lack, put on the encoder's input: colour, blur, noise, JPEG, misalignment.

Shape suffixes: B batch, C channels, H W height and width. Pictures are in [-1, 1].
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from pixel2style2pixel_cli.files.pixels import to_float, to_uint8
from pixel2style2pixel_cli.training.config import Augmentation
from pixel2style2pixel_cli.training.draws import own, total

LARGEST_SHIFT, LARGEST_TURN, LARGEST_SCALE = 0.04, math.radians(4), 0.06
WORST_QUALITY = 25


def augment(image_BCHW: Tensor, strength: Augmentation) -> Tensor:
    """Each kind of damage at a strength drawn per picture from 0 to the configured one; random numbers are torch's."""
    batch = len(image_BCHW)
    if strength.shift:
        image_BCHW = _misalign(image_BCHW, strength.shift)
    if strength.colour:
        image_BCHW = _recolour(image_BCHW, strength.colour)
    if strength.blur:
        image_BCHW = _blur(image_BCHW, strength.blur)
    if strength.noise:
        sigma = 0.15 * strength.noise * own(torch.rand(total(batch), 1, 1, 1)).square().to(image_BCHW)
        image_BCHW = image_BCHW + sigma * own(torch.randn(total(batch), *image_BCHW.shape[1:])).to(image_BCHW)
    image_BCHW = image_BCHW.clamp(-1, 1)
    if strength.jpeg:
        image_BCHW = _compress(image_BCHW, strength.jpeg)
    return image_BCHW


def _misalign(image_BCHW: Tensor, strength: float) -> Tensor:
    batch = len(image_BCHW)
    draws = (2 * own(torch.rand(4, total(batch)), dim=1) - 1) * strength
    angle, scale = draws[0] * LARGEST_TURN, 1 + draws[1] * LARGEST_SCALE
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    shift = 2 * LARGEST_SHIFT * draws[2:]
    rows = torch.stack([cosine, -sine, shift[0], sine, cosine, shift[1]], dim=1).view(batch, 2, 3)
    grid = F.affine_grid(rows.to(image_BCHW), list(image_BCHW.shape), align_corners=False)
    return F.grid_sample(image_BCHW, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _recolour(image_BCHW: Tensor, strength: float) -> Tensor:
    """Gamma, brightness, contrast, white balance and saturation, half of a photographer's mistakes."""
    batch = len(image_BCHW)

    def draw(width: float, channels: int = 1) -> Tensor:
        return torch.exp(width * strength * (2 * own(torch.rand(total(batch), channels, 1, 1)) - 1)).to(image_BCHW)

    unit = ((image_BCHW + 1) / 2).clamp(1e-4, 1).pow(draw(0.35))
    unit = unit * draw(0.3) * draw(0.12, 3)
    mean = unit.mean(dim=(1, 2, 3), keepdim=True)
    unit = mean + (unit - mean) * draw(0.25)
    grey = unit.mean(dim=1, keepdim=True)
    return (grey + (unit - grey) * draw(0.4)) * 2 - 1


def _blur(image_BCHW: Tensor, strength: float) -> Tensor:
    """Every second one down to a random smaller size and back: the softness of an enlarged or shaken picture."""
    size, found = image_BCHW.shape[-1], []
    for image_CHW, (whether, amount) in zip(image_BCHW, own(torch.rand(total(len(image_BCHW)), 2)), strict=True):
        image_1CHW = image_CHW[None]
        if whether >= 0.5:
            smaller = max(8, round(size / (1 + 2.5 * strength * float(amount))))
            down = F.interpolate(image_1CHW, size=(smaller, smaller), mode="area")
            image_1CHW = F.interpolate(down, size=(size, size), mode="bilinear", align_corners=False)
        found.append(image_1CHW)
    return torch.cat(found)


def _compress(image_BCHW: Tensor, strength: float) -> Tensor:
    pictures = []
    draws = own(torch.rand(total(len(image_BCHW)), 2)).tolist()
    for pixels, (whether, amount) in zip(to_uint8(image_BCHW), draws, strict=True):
        if whether < 0.5:
            quality = round(95 - (95 - WORST_QUALITY) * strength * amount)
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, "JPEG", quality=quality)
            pixels = np.array(Image.open(out))
        pictures.append(pixels)
    return to_float(pictures).to(image_BCHW)
