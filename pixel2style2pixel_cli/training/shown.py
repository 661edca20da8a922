"""What trunk and judge are shown of a picture: shifted, cut out, cropped, recoloured, blurred; differentiable.

Source: Zhao et al., Differentiable Augmentation for Data-Efficient GAN Training, 2020. Changes are drawn once for a
batch and put on pictures and targets alike, so that one pass through the trunk serves judge and feature loss.
Shape suffixes: B batch, C channels, H W height and width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.training.joint_config import Shown

# Blur of less than this deviation, in pixels, is not worth a convolution.
LEAST_BLUR = 0.05
SATURATION, CONTRAST, BRIGHTNESS = 1.0, 0.5, 0.5


@dataclass(frozen=True, slots=True)
class Changes:
    """One draw for each picture of a batch: shift, part and cut-out in pixels, colours, and the blur they share."""

    shift_B2: Tensor
    part_B2: Tensor
    crop: int
    corner_B2: Tensor
    hole: int
    colour_B3: Tensor
    blur: float

    def of(self, chosen_B: Tensor) -> Changes:
        """The draws of some of the pictures."""
        return Changes(
            self.shift_B2[chosen_B], self.part_B2[chosen_B], self.crop, self.corner_B2[chosen_B], self.hole,
            self.colour_B3[chosen_B], self.blur,
        )  # fmt: skip

    def put_on(self, image_BCHW: Tensor) -> Tensor:
        """The pictures as they are shown."""
        if bool(self.shift_B2.any()):
            moves = [(int(down), int(right)) for down, right in self.shift_B2]
            rolled = [torch.roll(image, move, (1, 2)) for image, move in zip(image_BCHW, moves, strict=True)]
            image_BCHW = torch.stack(rolled)
        if self.crop:
            parts = [
                image[:, top : top + self.crop, left : left + self.crop]
                for image, (top, left) in zip(image_BCHW, self.part_B2.tolist(), strict=True)
            ]
            image_BCHW = torch.stack(parts)
        if bool((self.colour_B3 != 0).any()):
            image_BCHW = self._recoloured(image_BCHW)
        if self.hole:
            image_BCHW = image_BCHW * self._kept(image_BCHW)
        if self.blur > LEAST_BLUR:
            image_BCHW = gaussian_blur(image_BCHW, self.blur)
        return image_BCHW.contiguous(memory_format=torch.channels_last)

    def _recoloured(self, image_BCHW: Tensor) -> Tensor:
        brightness, saturation, contrast = (c[:, None, None, None].to(image_BCHW) for c in self.colour_B3.unbind(1))
        image_BCHW = image_BCHW + brightness
        grey = image_BCHW.mean(dim=1, keepdim=True)
        image_BCHW = grey + (image_BCHW - grey) * (1 + saturation)
        mean = image_BCHW.mean(dim=(1, 2, 3), keepdim=True)
        return mean + (image_BCHW - mean) * (1 + contrast)

    def _kept(self, image_BCHW: Tensor) -> Tensor:
        places = torch.arange(image_BCHW.shape[-1])
        inside = [(places >= c[:, None]) & (places < c[:, None] + self.hole) for c in self.corner_B2.unbind(1)]
        hole = inside[0][:, :, None] & inside[1][:, None, :]
        return (~hole)[:, None].to(image_BCHW)


def draw_changes(config: Shown, batch: int, size: int, images: int) -> Changes:
    """Changes for pictures of side ``size`` after so many images of the run; random numbers are torch's."""
    reach, side = round(config.shift * size), config.crop or size
    hole = round(config.cutout * side)
    # The hole's centre lies anywhere in the picture.
    nowhere = torch.zeros(batch, 2).long()
    corner = torch.randint(-hole // 2, side - hole // 2, (batch, 2)) if hole else nowhere
    part = torch.randint(size - side + 1, (batch, 2)) if config.crop else nowhere
    strength = torch.tensor([BRIGHTNESS, SATURATION, CONTRAST]) * config.colour
    return Changes(
        torch.randint(-reach, reach + 1, (batch, 2)), part, config.crop, corner, hole,
        (2 * torch.rand(batch, 3) - 1) * strength, config.blur.at(images),
    )  # fmt: skip


def gaussian_blur(image_BCHW: Tensor, sigma: float) -> Tensor:
    """Blur of a deviation in pixels, mirrored at the borders."""
    channels, reach = image_BCHW.shape[1], math.ceil(3 * sigma)
    places = torch.arange(-reach, reach + 1, dtype=image_BCHW.dtype, device=image_BCHW.device)
    taps = torch.exp(-places.square() / (2 * sigma**2))
    taps = taps / taps.sum()
    rows, columns = (taps.view(shape).expand(channels, 1, -1, -1) for shape in ((1, 1, -1, 1), (1, 1, 1, -1)))
    image_BCHW = F.conv2d(F.pad(image_BCHW, (0, 0, reach, reach), mode="reflect"), rows, groups=channels)
    return F.conv2d(F.pad(image_BCHW, (reach, reach, 0, 0), mode="reflect"), columns, groups=channels)
