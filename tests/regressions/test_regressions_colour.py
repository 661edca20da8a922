"""What a file says about colour and transparency is obeyed wherever it stands; what it gets wrong costs no picture."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from picture_files import DATA, chunk, png, saved, with_chunks
from PIL import Image, ImageCms

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.image import read_image

PHOTO = np.array(Image.open(DATA / "photo.png")).astype(int)
GREY_PROFILE = Image.open(DATA / "control_grey_profile.png").info["icc_profile"]
TEXT = b"x" * (3 << 20)


def read(data: bytes) -> np.ndarray:
    return read_image(data, name="x").pixels.astype(int)


def read_file(name: str) -> np.ndarray:
    return read_image(DATA / name, name=name).pixels.astype(int)


# --- profiles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grey_profile_alpha.png", "grey_profile_palette.png"])
def test_grey_profile_however_the_grey_is_stored(name: str) -> None:
    assert np.array_equal(read_file(name), read_file("control_grey_profile.png"))


@pytest.mark.parametrize(
    ("mode", "format", "options"),
    [
        ("L", "PNG", {}), ("LA", "PNG", {}), ("P", "PNG", {}), ("RGB", "PNG", {}), ("RGBA", "PNG", {}),
        ("L", "TIFF", {}), ("LA", "TIFF", {}), ("RGB", "TIFF", {}), ("L", "JPEG", {"quality": 100}),
        ("RGB", "WEBP", {"lossless": True}), ("RGBA", "WEBP", {"lossless": True}), ("L", "PNG", {"transparency": 3}),
    ],
)  # fmt: skip
def test_grey_profile_in_every_container(mode: str, format: str, options: dict[str, Any]) -> None:
    grey = Image.open(DATA / "control_grey_profile.png").point(lambda value: max(value, 4))
    grey.info.clear()
    wanted = read(saved(grey, "PNG", icc_profile=GREY_PROFILE))
    assert np.abs(wanted - np.array(grey)[:, :, None]).max() > 30  # so the profile does have an effect
    found = read(saved(grey.convert(mode), format, icc_profile=GREY_PROFILE, **options))
    assert np.abs(found - wanted).mean() <= (2 if format == "JPEG" else 0)


def test_grey_profile_on_colours_is_passed_over() -> None:
    picture = Image.open(DATA / "photo.png")
    assert np.array_equal(read(saved(picture, "PNG", icc_profile=GREY_PROFILE)), PHOTO)


def turned_profile(size: int) -> bytes:
    """sRGB with red and green exchanged, of a given size: data that nothing points to lie behind it."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = data.index(b"rXYZ"), data.index(b"gXYZ")
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    data = data.replace(b"sRGB", b"xRGB").replace(b"s\x00R\x00G\x00B", b"x\x00R\x00G\x00B")
    data += bytes(max(0, size - len(data)))
    data[:4] = struct.pack(">I", len(data))
    return bytes(data)


def test_large_profile_is_applied_and_an_absurd_one_dropped() -> None:
    picture = Image.open(DATA / "photo.png")
    plain = saved(picture)
    wanted = read(with_chunks(plain, profile_chunk(turned_profile(0))))
    assert np.abs(wanted - PHOTO).mean() > 5
    assert np.array_equal(read(with_chunks(plain, profile_chunk(turned_profile(1_100_000)))), wanted)
    assert np.array_equal(read(with_chunks(plain, profile_chunk(turned_profile(40_000_000)))), PHOTO)


def profile_chunk(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"p\x00\x00" + zlib.compress(profile, 1))


# --- chunks that we do not need ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"tEXt", b"a\x00" + TEXT),
        chunk(b"zTXt", b"a\x00\x00" + zlib.compress(TEXT)),
        chunk(b"iTXt", b"a\x00\x01\x00\x00\x00" + zlib.compress(TEXT)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(TEXT)),
        chunk(b"iTXt", b"p2s2p\x00\x01\x00\x00\x00" + zlib.compress(TEXT)),
        chunk(b"zTXt", b"Raw profile type exif\x00\x00" + zlib.compress(TEXT)),
        chunk(b"zTXt", b"a\x00\x07" + zlib.compress(TEXT)),
        chunk(b"zTXt", b"a\x00\x00no deflate"),
        chunk(b"tEXt", b"no end of the keyword"),
        chunk(b"iCCP", b"p\x00\x09" + TEXT[:99]),
        chunk(b"iCCP", b"p\x00\x00no deflate"),
        chunk(b"iCCP", b""),
        chunk(b"gAMA", b"\x00"),
        chunk(b"gAMA", b"\x00\x00\x00\x00"),
        chunk(b"gAMA", b"\xff\xff\xff\xff"),
        chunk(b"cHRM", b"\x00" * 7),
        chunk(b"cHRM", b"\x00" * 32),
        chunk(b"cHRM", b"\xff" * 32),
        chunk(b"cICP", b"\x01"),
        chunk(b"cICP", b"\xff\xff\xff\xff"),
        chunk(b"sRGB", b""),
        chunk(b"pHYs", b"\x00"),
        chunk(b"acTL", b"\x00\x00\x00\x05\x00\x00\x00\x00"),
        chunk(b"acTL", b""),
        chunk(b"fcTL", b"\x00\x00\x00\x09" + b"\x00" * 22),
        chunk(b"fdAT", b""),
        chunk(b"npOT", TEXT),
        chunk(b"tEXt", b"a\x00b")[:-1] + b"?",
        chunk(b"pHYs", b"\x00" * 9)[:-1] + b"?",
        chunk(b"iCCP", b"p\x00\x00" + zlib.compress(turned_profile(0)))[:-1] + b"?",
    ],
)
def test_chunks_that_cost_no_picture(extra: bytes) -> None:
    plain = saved(Image.open(DATA / "photo.png"))
    for data in (with_chunks(plain, extra), with_chunks(plain, *[extra] * 3), plain[:-12] + extra + plain[-12:]):
        assert np.array_equal(read(data), PHOTO)


