"""Every kind of picture in; what is no picture refused with its reason; the same bytes out each time."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, features

from pixel2style2pixel_cli.errors import InputError, OutputError, ShapeError
from pixel2style2pixel_cli.files.image import encode_image, looks_like_image, read_image, read_metadata
from pixel2style2pixel_cli.files.suffixes import IMAGE_SUFFIXES

FACES = sorted((Path(__file__).parents[2] / "data").glob("face_*.webp"))
ORIENTATION = 0x0112
PROFILES = {"sRGB": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def read(data: bytes, **options: int) -> np.ndarray:
    return read_image(data, name="x", **options).pixels


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.open(FACES[0]).convert("RGB")


@pytest.fixture(scope="module")
def pixels(picture: Image.Image) -> np.ndarray:
    return np.array(picture)


# --- what comes in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM", "TGA"])
def test_lossless_formats_give_the_pixels(format: str, picture: Image.Image, pixels: np.ndarray) -> None:
    photo = read_image(saved(picture, format), name="x")
    assert photo.pixels.dtype == np.uint8
    assert np.array_equal(photo.pixels, pixels)
    assert (photo.width, photo.height) == (128, 128)


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "MPO", "JPEG2000", "AVIF"])
def test_lossy_formats_stay_close(format: str, picture: Image.Image, pixels: np.ndarray) -> None:
    if format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    assert np.abs(read(saved(picture, format, quality=95)).astype(int) - pixels).mean() < 6


def test_path_and_bytes_agree_and_the_hash_is_of_the_file() -> None:
    data = FACES[0].read_bytes()
    by_path, by_bytes = read_image(FACES[0], name="x"), read_image(data, name="x")
    assert np.array_equal(by_path.pixels, by_bytes.pixels)
    assert by_path.sha256 == by_bytes.sha256 == hashlib.sha256(data).hexdigest()


def test_pixels_are_writable_and_contiguous(picture: Image.Image) -> None:
    flags = read(saved(picture, "PNG")).flags
    assert flags.writeable and flags.c_contiguous


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_exif_orientation_is_applied_first(format: str, orientation: int) -> None:
    upright = np.zeros((20, 30, 3), np.uint8)
    upright[:10, :15] = 255  # a bright upper left quarter
    backwards = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}[orientation]
    stored = np.rot90(upright, backwards)
    if orientation in (2, 4):
        stored = np.fliplr(stored)
    if orientation in (5, 7):
        stored = np.flipud(stored)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    photo = read_image(saved(Image.fromarray(stored.copy()), format, exif=exif, **options), name="x")
    assert photo.pixels.shape == (20, 30, 3)
    assert np.abs(photo.pixels.astype(int) - upright).mean() < 8


def test_transparency_lies_on_white() -> None:
    red = Image.new("RGBA", (4, 1), (255, 0, 0, 255))
    red.putpixel((1, 0), (255, 0, 0, 0))
    red.putpixel((2, 0), (0, 0, 0, 128))
    pixels = read(saved(red, "PNG"))
    assert pixels[0, 0].tolist() == [255, 0, 0]
    assert pixels[0, 1].tolist() == [255, 255, 255]
    assert np.abs(pixels[0, 2].astype(int) - 127).max() <= 1


def test_grey_with_transparency() -> None:
    image = Image.new("LA", (2, 1), (40, 255))
    image.putpixel((1, 0), (40, 0))
    assert read(saved(image, "PNG"))[0].tolist() == [[40] * 3, [255] * 3]


@pytest.mark.parametrize("mode", ["RGB", "L", "1"])
def test_one_transparent_colour(mode: str) -> None:
    key = {"RGB": (1, 2, 3), "L": 7, "1": 0}[mode]
    image = Image.new(mode, (2, 1), {"RGB": (9, 9, 9), "L": 9, "1": 1}[mode])
    image.putpixel((0, 0), key)
    pixels = read(saved(image, "PNG", transparency=key if mode != "1" else 0))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[0, 1].tolist() == ([255] * 3 if mode == "1" else [9] * 3)


def test_palette_with_and_without_transparency(picture: Image.Image) -> None:
    palette = picture.quantize(64)
    assert np.array_equal(read(saved(palette, "PNG")), np.array(palette.convert("RGB")))
    two = Image.new("P", (2, 1))
    two.putpalette([10, 20, 30, 200, 100, 50])
    two.putpixel((1, 0), 1)
    assert read(saved(two, "PNG", transparency=bytes([0, 255])))[0].tolist() == [[255] * 3, [200, 100, 50]]
    assert read(saved(two, "GIF", transparency=0))[0].tolist() == [[255] * 3, [200, 100, 50]]


def test_bilevel_and_grey() -> None:
    assert read(saved(Image.new("1", (3, 2), 1), "PNG")).tolist() == np.full((2, 3, 3), 255).tolist()
    assert read(saved(Image.new("L", (3, 2), 77), "PNG")).tolist() == np.full((2, 3, 3), 77).tolist()


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(format: str) -> None:
    ramp = np.linspace(0, 65535, 256 * 4).round().astype(np.uint16).reshape(4, 256)
    image = Image.fromarray(ramp)
    pixels = read(saved(image.convert("I") if format == "PPM" else image, format))
    assert np.array_equal(pixels[:, :, 0], np.rint(ramp / 257.0).astype(np.uint8))
    assert np.array_equal(pixels[:, :, 0], pixels[:, :, 2])


def test_16_bit_colour() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"\x00" + struct.pack(">3H", 65535, 32896, 0) + struct.pack(">3H", 257, 0, 257 * 200)
    header = struct.pack(">2I5B", 2, 1, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert read(data)[0].tolist() == [[255, 128, 0], [1, 0, 200]]


def test_float_and_32_bit_tiff() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(1, 256)
    assert read(saved(Image.fromarray(ramp), "TIFF"))[0, :, 0].tolist() == list(range(256))
    with pytest.raises(InputError, match="values from 0 to 300"):
        read(saved(Image.fromarray(ramp * 300), "TIFF"))
    with pytest.raises(InputError, match="32-bit integers"):
        read(saved(Image.fromarray(np.arange(4, dtype=np.int32).reshape(1, 4)), "TIFF"))


def test_cmyk_keeps_its_colours(picture: Image.Image, pixels: np.ndarray) -> None:
    cmyk = saved(picture.convert("CMYK"), "JPEG", quality=95)
    assert np.abs(read(cmyk).astype(int) - pixels).mean() < 4
    assert np.abs(read(saved(picture.convert("CMYK"), "TIFF")).astype(int) - pixels).mean() < 1


def test_lab_tiff() -> None:
    lab = Image.new("LAB", (2, 2), (255, 128, 128))
    assert read(saved(lab, "TIFF")).min() >= 250


def swapped_profile() -> bytes:
    """sRGB with its red and green columns exchanged: a profile whose effect nobody can overlook."""
    data = bytearray(PROFILES["sRGB"])
    count = int.from_bytes(data[128:132], "big")
    entries = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    name = "sRGB"
    for encoded in (name.encode("utf-16-be"), name.encode()):
        data = bytearray(bytes(data).replace(encoded, encoded.replace(b"s", b"x")))
    return bytes(data)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_embedded_profile_is_converted(mode: str) -> None:
    image = Image.new("RGB", (4, 4), (230, 20, 10))
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    plain = read(saved(image, "PNG"))[0, 0].astype(int)
    turned = read(saved(image, "PNG", icc_profile=swapped_profile()))[0, 0].astype(int)
    assert plain.tolist() == [230, 20, 10]
    assert turned[1] > turned[0] + 100, turned


def test_srgb_profile_changes_no_pixel(picture: Image.Image, pixels: np.ndarray) -> None:
    assert np.array_equal(read(saved(picture, "PNG", icc_profile=PROFILES["sRGB"])), pixels)


@pytest.mark.parametrize("profile", [b"junk", b"\x00" * 200, PROFILES["sRGB"][:300]])
def test_broken_profile_costs_no_picture(profile: bytes, picture: Image.Image, pixels: np.ndarray) -> None:
    assert np.array_equal(read(saved(picture, "PNG", icc_profile=profile)), pixels)


def test_profile_of_another_colour_space_is_passed_over() -> None:
    grey = Image.new("L", (2, 2), 100)
    assert read(saved(grey, "PNG", icc_profile=PROFILES["sRGB"])).tolist() == np.full((2, 2, 3), 100).tolist()


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_first_frame_of_many(format: str, picture: Image.Image, pixels: np.ndarray) -> None:
    others = [ImageOps.invert(picture)]  # no third: older Pillow versions write it where the second should end
    first = read(saved(picture, format, save_all=True, append_images=others))
    assert first.shape == (128, 128, 3)
    assert np.abs(first.astype(int) - pixels).mean() < 12


# --- what is refused -----------------------------------------------------------------------------------------------


def test_pixel_limit_is_checked_before_decoding(picture: Image.Image) -> None:
    data = saved(picture, "PNG")
    assert read(data, max_pixels=128 * 128).shape == (128, 128, 3)
    with pytest.raises(InputError, match=r"128 x 128 .* limit is 0\.016383 million") as caught:
        read(data, max_pixels=128 * 128 - 1)
    assert "--max-pixels" in caught.value.hint


def test_decompression_bomb() -> None:
    """100 000 x 100 000 in a header followed by almost nothing: must neither decode nor be called cut short."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">2I5B", 100_000, 100_000, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body
    with pytest.raises(InputError, match="10000 million pixels, the limit is 200 million"):
        read(data)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "BMP"])
