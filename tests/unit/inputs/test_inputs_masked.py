"""Masks read, found by colour and drawn at random; holes blanked and filled without a seam."""

from __future__ import annotations

import numpy as np
import pytest

from pixel2style2pixel_cli.errors import InputError, ShapeError, UsageError
from pixel2style2pixel_cli.inputs.masked import (
    HOLE_GREY,
    blank,
    check_mask,
    fill_seam,
    mask_of_colour,
    parse_colour,
    random_mask,
    read_mask,
)

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8)
HOLE = np.zeros((32, 32), dtype=bool)
HOLE[8:24, 10:20] = True


def painted(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 255, 0).astype(np.uint8)


# --- masks ----------------------------------------------------------------------------------------------------------


def test_white_is_filled() -> None:
    assert np.array_equal(read_mask(painted(HOLE), name="m"), HOLE)
    assert np.array_equal(read_mask(painted(HOLE)[:, :, None].repeat(3, axis=2), name="m"), HOLE)


def test_a_soft_rim_is_no_obstacle() -> None:
    soft = painted(HOLE)
    soft[8, 10:20], soft[23, 10:20] = 140, 100
    expected = HOLE.copy()
    expected[23] = False
    assert np.array_equal(read_mask(soft, name="m"), expected)


@pytest.mark.parametrize(("level", "problem"), [(0, "covers nothing"), (255, "covers the whole picture")])
def test_masks_without_a_hole_or_without_a_picture_are_refused(level: int, problem: str) -> None:
    with pytest.raises(InputError, match=f"mask.png {problem}"):
        read_mask(np.full((8, 8), level, np.uint8), name="mask.png")
    with pytest.raises(InputError, match=f"mask.png {problem}"):
        check_mask(np.full((8, 8), bool(level)), name="mask.png")


def test_photographs_are_no_masks() -> None:
    with pytest.raises(InputError, match=r"mask\.png is not a mask: \d\d% of its pixels are neither black nor white"):
        read_mask(PHOTO, name="mask.png")


def test_colour_finds_what_was_painted() -> None:
    photo = np.minimum(PHOTO, 200)
    photo[HOLE] = 255, 0, 250
    grown = np.zeros_like(HOLE)
    grown[7:25, 9:21] = True
    assert np.array_equal(mask_of_colour(photo, (255, 0, 255), 5), grown)
    assert not mask_of_colour(photo, (255, 0, 255), 4).any()


@pytest.mark.parametrize("text", ["#ff00ff", "ff00ff", " FF00FF ", "#f0f", "magenta", "fuchsia", "#ff00ff80"])
def test_colours_in_every_spelling(text: str) -> None:
    assert parse_colour(text) == (255, 0, 255)


@pytest.mark.parametrize("text", ["", "ff00f", "#gg0000", "mauvish", "255,0,255"])
def test_other_words_are_no_colours(text: str) -> None:
    with pytest.raises(UsageError, match="is not a colour"):
        parse_colour(text)


