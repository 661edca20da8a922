"""What an encoder gets in training: the input of its task, given by the data or made from the picture to be drawn.

Shape suffixes: B batch, C channels, H W height and width, S side of the encoder's input.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS, InputKind
from pixel2style2pixel_cli.inputs.labels import resize_labels
from pixel2style2pixel_cli.inputs.masked import blank
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.training.augment import augment
from pixel2style2pixel_cli.training.config import Augmentation
from pixel2style2pixel_cli.training.data import Batch
from pixel2style2pixel_cli.training.draws import place

Pixels = NDArray[np.uint8]


def make_inputs(kind: InputKind, batch: Batch, size: int, strength: Augmentation) -> Tensor:
    """The encoder's batch (B, C, S, S) for the pictures of a batch; random numbers follow torch's seed.

    What the data hold of the input is taken; what they lack is made of the picture.
    """
    row = INPUT_KINDS[kind]
    if kind == "photo":
        return resized(augment(batch.image, strength), size)
    seed = int(torch.randint(2**31, ()))
    if kind == "labels":
        if batch.labels is None:
            raise TypeError("the batch has no label maps; the data were opened without them")
        return row.batch([resize_labels(labels, size) for labels in batch.labels.numpy()])
    if row.example is None:
        raise TypeError(f"inputs of kind {kind} cannot be made of pictures")
    # Whole levels; half a level up, because the way back truncates.
    pictures = to_uint8(batch.image + 1 / 255)
    given = batch.given or [None] * len(pictures)
    made = row.batch(
        [
            row.example(picture, size, np.random.default_rng([seed, place(i)]))
            if found is None
            else _as_input(kind, found, picture, size)
            for i, (picture, found) in enumerate(zip(pictures, given, strict=True))
        ]
    )
    # Photographs reach superres with the same faults as inversion.
    return augment(made, strength) if kind == "lowres" else made


def _as_input(kind: InputKind, given: Pixels, picture: Pixels, size: int) -> Pixels:
    """What the data hold for a picture, as the encoder takes it; a mask is laid over the picture."""
    return blank(resize_photo(picture, size), given > 0) if kind == "masked" else given


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
