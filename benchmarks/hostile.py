"""Every reader of foreign bytes, fed with files changed at random: out comes a value or an error of ours, nothing else.

    python benchmarks/hostile.py --count 100000 --out benchmarks/records/hostile.json

Counts, for each reader, what was read and what was refused; anything else is printed with the seed that makes it again
(``--reader NAME --seed N --count 1``), and the command ends with 1. A process of its own reads each batch, so that a
decoder that crashes is counted and not suffered. The tests run 2,000 changes of each reader with the same functions.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import re
import resource
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, features

from pixel2style2pixel_cli.errors import P2S2PError
from pixel2style2pixel_cli.files.image import encode_image, read_image, read_levels, read_metadata
from pixel2style2pixel_cli.files.indexed import read_indexed
from pixel2style2pixel_cli.files.recipe import Recipe, parse_recipe, recipe_json
from pixel2style2pixel_cli.inputs.labels import decode_labels
from pixel2style2pixel_cli.inputs.masked import read_mask
from pixel2style2pixel_cli.weights.describe import describe_file
from pixel2style2pixel_cli.weights.latents import LatentFile, load_latents, save_latents

MOST_PIXELS = 1_000_000  # of a changed picture: a campaign is about damage, not about size
SLOW = 10.0  # seconds
BATCH = 500
_EXTREMES = (0, 1, 2, 4, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)

_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|\[[^\[\]]*\]|\{[^{}]*\}')
_VALUES = (
    b"0", b"-1", b"1", b"2147483648", b"18446744073709551616", b"9" * 5000, b"-0.0", b"1e999", b"NaN", b"Infinity",
    b"1.5", b"true", b"null", b"[]", b"{}", b'""', b'"text"', b'"\\ud800"', b'"\\u001b[31m"', b"[[0]]", b"[1,2,3]",
    b"[" * 3000,
    b"[" * 3000 + b"]" * 3000, b'{"a":' * 3000, b"[" + b"9," * 64 + b"9]", b"[" + b"4294967296," * 64 + b"1]",
    b'"w_plus"', b'"W+"', b'"F64"', b'"BF16"', b'"latent 1"', b"[0,0]", b"[0,128]", b'"' + b"x" * 9999 + b'"',
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What reads a file, and whole files to begin with."""

    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[bytes], object]


@dataclass
class Counts:
    """Outcomes of a campaign; ``wrong`` says what else happened, with the seed."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def campaign(name: str, seeds: Sequence[int]) -> Counts:
    """Read one changed file for each seed."""
    reader, counts = READERS[name], Counts()
    files = reader.seeds()
    for seed in seeds:
        data = changed(files, np.random.default_rng([zlib.crc32(name.encode()), seed]))
        started = time.perf_counter()
        try:
            reader.read(data)
            counts.read += 1
        except P2S2PError as error:
            counts.refused += 1
            if not error.message.isprintable() or len(error.message) > 600:
                counts.wrong.append(f"{name} {seed}: a message that cannot be printed: {error.message!r:.200}")
        except Exception as error:  # what this is about
            counts.wrong.append(f"{name} {seed}: {type(error).__name__}: {error!s:.200}")
        seconds = time.perf_counter() - started
        counts.slowest = max(counts.slowest, seconds)
        if seconds > SLOW:
            counts.wrong.append(f"{name} {seed}: took {seconds:.1f} s")
    return counts


def changed(files: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """One of the files with one to six changes, most of them near its beginning, or in its text where it has some."""
    data = files[rng.integers(len(files))]
    if data[:1] == b"{" and rng.random() < 0.7:
        return _changed_text(data, rng)
    if data[8:9] == b"{" and rng.random() < 0.7:  # safetensors: the text has its length before it
        end = 8 + int.from_bytes(data[:8], "little")
        text = _changed_text(data[8:end], rng)
        return len(text).to_bytes(8, "little") + text + data[end:]
    return _changed_bytes(bytearray(data), rng)


def _changed_text(data: bytes, rng: np.random.Generator) -> bytes:
    """JSON with one to three of its values exchanged."""
    for _ in range(rng.integers(1, 4)):
        places = list(_VALUE.finditer(data))
        if not places:
            break
        found = places[rng.integers(len(places))]
        value = _VALUES[rng.integers(len(_VALUES))] if rng.random() < 0.8 else places[rng.integers(len(places))][0]
        data = data[: found.start()] + value + data[found.end() :]
    return data


def _changed_bytes(data: bytearray, rng: np.random.Generator) -> bytes:
    for _ in range(rng.integers(1, 7)):
        reach = len(data) if rng.random() < 0.4 else min(len(data), 400)
        if reach < 8:
            break
        at = int(rng.integers(reach))
        kind = rng.integers(8)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at] = int(rng.integers(256))
        elif kind in (2, 3):
            form = str(rng.choice(["<H", ">H", "<I", ">I"]))
            value = _EXTREMES[rng.integers(len(_EXTREMES))] % (1 << 8 * struct.calcsize(form))
            data[at : at + struct.calcsize(form)] = struct.pack(form, value)
        elif kind == 4:
            del data[at : at + int(rng.integers(1, 40))]
        elif kind == 5:
            data[at:at] = rng.bytes(int(rng.integers(1, 40)))
        elif kind == 6:
            start, length = int(rng.integers(len(data))), int(rng.integers(1, 60))
            data[at:at] = data[start : start + length]
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


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


def _of_file(read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A reader of paths as one of bytes."""
    path = Path(tempfile.gettempdir()) / f"hostile-{os.getpid()}.safetensors"

    def run(data: bytes) -> object:
        path.write_bytes(data)
        try:
            return read(path)
        finally:
            path.unlink()

    return run


