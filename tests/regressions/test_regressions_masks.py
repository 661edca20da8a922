"""Masks: black and white mean what they say, and transparency means what was painted or what was cut out."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from picture_files import TiffPage, chunk, png, saved, tiff
from PIL import Image, ImageCms

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.image import read_levels
from pixel2style2pixel_cli.inputs.masked import read_mask

HOLE = np.zeros((20, 30), bool)
HOLE[5:12, 8:20] = True
WHITE = np.where(HOLE, 255, 0).astype(np.uint8)


def mask_of(data: bytes) -> np.ndarray:
    levels, alpha = read_levels(data, name="mask")
    return read_mask(levels, name="mask", alpha=alpha)


def stacked(colour: np.ndarray | int, alpha: np.ndarray, channels: int) -> Image.Image:
    grey = np.broadcast_to(np.asarray(colour, np.uint8), HOLE.shape)
    return Image.fromarray(np.stack([grey] * channels + [alpha.astype(np.uint8)], axis=2))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "TGA"])
def test_every_way_transparency_meets_a_mask(channels: int, format: str) -> None:
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    painted = stacked(255, WHITE, channels)  # white paint on an empty layer
    cut_out = stacked(0, 255 - WHITE, channels)  # a hole erased from a black layer
    opaque = stacked(WHITE, np.full_like(WHITE, 255), channels)
    for image in (painted, cut_out, opaque):
        assert np.array_equal(mask_of(saved(image, format, **options)), HOLE)
    half = np.full_like(WHITE, 255)
    half[:, 25:] = 0
    with pytest.raises(InputError, match="black, white and transparent parts"):
        mask_of(saved(stacked(WHITE, half, channels), format, **options))
    with pytest.raises(InputError, match="covers nothing"):
        mask_of(saved(stacked(0, np.zeros_like(WHITE), channels), "PNG"))


def test_colour_under_the_transparent_parts_does_not_matter() -> None:
    for below in (0, 90, 255):
        assert np.array_equal(mask_of(saved(stacked(np.where(HOLE, 255, below), WHITE, 3))), HOLE)
        assert np.array_equal(mask_of(saved(stacked(np.where(HOLE, below, 0), 255 - WHITE, 3))), HOLE)


def test_soft_brushes() -> None:
    soft = WHITE.copy()
    soft[4, 8:20] = 100
    assert np.array_equal(mask_of(saved(stacked(255, soft, 3))), HOLE)
    assert np.array_equal(mask_of(saved(stacked(0, 255 - soft, 3))), HOLE)


def test_one_transparent_colour_and_palettes() -> None:
    for key in (0, 255):
        assert np.array_equal(mask_of(saved(Image.fromarray(WHITE), "PNG", transparency=key)), HOLE)
    two = Image.frombytes("P", (30, 20), (WHITE // 255).tobytes())
    two.putpalette([0, 0, 0, 255, 255, 255])
    for format in ("PNG", "GIF"):
        assert np.array_equal(mask_of(saved(two, format, transparency=0)), HOLE)
        assert np.array_equal(mask_of(saved(two, format)), HOLE)
    key = chunk(b"tRNS", struct.pack(">3H", 0, 0, 0))
    rows = [row.astype(">u2").repeat(3).tobytes() for row in WHITE.astype(np.uint16) * 257]
    assert np.array_equal(mask_of(png(rows, 30, 16, 2, key)), HOLE)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_premultiplied_alpha_and_white_that_is_zero(dtype: str, order: str) -> None:
    top = 1.0 if dtype == "f4" else float(np.iinfo(dtype).max)
    unit = HOLE[:, :, None].astype(float)
    for extra in (1, 2):
        values = (np.concatenate([unit, unit], axis=2) * top).astype(dtype)  # white paint, transparent elsewhere
        assert np.array_equal(mask_of(tiff(TiffPage(values, 1, (extra,)), order=order)), HOLE)
    assert np.array_equal(mask_of(tiff(TiffPage(((1 - unit) * top).astype(dtype), 0), order=order)), HOLE)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_modes_without_transparency(mode: str) -> None:
    for format in ("PNG", "TIFF", "BMP", "GIF"):
        assert np.array_equal(mask_of(saved(Image.fromarray(WHITE).convert(mode), format)), HOLE)


def test_profile_and_gamma_do_not_move_the_rim() -> None:
    """A grey of 100 is below the middle; lightened by gamma 1.0 or a profile it would be above."""
    soft = WHITE.copy()
    soft[4, 8:20] = 100
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    assert np.array_equal(mask_of(png([row.tobytes() for row in soft], 30, 8, 0, gamma)), HOLE)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(mask_of(saved(Image.fromarray(soft).convert("RGB"), icc_profile=profile)), HOLE)


def test_masks_are_turned_with_their_photographs() -> None:
    orientation = Image.Exif()
    orientation[0x0112] = 6
    stored = Image.fromarray(np.rot90(WHITE).copy())
    assert np.array_equal(mask_of(saved(stored, exif=orientation)), HOLE)
    layer = np.rot90(np.array(stacked(255, WHITE, 3))).copy()
    assert np.array_equal(mask_of(saved(Image.fromarray(layer), exif=orientation)), HOLE)
