"""A decoded picture of any mode to 8-bit sRGB: 16 bits, palette, transparency, CMYK and embedded profiles."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageChops, ImageCms

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files import gamut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pixel2style2pixel_cli.files.decode import Decoded, Samples

    Array = NDArray[Any]

# What a profile must say about itself to be applied to pixels of a mode; any other pairing is a broken file.
PROFILE_SPACE = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}
PROFILE_ERRORS = (ImageCms.PyCMSError, ImportError, OSError, ValueError, TypeError, AttributeError)
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})
_SAVE = "save it as an 8-bit or 16-bit PNG"
_BAND = 1 << 22  # pixels converted at a time: larger pictures would be in memory several times over


def to_srgb(decoded: Decoded, name: str) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) in sRGB, transparency laid on white; InputError where the values have no agreed meaning."""
    height, width = _size(decoded)
    profile = _profile(decoded)
    out: NDArray[np.uint8] | None = None
    for rows, image, alpha in _bands(decoded, name, profile):
        if image.mode not in PROFILE_SPACE:
            image = image.convert("L" if image.mode == "1" else "RGB")
        if profile is None and not decoded.space.is_srgb and decoded.samples is None and image.mode in ("L", "RGB"):
            image = Image.fromarray(gamut.to_srgb(np.asarray(image), decoded.space))
        image = _apply_profile(image, profile)
        if alpha is not None:
            canvas = Image.new("RGB", image.size, "white")
            canvas.paste(image, mask=alpha)
            image = canvas
        if image.height == height:
            return np.array(image, dtype=np.uint8)
        out = np.empty((height, width, 3), np.uint8) if out is None else out
        out[rows] = np.asarray(image)
    assert out is not None  # a picture has rows
    return out


