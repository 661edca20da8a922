"""Comparison pictures: sizes, places, labels that are really drawn."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import ShapeError, UsageError
from pixel2style2pixel_cli.files import sheet as sheet_module
from pixel2style2pixel_cli.files.sheet import row_image, sheet_image

RED, BLUE = (200, 0, 0), (0, 0, 200)


def flat(colour: tuple[int, int, int], height: int = 128, width: int = 128) -> NDArray[np.uint8]:
    return np.full((height, width, 3), colour, np.uint8)


def box(image: NDArray[np.uint8], colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, width, height of the area of one colour."""
    rows, columns = np.nonzero((image == colour).all(axis=2))
    return columns.min(), rows.min(), columns.max() - columns.min() + 1, rows.max() - rows.min() + 1


def ink_below(image: NDArray[np.uint8], top: int) -> int:
    """Number of dark pixels of text below a line."""
    return int((image[top:].max(axis=2) < 128).sum())


def test_pair_keeps_pixels_and_brings_heights_together() -> None:
    pair = row_image([flat(RED, 256, 256), flat(BLUE, 128, 64)], labels=("input", "output"))
    assert pair.dtype == np.uint8
    left, right = box(pair, RED), box(pair, BLUE)
    assert left[2:] == (256, 256)
    assert right[2:] == (128, 256)
    assert left[1] == right[1]
    assert 2 <= right[0] - (left[0] + left[2]) <= 8
    assert ink_below(pair, left[1] + 256) > 100
    assert (
        (pair[0] == 255).all() and (pair[:, 0] == 255).all() and (pair[-1] == 255).all() and (pair[:, -1] == 255).all()
    )


def test_unlabelled_pair_is_smaller() -> None:
    bare = row_image([flat(RED), flat(BLUE)])
    labelled = row_image([flat(RED), flat(BLUE)], labels=("input", "output"))
    assert bare.shape[1] == labelled.shape[1]
    assert bare.shape[0] == labelled.shape[0] - 26  # one line of 16 pixel text


def test_pictures_are_not_resampled_at_their_own_size() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    row = row_image([noise, noise])
    gap = 5
    top = left = 4 * gap
    np.testing.assert_array_equal(row[top : top + 256, left : left + 256], noise)
    np.testing.assert_array_equal(row[top : top + 256, left + 256 + gap : left + 512 + gap], noise)


def test_row_labels_are_drawn_under_their_own_picture() -> None:
    row = row_image([flat(RED, 200, 200), flat(BLUE, 200, 200)], labels=["", "seed 1"])
    x, y, w, _ = box(row, BLUE)
    assert ink_below(row[:, x : x + w], y + 202) > 50
    assert ink_below(row[:, : x - 1], y + 202) == 0


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 2), (25, 5), (9, 3)])
def test_sheet_of_single_pictures_is_a_full_grid(count: int, columns: int) -> None:
    sheet = sheet_image([(f"{i}.jpg", [flat(RED, 192, 192)]) for i in range(count)])
    starts = np.diff((sheet == RED).all(axis=2).any(axis=0).astype(int))
    assert (starts == 1).sum() == columns


def test_columns_of_a_sheet_are_aligned_for_all_shapes() -> None:
    shapes = [(192, 192), (300, 200), (100, 180), (192, 192)]
    sheet = sheet_image([("a", [flat(RED, h, w), flat(BLUE, h, w)]) for h, w in shapes], columns=2, tile=192)
    tops = np.nonzero(np.diff((sheet == RED).all(axis=2).any(axis=1).astype(int)) == 1)[0]
    assert len(tops) == 2
    blue_tops = np.nonzero(np.diff((sheet == BLUE).all(axis=2).any(axis=1).astype(int)) == 1)[0]
    assert list(tops) == list(blue_tops)


def test_captions_and_title_add_room_above() -> None:
    tiles = [("a", [flat(RED), flat(BLUE)])] * 3
    plain = sheet_image(tiles)
    full = sheet_image(tiles, title="p2s2p invert", captions=("input", "output"))
    assert full.shape[1] == plain.shape[1]
    extra = full.shape[0] - plain.shape[0]
    assert extra > 30
    np.testing.assert_array_equal(full[extra + 16 :], plain[16:])
    assert (full[:extra].min(axis=2) < 128).any()


def test_long_and_foreign_labels_stay_inside_their_cell() -> None:
    labels = ["x" * 500, "grüße 日本.jpg", "line\nbreak \udce9", "\u202e"]
    sheet = sheet_image([(label, [flat(RED, 192, 192)]) for label in labels], columns=4)
    x, y, w, _ = box(sheet, RED)
    below = (sheet[y + 194 :].min(axis=2) < 200).any(axis=0)
    gaps = np.nonzero(~(sheet == RED).all(axis=2).any(axis=0))[0]
    assert below.any()
    assert not below[gaps].any()
    assert x + w <= sheet.shape[1] - 8


def test_many_pictures_shrink_until_one_file_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_module, "_MOST_PIXELS", 2_000_000)
    face = np.zeros((512, 512, 3), np.uint8)
    sheet = sheet_image([("a", [face, face])] * 100)
    assert 500_000 < sheet.shape[0] * sheet.shape[1] <= 2_000_000
    with pytest.raises(UsageError, match="do not fit"):
        sheet_image([("a", [face])] * 1000)


def test_no_side_is_longer_than_webp_takes() -> None:
    sheet = sheet_image([("", [flat(RED, 8, 8)])] * 150, columns=1)
    assert sheet.shape[0] <= 16_383


def test_same_sheet_twice_is_equal() -> None:
    tiles = [(f"{i}", [flat(RED, 100, 130), flat(BLUE)]) for i in range(5)]
    np.testing.assert_array_equal(sheet_image(tiles), sheet_image(tiles))


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(UsageError):
        sheet_image([])
    with pytest.raises(UsageError):
        row_image([])
    with pytest.raises(ShapeError):
        row_image([np.zeros((8, 8), np.uint8)])
