"""Class numbers arrive as they were stored from every container; what they cannot be read from is named."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from picture_files import DATA, chunk, png, saved
from PIL import Image

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.image import read_image
from pixel2style2pixel_cli.files.indexed import IndexedPhoto, read_indexed
from pixel2style2pixel_cli.inputs.labels import BISENET_19, CELEBAMASK_19, decode_labels, index_map

CLASSES = np.array(Image.open(DATA / "control_labels.png"))
SMALL = (np.arange(24, dtype=np.uint8) % 19).reshape(4, 6)


def classes_of(source: bytes | str) -> np.ndarray:
    found = read_indexed(DATA / source if isinstance(source, str) else source, name="map")
    assert isinstance(found, IndexedPhoto)
    return index_map(found.pixels, CELEBAMASK_19, CELEBAMASK_19, name="map", palette=found.palette)


@pytest.mark.parametrize("name", ["labels_png8.png", "labels_rgb16.png", "labels_maxval18.pgm"])
def test_one_map_in_containers_that_change_its_numbers(name: str) -> None:
    assert np.array_equal(classes_of(name), CLASSES)


def test_four_bits() -> None:
    assert np.array_equal(classes_of("labels_4bit.png"), np.where(CLASSES > 14, 0, CLASSES))


def packed(values: np.ndarray, bits: int) -> list[bytes]:
    loose = (values[:, :, None] >> np.arange(bits)[::-1]) & 1
    return [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in loose]


@pytest.mark.parametrize(
    ("kind", "bits"),
    [
        (0, 1),
        (0, 2),
        (0, 4),
        (0, 8),
        (0, 16),
        (2, 8),
        (2, 16),
        (3, 1),
        (3, 2),
        (3, 4),
        (3, 8),
        (4, 8),
        (4, 16),
        (6, 8),
        (6, 16),
    ],
)
def test_every_kind_of_png(kind: int, bits: int) -> None:
    white = (1 << bits) - 1
    values = np.minimum(SMALL.astype(np.uint16), white)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    stacked = values[:, :, None].repeat(channels, axis=2).astype(np.uint16)
    if kind in (4, 6):
        stacked[:, :, -1] = white
    rows = packed(stacked.reshape(4, -1), bits)
    palette = []
    if kind == 3:
        palette = [chunk(b"PLTE", bytes(value for value in range(white + 1) for _ in "rgb"))]
    assert np.array_equal(classes_of(png(rows, 6, bits, kind, *palette)), values)


def test_numbers_above_255_keep_their_value_in_colours_too() -> None:
    values = (SMALL.astype(np.uint16) + 1000)[:, :, None].repeat(3, axis=2)
    found = read_indexed(png([row.astype(">u2").tobytes() for row in values], 6, 16, 2), name="map").pixels
    assert found.dtype == np.uint16 and np.array_equal(found, values)


def in_palette(greys: list[int], indices: np.ndarray) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8)).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette([grey for grey in greys for _ in "rgb"])
    return image


@pytest.mark.parametrize("format", ["PNG", "GIF", "TIFF", "BMP", "TGA"])
def test_palette_of_greys_gives_its_greys(format: str) -> None:
    greys = [17, 4, 0, 9, 13, 2]
    indices = np.arange(24).reshape(4, 6) % 6
    assert np.array_equal(classes_of(saved(in_palette(greys, indices), format)), np.array(greys)[indices])


def test_palette_of_greys_that_are_no_classes_is_an_error() -> None:
    with pytest.raises(InputError, match="values unknown to celebamask-19: "):
        classes_of(saved(in_palette([0, 100, 200], np.arange(24).reshape(4, 6) % 3)))


def test_palette_of_colours_keeps_its_numbers() -> None:
    image = in_palette([0] * 19, SMALL)
    image.putpalette([(37 * i + 5) % 256 for i in range(57)])
    assert np.array_equal(classes_of(saved(image)), SMALL)


def test_palette_of_greys_in_a_schema_without_colours() -> None:
    found = read_indexed(saved(in_palette([3, 1], SMALL % 2)), name="map")
    classes = index_map(found.pixels, BISENET_19, BISENET_19, name="map", palette=found.palette)
    assert np.array_equal(classes, np.where(SMALL % 2, 1, 3))


@pytest.mark.parametrize("format", ["PNG", "GIF", "TIFF", "BMP", "TGA", "PPM", "WEBP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_container_without_loss(format: str, mode: str) -> None:
    image = Image.fromarray(SMALL)
    options = {"lossless": True} if format == "WEBP" else {}
    if (format, mode) == ("GIF", "RGB"):
        pytest.skip("GIF has no colours of its own")
    assert np.array_equal(classes_of(saved(image.convert(mode), format, **options)), SMALL)


@pytest.mark.parametrize("white", [18, 19, 100, 254, 255, 256, 1000, 65535])
@pytest.mark.parametrize("kind", [b"P2", b"P5"])
def test_every_white_of_netpbm(white: int, kind: bytes) -> None:
    numbers = SMALL.reshape(-1)
    text = (
        b" ".join(b"%d" % n for n in numbers)
        if kind == b"P2"
        else numbers.astype(np.uint8 if white < 256 else ">u2").tobytes()
    )
    assert np.array_equal(classes_of(kind + b"\n6 4\n# a comment\n%d\n" % white + text), SMALL)


def bmp(values: np.ndarray, bits: int, greys: list[int]) -> bytes:
    """A BMP of numbers with so many bits and a palette of these greys alone."""
    rows = [row.ljust(-(-len(row) // 4) * 4, b"\0") for row in packed(values[::-1], bits)]
    palette = b"".join(bytes([grey] * 3) + b"\0" for grey in greys)
    data = b"".join(rows)
    start = 54 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", start + len(data), 0, 0, start)
    height, width = values.shape
    return (
        head
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, len(data), 0, 0, len(greys), 0)
        + palette
        + data
    )


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_bmp_of_few_greys(bits: int) -> None:
    values = np.minimum(SMALL, (1 << bits) - 1)
    counts = [2] if bits == 1 else [2, 3, 14, 16]
    for count in counts:
        numbers = values % count
        greys = [18, 5, 0, 7, 3, 1, 2, 4, 6, 8, 9, 10, 11, 12, 13, 14][:count]
        assert np.array_equal(classes_of(bmp(numbers, bits, greys)), np.array(greys)[numbers])
        assert np.array_equal(classes_of(bmp(numbers, bits, list(range(count)))), numbers)
        picture = read_image(bmp(numbers, bits, [0, 255, *range(2, count)]), name="x").pixels[:, :, 0]
        assert np.array_equal(picture, np.array([0, 255, *range(2, count)])[numbers])


def test_transparency_is_refused_however_it_is_said() -> None:
    half = np.stack([SMALL, np.where(SMALL > 9, 255, 9)], axis=2).astype(np.uint8)
    wide = half.astype(np.uint16) * 257
    rows = [row.astype(">u2").tobytes() for row in wide]
    for data in (saved(Image.fromarray(half, "LA")), png(rows, 6, 16, 4)):
        with pytest.raises(InputError, match="map is partly transparent"):
            read_indexed(data, name="map")


def test_fractions_are_no_classes() -> None:
    with pytest.raises(InputError, match="holds fractions"):
        read_indexed(saved(Image.fromarray(np.full((4, 4), 0.5, np.float32)), "TIFF"), name="map")
    with pytest.raises(InputError, match="holds fractions"):
        read_indexed(saved(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF"), name="map")
    whole = Image.fromarray(SMALL.astype(np.float32))
    assert np.array_equal(read_indexed(saved(whole, "TIFF"), name="map").pixels, SMALL)


def test_gamma_and_profile_leave_classes_alone() -> None:
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    assert np.array_equal(classes_of(png(packed(SMALL, 8), 6, 8, 0, gamma)), SMALL)
    assert np.array_equal(classes_of(png([row.repeat(3).tobytes() for row in SMALL], 6, 8, 2, gamma)), SMALL)


# --- maps in packed shards -----------------------------------------------------------------------------------------


def test_maps_in_shards_are_read_alike() -> None:
    assert np.array_equal(decode_labels((DATA / "labels_png8.png").read_bytes(), name="x"), CLASSES)
    assert np.array_equal(
        decode_labels((DATA / "labels_4bit.png").read_bytes(), name="x"), np.where(CLASSES > 14, 0, CLASSES)
    )


def test_damaged_maps_in_shards_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (b"", b"no picture", (DATA / "labels_png8.png").read_bytes()[:90]):
        with pytest.raises(InputError, match="x: the label map"):
            decode_labels(data, name="x")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(InputError, match="x: the label map"):
        decode_labels((DATA / "labels_png8.png").read_bytes(), name="x")
