"""Whole files of the kinds that p2s2p reads, for the campaigns to change: pictures, recipes, latents."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, features

from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.files.recipe import Recipe, recipe_json
from pixel2style2pixel_cli.weights.directions import DirectionFile, encode_direction
from pixel2style2pixel_cli.weights.latents import LatentFile, save_latents


def _saved(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    # what is saved remembers how, and would be saved otherwise the next time
    options |= {key: [image.copy() for image in images] for key, images in options.items() if key == "append_images"}
    image.copy().save(out, format, **options)
    return out.getvalue()


def _face() -> Image.Image:
    """A small picture with something of everything."""
    y, x = np.mgrid[0:24, 0:20]
    return Image.fromarray(np.stack([12 * x, 10 * y, (x * y) % 256], axis=2).astype(np.uint8))


def picture_files() -> list[bytes]:
    """Whole pictures of every format, with metadata of every kind."""
    picture, exif = _face(), Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "Maker", 72.0
    exif[0x8769], exif[0x8825] = {0x9003: "2020:01:01 00:00:00", 0x927C: b"note"}, {1: "N", 2: (48.0, 51.0, 29.0)}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    files = [_saved(picture, "JPEG", **o) for o in ({}, {"progressive": True, "exif": exif}, {"icc_profile": profile})]
    files += [_saved(picture.convert(mode), "JPEG") for mode in ("L", "CMYK")]
    files += [_saved(picture, "MPO", save_all=True, append_images=[turned])]
    files += [_saved(picture.convert(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")]
    files += [_saved(picture, "PNG", exif=exif, icc_profile=profile), _saved(picture, "PNG", transparency=(0, 0, 0))]
    files += [_saved(picture, "PNG", save_all=True, append_images=[turned.resize(picture.size)])]
    files += [_with_chunks(_wide_png(), (b"gAMA", b"\x00\x01\x86\xa0"), (b"tRNS", bytes(6)))]
    files += [_with_chunks(_saved(picture, "PNG"), (b"cICP", b"\x0c\x0d\x00\x01"), (b"cHRM", b"\x00\x00\x7a\x26" * 8))]
    files += [_saved(picture, "WEBP", **o) for o in ({}, {"lossless": True}, {"exif": exif, "icc_profile": profile})]
    files += [_saved(picture.convert("RGBA"), "WEBP"), _saved(picture, "WEBP", save_all=True, append_images=[picture])]
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        files.append(_saved(picture, "TIFF", compression=compression, tiffinfo={0x0112: 6, 0x010F: "Maker"}))
    files += [_saved(picture.convert(mode), "TIFF") for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "LAB", "I;16")]
    files += [_saved(Image.fromarray(np.array(picture.convert("L")) / np.float32(255)), "TIFF")]
    files += [_tiff_of_kind(photometric, form) for photometric in (0, 2) for form in (3, 1)]
    files += [_saved(picture, "TIFF", save_all=True, append_images=[turned])]
    files += [_saved(picture.convert(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")]
    files += [_saved(picture.convert(mode), "GIF") for mode in ("1", "L", "P")]
    files += [
        _saved(picture, "GIF", save_all=True, append_images=[turned]),
        _saved(picture.convert("P"), "GIF", transparency=3),
    ]
    files += [_saved(picture.convert(mode), "PPM") for mode in ("1", "L", "RGB")]
    files += [b"P5\n6 4\n18\n" + bytes(24), b"P6 6 4 1000\n" + bytes(144), b"P2 3 2 9 # note\n1 2 3 4 5 6\n"]
    files += [
        _saved(picture.convert(mode), "TGA", **o) for mode in ("L", "P", "RGB", "RGBA") for o in ({}, {"rle": True})
    ]
    files += [_saved(picture.convert(mode), "JPEG2000") for mode in ("L", "RGB", "RGBA")]
    if features.check("avif"):
        files += [_saved(picture.convert(mode), "AVIF", speed=10) for mode in ("RGB", "RGBA")]
    return files + output_files()


def output_files() -> list[bytes]:
    """Pictures as the program writes them, with a recipe."""
    pixels = np.array(_face())
    return [
        encode_image(pixels, format, recipe=recipe_texts()[0].decode(), xmp=None) for format in ("png", "jpg", "webp")
    ]


def _chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    """Chunks of a PNG."""
    return b"".join(struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)


def _with_chunks(data: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with chunks behind its header."""
    return data[:33] + _chunks(*chunks) + data[33:]


def _wide_png() -> bytes:
    """16-bit colours, which Pillow does not write."""
    rows = b"".join(b"\x01" + bytes((7 * i + y) % 256 for i in range(36)) for y in range(5))
    header = struct.pack(">2I5B", 6, 5, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunks((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))


def _tiff_of_kind(photometric: int, form: int) -> bytes:
    """32-bit floats or 16-bit numbers, white at 0 or colours: what is read here and not by Pillow."""
    channels, bits = (3 if photometric == 2 else 1), (32 if form == 3 else 16)
    numbers = np.linspace(0, 1, 6 * 5 * channels)
    data = (numbers.astype("<f4") if form == 3 else (65535 * numbers).astype("<u2")).tobytes()
    tags = [(256, 6), (257, 5), (258, bits), (259, 1), (262, photometric), (273, 8), (277, channels), (278, 5)]
    tags += [(279, len(data)), (339, form)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def recipe_texts() -> list[bytes]:
    """Recipes, as short and as long as they come."""
    values: dict[str, Any] = {"command": "invert", "options": {"noise": "fixed", "deep": {"list": [1, 2.5, None]}}}
    values |= {"model": "mini-invert", "weights_sha256": {"encoder": "ab" * 32}, "seed": 7, "input_name": "me.jpg"}
    recipe = Recipe(**values, input_sha256="cd" * 32, face=0, matrix=[[1.5, 0, -3.25], [0, 1.5, 2], [0, 0, 1]])
    return [recipe_json(recipe).encode(), recipe_json(Recipe(**values, input_sha256="")).encode()]


def latent_files() -> list[bytes]:
    """Latents of every space."""
    with tempfile.TemporaryDirectory() as folder:
        path, files = Path(folder) / "x.safetensors", []
        for space, rows in (("W+", 4), ("W", 1), ("Z", 1)):
            codes = np.linspace(-1, 1, rows * 8, dtype=np.float32).reshape(rows, 8)
            matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
            text = recipe_texts()[0].decode()
            save_latents(path, LatentFile(codes=codes, space=space, generator="ab" * 32, matrix=matrix, recipe=text))
            files.append(path.read_bytes())
    return files


def direction_files() -> list[bytes]:
    """Directions of both spaces."""
    step = np.linspace(-1, 1, 32, dtype=np.float32).reshape(4, 8)
    made = {"by": "labels", "count": 12, "share": 0.5}
    plain = DirectionFile(name="smile", step=step[:1], space="W", generators=("ab" * 32,))
    rows = DirectionFile(name="age", step=step, space="W+", generators=("ab" * 32, "cd" * 32), rows="coarse", made=made)
    return [encode_direction(direction, name="x") for direction in (plain, rows)]