def test_limit_of_pillow_does_not_interfere(format: str, picture: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow warns at 89 million pixels and refuses at 179 million; here the limit is the caller's alone."""
    data = saved(picture, format)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert read(data).shape == (128, 128, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.parametrize("format", ["TIFF", "GIF", "WEBP"])
def test_limit_inside_a_decoder_is_not_called_damage(
    format: str, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = {"save_all": True, "append_images": [picture.rotate(90)]} if format == "GIF" else {}
    data = saved(picture, format, **frames)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    try:
        assert read(data).shape == (128, 128, 3)
    except InputError as error:
        assert "too large for its decoder" in error.message


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "MPO"])
def test_truncated_file_fails(format: str, share: float, picture: Image.Image) -> None:
    data = saved(picture, format)
    with pytest.raises(InputError) as caught:
        read(data[: int(len(data) * share)])
    assert caught.value.hint
    assert caught.value.message.startswith("x ")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"hello, I am a letter\n" * 9, "is a text file"),
        (b"\n<!DOCTYPE html><html><body>sign in", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "is a Git LFS pointer"),
        (b"<?xml version='1.0'?><svg xmlns='x'>", "is an SVG drawing"),
        (b"%PDF-1.7 ...", "is a PDF document"),
        (b"PK\x03\x04" + b"\0" * 60, "is a ZIP archive"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 60, "HEIC"),
        (b"\0\0\0\x18ftypisom" + b"\0" * 60, "is a video"),
        (b"\0\1\2\3" * 40, "not a picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "header is damaged"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is a text file"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, found: str) -> None:
    with pytest.raises(InputError, match=found) as caught:
        read_image(data, name="holiday.jpg")
    assert caught.value.message.startswith("holiday.jpg ")
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_image(tmp_path / "none.png", name="none.png")
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path, name="folder")
    with pytest.raises(InputError, match="does not exist"):
        read_image(FACES[0] / "inside.png", name="inside.png")
    with pytest.raises(InputError, match="not a valid path"):
        read_image(Path("a\0b.png"), name="a")
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path / ("n" * 5000), name="n")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no device files here")
def test_device_file_is_not_read() -> None:
    with pytest.raises(InputError, match="is a device"):
        read_image(Path("/dev/zero"), name="zero")


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    if os.name != "nt" and os.geteuid() != 0:
        path.chmod(0)
    else:  # root may read everything

        def refuse(self: Path, *_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="permission denied"):
        read_image(path, name="secret.png")


