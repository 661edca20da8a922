"""Small files that ask for much memory or time, and files that never end, are refused at once with a true reason."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from picture_files import DATA, SHORT, TiffPage, chunk, png, saved, tiff
from PIL import Image

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files import source
from pixel2style2pixel_cli.files.image import read_image, read_metadata

LIMIT = 200_000_000


def refused(data: bytes | Path, reason: str) -> None:
    started = time.perf_counter()
    with pytest.raises(InputError, match=reason) as caught:
        read_image(data, name="x")
    assert time.perf_counter() - started < 5
    assert caught.value.hint


def gif(width: int, height: int) -> bytes:
    """A picture of a few bytes."""
    return (
        b"GIF89a" + struct.pack("<2H3B", width, height, 0x80, 0, 0) + bytes(6)
        + b"," + struct.pack("<4HB", 0, 0, width, height, 0) + b"\x02\x01\x04\x00;"
    )  # fmt: skip


def test_pictures_that_their_files_cannot_hold() -> None:
    refused(gif(14142, 14142), "its 3. bytes cannot hold the 14142 x 14142 pixels")
    header = struct.pack(">2I5B", 14142, 14142, 8, 2, 0, 0, 0)
    body = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )
    refused(body, "cannot hold the 14142 x 14142 pixels")
    jpeg = saved(Image.new("RGB", (8, 8)), "JPEG")
    at = jpeg.index(b"\xff\xc0") + 5
    refused(jpeg[:at] + struct.pack(">2H", 14000, 14000) + jpeg[at + 4 :], "cannot hold the 14000 x 14000 pixels")


def test_full_run_lengths_are_no_bombs() -> None:
    """The densest that each format allows is read."""
    assert read_image(saved(Image.new("L", (2000, 2000)), "GIF"), name="x").pixels.max() == 0
    assert read_image(saved(Image.new("1", (2000, 2000)), "PNG", optimize=True), name="x").pixels.max() == 0
    assert read_image(saved(Image.new("RGB", (2000, 2000)), "JPEG", progressive=True), name="x").pixels.max() == 0


def test_no_side_is_longer_than_a_million() -> None:
    refused(DATA / "200000000x1.png", "200000000 x 1 pixels, and no side may have more than 1000000")
    refused(png([bytes(125_001)], 1_000_001, 1, 0), "no side may have more than")


@pytest.mark.parametrize("format", ["AVIF", "WEBP", "JPEG2000"])
def test_formats_whose_decoders_take_twice_the_memory(format: str) -> None:
    if format == "AVIF":
        pytest.importorskip("PIL._avif")
    data = saved(Image.new("RGB", (100, 100)), format)
    assert read_image(data, name="x", max_pixels=20_000).pixels.shape == (100, 100, 3)
    with pytest.raises(
        InputError, match=rf"million pixels of {format}, which takes 2 times the memory, the limit is 0\.0099"
    ):
        read_image(data, name="x", max_pixels=19_999)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
def test_lack_of_memory_is_named() -> None:
    """In a process that may not take as much as the picture needs, which then reads the next one."""
    code = (
        "import resource, sys; from pathlib import Path;"
        "from pixel2style2pixel_cli.files.image import read_image;"
        "from pixel2style2pixel_cli.errors import InputError\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + 150_000_000,) * 2)\n"
        "try: read_image(Path(sys.argv[1]), name='x')\n"
        "except InputError as error: print(error.message)\n"
        "print(read_image(Path(sys.argv[2]), name='y').pixels.shape)\n"
    )
    arguments = [sys.executable, "-c", code, DATA / "196_million_pixels.png", DATA / "photo.png"]
    root = Path(__file__).parents[2]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=root, check=True, timeout=60)
    assert done.stdout.splitlines() == ["x needs more memory than there is", "(128, 128, 3)"]


# --- files that are too long, or do not end ------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="sparse files are made otherwise there")
@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (png([b""] * 9, 9, 8, 2)[:33] + struct.pack(">I", 1 << 30) + b"IDAT", "40 GB"),
        (gif(99, 99), "40 GB"),
        (b"\xff\xd8\xff\xe0", "40 GB|header is damaged"),
        (b"II*\0\x08\0\0\0", "40 GB"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "40 GB"),
        (b"P5\n99999 99999\n255\n", "10000 million pixels"),
        (b"", "not a picture of a known kind"),
        (b"%PDF", "is a PDF document"),
    ],
)  # fmt: skip
def test_sparse_file_of_40_gigabytes(start: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.write_bytes(start)
    os.truncate(path, 40_000_000_000)
    refused(path, reason)
    with pytest.raises(InputError):
        read_metadata(path)


def test_file_longer_than_any_picture_within_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.png"
    path.write_bytes((DATA / "photo.png").read_bytes() + bytes(1000))
    assert read_image(path, name="x").pixels.shape == (128, 128, 3)
    monkeypatch.setattr(source, "most_bytes", lambda _: 1000)
    monkeypatch.setattr("pixel2style2pixel_cli.files.decode.most_bytes", lambda _: 1000)
    refused(path, "has 3.*e-05 GB or more")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_are_read_and_do_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    data = (DATA / "photo.png").read_bytes()
    writer = threading.Thread(target=lambda: path.write_bytes(data))
    writer.start()
    assert np.array_equal(read_image(path, name="x").pixels, np.array(Image.open(io.BytesIO(data))))
    writer.join()
    monkeypatch.setattr(source, "_PATIENCE", 0.3)
    refused(path, "is a pipe that sent nothing")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    monkeypatch.setattr("pixel2style2pixel_cli.files.decode.most_bytes", lambda _: 5 << 20)
    endless = subprocess.Popen(
        [sys.executable, "-c", "import sys\nwhile True: open(sys.argv[1], 'wb').write(bytes(1 << 26))", path]
    )
    try:
        refused(path, "GB or more")
    finally:
        endless.kill()
        endless.wait()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no device files here")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/urandom"])
def test_devices(device: str) -> None:
    refused(Path(device), "is a device")


# --- directories and tables ----------------------------------------------------------------------------------------


def test_tiff_of_absurd_tables() -> None:
    page = TiffPage(np.zeros((4, 4, 1), np.uint16))
    for tags in (
        {256: (4, [1 << 31])},
        {257: (4, [0])},
        {258: (SHORT, [0])},
        {258: (SHORT, [65535])},
        {277: (SHORT, [65535])},
        {273: (4, [1 << 31])},
        {279: (4, [1 << 31])},
        {273: None},
        {278: (4, [0])},
        {322: (4, [0]), 323: (4, [0]), 324: (4, [8]), 325: (4, [8]), 273: None},
        {322: (4, [1 << 31]), 323: (4, [16]), 324: (4, [8]), 325: (4, [8]), 273: None},
        {259: (SHORT, [8])},
        {259: (SHORT, [5])},
        {317: (SHORT, [2]), 258: (SHORT, [12])},
        {317: (SHORT, [3]), 339: (SHORT, [3])},
    ):
        page.tags = tags
        for order in "<>":
            try:
                read_image(tiff(page, order=order), name="x")
            except InputError as error:
                assert error.hint


def test_thousands_of_directories() -> None:
    first = tiff(*[TiffPage(np.zeros((1, 1, 3), np.uint8), 2, tags={254: (4, [1])}) for _ in range(3000)])
    started = time.perf_counter()
    assert read_image(first, name="x").pixels.shape == (1, 1, 3)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xe0" + bytes(9 << 20),
        b"\xff\xd8" + b"\xff" * (9 << 20),
        b"\xff\xd8" + b"\xff\xfe\x00\x02" * (2 << 20),
        b"P5 #" + b"x" * (9 << 20),
        b"GIF89a" + struct.pack("<2H3B", 9, 9, 0, 0, 0) + bytes(9 << 20),
        b"GIF89a" + struct.pack("<2H3B", 9, 9, 0, 0, 0) + b"!\xfe" + b"\x01a" * (4 << 20),
        png([b""], 9, 8, 2)[:33] + chunk(b"tEXt", b"") * (1 << 19),
        png([b""], 9, 8, 2)[:33] + chunk(b"IDAT", b"") * (1 << 19),
        b"RIFF" + struct.pack("<I", 8 << 20) + b"WEBPVP8X\x0a\0\0\0" + bytes(10) + b"XXXX\0\0\0\0" * (1 << 20),
        b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 " + b"\0\0\0\x08xxxx" * (1 << 20),
    ],
    ids=[
        "jpeg-zeros",
        "jpeg-fill",
        "jpeg-segments",
        "ppm",
        "gif-zeros",
        "gif-blocks",
        "png-texts",
        "png-data",
        "webp",
        "jp2",
    ],
)
def test_headers_that_never_end(data: bytes) -> None:
    for read in (read_image, read_metadata):
        started = time.perf_counter()
        with pytest.raises(InputError):
            read(data, name="x")
        assert time.perf_counter() - started < 8


def test_large_pictures_may_be_drawn_over_less_often() -> None:
    data = saved(Image.new("L", (9000, 9000)), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    refused(data[:-2] + 60 * scan + b"\xff\xd9", "more than the 37 that are allowed for its size")


def netpbm(kind: bytes, width: int, height: int, white: int, numbers: bytes) -> bytes:
    return kind + b"\n# by hand\n%d %d # pixels\n%d\n" % (width, height, white) + numbers


@pytest.mark.parametrize("white", [1, 18, 255, 1000, 65535])
@pytest.mark.parametrize(("kind", "channels"), [(b"P2", 1), (b"P3", 3)])
def test_netpbm_in_text_holds_what_the_binary_one_does(kind: bytes, channels: int, white: int) -> None:
    """Over the border of the parts that are read together, with comments and every kind of gap between the numbers."""
    size = (900, 2200)
    values = np.random.default_rng(white).integers(0, white, (*size, channels), endpoint=True)
    words = [b"%d" % number for number in values.reshape(-1)]
    gaps = (b" ", b"\n", b"\t", b"\r\n", b" # 7 8 9\n", b"\v  \f")
    lines = [b" ".join(words[at : at + 97]) + gaps[at % len(gaps)] for at in range(0, len(words), 97)]
    binary = {b"P2": b"P5", b"P3": b"P6"}[kind]
    stored = values.astype(np.uint8 if white < 256 else ">u2").tobytes()
    text = netpbm(kind, size[1], size[0], white, b"".join(lines))
    assert len(text) > 6_000_000 or white < 1000
    found, wanted = (
        read_image(data, name="x").pixels for data in (text, netpbm(binary, size[1], size[0], white, stored))
    )
    assert np.array_equal(found, wanted)


def test_netpbm_in_text_is_read_at_ten_million_bytes_a_second() -> None:
    text = netpbm(b"P3", 4000, 1500, 255, b"255 0 17 128 99 3 " * (4000 * 1500 // 2))
    started = time.process_time()
    found = read_image(text, name="x").pixels
    assert len(text) / (time.process_time() - started) > 10e6
    assert found.shape == (1500, 4000, 3) and found[700, 5].tolist() == [128, 99, 3]


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        (b"1 2 3", "the picture data end early"),
        (b"1 2 3 4 5 ", "the picture data end early"),
        (b"1 2 three 4 5 6", "'three' stands in the place of a number"),
        (b"1 2 -3 4 5 6", "'-3' stands in the place of a number"),
        (b"1 2 3.5 4 5 6", "'3.5' stands in the place of a number"),
        (b"1 2 3 4 5 256", "it holds 256, and the largest number is to be 255"),
        (b"1 2 3 4 5 99999999999999999999999", "'99999999999999999999' stands in the place of a number"),
        (b"1" * 9_000_000, "stands in the place of a number"),
        (b"#" + b"1" * 9_000_000, "the picture data end early"),
    ],
)
def test_netpbm_in_text_that_is_none(numbers: bytes, reason: str) -> None:
    refused(netpbm(b"P2", 3, 2, 255, numbers), reason)
    whole = netpbm(b"P2", 3, 2, 255, b"1 2 3 4 5 6 and what else is written below")
    assert read_image(whole, name="x").pixels[1, 2].tolist() == [6, 6, 6]


def test_netpbm_in_text_that_promises_more_than_it_holds() -> None:
    refused(netpbm(b"P3", 14_000, 14_000, 65535, b"1 " * 1000), "the picture data end early")
    refused(netpbm(b"P2", 20_000, 20_000, 255, b"1 " * 1000), "the limit is 200 million")