@pytest.mark.parametrize("size", [16, 128, 200])
def test_random_masks_cover_some_and_leave_some(size: int) -> None:
    rng = np.random.default_rng(3)
    shares = np.array([random_mask(size, rng).mean() for _ in range(150)])
    assert shares.min() >= 0.05 and shares.max() <= 0.6
    assert shares.std() > 0.08  # all kinds, not one amount
    first, again, other = (random_mask(size, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (size, size) and first.dtype == np.bool_
    assert np.array_equal(first, again) and not np.array_equal(first, other)


# --- holes ------------------------------------------------------------------------------------------------------------


def test_blank_hides_the_hole_and_marks_it() -> None:
    holed = blank(PHOTO, HOLE)
    assert holed.shape == (32, 32, 4) and holed.dtype == np.uint8
    assert (holed[HOLE] == [HOLE_GREY] * 3 + [255]).all()
    assert np.array_equal(holed[~HOLE][:, :3], PHOTO[~HOLE]) and (holed[~HOLE][:, 3] == 0).all()


def test_what_is_known_stays_bit_for_bit() -> None:
    mask = random_mask(32, np.random.default_rng(5))
    drawn = RNG.integers(0, 256, PHOTO.shape, dtype=np.uint8)
    filled = fill_seam(PHOTO, drawn, mask)
    assert np.array_equal(filled[~mask], PHOTO[~mask])
    assert not np.array_equal(filled[mask], PHOTO[mask])


def test_a_drawing_of_another_tone_takes_the_tone_of_the_photograph() -> None:
    slope = np.linspace(60, 180, 64).round().astype(np.uint8)
    known = np.broadcast_to(slope[None, :, None], (64, 64, 3)).copy()
    mask = np.zeros((64, 64), dtype=bool)
    mask[10:50, 20:60] = True
    detail = np.where(mask[:, :, None], RNG.integers(0, 30, known.shape), 0).astype(np.uint8)
    filled = fill_seam(known, np.uint8(20) + known // 2 + detail, mask)
    assert np.abs(filled.astype(int) - (known + detail)).max() <= 1


def test_no_pattern_is_drawn_along_the_rim() -> None:
    """A difference that is the same all along the rim is the same all over the hole."""
    known, drawn = (np.full((128, 128, 3), level, np.uint8) for level in (100, 140))
    y, x = np.mgrid[:128, :128]
    mask = ((x - 70) / 34) ** 2 + ((y - 60) / 21) ** 2 < 1
    drawn[mask] += ((x + y) % 7).astype(np.uint8)[mask][:, None]
    assert np.array_equal(fill_seam(known, drawn, mask)[mask], drawn[mask] - 40)


def test_the_difference_between_two_sides_goes_over_evenly() -> None:
    known, drawn = np.full((40, 41, 3), 80, np.uint8), np.full((40, 41, 3), 100, np.uint8)
    known[:, 31:] = 140
    mask = np.zeros((40, 41), dtype=bool)
    mask[:, 10:31] = True  # from edge to edge: nothing is known above and below
    line = fill_seam(known, drawn, mask)[20, 9:32, 0].astype(int)
    assert line[0] == 80 and line[-1] == 140 and set(np.diff(line)) <= {2, 3}


def test_the_rim_of_a_large_hole_fits_within_seconds() -> None:
    import time

    side = 1024
    y, x = np.mgrid[:side, :side]
    known = np.stack([x // 5, y // 5, (x + y) // 10], axis=2).astype(np.uint8)
    mask = (x - 500) ** 2 + (y - 480) ** 2 < 200**2
    start = time.process_time()
    filled = fill_seam(known, np.full_like(known, 90), mask).astype(int)
    assert time.process_time() - start < 20  # about 2
    rim = mask & ~np.roll(mask, 1, axis=1)
    assert np.abs(filled - np.roll(filled, 1, axis=1))[rim].max() <= 3


def test_paint_inside_the_hole_does_not_shine_through() -> None:
    drawn = RNG.integers(0, 256, PHOTO.shape, dtype=np.uint8)
    scribbled = PHOTO.copy()
    scribbled[HOLE] = 255, 0, 255
    assert np.array_equal(fill_seam(scribbled, drawn, HOLE), fill_seam(PHOTO, drawn, HOLE))


def test_a_drawing_that_fits_is_not_touched() -> None:
    assert np.array_equal(fill_seam(PHOTO, PHOTO, HOLE), PHOTO)


@pytest.mark.parametrize("job", [lambda m: blank(PHOTO, m), lambda m: fill_seam(PHOTO, PHOTO, m)])
def test_mask_of_another_size_is_refused(job: object) -> None:
    with pytest.raises(ShapeError, match="the mask has shape 16x32, expected 32x32"):
        job(np.ones((16, 32), dtype=bool))  # type: ignore[operator]