@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_raise_input_errors_only(picture: Image.Image) -> None:
    """Flip bytes at random: the picture comes out or an InputError, never anything else."""
    small = picture.resize((24, 24))
    exif = Image.Exif()
    exif[0x010E] = "text"
    rng = np.random.default_rng(0)
    for format in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "TGA"):
        data = saved(small, format, **({} if format in ("BMP", "GIF", "PPM", "TGA") else {"exif": exif}))
        for _ in range(60):
            broken = bytearray(data)
            for at in rng.integers(0, min(len(data), 300), size=3):
                broken[at] = int(rng.integers(0, 256))
            try:
                assert read(bytes(broken), max_pixels=1_000_000).shape[2] == 3
            except InputError as error:
                assert error.hint


@pytest.mark.parametrize("name", ["a.PNG", "b.jpeg", "c.HEIC", "d.webp", "e.tiff"])
def test_names_that_look_like_pictures(name: str) -> None:
    assert looks_like_image(Path(name))


@pytest.mark.parametrize("name", ["a.txt", "png", "b.safetensors", "c.jpg.part", ".png", "d"])
def test_names_that_do_not(name: str) -> None:
    assert not looks_like_image(Path(name))


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in IMAGE_SUFFIXES)


# --- EXIF of the source --------------------------------------------------------------------------------------------


