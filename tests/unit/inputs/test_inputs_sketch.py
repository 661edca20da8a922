"""Drawings from photographs, drawings from scans, and what is no drawing refused with the way out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pixel2style2pixel_cli.errors import InputError, ShapeError
from pixel2style2pixel_cli.inputs.sketch import read_sketch, resize_sketch, sketchify, vary_sketch

FACES = [
    np.array(Image.open(path).convert("RGB"))
    for path in sorted((Path(__file__).parents[2] / "data").glob("face_*.webp"))
]
DARK = "x has light lines on dark paper, expected dark lines on light"


def drawing(side: int = 512, line: float = 4, *, hair: bool = False) -> np.ndarray:
    """A face in black lines on white, uint8 (side, side)."""
    scale = 4 * side / 512
    image = Image.new("L", (4 * side, 4 * side), 255)
    draw = ImageDraw.Draw(image)
    for box in ((130, 90, 380, 460), (180, 220, 230, 245), (280, 220, 330, 245)):
        draw.ellipse([v * scale for v in box], outline=0, width=round(4 * line))
    draw.arc([v * scale for v in (200, 340, 310, 400)], 10, 170, fill=0, width=round(4 * line))
    draw.line([v * scale for v in (255, 240, 240, 320, 265, 322)], fill=0, width=round(4 * line))
    if hair:
        draw.pieslice([v * scale for v in (120, 60, 390, 400)], 180, 360, fill=0)
    return np.array(image.resize((side, side), Image.Resampling.BOX))


def rgb(grey: np.ndarray) -> np.ndarray:
    return grey[:, :, None].repeat(3, axis=2)


def scan(
    grey: np.ndarray,
    *,
    paper: tuple[int, int, int] = (235, 228, 210),
    ink: int = 0,
    shadow: float = 0.3,
    grain: float = 4.0,
) -> np.ndarray:
    """The drawing on paper of a colour, lit from one side, with grain and JPEG artefacts: uint8 (H, W, 3)."""
    y, x = np.indices(grey.shape) / grey.shape[0]
    level = (ink + (255 - ink) * (grey / 255)) / 255 * (1 - shadow * (0.6 * x + 0.4 * y * y))
    noise = np.random.default_rng(0).standard_normal((*grey.shape, 3)) * grain
    pixels = np.clip(level[:, :, None] * np.array(paper) + noise, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=85)
    return np.array(Image.open(out))


def read(pixels: np.ndarray, *, invert: bool = False, size: int = 128) -> np.ndarray:
    return read_sketch(pixels, size, invert=invert, name="x")


def refusal(pixels: np.ndarray, *, invert: bool = False) -> InputError:
    with pytest.raises(InputError) as caught:
        read(pixels, invert=invert)
    return caught.value


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


# --- from photographs ------------------------------------------------------------------------------------------------


def test_an_edge_becomes_two_columns_of_a_line() -> None:
    """By hand: a step of 40 levels is 0, 10, 30, 40 after the blur, so its derivative is 4 x 10, 30, 30, 10."""
    photo = np.full((8, 8, 3), 100, np.uint8)
    photo[:, 4:] = 140
    line = [255, 255, 225, 165, 165, 225, 255, 255]
    assert (sketchify(photo) == line).all()
    assert (sketchify(photo[:, ::-1]) == line).all()
    assert (sketchify(photo.transpose(1, 0, 2)) == np.array(line)[:, None]).all()


def test_both_directions_are_joined_bit_by_bit() -> None:
    """In the corner of a step both derivatives are positive, and have bits in common."""
    photo = np.full((8, 8, 3), 100, np.uint8)
    photo[4:, 4:] = 140
    step = np.array([0, 0, 0, 1, 3, 4, 4, 4])
    smooth = np.floor(100 + 40 * np.outer(step, step) / 16 + 0.5)
    rows = smooth[:-2] + 2 * smooth[1:-1] + smooth[2:]
    across = (rows[:, 2:] - rows[:, :-2]).astype(int)
    joined = across | across.T
    assert (joined < across + across.T).any()
    assert np.array_equal(sketchify(photo)[1:-1, 1:-1], 255 - np.rint(0.75 * joined))


@pytest.mark.parametrize("number", range(4))
def test_faces_become_dark_lines_on_white(number: int) -> None:
    sketch = sketchify(FACES[number])
    assert sketch.shape == (128, 128) and sketch.dtype == np.uint8
    assert np.median(sketch) > 225 and sketch.min() < 40
    assert 0.05 < (sketch < 200).mean() < 0.3
    assert np.array_equal(sketch, sketchify(FACES[number]))


def test_a_drawing_made_from_a_photograph_can_be_read() -> None:
    for photo in FACES:
        sketch = sketchify(photo)
        assert np.abs(read(rgb(sketch)).astype(int) - sketch).max() <= 3


# --- clean drawings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize(("side", "line", "hair"), [(512, 3, False), (512, 8, False), (300, 3, True), (128, 2, False)])
def test_black_on_white_is_only_resized(size: int, side: int, line: float, hair: bool) -> None:
    grey = drawing(side, line, hair=hair)
    published = np.array(Image.fromarray(grey).resize((size, size), Image.Resampling.BILINEAR))
    assert np.array_equal(read(rgb(grey), size=size), published)


def test_inverted_drawings_give_the_same() -> None:
    grey = drawing()
    assert np.array_equal(read(rgb(255 - grey), invert=True), read(rgb(grey)))


def test_a_blue_pen_is_allowed() -> None:
    pixels = rgb(drawing(line=6))
    pixels[:, :, 2] = np.maximum(pixels[:, :, 2], 200)
    assert likeness(read(pixels), read(rgb(drawing(line=6)))) > 0.98


def test_lines_that_the_reduction_would_lose_are_darkened() -> None:
    grey = drawing(1024, 1)
    plain, found = resize_sketch(grey, 128), read(rgb(grey))
    assert np.percentile(plain, 0.5) > 190
    assert np.percentile(found, 0.5) == pytest.approx(176, abs=1)
    assert (found[plain == 255] == 255).all()


# --- scans -----------------------------------------------------------------------------------------------------------

SCANS = {
    "paper": {},
    "grey paper": {"paper": (125, 120, 115)},
    "yellow paper": {"paper": (240, 225, 120)},
    "pink paper": {"paper": (250, 190, 190)},
    "deep shadow": {"shadow": 0.6},
}


@pytest.mark.parametrize("hair", [False, True])
@pytest.mark.parametrize("options", SCANS.values(), ids=SCANS)
def test_a_scan_comes_close_to_the_clean_drawing(options: dict, hair: bool) -> None:
    grey = drawing(hair=hair)
    clean, pixels = read(rgb(grey)).astype(int), scan(grey, **options)
    plain = resize_sketch(np.array(Image.fromarray(pixels).convert("L")), 128)
    found = read(pixels)
    assert np.abs(found - clean).mean() < 1.0 < 20 < np.abs(plain - clean).mean()
    assert np.abs(found - clean).max() < 40
    assert (found[clean == 255] >= 250).mean() > 0.995


def test_pencil_is_darkened() -> None:
    clean, pixels = read(rgb(drawing())), scan(drawing(), ink=150)
    found = read(pixels)
    assert np.percentile(found, 0.5) < np.percentile(clean, 0.5) + 35
    plain = resize_sketch(np.array(Image.fromarray(pixels).convert("L")), 128)
    assert np.percentile(found, 0.5) < np.percentile(plain, 0.5) - 40
    assert likeness(found, clean) > 0.97


def test_an_inverted_scan_is_detected_and_read_with_the_option() -> None:
    for pixels in (255 - scan(drawing()), rgb(255 - drawing(line=2))):
        error = refusal(pixels)
        assert error.message == DARK and error.hint == "use --invert-sketch"
        assert np.abs(read(pixels, invert=True) - read(255 - pixels).astype(int)).max() <= 2


def test_a_blueprint_is_a_drawing() -> None:
    lines = rgb(255 - drawing()) / 255
    pixels = (np.array([20, 60, 140]) * (1 - lines) + 240 * lines).astype(np.uint8)
    assert refusal(pixels).hint == "use --invert-sketch"
    assert likeness(read(pixels, invert=True), read(rgb(drawing()))) > 0.99


@pytest.mark.parametrize("pixels", [rgb(drawing()), scan(drawing())], ids=["drawing", "scan"])
def test_inversion_without_need_is_refused(pixels: np.ndarray) -> None:
    error = refusal(pixels, invert=True)
    assert "dark lines on light paper" in error.message and error.hint == "leave out --invert-sketch"


# --- no drawings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("number", range(4))
def test_photographs_are_refused(number: int, invert: bool) -> None:
    error = refusal(FACES[number], invert=invert)
    assert "x is not a sketch" in error.message and "of its pixels have colour" in error.message
    assert "--sketchify" in error.hint
    grey = rgb(np.array(Image.fromarray(FACES[number]).convert("L")))
    error = refusal(grey, invert=invert)
    assert "x is not a sketch" in error.message and "as in a photograph" in error.message
    assert "--sketchify" in error.hint


@pytest.mark.parametrize(
    "pixels",
    [np.full((64, 64, 3), level, np.uint8) for level in (0, 200, 255)] + [scan(np.full((256, 256), 255, np.uint8))],
    ids=["black", "grey", "white", "scan"],
)
def test_an_empty_sheet_is_refused(pixels: np.ndarray) -> None:
    assert refusal(pixels).message == "x is empty: no lines were found on it"


def test_shapes_are_checked() -> None:
    assert refusal(rgb(drawing())[:300]).message == "x is 512 x 300, expected a square sketch"
    with pytest.raises(ShapeError, match="sketch has shape 512x512"):
        read(drawing())


# --- training ---------------------------------------------------------------------------------------------------------


def test_variants_are_other_drawings_of_the_same_face() -> None:
    sketch = sketchify(FACES[0])
    kept = sketch.copy()
    rng = np.random.default_rng(0)
    variants = [vary_sketch(sketch, rng) for _ in range(100)]
    assert np.array_equal(sketch, kept)
    assert all(v.shape == sketch.shape and v.dtype == np.uint8 for v in variants)
    assert 5 <= sum(np.array_equal(v, sketch) for v in variants) <= 30
    ink = np.array([255.0 - v.mean() for v in variants]) / (255.0 - sketch.mean())
    assert ink.min() < 0.5 and ink.max() > 1.5  # lighter and darker ones
    assert min(likeness(v, sketch) for v in variants) > 0.3
    assert np.median([likeness(v, sketch) for v in variants]) > 0.75


def test_variants_depend_on_the_generator_alone() -> None:
    sketch = sketchify(FACES[1])
    first, again, other = (
        [vary_sketch(sketch, rng) for _ in range(8)] for rng in map(np.random.default_rng, (4, 4, 5))
    )
    assert all(map(np.array_equal, first, again)) and not all(map(np.array_equal, first, other))