def _read_mask(data: bytes) -> object:
    levels, alpha = read_levels(data, name="x", max_pixels=MOST_PIXELS)
    return read_mask(levels, name="x", alpha=alpha)


READERS: dict[str, Reader] = {
    "picture": Reader(seeds=picture_files, read=lambda data: read_image(data, name="x", max_pixels=MOST_PIXELS)),
    "label map": Reader(seeds=picture_files, read=lambda data: read_indexed(data, name="x", max_pixels=MOST_PIXELS)),
    "mask": Reader(seeds=picture_files, read=_read_mask),
    "metadata": Reader(seeds=output_files, read=lambda data: read_metadata(data, name="x", max_pixels=MOST_PIXELS)),
    "label map of a shard": Reader(seeds=picture_files, read=lambda data: decode_labels(data, name="x")),
    "recipe": Reader(seeds=recipe_texts, read=lambda data: parse_recipe(data.decode("utf-8", "replace"))),
    "latent": Reader(seeds=latent_files, read=_of_file(load_latents)),
    "shown file": Reader(seeds=lambda: [*latent_files(), *output_files()], read=_of_file(describe_file)),
}


def _in_process(name: str, seeds: Sequence[int]) -> Counts:
    """A campaign in a process of its own; one that dies leaves its last word."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(name, seeds, theirs))
    process.start()
    theirs.close()
    try:
        counts: Counts = ours.recv()
    except EOFError:
        counts = Counts(wrong=[f"{name} {seeds[0]}-{seeds[-1]}: the process died"])
    process.join()
    return counts


def _serve(name: str, seeds: Sequence[int], out: Any) -> None:
    warnings.simplefilter("ignore")
    out.send(campaign(name, seeds))


def _batches(first: int, count: int) -> Iterator[range]:
    for start in range(first, first + count, BATCH):
        yield range(start, min(start + BATCH, first + count))


def main() -> int:
    """Run the campaigns and write the record; 1 if anything but a value or an error of ours came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=100_000, help="changed files over all readers")
    parser.add_argument("--seed", type=int, default=0, help="the first seed of each reader")
    parser.add_argument("--reader", choices=list(READERS), help="one reader alone")
    parser.add_argument("--out", type=Path, help="where the record goes")
    arguments = parser.parse_args()
    names = [arguments.reader] if arguments.reader else list(READERS)
    share, record, wrong = -(-arguments.count // len(names)), {}, []
    for name in names:
        started, total = time.perf_counter(), Counts()
        for seeds in _batches(arguments.seed, share):
            found = _in_process(name, seeds)
            total.read, total.refused = total.read + found.read, total.refused + found.refused
            total.slowest, total.wrong = max(total.slowest, found.slowest), total.wrong + found.wrong
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        record[name] = {"changed": share, "read": total.read, "refused": total.refused, "wrong": len(total.wrong)}
        record[name] |= {"slowest_s": round(total.slowest, 3), "peak_mb": round(peak / 1024)}
        wrong += total.wrong
        print(f"{name}: {json.dumps(record[name])}, {time.perf_counter() - started:.0f} s", flush=True)
    print(*wrong, sep="\n")
    if arguments.out:
        arguments.out.write_text(json.dumps({"first_seed": arguments.seed, "readers": record}, indent=1) + "\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
