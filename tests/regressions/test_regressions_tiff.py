"""TIFF: every type of number and meaning of black, alone and with alpha, is read for what it is or refused by name."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from picture_files import ASCII, DATA, LONG, SHORT, UNDEFINED, TiffPage, saved, tiff
from PIL import Image, ImageCms

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.image import read_image
from pixel2style2pixel_cli.files.indexed import read_indexed

ROWS, COLUMNS = np.mgrid[0:19, 0:37]
COLOURS = np.stack([COLUMNS / 36, ROWS / 18, (ROWS + COLUMNS) / 54], axis=2)  # 0 to 1
GREY = COLOURS[:, :, :1]
LAYOUTS: list[dict[str, Any]] = [
    {}, {"compression": 8}, {"tile": (16, 16)}, {"planar": True}, {"planar": True, "compression": 8, "tile": (16, 32)},
]  # fmt: skip


def stored(unit: np.ndarray, dtype: str) -> np.ndarray:
    """Values from 0 to 1 as this type of number."""
    kind = np.dtype(dtype)
    return unit.astype(kind) if kind.kind == "f" else np.rint(unit * np.iinfo(kind).max).astype(kind)


def levels(unit: np.ndarray) -> np.ndarray:
    """What is to be read: 0 to 255, three channels."""
    return np.rint(255 * np.broadcast_to(unit, COLOURS.shape)).astype(int)


def assert_read(data: bytes, unit: np.ndarray) -> None:
    assert np.abs(read_image(data, name="x").pixels - levels(unit)).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f2", "f4", "f8"])
@pytest.mark.parametrize("photometric", [0, 1, 2])
def test_every_type_in_every_layout(dtype: str, photometric: int, order: str) -> None:
    unit = COLOURS if photometric == 2 else GREY
    for layout, big in itertools.product(LAYOUTS, [False, True]):
        page = TiffPage(stored(1 - unit if photometric == 0 else unit, dtype), photometric, **layout)
        assert_read(tiff(page, order=order, big=big), unit)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("photometric", [1, 2])
@pytest.mark.parametrize("extra", [0, 1, 2])
def test_alpha_straight_premultiplied_and_unknown(dtype: str, photometric: int, extra: int, order: str) -> None:
    unit, half = COLOURS if photometric == 2 else GREY, np.full_like(GREY, 0.5)
    seen = unit if extra == 0 else 0.5 * unit + 0.5  # a channel of no known meaning is not looked through
    for layout in LAYOUTS:
        values = stored(np.concatenate([0.5 * unit if extra == 1 else unit, half], axis=2), dtype)
        assert_read(tiff(TiffPage(values, photometric, (extra,), **layout), order=order), seen)


@pytest.mark.parametrize("bits", [3, 6, 9, 10, 12, 14, 15])
@pytest.mark.parametrize("photometric", [0, 1, 2])
def test_numbers_of_odd_width(bits: int, photometric: int) -> None:
    unit, white = COLOURS if photometric == 2 else GREY, (1 << bits) - 1
    numbers = np.rint(white * unit).astype(np.uint16)
    page = TiffPage(white - numbers if photometric == 0 else numbers, photometric, bits=bits)
    assert_read(tiff(page), numbers / white)
    expected = numbers if photometric == 2 else numbers[:, :, 0]
    assert np.array_equal(read_indexed(tiff(page), name="x").pixels, expected)


@pytest.mark.parametrize(("dtype", "predictor"), [("u1", 2), ("u2", 2), ("f2", 3), ("f4", 3), ("f8", 3)])
def test_differences_to_the_left(dtype: str, predictor: int) -> None:
    for order, layout in itertools.product("<>", [{}, {"tile": (16, 16)}, {"planar": True}]):
        for unit, photometric in ((GREY, 0), (COLOURS, 2)):
            values = stored(1 - unit if photometric == 0 else unit, dtype)
            page = TiffPage(values, photometric, compression=8, predictor=predictor, **layout)
            assert_read(tiff(page, order=order), unit)


@pytest.mark.parametrize(
    ("dtype", "found"), [("i1", "signed 8-bit"), ("i2", "signed 16"), ("i4", "signed 32"), ("u4", "32-bit")]
)
def test_numbers_whose_white_is_not_known(dtype: str, found: str) -> None:
    for photometric, unit in ((1, GREY), (2, COLOURS)):
        with pytest.raises(InputError, match=f"x holds {found}.* integers, whose white is not known"):
            read_image(tiff(TiffPage(stored(unit, dtype), photometric)), name="x")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("photometric", [0, 1, 2])
def test_values_that_are_not_finite(value: float, dtype: str, photometric: int) -> None:
    values = stored(COLOURS if photometric == 2 else GREY, dtype)
    values[3, 3] = value
    with pytest.raises(InputError, match="are not numbers"):
        read_image(tiff(TiffPage(values, photometric)), name="x")


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (TiffPage(stored(COLOURS, "u2"), 8), "3 x 16-bit CIELab pixels"),
        (TiffPage(np.zeros((4, 4, 5), np.uint16), 5, (1,)), "5 x 16-bit CMYK pixels"),
        (TiffPage(np.zeros((4, 4, 1), np.complex64), 1), "1 x 64-bit complex or mixed grey pixels"),
        (
            TiffPage(np.zeros((4, 4, 1), np.uint16), 3, tags={320: (SHORT, [0] * 3 * 65536)}),
            "1 x 16-bit palette pixels",
        ),
    ],
)
def test_other_kinds_are_named(page: TiffPage, kind: str) -> None:
    with pytest.raises(InputError, match="is a TIFF of a kind that is not supported") as caught:
        read_image(tiff(page), name="x")
    assert kind in caught.value.message
    assert caught.value.hint


def test_a_file_that_does_not_say_what_black_is() -> None:
    for dtype in ("u1", "u2"):
        assert_read(tiff(TiffPage(stored(GREY, dtype), tags={262: None})), GREY)
        assert_read(tiff(TiffPage(stored(COLOURS, dtype), 2, tags={262: None})), COLOURS)


def test_grey_beside_premultiplied_alpha_from_a_scanner() -> None:
    """Pillow's mode La, which it converts to nothing else in one step."""
    values = np.concatenate([stored(0.25 * GREY, "u1"), np.full_like(GREY, 64, np.uint8)], axis=2)
    assert_read(tiff(TiffPage(values, 1, (1,))), values[:, :, :1] / 255 + 1 - 64 / 255)


