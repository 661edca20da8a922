"""A folder of pictures with one of each hostile kind in it: every good one is written, each bad one named, with why.

    python benchmarks/hostile_folder.py --count 200 --out benchmarks/records/hostile_folder.json

All files are made here. The command must end with 3, write each good picture as it would write it alone, say of each
bad one its own true reason, and leave nothing else.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import os
import socket
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hostile_world import Ended, Fresh, Request, Server, build_zoo, plain_environment, scratch
from PIL import Image

Make = Callable[[Path], object]
POSIX = os.name != "nt"
GOOD = (  # how a good picture is stored: suffix, mode, options of Pillow
    ("png", "RGB", {}), ("jpg", "RGB", {"quality": 90}), ("webp", "RGB", {}), ("png", "RGBA", {}), ("png", "L", {}),
    ("tif", "RGB", {"compression": "tiff_lzw"}), ("png", "P", {}), ("bmp", "RGB", {}), ("jpg", "L", {}),
    ("gif", "P", {}), ("jpg", "CMYK", {}), ("png", "LA", {}), ("ppm", "RGB", {}), ("tga", "RGB", {}),
    ("jpg", "RGB", {"progressive": True}), ("png", "I;16", {}), ("tif", "L", {}), ("jp2", "RGB", {}), ("png", "1", {}),
)  # fmt: skip


def photo(number: int, side: int = 48) -> Image.Image:
    """A small picture, another one for each number."""
    y, x = np.mgrid[0:side, 0:side]
    planes = [(3 * x + 17 * number) % 256, (4 * y + 5 * number) % 256, (x * y + 40 * number) % 256]
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))


def saved(format: str, image: Image.Image | None = None, **options: Any) -> bytes:
    """A picture in the format of a suffix."""
    out = io.BytesIO()
    names = {"jpg": "JPEG", "tif": "TIFF", "ppm": "PPM", "jp2": "JPEG2000"}
    (image or photo(0)).save(out, names.get(format, format.upper()), **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, bits: int = 8, kind: int = 2, rows: bytes | None = bytes(99), more: bytes = b""
) -> bytes:
    """A PNG of these chunks, whatever they mean together."""
    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, bits, kind, 0, 0, 0))
    data = b"" if rows is None else chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + more + data + chunk(b"IEND", b"")


def gif(width: int, height: int) -> bytes:
    start = b"GIF89a" + struct.pack("<2H3B", width, height, 0x80, 0, 0) + bytes(6)
    return start + b"," + struct.pack("<4HB", 0, 0, width, height, 0) + b"\x02\x01\x04\x00;"


def tiff(*tags: tuple[int, int, int, int]) -> bytes:
    """A TIFF header with these entries (tag, type, count, value), its pixels missing."""
    entries = b"".join(struct.pack("<2H2I", *tag) for tag in sorted(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


def plain_tiff(width: int = 8, height: int = 8, *more: tuple[int, int, int, int]) -> bytes:
    own = {tag[0] for tag in more}
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
            (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height)]  # fmt: skip
    return tiff(*[tag for tag in tags if tag[0] not in own], *more)


def floats(value: float) -> bytes:
    return saved("tif", Image.fromarray(np.full((30, 30), value, np.float32)))


def cut(format: str, share: float = 0.5, **options: Any) -> bytes:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = saved(format, noise, **options)
    return data[: int(len(data) * share)]


def with_bytes(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("a.txt", "x")
    return out.getvalue()


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.write(saved("png")[:60])
        file.truncate(40_000_000_000)


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the names of sockets are short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


@functools.cache
def bad_files() -> Mapping[str, tuple[bytes | Make, str | None]]:
    """Every hostile kind: a file's name, its bytes or what makes it, and what the reason must say.

    None: no file to be read at all, which is left out and counted.
    """
    jpeg = saved("jpg")
    files: dict[str, tuple[bytes | Make, str | None]] = {
        "wide.png": (png(200_000_000, 1), "no side may have more than"),
        "bomb.png": (png(100_000, 100_000), "the limit is 200 million"),
        "no_palette.png": (png(8, 8, 8, 3, bytes(72)), "a palette that is not there"),
        "nothing_wide.png": (png(0, 8), "header is damaged"),
        "no_pixels.png": (png(8, 8, rows=None), "damaged or cut short"),
        "too_few_rows.png": (png(64, 64, rows=bytes(99)), "cut short"),
        "bad_header.png": (with_bytes(saved("png"), 20, b"\xff"), "bad header checksum"),
        "bad_filter.png": (png(8, 8, rows=bytes([9]) * 200), "damaged or cut short"),
        "odd_depth.png": (png(8, 8, 7), "header is damaged"),
        "cut.png": (cut("png"), "cut short"),
        "cut_16_bit.png": (png(64, 64, 16, 2, bytes(999)), "cut short"),
        "gif.gif": (gif(14142, 14142), "cannot hold the 14142 x 14142 pixels"),
        "no_frame.gif": (b"GIF89a" + struct.pack("<2H3B", 8, 8, 0x80, 0, 0) + bytes(6) + b";", "no more images"),
        "cut.gif": (cut("gif", 0.1), "no more images"),
        "half.jpg": (jpeg[: len(jpeg) // 2], "Truncated"),
        "no_scan.jpg": (b"\xff\xd8\xff\xd9", "header is damaged"),
        "huge.jpg": (_jpeg_of(jpeg, 65500, 65500), "the limit is 200 million"),
        "markers_only.jpg": (b"\xff\xd8" + b"\xff\xe1\x00\x02" * 9999, "a JPEG file without a picture"),
        "noise.jpg": (np.random.default_rng(1).bytes(5000), "not a picture of a known kind"),
        "nan.tif": (floats(float("nan")), "not numbers"),
        "endless.tif": (floats(float("inf")), "not numbers"),
        "bright.tif": (floats(7.0), "values from 7 to 7"),
        "loop.tif": (b"II*\0\x08\0\0\0\0\0\x08\0\0\0" + bytes(20), "no directory of a picture"),
        "far.tif": (plain_tiff(8, 8, (273, 4, 1, 0xFFFFFF00)), "cut short"),
        "no_strips.tif": (tiff((256, 4, 1, 8), (257, 4, 1, 8), (262, 3, 1, 1)), "unknown data organization"),
        "large.tif": (plain_tiff(60_000, 60_000), "the limit is 200 million"),
        "odd_compression.tif": (plain_tiff(8, 8, (259, 3, 1, 60_000)) + bytes(99), "compression 60000"),
        "raw.tif": (
            plain_tiff(8, 8, (262, 3, 1, 32803), (50706, 1, 4, 0x401)) + bytes(99),
            "a raw photograph of a camera",
        ),
        "cut.webp": (cut("webp", 0.3), "header is damaged"),
        "header.webp": (b"RIFF\x40\0\0\0WEBPVP8 " + bytes(52), "header is damaged"),
        "large.bmp": (
            with_bytes(saved("bmp"), 18, struct.pack("<2i", 1_000_000, 1_000_000)),
            "the limit is 200 million",
        ),
        "cut.bmp": (cut("bmp"), "cut short"),
        "cut.tga": (cut("tga"), "cut short"),
        "zero.pgm": (b"P5 4 4 0\n" + bytes(16), "maxval must be greater than 0"),
        "endless_header.pgm": (b"P5 " + b"# " + b"x" * 3_000_000, "its header has no end"),
        "large.ppm": (b"P6 100000 100000 255\n", "the limit is 200 million"),
        "cut.ppm": (b"P6 64 64 255\n" + bytes(99), "cut short"),
        "cut.jp2": (cut("jp2", 0.2), "damaged or cut short"),
        "cut.avif": (box(b"ftyp", b"avif\0\0\0\0avifmif1") + box(b"meta", bytes(40)), "header is damaged"),
        "cut.heic": (box(b"ftyp", b"heic\0\0\0\0heicmif1") + box(b"meta", bytes(40)), "HEIC|header is damaged"),
        "page.jpg": (b"<!DOCTYPE html><html></html>", "a web page"),
        "pointer.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "a Git LFS pointer"),
        "drawing.png": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        "empty.png": (b"", "is empty (0 bytes)"),
        "text.png": (b"this is a text\n" * 99, "a text file"),
        "archive.png": (archive(), "a ZIP archive"),
        "document.jpg": (b"%PDF-1.7\n" + bytes(99), "a PDF document"),
        "film.jpg": (box(b"ftyp", b"isom\0\0\0\0isommp42") + box(b"mdat", bytes(99)), "a video"),
    }
    if POSIX:
        files |= {
            "sparse.png": (sparse, "has 40 GB or more"),
            "nowhere.png": (lambda path: path.symlink_to("not-there.png"), "a link to a file that does not exist"),
            "circle.png": (lambda path: path.symlink_to(path.name), "too many levels of symbolic links"),
            "pipe.png": (os.mkfifo, None),
            "socket.png": (listening, None),
            "device.png": (lambda path: path.symlink_to("/dev/zero"), None),
        }
    # stems differ, so that no two of them would have one output
    return {name.replace(".", "_") + Path(name).suffix: row for name, row in files.items()}


def _jpeg_of(data: bytes, width: int, height: int) -> bytes:
    """The same with other sides in its header."""
    at = data.index(b"\xff\xc0")
    return with_bytes(data, at + 5, struct.pack(">2H", height, width))


@dataclass
class Folder:
    """What was written: good pictures, bad ones with their reasons, and how many are left out."""

    good: set[str] = field(default_factory=set)
    bad: dict[str, str] = field(default_factory=dict)
    ignored: int = 0


def write_folder(root: Path, count: int, *, bad: bool = True) -> Folder:
    """``count`` files, one of each hostile kind among them, the good ones of every kind in turn before and after."""
    root.mkdir()
    made = Folder()
    for place, (name, (content, reason)) in enumerate(bad_files().items() if bad else ()):
        path = root / f"{place * 3 % 100:02d}_{name}"  # spread over the folder
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content(path)
        if reason is None:
            made.ignored += 1
        else:
            made.bad[path.name] = reason
    for number in range(count - len(bad_files())):
        suffix, mode, options = GOOD[number % len(GOOD)]
        image = photo(number).convert("L").convert(mode) if mode == "I;16" else photo(number).convert(mode)
        path = root / f"{number % 100:02d}_good_{number}.{suffix}"
        path.write_bytes(saved(suffix, image, **options))
        made.good.add(path.name)
    return made


def check(made: Folder, done: Ended, out: Path, alone: Path) -> dict[str, Any]:
    """What a run on the folder says and leaves, beside a run on its good pictures alone."""
    rows = {Path(row["input"]).name: row for row in done.rows if row.get("event") == "image"}
    summary = next((row for row in done.rows if row.get("event") == "summary"), {})
    wrong = [f"exit code {done.code}"] if done.code != 3 else []
    wrong += [done.err] if "Traceback" in done.err else []
    for name, reason in made.bad.items():
        row = rows.get(name, {})
        said = row.get("message") or ""
        if row.get("status") != "failed" or not any(part in said for part in reason.split("|")) or name not in said:
            wrong.append(f"{name}: {row.get('status')}, {said}")
    whole = {path.name: path.read_bytes() for path in alone.iterdir()}
    found = {path.name: path.read_bytes() for path in out.iterdir()}
    wrong += [
        f"{name}: {rows.get(name, {}).get('message')}" for name in made.good if rows.get(name, {}).get("status") != "ok"
    ]
    wrong += [f"missing {name}" for name in whole.keys() - found.keys()]
    wrong += [f"nobody asked for {name}" for name in found.keys() - whole.keys()]
    wrong += [f"other than alone {name}" for name in whole.keys() & found.keys() if whole[name] != found[name]]
    if summary.get("ignored") != made.ignored:
        wrong.append(f"{summary.get('ignored')} left out, expected {made.ignored}")
    named = sum(row["status"] == "failed" for row in rows.values())
    return {
        "files": len(made.good) + len(made.bad) + made.ignored, "good": len(made.good), "hostile": len(made.bad),
        "left out": made.ignored, "written": len(found), "named": named,
        "exit": done.code, "seconds": round(done.seconds, 1), "peak_mb": done.peak_mb, "wrong": wrong,
        "reasons": {name: rows[name].get("message") for name in made.bad if name in rows},
    }  # fmt: skip


def try_folder(runner: Server | Fresh, zoo: Path, count: int) -> dict[str, Any]:
    """Both runs on folders of ``count`` files."""
    with scratch() as base:
        made = write_folder(base / "in", count)
        write_folder(base / "good", count, bad=False)
        ended = []
        for name, out in (("good", "alone"), ("in", "out")):
            line = ("invert", name, "-o", out, "--align", "never", "--device", "cpu", "--json", "-q")
            home = plain_environment(P2S2P_ZOO=str(zoo), P2S2P_HOME=str(base / "home"))
            runner.start(Request(arguments=line, cwd=str(base), environment=home))
            ended.append(runner.wait())
        return check(made, ended[1], base / "out", base / "alone")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="how many files")
    parser.add_argument("--out", type=Path, help="write the record there")
    given = parser.parse_args()
    with scratch() as folder:
        record = try_folder(Fresh(), build_zoo(folder) / "zoo", given.count)
    text = json.dumps(record, indent=1)
    print(text)
    if given.out:
        given.out.write_text(text + "\n")
    return int(bool(record["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