def test_first_picture_of_an_animation_whose_frames_are_damaged() -> None:
    picture = Image.open(DATA / "photo.png")
    data = saved(picture, save_all=True, append_images=[picture.rotate(90)])
    at = data.index(b"fcTL")
    for broken in (
        data,
        data[: at + 4] + b"\xff" * 26 + data[at + 30 :],
        data[: data.rindex(b"fcTL") - 4] + data[-12:],
    ):
        assert np.array_equal(read(broken), PHOTO)


def test_palette_that_is_not_there() -> None:
    for bits in (1, 2, 4, 8):
        with pytest.raises(InputError, match="refer to a palette that is not there"):
            read(png([bytes(8)] * 8, 8, bits, 3))
    assert read(png([bytes(8)] * 8, 8, 8, 3, chunk(b"PLTE", b"\x07\x08\x09")))[0, 0].tolist() == [7, 8, 9]


# --- spaces named by numbers ---------------------------------------------------------------------------------------


def test_linear_colours_of_16_bits() -> None:
    assert np.abs(read_file("linear_gamma16.png") - PHOTO).max() <= 1


def test_display_p3_named_by_cicp() -> None:
    assert np.abs(read_file("display_p3_cicp.png") - PHOTO).max() <= 2


def in_gamma(exponent: float, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """A ramp of colours in sRGB, and the numbers stored for it with a plain exponent."""
    ramp = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 90)], axis=1)
    unit = ramp / 255
    light = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    return ramp, np.rint(light**exponent * ((1 << bits) - 1)).astype(">u2" if bits == 16 else np.uint8)


@pytest.mark.parametrize("exponent", [1.0, 0.8, 0.625, 0.3])
@pytest.mark.parametrize("kind", [0, 2, 4, 6])
def test_gamma_of_every_kind_of_picture(exponent: float, kind: int) -> None:
    ramp, numbers = in_gamma(exponent, 16)
    channels = numbers if kind in (2, 6) else numbers[:, :1]
    if kind in (4, 6):
        channels = np.concatenate([channels, np.full((256, 1), 65535, ">u2")], axis=1).astype(">u2")
    gamma = chunk(b"gAMA", struct.pack(">I", round(exponent * 1e5)))
    data = png([channels.tobytes()], 256, 16, kind, gamma)
    wanted = ramp if kind in (2, 6) else ramp[:, :1].repeat(3, axis=1)
    assert np.abs(read(data)[0] - wanted).max() <= 1


def test_gamma_of_8_bits_and_of_a_palette() -> None:
    ramp, numbers = in_gamma(0.625, 8)
    gamma = chunk(b"gAMA", struct.pack(">I", 62500))
    assert np.abs(read(png([numbers.tobytes()], 256, 8, 2, gamma))[0] - ramp).max() <= 6  # what 8 bits can tell
    coloured = png([bytes(range(256))], 256, 8, 3, gamma, chunk(b"PLTE", numbers.tobytes()))
    assert np.array_equal(read(coloured), read(png([numbers.tobytes()], 256, 8, 2, gamma)))


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(b"gAMA", struct.pack(">I", 45455))],
        [chunk(b"gAMA", struct.pack(">I", 45000))],
        [chunk(b"gAMA", struct.pack(">I", 100000)), chunk(b"sRGB", b"\x00")],
        [chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))],
        [chunk(b"cICP", b"\x01\x0d\x00\x01"), chunk(b"gAMA", struct.pack(">I", 100000))],
        [chunk(b"cICP", b"\x01\x01\x00\x01")],
    ],
)
def test_what_means_srgb_changes_no_pixel(chunks: list[bytes]) -> None:
    assert np.array_equal(read(with_chunks(saved(Image.open(DATA / "photo.png")), *chunks)), PHOTO)


def test_profile_and_cicp_go_before_gamma() -> None:
    plain, gamma = saved(Image.open(DATA / "photo.png")), chunk(b"gAMA", struct.pack(">I", 100000))
    with_profile = read(with_chunks(plain, profile_chunk(turned_profile(0))))
    assert np.array_equal(read(with_chunks(plain, profile_chunk(turned_profile(0)), gamma)), with_profile)