def small(value: int, **options: Any) -> TiffPage:
    return TiffPage(np.full((8, 8, 3), value, np.uint8), 2, **options)


def main(value: int = 200, **options: Any) -> TiffPage:
    return TiffPage(np.full((19, 37, 3), value, np.uint8), 2, **options)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_thumbnails_and_masks_in_front(order: str, big: bool) -> None:
    for flag in ((254, (LONG, [1])), (254, (LONG, [5])), (255, (SHORT, [2]))):
        first = small(9, tags=dict([flag]))
        assert read_image(tiff(first, main(), order=order, big=big), name="x").pixels.shape == (19, 37, 3)
        first.children.append(main())
        assert read_image(tiff(first, order=order, big=big), name="x").pixels.shape == (19, 37, 3)
    mask = TiffPage(np.zeros((19, 37, 1), np.uint8), 4, tags={254: (LONG, [4])})
    assert read_image(tiff(mask, main(), order=order, big=big), name="x").pixels[0, 0].tolist() == [200] * 3


def test_the_first_of_several_pictures_stays_the_first() -> None:
    assert read_image(tiff(small(9), main()), name="x").pixels.shape == (8, 8, 3)
    assert read_image(tiff(small(9, tags={254: (LONG, [1])})), name="x").pixels.shape == (8, 8, 3)  # there is no other
    pyramid = main(children=[small(9, tags={254: (LONG, [1])})])
    assert read_image(tiff(pyramid), name="x").pixels.shape == (19, 37, 3)


def test_raw_photographs_are_named() -> None:
    sensor = TiffPage(np.zeros((32, 32, 1), np.uint16), 32803)
    linear = TiffPage(np.zeros((32, 32, 3), np.uint16), 34892)
    version = {50706: (UNDEFINED, b"\1\4\0\0")}
    files = [tiff(small(9, children=[sensor])), tiff(small(9), sensor), tiff(small(9, children=[linear])), tiff(sensor)]
    files += [tiff(small(9, tags=version)), (DATA / "raw.dng").read_bytes(), b"II*\0\x10\0\0\0CR\2\0" + bytes(99)]
    for data in files:
        with pytest.raises(InputError, match="x is a raw photograph of a camera"):
            read_image(data, name="x")


def test_directories_that_lead_in_a_circle() -> None:
    data = bytearray(tiff(main()))
    first = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[first : first + 2], "little")
    data[first + 2 + 12 * count :][:4] = data[4:8]
    assert read_image(bytes(data[: first + 2 + 12 * count]) + bytes(data[4:8]), name="x").pixels.shape == (19, 37, 3)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_beside_tags_that_cannot_be_read(turn: int) -> None:
    upright = np.arange(19 * 37 * 3, dtype=np.uint16).reshape(19, 37, 3)
    backwards = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[turn]  # fmt: skip
    for dtype, scale in (("u1", 1), ("u2", 257), ("f4", 1 / 255)):
        values = np.ascontiguousarray(backwards((upright % 251 * scale).astype(dtype)))
        odd: dict[int, Any] = {
            274: (SHORT, [turn]),
            34665: (ASCII, b"no place\0"),
            34853: (LONG, [7]),
            282: (ASCII, b"72\0"),
        }
        found = read_image(tiff(TiffPage(values, 2, tags=odd)), name="x").pixels
        assert np.abs(found.astype(int) - upright % 251).max() <= 1


def test_profile_of_a_kind_that_the_decoder_lacks() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_read(tiff(TiffPage(stored(COLOURS, "f4"), 2, tags={34675: (UNDEFINED, profile)})), COLOURS)
    assert_read(tiff(TiffPage(stored(COLOURS, "f4"), 2, tags={34675: (UNDEFINED, b"junk" * 40)})), COLOURS)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
@pytest.mark.parametrize("channels", [1, 3])
def test_class_numbers_of_every_type(dtype: str, channels: int) -> None:
    classes = (np.arange(19 * 37) % 19).reshape(19, 37, 1).astype(dtype).repeat(channels, axis=2)
    for order, big, layout in itertools.product("<>", [False, True], LAYOUTS):
        page = TiffPage(classes, 1 if channels == 1 else 2, **layout)
        found = read_indexed(tiff(page, order=order, big=big), name="x").pixels
        assert np.array_equal(found, classes[:, :, 0] if channels == 1 else classes)


def test_kinds_that_pillow_writes_stay_as_they_were() -> None:
    picture = Image.open(DATA / "photo.png")
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "LAB"):
        for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            image = picture.convert("RGB").convert(mode) if mode != "LAB" else Image.new("LAB", (8, 8), (200, 128, 128))
            found = read_image(saved(image, "TIFF", compression=compression), name="x").pixels
            if mode in ("1", "L", "P", "RGB", "RGBA"):
                assert np.array_equal(found, np.array(image.convert("RGB")))
