"""A folder with one of each kind of hostile file: every good picture is written, each bad one named with its reason."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_run import FACES, Call, contents, write_photos

from pixel2style2pixel_cli.jobs import expand

DATA = Path(__file__).parents[1] / "regressions" / "data"
PHOTO = DATA / "photo.png"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, bits: int, kind: int, rows: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def gif(width: int, height: int) -> bytes:
    start = b"GIF89a" + struct.pack("<2H3B", width, height, 0x80, 0, 0) + bytes(6)
    return start + b"," + struct.pack("<4HB", 0, 0, width, height, 0) + b"\x02\x01\x04\x00;"


def damaged_jpeg() -> bytes:
    path = Path("scratch.jpg")
    Image.open(PHOTO).save(path)
    data = path.read_bytes()
    path.unlink()
    return data[: len(data) // 2]


def floats(value: float) -> bytes:
    path = Path("scratch.tif")
    Image.fromarray(np.full((30, 30), value, np.float32)).save(path)
    data = path.read_bytes()
    path.unlink()
    return data


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "gif.gif": (lambda: gif(14142, 14142), "cannot hold the 14142 x 14142 pixels"),
    "wide.png": ((DATA / "200000000x1.png").read_bytes, "no side may have more than 1000000"),
    "palette.png": (lambda: png(8, 8, 8, 3, bytes(72)), "a palette that is not there"),
    "bomb.png": (lambda: png(100_000, 100_000, 8, 2, bytes(99)), "the limit is 200 million"),
    "nan.tif": (lambda: floats(float("nan")), "are not numbers"),
    "bright.tif": (lambda: floats(7.0), "values from 7 to 7"),
    "raw.dng.tif": ((DATA / "raw.dng").read_bytes, "is a raw photograph of a camera"),
    "half.jpg": (damaged_jpeg, "is damaged or cut short"),
    "page.jpg": (lambda: b"<!DOCTYPE html><html></html>", "is a web page"),
    "zero.png": (lambda: b"", "is empty (0 bytes)"),
    "header.webp": (lambda: b"RIFF\x40\0\0\0WEBPVP8 " + bytes(52), "header is damaged"),
    "loop.tif": (lambda: b"II*\0\x08\0\0\0\0\0\x08\0\0\0" + bytes(20), "is damaged or cut short"),
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_one_of_each_kind_costs_no_other(real: Call, folder: Path) -> None:
    names = [f"{place}{number}.png" for number, place in enumerate(["a", "f", "m", "s", "z"])]
    write_photos(folder / "in", names)
    for name, (make, _) in BAD.items():
        (folder / "in" / name).write_bytes(make())
    expected = {f"in/{name}": reason for name, (_, reason) in BAD.items()}
    if os.name != "nt":
        with (folder / "in" / "sparse.png").open("wb") as file:
            file.write(PHOTO.read_bytes()[:60])
            file.truncate(40_000_000_000)
        expected["in/sparse.png"] = "40 GB"
    result = real("invert", "in", "-o", "out", "-q", "--align", "never")
    assert result.code == 3
    assert set(contents(folder / "out")) == set(names)
    told = [error for error, _ in result.problems]
    assert len(told) == len(expected)
    for name, reason in expected.items():
        assert [error for error in told if name in error and reason in error], (name, reason, told)


def test_good_pictures_of_odd_kinds_are_written(real: Call, folder: Path) -> None:
    """All of these are one face, and each was refused, or read as something else."""
    (folder / "in").mkdir()
    names = ["photo.png", "no_eoi.jpg", "linear_gamma16.png", "display_p3_cicp.png"]
    for name in names:
        (folder / "in" / name).write_bytes((DATA / name).read_bytes())
    text = chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(3 << 20)))
    data = PHOTO.read_bytes()
    (folder / "in" / "text.png").write_bytes(data[:33] + text + data[33:])
    result = real("invert", "in", "-o", "out", "--align", "never", "--json")
    assert result.code == 0, result.err
    rows = {row["input"]: row for row in result.rows if "input" in row}
    assert {Path(name).stem for name in rows} == {Path(name).stem for name in [*names, "text.png"]}
    assert "end marker" in rows["in/no_eoi.jpg"]["message"]
    whole = np.asarray(Image.open(folder / "out" / "photo.png")).astype(int)
    for name in ("linear_gamma16.png", "text.png"):
        assert np.abs(np.asarray(Image.open(folder / "out" / name)) - whole).mean() < 3


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize("flags", [(), ("-r",)])
def test_links_in_a_circle_cost_no_other_input(real: Call, folder: Path, flags: tuple[str, ...]) -> None:
    write_photos(folder / "in", ["a.png", "sub/b.png"])
    (folder / "in" / "l.png").symlink_to("l.png")
    (folder / "in" / "sub" / "up").symlink_to("..")
    (folder / "in" / "turn").symlink_to("turn")
    done = real("invert", "in", "-o", "out", "-q", "--align", "never", *flags)
    ((error, hint),) = done.problems
    assert done.code == 3 and error == "in/l.png cannot be read: too many levels of symbolic links"
    assert hint == "the links in this path lead in a circle: mend them"
    assert set(contents(folder / "out")) == {"a.png", *(["sub/b.png"] if flags else [])}


@pytest.mark.skipif(sys.platform == "win32", reason="no such file there")
@pytest.mark.parametrize("name", ["/dev/zero", "pipe"])
def test_a_list_that_never_ends(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(expand, "LONGEST_LIST", 1 << 20)
    if name == "pipe":
        os.mkfifo(name)
        writer = subprocess.Popen(["yes", "x.png"], stdout=os.open(name, os.O_RDWR))
    done = real("invert", f"@{name}", "-q")
    if name == "pipe":
        writer.kill()
        writer.wait()
    ((error, _),) = done.problems
    assert done.code == 2 and error.startswith(f"the list {name} cannot be read: it ")
    assert ("expected a text of at most 1 MB" in error) == (name == "pipe")


@pytest.mark.skipif(sys.platform == "win32", reason="no such file there")
def test_standard_input_that_never_ends(real: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pixel2style2pixel_cli.files import source

    monkeypatch.setattr(source, "most_bytes", lambda _: 1 << 20)
    result = real("invert", "-", "-o", "x.png", "-q", stdin=FACES[0].read_bytes() + bytes(3 << 20))
    assert result.code == 3
    assert "standard input has" in result.problems[0][0]
