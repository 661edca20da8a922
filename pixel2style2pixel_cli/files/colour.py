"""A decoded picture of any mode to 8-bit sRGB: 16 bits, palette, transparency, CMYK and embedded profiles."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageCms

from pixel2style2pixel_cli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

# What a profile must say about itself to be applied to pixels of a mode; any other pairing is a broken file.
PROFILE_SPACE = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}
PROFILE_ERRORS = (ImageCms.PyCMSError, ImportError, OSError, ValueError, TypeError, AttributeError)


def to_srgb(image: Image.Image, name: str) -> Image.Image:
    """An RGB picture with transparency laid on white; InputError where the values have no agreed meaning."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _from_integers(image, name)
    elif image.mode == "F":
        image = _from_floats(image, name)
    alpha = None
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    if image.mode not in PROFILE_SPACE:
        image = image.convert("L" if image.mode == "1" else "RGB")
    image = _apply_profile(image, profile)
    if alpha is not None:
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(image, mask=alpha)
        image = canvas
    return image


def _from_integers(image: Image.Image, name: str) -> Image.Image:
    """16-bit grey to 8 bits; Pillow's own conversion clips at 255 and turns the picture white."""
    values = np.asarray(image)
    if image.mode == "I" and image.format not in ("PNG", "PPM"):
        raise InputError(
            f"{name} holds 32-bit integers, whose white is not known; expected 8 or 16 bits per channel",
            "save it as an 8-bit or 16-bit PNG",
        )
    return _grey((values.astype(np.float32) / 257.0), image)


def _from_floats(image: Image.Image, name: str) -> Image.Image:
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(values).all() and low >= 0.0 and high <= 1.0):
        raise InputError(
            f"{name} holds floating-point values from {low:g} to {high:g}, expected 0 to 1",
            "save it as an 8-bit or 16-bit PNG",
        )
    return _grey(values * 255.0, image)


def _grey(values: Array, source: Image.Image) -> Image.Image:
    grey = Image.fromarray(np.rint(np.clip(values, 0.0, 255.0)).astype(np.uint8))
    if "icc_profile" in source.info:
        grey.info["icc_profile"] = source.info["icc_profile"]
    return grey


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours as the profile means them; a damaged or mismatched profile is passed over, as viewers do."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            usable = source.profile.xcolor_space.strip() == PROFILE_SPACE[image.mode]
            if usable and not _is_srgb(source):
                converted = ImageCms.profileToProfile(
                    image,
                    source,
                    ImageCms.createProfile("sRGB"),
                    renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                    outputMode="RGB",
                    flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
                )
                if converted is not None:
                    return converted
        except PROFILE_ERRORS:
            pass
    if image.mode == "LAB":
        return _apply_profile(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())
    return image.convert("RGB")


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    # The transform from sRGB to itself moves some values by one level: such pictures are left as they are.
    description = profile.profile.profile_description or ""
    return description.startswith(("sRGB", "c2"))  # c2: Facebook's "c2ci" tiny sRGB