def test_wide_primaries_of_chrm() -> None:
    """Pure red of BT.2020 lies outside sRGB; white and grey stay what they are in any space."""
    points = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600))
    row = bytes([255, 0, 0, 255, 255, 255, 120, 120, 120, 120, 90, 90])
    red, white, grey, tinted = read(png([row], 4, 8, 2, points))[0].tolist()
    assert (red, white) == ([255, 0, 0], [255, 255, 255])
    assert max(abs(value - 120) for value in grey) <= 1
    assert tinted[0] > 122 and tinted[1] < 90


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_named(transfer: int, name: str) -> None:
    coded = chunk(b"cICP", bytes([9, transfer, 0, 1]))
    with pytest.raises(InputError, match=rf"high dynamic range \({name}\)"):
        read(with_chunks(saved(Image.open(DATA / "photo.png")), coded))


# --- transparency --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_one_transparent_grey_of_every_depth(bits: int) -> None:
    white = (1 << bits) - 1
    key = white // 2
    numbers = [key, white, 0] if bits > 1 else [0, 1]
    row = b"".join(struct.pack(">H", n) for n in numbers) if bits == 16 else np.packbits(
        ((np.array(numbers)[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8).reshape(-1)
    ).tobytes()  # fmt: skip
    found = read(png([row], len(numbers), bits, 0, chunk(b"tRNS", struct.pack(">H", key))))[0, :, 0].tolist()
    assert found == ([255, 255, 0] if bits > 1 else [255, 255])


def test_one_transparent_colour_of_16_bits() -> None:
    """Colours that differ in their lower bytes alone are not it."""
    pixels = [(300, 40000, 7), (301, 40000, 7), (300, 40000, 8)]
    row = b"".join(struct.pack(">3H", *pixel) for pixel in pixels)
    found = read(png([row], 3, 16, 2, chunk(b"tRNS", struct.pack(">3H", *pixels[0]))))[0].tolist()
    assert found == [[255, 255, 255], [1, 156, 0], [1, 156, 0]]


def tga(pixels: np.ndarray, alpha_bits: int) -> bytes:
    """32-bit TGA, upper left first, whose descriptor announces so many bits of alpha."""
    height, width = pixels.shape[:2]
    header = struct.pack("<3B5x2x2x2H2B", 0, 0, 2, width, height, 32, 0x20 | alpha_bits)
    return header + pixels[:, :, [2, 1, 0, 3]].tobytes()


def test_fourth_channel_that_is_only_filling() -> None:
    colours = np.concatenate([PHOTO, np.zeros_like(PHOTO[:, :, :1])], axis=2).astype(np.uint8)
    for alpha_bits in (0, 8):
        assert np.array_equal(read(tga(colours, alpha_bits)), PHOTO)
    noise = colours.copy()
    noise[:, ::2, 3] = 200
    assert np.array_equal(read(tga(noise, 0)), PHOTO)  # announced as no alpha
    assert not np.array_equal(read(tga(noise, 8)), PHOTO)
    header = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 14 + 124) + struct.pack(
        "<IiiHHIIiiII4I", 124, 128, -128, 1, 32, 3, 0, 0, 0, 0, 0, 0xFF0000, 0xFF00, 0xFF, 0xFF000000
    )
    bmp = header.ljust(14 + 124, b"\0") + colours[:, :, [2, 1, 0, 3]].tobytes()
    assert np.array_equal(read(bmp), PHOTO)


def test_numbers_of_netpbm_whose_white_is_not_255() -> None:
    for white in (1, 18, 100, 254, 256, 1000, 65534):
        numbers = np.minimum(np.arange(40), white).astype(np.uint8 if white < 256 else ">u2")
        wanted = np.rint(255 * np.minimum(np.arange(40), white) / white)
        for kind, text in ((b"P5", numbers), (b"P6", numbers.repeat(3))):
            data = kind + b"\n# by hand\n40 1 " + str(white).encode() + b"\n" + text.tobytes()
            assert np.abs(read(data)[0, :, 0] - wanted).max() <= 1
        plain = b"P2 40 1 %d\n" % white + b" ".join(b"%d" % n for n in numbers)
        assert np.abs(read(plain)[0, :, 0] - wanted).max() <= 1


def test_modes_of_video_codecs_keep_their_meaning() -> None:
    """AVIF that names PQ by numbers is refused as a PNG that does."""
    avif = pytest.importorskip("PIL._avif")
    assert avif
    data = saved(Image.open(DATA / "photo.png"), "AVIF", quality=90)
    at = data.find(b"colrnclx")
    if at < 0:
        pytest.skip("this encoder writes no colour numbers")
    assert np.abs(read(data) - PHOTO).mean() < 6
    with pytest.raises(InputError, match=r"high dynamic range \(PQ\)"):
        read(data[: at + 10] + b"\x00\x10" + data[at + 12 :])
