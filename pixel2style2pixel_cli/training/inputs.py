"""What an encoder is fed in training: the input of its task, made from the picture it learns to draw.

Shape suffixes: B batch, C channels, H W height and width, S side of the encoder's input.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pixel2style2pixel_cli.engine.encoder_input import ENCODER_INPUTS
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.inputs.labels import resize_labels
from pixel2style2pixel_cli.inputs.lowres import DEGRADED_SIDE, FACTORS, degrade
from pixel2style2pixel_cli.inputs.masked import blank, random_mask
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.inputs.sketch import sketchify, vary_sketch
from pixel2style2pixel_cli.training.augment import augment
from pixel2style2pixel_cli.training.config import Augmentation
from pixel2style2pixel_cli.training.data import Batch

Pixels = NDArray[np.uint8]


def make_inputs(kind: InputKind, batch: Batch, size: int, strength: Augmentation) -> Tensor:
    """The encoder's batch (B, C, S, S) for the pictures of a batch; random numbers follow torch's seed."""
    if kind == "photo":
        return resized(augment(batch.image, strength), size)
    rng = np.random.default_rng(int(torch.randint(2**31, ())))
    if kind == "labels":
        if batch.labels is None:
            raise TypeError("the batch has no label maps; the data were opened without them")
        return ENCODER_INPUTS[kind].batch([resize_labels(labels, size) for labels in batch.labels.numpy()])
    # Whole levels; half a level up, because the way back truncates.
    pictures = to_uint8(batch.image + 1 / 255)
    made = ENCODER_INPUTS[kind].batch([_MAKERS[kind](picture, size, rng) for picture in pictures])
    # Photographs reach superres with the same faults as inversion.
    return augment(made, strength) if kind == "lowres" else made


def _sketch(picture: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    return _resized_grey(vary_sketch(sketchify(picture), rng), size)


def _lowres(picture: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    reduced = resize_photo(picture, min(DEGRADED_SIDE, len(picture)))
    return resize_photo(degrade(reduced, int(rng.choice(FACTORS))), size)


def _masked(picture: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    return blank(resize_photo(picture, size), random_mask(size, rng))


_MAKERS: dict[InputKind, Callable[[Pixels, int, np.random.Generator], Pixels]] = {
    "sketch": _sketch,
    "lowres": _lowres,
    "masked": _masked,
}


def show_inputs(inputs_BCHW: Tensor, kind: InputKind, size: int) -> Tensor:
    """Encoder inputs as pictures (B, 3, size, size) in [-1, 1], for sample sheets."""
    if kind == "labels":
        shade = torch.linspace(-1, 1, inputs_BCHW.shape[1]).to(inputs_BCHW)
        shown = shade[inputs_BCHW.argmax(dim=1)][:, None].expand(-1, 3, -1, -1)
    elif kind == "sketch":
        shown = inputs_BCHW.expand(-1, 3, -1, -1) * 2 - 1
    else:
        shown = inputs_BCHW[:, :3]
    return F.interpolate(shown, size=(size, size), mode="nearest")


def resized(image_BCHW: Tensor, size: int) -> Tensor:
    """Bilinear with antialiasing, as pictures are resized for the encoder elsewhere."""
    if image_BCHW.shape[-1] == size:
        return image_BCHW
    return F.interpolate(image_BCHW, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


def _resized_grey(sketch: Pixels, size: int) -> Pixels:
    return resize_photo(sketch[..., None].repeat(3, axis=2), size)[..., 0]
