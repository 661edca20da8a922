"""Orientation and what may be kept of EXIF survive tags of any type beside them; a JPEG is whole without its end."""

from __future__ import annotations

import importlib.util
import io
import struct
from typing import Any

import numpy as np
import pytest
from picture_files import ASCII, DATA, LONG, SHORT, SIZES, exif, saved
from PIL import Image

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.image import encode_image, read_image

TURNED = (SHORT, [6])
PICTURE = Image.open(DATA / "photo.png").resize((24, 16))
UPRIGHT = np.rot90(np.array(PICTURE), -1)
# Tags that a type could be wrong for, in each of the three directories.
MAIN, CAMERA, PLACE = (
    (0x010F, 0x011A, 0x0131, 0x0132, 0x4746),
    (0x829A, 0x9000, 0x9003, 0x927C, 0xA005),
    (0, 1, 2, 5, 29),
)


def read_turned(metadata: bytes, format: str = "PNG") -> bytes | None:
    """The EXIF that is kept of a picture with this EXIF, which must come out upright."""
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
    photo = read_image(saved(PICTURE, format, exif=metadata, **options), name="x")
    assert photo.pixels.shape == UPRIGHT.shape
    assert np.abs(photo.pixels.astype(int) - UPRIGHT).mean() < 9
    return photo.exif


@pytest.mark.parametrize("kind", ["resolution_as_text", "gps_signed", "gps_version_as_text"])
def test_pictures_of_real_cameras(kind: str) -> None:
    wanted = read_image(DATA / "control_turned.jpg", name="x").pixels
    assert np.array_equal(read_image(DATA / f"turned_{kind}.jpg", name="x").pixels, wanted)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [*SIZES, 0, 14, 99])
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_beside_every_type_of_every_tag(kind: int, order: str) -> None:
    size = SIZES.get(kind, 1)
    for body in (b"\xff" * size, bytes(size), b"\x80" * 3 * size, b"\x07" * 9 * size, b""):
        wrong = (kind, body) if kind in SIZES else (ASCII, body)
        for directory, tags in (("main", MAIN), ("camera", CAMERA), ("gps", PLACE)):
            for tag in tags:
                inner = {} if directory == "main" else {directory: {tag: wrong}}
                outer = {0x0112: TURNED, 0x010E: (ASCII, b"kept\0")} | ({tag: wrong} if directory == "main" else {})
                data = exif(outer, **inner, order=order)
                kept = read_turned(
                    data
                    if kind in SIZES
                    else data.replace(struct.pack(order + "HH", tag, ASCII), struct.pack(order + "HH", tag, kind))
                )
                assert kept is not None and b"kept" in kept
                encode_image(UPRIGHT, "jpg", exif=kept)  # what is kept can be written


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_one_wrong_tag_in_every_container(format: str) -> None:
    if format == "TIFF":
        return  # its own directory: test_regressions_tiff.py
    kept = read_turned(exif({0x0112: TURNED, 0x010F: (ASCII, b"Maker\0")}, gps={0: (ASCII, b"2.3\0")}), format)
    assert kept is not None and b"Maker" in kept


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "value",
    [(SHORT, [6]), (LONG, [6]), (1, [6]), (7, [6]), (8, [6]), (9, [6]), (5, struct.pack("<2I", 6, 1)), (11, [6.0]),
     (SHORT, [6, 6]), (ASCII, b"6\0")],
)  # fmt: skip
def test_orientation_of_another_type(value: tuple[int, Any]) -> None:
    read_turned(exif({0x0112: value}))


@pytest.mark.parametrize(
    "value", [(SHORT, [0]), (SHORT, [9]), (LONG, [1 << 31]), (5, bytes(8)), (ASCII, b"up\0"), (11, [float("nan")])]
)
def test_orientation_of_no_meaning(value: tuple[int, Any]) -> None:
    photo = read_image(saved(PICTURE, exif=exif({0x0112: value})), name="x")
    assert np.array_equal(photo.pixels, np.array(PICTURE))


def test_orientation_of_the_thumbnail_is_not_that_of_the_picture() -> None:
    data = bytearray(exif({0x010F: (ASCII, b"Maker\0")}))
    data[-4:] = struct.pack("<I", len(data) - 6)
    data += struct.pack("<HHHIHH", 1, 0x0112, SHORT, 1, 6, 0) + bytes(4)
    assert read_image(saved(PICTURE, exif=bytes(data)), name="x").pixels.shape == (16, 24, 3)