def test_source_exif_is_kept_without_orientation_and_thumbnail(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010F] = "Maker"
    exif[0x8769] = {0x9003: "2020:01:01 00:00:00", 0x927C: b"note" * 9, 0xA002: 128}
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 29.0)}
    kept = Image.Exif()
    photo = read_image(saved(picture, "JPEG", exif=exif), name="x")
    assert photo.exif is not None
    kept.load(photo.exif)
    assert ORIENTATION not in kept
    assert kept[0x010F] == "Maker"
    assert kept.get_ifd(0x8769) == {0x9003: "2020:01:01 00:00:00"}
    assert kept.get_ifd(0x8825)[1] == "N"


def test_no_exif_is_none(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 1
    assert read_image(saved(picture, "JPEG"), name="x").exif is None
    assert read_image(saved(picture, "JPEG", exif=exif), name="x").exif is None
    assert read_image(saved(picture, "TIFF"), name="x").exif is None  # its tags are the layout of the file


def test_damaged_exif_costs_no_picture(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    data = bytearray(saved(picture, "JPEG", exif=exif))
    at = data.index(b"Exif\0\0") + 6
    data[at : at + 8] = b"garbage!"
    assert read(bytes(data)).shape == (128, 128, 3)


# --- what goes out -------------------------------------------------------------------------------------------------

RECIPE = '{"command":"invert","input_name":"Zoë <&> 雪.jpg","seed":0}'
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:a="urn:a/" a:k="v&amp;ü"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
@pytest.mark.parametrize("recipe", [None, RECIPE])
@pytest.mark.parametrize("xmp", [None, XMP])
def test_metadata_round_trip(
    format: str, recipe: str | None, xmp: str | None, pixels: np.ndarray, tmp_path: Path
) -> None:
    data = encode_image(pixels, format, recipe=recipe, xmp=xmp)
    assert read_metadata(data) == (recipe, xmp)
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    assert read_metadata(path) == (recipe, xmp)
    assert np.abs(read(data).astype(int) - pixels).mean() < 4


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
def test_source_exif_only_when_passed(format: str, pixels: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x8825] = {1: "N"}
    without = encode_image(pixels, format, recipe=RECIPE, xmp=XMP)
    with_exif = encode_image(pixels, format, recipe=RECIPE, xmp=XMP, exif=exif.tobytes())
    assert not Image.open(io.BytesIO(without)).getexif()
    assert Image.open(io.BytesIO(with_exif)).getexif()[0x010F] == "Maker"
    assert read_metadata(with_exif) == (RECIPE, XMP)


@pytest.mark.parametrize("format", ["png", "jpg", "webp"])
def test_bytes_are_the_same_each_time(format: str, pixels: np.ndarray) -> None:
    first = encode_image(pixels, format, recipe=RECIPE, xmp=XMP)
    assert first == encode_image(pixels.copy(), format, recipe=RECIPE, xmp=XMP)
    assert first != encode_image(pixels, format, recipe=RECIPE.replace("0", "1"), xmp=XMP)


def test_png_is_exact_and_any_memory_layout_is_taken(pixels: np.ndarray) -> None:
    view = pixels[::-1, ::2]
    assert np.array_equal(read(encode_image(view, "png")), view)


def test_jpeg_xmp_segment_is_where_other_programs_look(pixels: np.ndarray) -> None:
    """Behind JFIF and EXIF, before the tables; Pillow finds it too."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    data = encode_image(pixels, "jpg", recipe=RECIPE, xmp=XMP, exif=exif.tobytes())
    assert data.index(b"Exif\0\0") < data.index(b"http://ns.adobe.com/xap/1.0/\0") < data.index(b"\xff\xdb")
    packet = data[data.index(b"<x:xmpmeta") : data.index(b"</x:xmpmeta>") + len(b"</x:xmpmeta>")]
    recipes = [element.text for element in ElementTree.fromstring(packet).iter() if element.tag.endswith("}recipe")]
    assert recipes == [RECIPE]


def test_foreign_pictures_have_no_recipe(picture: Image.Image) -> None:
    for format in ("PNG", "JPEG", "WEBP", "GIF"):
        assert read_metadata(saved(picture, format)) == (None, None)
    with pytest.raises(InputError, match=r"the picture is a text file"):
        read_metadata(b"text")


def test_what_cannot_be_encoded(pixels: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="float32"):
        encode_image(pixels.astype(np.float32), "png")
    with pytest.raises(ShapeError, match="128x128"):
        encode_image(pixels[:, :, 0], "png")
    with pytest.raises(OutputError, match="20000 x 1 picture cannot be written as webp"):
        encode_image(np.zeros((1, 20000, 3), np.uint8), "webp")
    with pytest.raises(OutputError, match="segment"):
        encode_image(pixels, "jpg", recipe="x" * 70_000)
