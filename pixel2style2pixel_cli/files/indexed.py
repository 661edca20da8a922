"""Label images: the numbers that were stored, without colour management, transparency or palette in between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files import metadata
from pixel2style2pixel_cli.files.image import TURNS, Photo, load_image


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class IndexedPhoto(Photo):
    """A label image; ``palette`` (K, 3), uint8, are the colours of its numbers, where it has some."""

    palette: NDArray[np.uint8] | None = None


def read_indexed(source: Path | bytes, *, name: str, max_pixels: int = 200_000_000) -> IndexedPhoto:
    """A label image, upright: numbers (H, W), or colours (H, W, 3) where it has no single channel.

    Grey, 1-bit, 16-bit and palette images give numbers (of a palette the indices, beside its colours), as uint8, or as
    uint16 where a value exceeds 255. Raises InputError for transparency and for other kinds of pixels.
    """
    image, sha256 = load_image(source, name=name, max_pixels=max_pixels)
    values = _stored(image, name)
    orientation, _ = metadata.clean_exif(image)
    if orientation in TURNS:
        values = np.array(Image.fromarray(values).transpose(TURNS[orientation]))
    colours = image.getpalette("RGB") if image.mode == "P" else None
    palette = None if colours is None else np.array(colours, dtype=np.uint8).reshape(-1, 3)
    return IndexedPhoto(pixels=values, sha256=sha256, name=name, palette=palette)


def _stored(image: Image.Image, name: str) -> NDArray[Any]:
    if image.mode in ("RGBA", "LA"):
        if image.getchannel("A").getextrema() != (255, 255):
            raise InputError(
                f"{name} is partly transparent, expected a label map with a class for every pixel",
                "save it without transparency",
            )
        image = image.convert(image.mode[:-1])
    if image.mode in ("L", "P", "1", "RGB"):
        return np.array(image).astype(np.uint8)
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.array(image)
        low, high = int(values.min()), int(values.max())
        if low >= 0 and high <= 0xFFFF:
            return values.astype(np.uint8 if high < 256 else np.uint16)
        raise InputError(
            f"{name} holds numbers from {low} to {high}, expected class numbers", "save it as an 8-bit PNG"
        )
    raise InputError(
        f"{name} has pixels of the kind {image.mode}, expected class numbers, a palette or RGB colours",
        "save it as an 8-bit PNG",
    )
