"""Label images: the numbers that were stored, without colour management, scaling or transparency in between."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixel2style2pixel_cli.errors import InputError, reading
from pixel2style2pixel_cli.files.decode import Samples, decode
from pixel2style2pixel_cli.files.image import Photo, clean_exif, turn_upright


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class IndexedPhoto(Photo):
    """A label image; ``palette`` (K, 3), uint8, are the colours of its numbers, where it has some."""

    palette: NDArray[np.uint8] | None = None


def read_indexed(source: Path | bytes, *, name: str, max_pixels: int = 200_000_000) -> IndexedPhoto:
    """A label image, upright: numbers (H, W), or colours (H, W, 3) where it has no single channel.

    Grey, 1-bit, 16-bit and palette images give numbers (of a palette the indices, beside its colours), as uint8, or as
    uint16 where a value exceeds 255. Raises InputError for transparency and for other kinds of pixels.
    """
    decoded = decode(source, name=name, max_pixels=max_pixels, exact=True)
    with reading(name, "is damaged", "save it again, as an 8-bit PNG"):
        palette = None
        if decoded.samples is not None:
            values = _from_samples(decoded.samples, name)
        else:
            assert decoded.image is not None  # one of the two is there
            values = _stored(decoded.image, decoded.scale, name)
            colours = decoded.image.getpalette("RGB") if decoded.image.mode == "P" else None
            palette = None if colours is None else np.array(colours, dtype=np.uint8).reshape(-1, 3)
        orientation, _ = clean_exif(decoded)
        values = turn_upright(values, orientation)
    return IndexedPhoto(pixels=values, sha256=decoded.sha256, name=name, palette=palette, warning=decoded.warning)


def _from_samples(samples: Samples, name: str) -> NDArray[Any]:
    """Whole numbers as they are, floating-point ones where they are whole; a channel of alpha must be opaque."""
    colours = samples.colours
    if samples.alpha != "none" and (samples.values[:, :, colours.shape[2]] != samples.white).any():
        raise _transparent(name)
    if samples.kind == "float":
        if not np.isfinite(colours).all() or (colours != np.rint(colours)).any():
            raise InputError(f"{name} holds fractions, expected class numbers", "save it as an 8-bit PNG")
        colours = colours.astype(np.float64)
    if samples.white_is_zero and samples.kind == "unsigned":
        colours = samples.white - colours
    values = _narrow(colours, name)
    return values[:, :, 0] if values.shape[2] == 1 else values


def _stored(image: Image.Image, scale: float, name: str) -> NDArray[Any]:
    """The numbers of a decoded picture; ``scale``: what the decoder has multiplied them by."""
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode in ("RGBA", "LA", "PA"):
        if image.getchannel("A").getextrema() != (255, 255):
            raise _transparent(name)
        image = image.convert("RGB" if image.mode == "PA" else image.mode[:-1])
    if image.mode in ("L", "I") and scale != 1.0:
        return _narrow(np.rint(np.array(image) / scale), name)
    if image.mode in ("L", "P", "1", "RGB"):
        return np.array(image).astype(np.uint8)
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _narrow(np.array(image), name)
    raise InputError(
        f"{name} has pixels of the kind {image.mode}, expected class numbers, a palette or RGB colours",
        "save it as an 8-bit PNG",
    )


def _narrow(values: NDArray[Any], name: str) -> NDArray[Any]:
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high <= 0xFFFF:
        return values.astype(np.uint8 if high < 256 else np.uint16)
    raise InputError(f"{name} holds numbers from {low} to {high}, expected class numbers", "save it as an 8-bit PNG")


def _transparent(name: str) -> InputError:
    return InputError(
        f"{name} is partly transparent, expected a label map with a class for every pixel",
        "save it without transparency",
    )
