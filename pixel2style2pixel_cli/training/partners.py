"""What a training picture may have beside it: a label map, a drawing, the face from the front, a mask, a small picture.

Shape suffixes: H W height and width, S side of what is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.image import read_image, read_levels
from pixel2style2pixel_cli.files.indexed import read_indexed
from pixel2style2pixel_cli.inputs.kinds import INPUT_KINDS, InputKind
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK_19, LabelSchema, decode_labels, index_map, resize_labels
from pixel2style2pixel_cli.inputs.masked import check_mask, read_mask
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.inputs.sketch import read_sketch

PartnerKind = Literal["labels", "sketch", "frontal", "mask", "small"]
Pixels: TypeAlias = NDArray[np.uint8]
Content: TypeAlias = Path | bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Partner:
    """One kind: its name for one and for several, the name of its arrays in a packed shard, and how it is read.

    ``read`` takes a file or its bytes, what to call it, and the side S: uint8 (S, S), or (S, S, 3) for what is a
    photograph. It raises InputError for what is none, or is not square.
    """

    one: str
    several: str
    shard: str
    read: Callable[[Content, str, int], Pixels]


def square(pixels_HWC: Pixels, name: str) -> Pixels:
    """The picture itself; InputError where it is not square."""
    height, width = pixels_HWC.shape[:2]
    if height != width:
        raise InputError(f"{name} is {width}x{height}, training pictures are square", "align it first, or crop it")
    return pixels_HWC


def cut_square(pixels: Pixels) -> Pixels:
    """The square in the middle of a picture (H, W) or (H, W, C); the picture itself where it is one."""
    height, width = pixels.shape[:2]
    if height == width:
        return pixels
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def _photo(content: Content, name: str, size: int) -> Pixels:
    return resize_photo(square(read_image(content, name=name).pixels, name), size)


def _sketch(content: Content, name: str, size: int) -> Pixels:
    return read_sketch(read_image(content, name=name).pixels, size, invert=False, name=name)


def _mask(content: Content, name: str, size: int) -> Pixels:
    """255 where it is to be filled; by nearest neighbour, so that nothing lies in between."""
    small = resize_labels(read_hole(content, name), size, name=name)
    check_mask(small > 0, name=f"{name} at {size} px")
    return small * np.uint8(255)


def _packed_labels(content: Content, name: str, size: int) -> Pixels:
    """Of a shard, whose maps have the numbers of CelebAMask-HQ."""
    labels_HW = decode_labels(content.read_bytes() if isinstance(content, Path) else content, name=name)
    if labels_HW.size and int(labels_HW.max()) >= CELEBAMASK_19.count:
        raise InputError(
            f"{name} holds class {int(labels_HW.max())}, expected 0 to {CELEBAMASK_19.count - 1}", "pack the maps again"
        )
    return resize_labels(labels_HW, size, name=name)


def read_label_map(content: Content, name: str, schema: LabelSchema) -> Pixels:
    """A label map (H, W) that somebody drew in ``schema``, in the numbers of CelebAMask-HQ."""
    found = read_indexed(content, name=name)
    return index_map(found.pixels, schema, CELEBAMASK_19, name=name, palette=found.palette)


def read_hole(content: Content, name: str) -> Pixels:
    """A mask (H, W), 1 where it is to be filled, else 0."""
    levels, alpha = read_levels(content, name=name)
    return read_mask(levels, name=name, alpha=alpha).astype(np.uint8)


PARTNERS: dict[PartnerKind, Partner] = {
    "labels": Partner(one="label map", several="label maps", shard="mask", read=_packed_labels),
    "sketch": Partner(one="drawing", several="drawings", shard="sketch", read=_sketch),
    "frontal": Partner(one="frontal picture", several="frontal pictures", shard="frontal", read=_photo),
    "mask": Partner(one="mask", several="masks", shard="hole", read=_mask),
    "small": Partner(one="small picture", several="small pictures", shard="small", read=_photo),
}
# Of these inputs training makes an example from the picture itself where none is given.
GIVEN: dict[InputKind, PartnerKind] = {"sketch": "sketch", "masked": "mask", "lowres": "small"}


def partner_of(kind: InputKind, target: str) -> PartnerKind | None:
    """What pictures are paired with to train an encoder for such inputs and targets; None where with nothing."""
    assert kind in INPUT_KINDS  # configurations are checked
    if kind == "labels":
        return "labels"
    return "frontal" if target == "frontal" else GIVEN.get(kind)
