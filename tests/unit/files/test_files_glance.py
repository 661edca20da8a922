"""What an output says about itself, against what the decoders say, and every way to be cut short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pixel2style2pixel_cli.files.glance import glance
from pixel2style2pixel_cli.files.image import encode_image, read_metadata
from pixel2style2pixel_cli.files.recipe import xmp_packet
from pixel2style2pixel_cli.weights.latents import LatentFile, save_latents

RNG = np.random.default_rng(0)
SMALL = RNG.integers(0, 256, (24, 40, 3), dtype=np.uint8)
LARGE = RNG.integers(0, 256, (400, 400, 3), dtype=np.uint8)  # more than is read at once, whatever the format
RECIPE = '{"command":"invert","note":"a < b & c > d, \\u00e4"}'
FORMATS = ["png", "jpg", "webp"]


def write(path: Path, pixels: np.ndarray, recipe: str | None = RECIPE, xmp: str | None = None, **more: object) -> Path:
    path.write_bytes(encode_image(pixels, path.suffix[1:], recipe=recipe, xmp=xmp, **more))  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("pixels", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("recipe", [RECIPE, None])
def test_the_recipe_is_that_of_the_decoder(tmp_path: Path, format: str, pixels: np.ndarray, recipe: str | None) -> None:
    path = write(tmp_path / f"x.{format}", pixels, recipe, xmp_packet(), quality=100)
    found = glance(path)
    assert (found.damage, found.recipe, found.ours) == (None, recipe, True)
    assert found.recipe == read_metadata(path)[0]
    bare = glance(write(tmp_path / f"y.{format}", pixels, None, None))
    assert (bare.damage, bare.recipe, bare.ours) == (None, None, False)


@pytest.mark.parametrize("format", FORMATS)
def test_every_cut_of_a_small_picture_is_seen(tmp_path: Path, format: str) -> None:
    path = write(tmp_path / f"x.{format}", SMALL, RECIPE, xmp_packet())
    data = path.read_bytes()
    for end in [*range(0, len(data), 7), len(data) - 1]:
        path.write_bytes(data[:end])
        assert glance(path).damage, f"cut at {end} of {len(data)}"
    path.write_bytes(data + b"appended by another program")
    assert glance(path).damage is None


@pytest.mark.parametrize("format", FORMATS)
def test_cuts_and_lost_ends_of_a_large_picture(tmp_path: Path, format: str) -> None:
    path = write(tmp_path / f"x.{format}", LARGE, quality=100)
    data = path.read_bytes()
    for share in (0.2, 0.5, 0.9, 0.999):
        path.write_bytes(data[: int(share * len(data))])
        assert glance(path).damage == "ends too early"
    if format != "webp":  # whose length stands at its beginning
        path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))  # after a power cut
        assert glance(path).damage == "ends too early"


def test_a_flipped_bit_of_a_small_png_is_seen(tmp_path: Path) -> None:
    path = write(tmp_path / "x.png", SMALL)
    data = bytearray(path.read_bytes())
    for place in (20, len(data) // 2, len(data) - 30):
        data[place] ^= 1
        path.write_bytes(data)
        assert glance(path).damage == "is damaged"
        data[place] ^= 1


@pytest.mark.parametrize("content", [b"", b"text", b"<html>", bytes(5000), b"RIFF", b"RIFF\x00\x00\x00\x00AVI "])
@pytest.mark.parametrize("suffix", [".png", ".safetensors"])
def test_other_contents(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    found = glance(path)
    assert found.damage and not found.ours and found.recipe is None
    assert (found.damage == "is empty") == (content == b"")


def test_a_picture_of_another_kind_is_no_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jpg", SMALL)
    assert glance(path.rename(tmp_path / "x.png")).damage is None


def test_codes(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    codes = RNG.normal(size=(4, 16)).astype(np.float32)
    save_latents(path, LatentFile(codes=codes, space="W+", generator="0" * 64, recipe=RECIPE))
    found = glance(path)
    assert (found.damage, found.recipe, found.ours) == (None, RECIPE, True)
    data = path.read_bytes()
    for end in range(0, len(data), 11):
        path.write_bytes(data[:end])
        assert glance(path).damage


def test_what_cannot_be_opened_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    assert glance(tmp_path / "x.png").damage is None
    assert glance(tmp_path / "gone.png").damage is None


def test_mutated_outputs_are_judged_without_an_error(tmp_path: Path) -> None:
    names = [write(tmp_path / f"x.{format}", SMALL, RECIPE, xmp_packet()) for format in FORMATS]
    save_latents(
        tmp_path / "x.safetensors", LatentFile(codes=SMALL[0, :, :1].T.astype(np.float32), space="W", generator="0")
    )
    for path in [*names, tmp_path / "x.safetensors"]:
        data = path.read_bytes()
        for _ in range(500):
            changed = bytearray(data)
            for place in RNG.integers(0, len(data), 4):
                changed[place] = RNG.integers(0, 256)
            path.write_bytes(changed)
            glance(path)


def test_no_imaging_library_is_needed() -> None:
    code = "import sys, pixel2style2pixel_cli.files.glance; sys.exit(bool({'PIL', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]).returncode == 0
