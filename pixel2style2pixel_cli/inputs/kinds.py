"""The kinds of input that encoders read: one row each, and the only place where a kind is named.

Shape suffixes: B batch, C channels, H W height and width, S side of the encoder's input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    # this table is read long before torch, and where there is no use for NumPy
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Pixels: TypeAlias = NDArray[np.uint8]
    Batch: TypeAlias = Callable[[Sequence[Pixels]], Tensor]
    Example: TypeAlias = Callable[[Pixels, int, np.random.Generator], Pixels]

# A name of the table below; cards and presets are checked against it.
InputKind: TypeAlias = str


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderInput:
    """One kind of input.

    ``channels`` are those of the encoder's batch (B, C, S, S), which ``batch`` makes of bytes. ``task`` is what an
    encoder of this kind is for unless something else says more. ``drawn``: it shows no photographed face, so none is
    looked for. ``schema`` names the classes of a label map. ``example`` makes a training input of a clean picture
    (H, W, 3), a size and random numbers; None where training has a way of its own.
    """

    channels: int
    batch: Batch
    task: str
    drawn: bool = False
    schema: str | None = None
    example: Example | None = None


def photo_batch(pictures_HWC: Sequence[Pixels]) -> Tensor:
    """(B, 3, H, W) in [-1, 1]."""
    from pixel2style2pixel_cli.files.pixels import to_float

    return to_float(pictures_HWC)


def sketch_batch(sketches_HW: Sequence[Pixels]) -> Tensor:
    """(B, 1, H, W) in [0, 1], white paper 1: not normalised, as published (methods.md 4.5)."""
    import numpy as np
    import torch

    return torch.from_numpy(np.stack(sketches_HW))[:, None].float() / 255


def label_batch(labels_HW: Sequence[Pixels]) -> Tensor:
    """(B, 19, H, W) in {0, 1}."""
    import numpy as np
    import torch

    from pixel2style2pixel_cli.inputs.labels import CELEBAMASK, one_hot

    return torch.from_numpy(one_hot(np.stack(labels_HW), len(CELEBAMASK)))


def masked_batch(pictures_HW4: Sequence[Pixels]) -> Tensor:
    """(B, 4, H, W): the picture in [-1, 1], and 1 where it is to be filled in."""
    import numpy as np
    import torch

    hole_BHW = torch.from_numpy(np.stack([picture[..., 3] for picture in pictures_HW4]) > 127).float()
    return torch.cat([photo_batch([picture[..., :3] for picture in pictures_HW4]), hole_BHW[:, None]], dim=1)


def _sketch(picture: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    from pixel2style2pixel_cli.inputs.photo import resize_photo
    from pixel2style2pixel_cli.inputs.sketch import sketchify, vary_sketch

    sketch = vary_sketch(sketchify(picture), rng)
    return resize_photo(sketch[..., None].repeat(3, axis=2), size)[..., 0]


def _lowres(picture: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    from pixel2style2pixel_cli.inputs.lowres import DEGRADED_SIDE, FACTORS, degrade
    from pixel2style2pixel_cli.inputs.photo import resize_photo

    reduced = resize_photo(picture, min(DEGRADED_SIDE, len(picture)))
    return resize_photo(degrade(reduced, int(rng.choice(FACTORS))), size)


def _masked(picture: Pixels, size: int, rng: np.random.Generator) -> Pixels:
    from pixel2style2pixel_cli.inputs.masked import blank, random_mask
    from pixel2style2pixel_cli.inputs.photo import resize_photo

    return blank(resize_photo(picture, size), random_mask(size, rng))


INPUT_KINDS: dict[InputKind, EncoderInput] = {
    "photo": EncoderInput(channels=3, batch=photo_batch, task="invert"),
    "sketch": EncoderInput(channels=1, batch=sketch_batch, task="sketch2face", drawn=True, example=_sketch),
    "labels": EncoderInput(channels=19, batch=label_batch, task="seg2face", drawn=True, schema="celebamask-19"),
    "lowres": EncoderInput(channels=3, batch=photo_batch, task="superres", example=_lowres),
    "masked": EncoderInput(channels=4, batch=masked_batch, task="inpaint", example=_masked),
}


def kind_of_task(task: str | None) -> InputKind:
    """What the encoder of a task reads: photographs, unless a kind is for this task."""
    return next((kind for kind, row in INPUT_KINDS.items() if row.task == task), "photo")


def task_of_channels(channels: int) -> str | None:
    """What an encoder does, as far as the number of its input channels tells."""
    return next((row.task for row in INPUT_KINDS.values() if row.channels == channels), None)