@pytest.mark.filterwarnings("ignore")
def test_good_entries_beside_a_bad_one_are_kept() -> None:
    kept = read_turned(
        exif(
            {0x0112: TURNED, 0x011A: (ASCII, b"72\0"), 0x010F: (ASCII, b"Maker\0")},
            gps={1: (ASCII, b"N\0"), 0: (6, [-2, 3, 0, 0])},
        )
    )
    assert kept is not None
    found = Image.Exif()
    found.load(kept)
    assert found[0x010F] == "Maker"
    assert found.get_ifd(0x8825)[1] == "N"


# --- JPEG ----------------------------------------------------------------------------------------------------------


def jpeg(size: int = 120, **options: Any) -> bytes:
    return saved(Image.open(DATA / "photo.png").resize((size, size - 7)), "JPEG", **options)


def test_no_end_marker() -> None:
    photo = read_image(DATA / "no_eoi.jpg", name="x")
    whole = read_image((DATA / "no_eoi.jpg").read_bytes() + b"\xff\xd9", name="x")
    assert np.array_equal(photo.pixels, whole.pixels)
    assert whole.warning is None and photo.warning is not None and "end marker" in photo.warning


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 100, "subsampling": 0}, {"restart_marker_rows": 1}]
)
def test_no_end_marker_in_every_kind_of_jpeg(options: dict[str, Any]) -> None:
    for size in (8, 16, 33, 120):
        data = jpeg(size, **options)
        wanted = read_image(data, name="x").pixels
        for cut in (data[:-2], data[:-1]):
            assert np.array_equal(read_image(cut, name="x").pixels, wanted)


@pytest.mark.parametrize("options", [{}, {"quality": 100}, {"restart_marker_rows": 1}])
def test_missing_picture_data_are_still_damage(options: dict[str, Any]) -> None:
    data = jpeg(**options)
    for missing in (40, 100, 1000):
        with pytest.raises(InputError, match="damaged or cut short"):
            read_image(data[:-missing], name="x")


def test_segments_that_cost_no_picture() -> None:
    data = jpeg(icc_profile=b"junk" * 9)
    wanted = read_image(data, name="x").pixels
    turn = exif({0x0112: TURNED})
    turn = struct.pack(">BBH", 0xFF, 0xE1, len(turn) + 2) + turn
    segments = [
        (0xE2, b"MPF\0junk"), (0xE2, b"ICC_PROFILE\0"), (0xE2, b"FPXR\0"), (0xED, b"Photoshop 3.0\x008BIM"),
        (0xE1, b"Exif\0\0"), (0xE1, b"Exif\0\0junk" * 9), (0xE1, b"http://ns.adobe.com/xap/1.0/\0<"),
        (0xE0, b"JFIF"), (0xE0, b"JFXX\0"), (0xFE, b"\xff" * 99), (0xEC, b""),
    ]  # fmt: skip
    for marker, body in segments:
        segment = struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
        assert np.array_equal(read_image(data[:2] + segment + data[2:], name="x").pixels, wanted), body
        if body.startswith(b"Exif"):
            continue  # the one place where the orientation would stand
        turned = read_image(data[:2] + segment + turn + data[2:], name="x").pixels
        assert np.array_equal(turned, np.rot90(wanted, -1)), body


def test_a_picture_drawn_over_hundreds_of_times() -> None:
    data = jpeg(progressive=True)
    at = data.rindex(b"\xff\xda")
    scan = data[at:-2]
    assert read_image(data[:-2] + 20 * scan + data[-2:], name="x").pixels.shape == (113, 120, 3)
    with pytest.raises(InputError, match=r"x has 3.* scans, more than the 200"):
        read_image(data[:-2] + 300 * scan + data[-2:], name="x")


def test_second_pictures_of_a_camera_do_not_matter() -> None:
    first = Image.open(DATA / "photo.png")
    data = saved(first, "MPO", save_all=True, append_images=[first.rotate(90)], quality=95)
    at = data.index(b"MPF\0")
    broken = data[: at + 4] + b"\xff" * 60 + data[at + 64 :]
    wanted = read_image(data, name="x").pixels
    assert np.array_equal(read_image(broken, name="x").pixels, wanted)
    assert np.array_equal(wanted, np.array(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_heic_is_read_with_its_extra_and_named_without(brand: bytes) -> None:
    data = (DATA / "photo.heic").read_bytes()
    data = data[:8] + brand + data[12:]
    if importlib.util.find_spec("pillow_heif") is None:
        with pytest.raises(InputError, match="is a HEIC photograph") as caught:
            read_image(data, name="x.heic")
        assert "[heif]" in caught.value.hint and "JPEG" in caught.value.hint
        return
    photo = read_image(data, name="x.heic")
    assert np.abs(photo.pixels.astype(int) - np.array(Image.open(DATA / "photo.png"))).mean() < 4
