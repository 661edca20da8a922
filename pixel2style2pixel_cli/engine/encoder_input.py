"""Batches for an encoder: pictures, drawings and label maps as bytes to the tensors it was trained on.

Shape suffixes: B batch, C channels, H W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixel2style2pixel_cli.files.pixels import to_float
from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK, one_hot

Pictures = Sequence[NDArray[np.uint8]]


def sketch_batch(sketches_HW: Pictures) -> Tensor:
    """(B, 1, H, W) in [0, 1], white paper 1: not normalised, as published (methods.md 4.5)."""
    return torch.from_numpy(np.stack(sketches_HW))[:, None].float() / 255


def label_batch(labels_HW: Pictures) -> Tensor:
    """(B, 19, H, W) in {0, 1}."""
    return torch.from_numpy(one_hot(np.stack(labels_HW), len(CELEBAMASK)))


def masked_batch(pictures_HW4: Pictures) -> Tensor:
    """(B, 4, H, W): the picture in [-1, 1], and 1 where it is to be made up."""
    hole_BHW = torch.from_numpy(np.stack([picture[..., 3] for picture in pictures_HW4]) > 127).float()
    return torch.cat([to_float([picture[..., :3] for picture in pictures_HW4]), hole_BHW[:, None]], dim=1)


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """How many channels a kind of input has, and how a batch of it is made."""

    channels: int
    batch: Callable[[Pictures], Tensor]


ENCODER_INPUTS: dict[InputKind, EncoderInput] = {
    "photo": EncoderInput(3, to_float),
    "lowres": EncoderInput(3, to_float),
    "sketch": EncoderInput(1, sketch_batch),
    "labels": EncoderInput(len(CELEBAMASK), label_batch),
    "masked": EncoderInput(4, masked_batch),
}
