"""Label images give the numbers that were stored, whatever the palette, the depth or the orientation."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.image import read_image
from pixel2style2pixel_cli.files.indexed import read_indexed

LABELS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def saved(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def read(image: Image.Image, format: str = "PNG", **options: object) -> np.ndarray:
    return read_indexed(saved(image, format, **options), name="map").pixels


def with_palette() -> Image.Image:
    image = Image.fromarray(LABELS).convert("P")
    image.putpalette([(37 * i) % 256 for i in range(768)])
    return image


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF"])
def test_grey_and_palette_give_the_numbers(format: str) -> None:
    for image in (Image.fromarray(LABELS), with_palette()):
        found = read(image, format)
        assert found.dtype == np.uint8 and np.array_equal(found, LABELS)


def test_transparent_entry_of_a_palette_changes_nothing() -> None:
    assert np.array_equal(read(with_palette(), transparency=3), LABELS)


def test_bits_are_zero_and_one() -> None:
    assert read(Image.fromarray(LABELS > 5)).tolist() == (LABELS > 5).astype(int).tolist()


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bits_keep_their_values(format: str) -> None:
    wide = LABELS.astype(np.uint16)
    narrow = read(Image.fromarray(wide), format)
    assert narrow.dtype == np.uint8 and np.array_equal(narrow, LABELS)
    kept = read(Image.fromarray(wide + 1000), format)
    assert kept.dtype == np.uint16 and np.array_equal(kept, wide + 1000)


def swapped_profile() -> bytes:
    """sRGB with its red and green columns exchanged: colour management would be seen at once."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = data.index(b"rXYZ"), data.index(b"gXYZ")
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    data = data.replace(b"sRGB", b"xRGB").replace(b"s\x00R\x00G\x00B", b"x\x00R\x00G\x00B")
    return bytes(data)


def test_colours_are_not_managed() -> None:
    data = saved(Image.new("RGB", (2, 2), (204, 51, 0)), icc_profile=swapped_profile())
    assert read_indexed(data, name="map").pixels[0, 0].tolist() == [204, 51, 0]
    assert read_image(data, name="map").pixels[0, 0].tolist() != [204, 51, 0]  # so the profile does have an effect


def test_opaque_alpha_is_dropped_and_transparency_refused() -> None:
    colours = np.stack([LABELS, 20 * LABELS, 255 - LABELS, np.full_like(LABELS, 255)], axis=2)
    assert np.array_equal(read(Image.fromarray(colours)), colours[:, :, :3])
    assert np.array_equal(read(Image.fromarray(LABELS).convert("LA")), LABELS)
    colours[1, 1, 3] = 254
    with pytest.raises(InputError, match="map is partly transparent"):
        read(Image.fromarray(colours))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_orientation_is_applied(dtype: type) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = LABELS.astype(dtype) + (0 if dtype is np.uint8 else 999)
    assert np.array_equal(read(Image.fromarray(stored), exif=exif), np.rot90(stored, -1))


def test_other_pixels_and_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pixels of the kind CMYK"):
        read(Image.new("CMYK", (2, 2)), "TIFF")
    with pytest.raises(InputError, match="numbers from 0 to 70000"):
        read(Image.fromarray(np.array([[0, 70000]], np.int32)), "TIFF")
    with pytest.raises(InputError, match="the limit is 1e-05 million"):
        read_indexed(saved(Image.fromarray(LABELS)), name="map", max_pixels=10)
    path = tmp_path / "map.png"
    path.write_bytes(saved(Image.fromarray(LABELS)))
    photo = read_indexed(path, name="map")
    assert photo.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() and (photo.width, photo.height) == (4, 3)