def to_levels(decoded: Decoded, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Brightness as it was stored, uint8 (H, W), and the alpha beside it if there is one: what masks are read from.

    Neither profile nor gamma is applied: black and white mean what they say.
    """
    levels = np.empty(_size(decoded), np.uint8)
    opacity = None
    for rows, image, alpha in _bands(decoded, name, None):
        levels[rows] = np.asarray(image if image.mode == "L" else image.convert("RGB").convert("L"))
        if alpha is not None:
            opacity = np.empty(levels.shape, np.uint8) if opacity is None else opacity
            opacity[rows] = np.asarray(alpha)
    return levels, opacity


def _size(decoded: Decoded) -> tuple[int, int]:
    """Height and width."""
    if decoded.samples is not None:
        height, width = decoded.samples.values.shape[:2]
        return height, width
    assert decoded.image is not None  # one of the two is there
    return decoded.image.height, decoded.image.width


def _profile(decoded: Decoded) -> bytes | None:
    found = decoded.samples.profile if decoded.samples is not None else None
    if decoded.samples is None and decoded.image is not None:
        found = decoded.image.info.get("icc_profile")
    return found if isinstance(found, bytes) and found else None


def _bands(
    decoded: Decoded, name: str, profile: bytes | None
) -> Iterator[tuple[slice, Image.Image, Image.Image | None]]:
    """Rows of the picture, in their colours and in 8 bits, and their alpha, a band at a time.

    A picture without colours comes in grey where its profile is one for grey, however it is stored.
    """
    height, width = _size(decoded)
    image = decoded.image
    grey = profile is not None and profile[16:20] == b"GRAY" and image is not None and not _has_colours(image)
    step = max(1, _BAND // max(1, width))
    for top in range(0, height, step):
        rows = slice(top, min(height, top + step))
        if decoded.samples is not None:
            yield rows, *_split_samples(decoded.samples, rows, name, decoded.space)
            continue
        assert image is not None  # as above
        part: Image.Image = image if step >= height else image.crop((0, top, width, rows.stop))
        yield rows, *_split(part, image.format, name, grey)  # without names here, so that they can be freed there


def _split(image: Image.Image, format: str | None, name: str, grey: bool) -> tuple[Image.Image, Image.Image | None]:
    """The colours in 8 bits, of one channel with ``grey``, and the alpha."""
    if grey:
        colours, alpha = _split(image, format, name, False)
        return (colours if colours.mode == "L" else colours.convert("RGB").convert("L")), alpha
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_integers(image, format, name)
    if image.mode == "F":
        return _from_floats(np.asarray(image), name), None
    if image.mode in ("La", "RGBa"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if not image.has_transparency_data:
        return image, None
    if image.mode == "LA":
        return image.getchannel("L"), image.getchannel("A")
    image = image if image.mode == "RGBA" else image.convert("RGBA")
    return image.convert("RGB"), image.getchannel("A")


def _split_samples(
    samples: Samples, rows: slice, name: str, space: gamut.ColourSpace
) -> tuple[Image.Image, Image.Image | None]:
    """The same of stored numbers."""
    white = 1.0 if samples.kind == "float" else float(samples.white)
    if samples.kind == "signed" or white > 0xFFFF:
        raise _unknown_white(name, f"{'signed ' if samples.kind == 'signed' else ''}{8 * samples.values.itemsize}-bit")
    colours, alpha = samples.colours[rows], None
    if samples.alpha != "none" and samples.values.shape[2] > colours.shape[2]:
        alpha = _unit(samples.values[rows, :, colours.shape[2]], white, name)
    if colours.shape[2] == 1:
        colours = colours[:, :, 0]
    if not space.is_srgb and samples.kind == "unsigned" and white == 0xFFFF:
        levels = gamut.to_srgb(colours, space)
    else:
        unit = _unit(colours, white, name)
        if samples.white_is_zero:
            unit = 1.0 - unit
        if alpha is not None and samples.alpha == "premultiplied":
            opacity = alpha if unit.ndim == 2 else alpha[..., None]
            unit = np.minimum(unit / np.maximum(opacity, 1e-6), 1.0)
        levels = np.rint(255.0 * unit).astype(np.uint8)
    return Image.fromarray(levels), None if alpha is None else Image.fromarray(np.rint(255.0 * alpha).astype(np.uint8))


def _unit(values: Array, white: float, name: str) -> NDArray[np.float64]:
    """Numbers from 0 to 1; InputError for floating-point values of another range."""
    if values.dtype.kind == "f":
        _check_floats(values, name)
    return np.asarray(values.astype(np.float64) / white)


def _check_floats(values: Array, name: str) -> None:
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds floating-point values that are not numbers", _SAVE)
    low, high = float(values.min()), float(values.max())
    if low < 0.0 or high > 1.0:
        raise InputError(
            f"{name} holds floating-point values from {low:g} to {high:g}, expected 0 to 1",
            _SAVE,
        )


def _from_floats(values: Array, name: str) -> Image.Image:
    _check_floats(values, name)
    return _grey(values * 255.0)


def _from_integers(image: Image.Image, format: str | None, name: str) -> tuple[Image.Image, Image.Image | None]:
    """16-bit grey to 8 bits; Pillow's own conversion clips at 255 and turns the picture white."""
    values = np.asarray(image)
    if image.mode == "I" and format not in ("PNG", "PPM"):
        raise _unknown_white(name, "32-bit")
    return _grey(values.astype(np.float32) / 257.0), None


def _unknown_white(name: str, kind: str) -> InputError:
    return InputError(
        f"{name} holds {kind} integers, whose white is not known; expected 8 or 16 bits per channel", _SAVE
    )


def _grey(values: Array) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(values, 0.0, 255.0)).astype(np.uint8))


def _has_colours(image: Image.Image) -> bool:
    """Whether any pixel is not grey."""
    if image.mode in _GREY_MODES or image.mode.startswith("I;16"):
        return False
    if image.mode in ("P", "PA"):
        indices = np.flatnonzero(image.getchannel(0).histogram()[:256])
        palette = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        used = palette[indices[indices < len(palette)]]
        return bool((used != used[:, :1]).any())
    if image.mode not in ("RGB", "RGBA", "RGBX"):
        return True
    red, green, blue = (image.getchannel(channel) for channel in range(3))
    return bool(ImageChops.difference(red, green).getbbox() or ImageChops.difference(red, blue).getbbox())


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
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    # The transform from sRGB to itself moves some values by one level: such pictures are left as they are.
    description = profile.profile.profile_description or ""
    return description.startswith(("sRGB", "c2"))  # c2: Facebook's "c2ci" tiny sRGB
