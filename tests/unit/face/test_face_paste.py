"""Pasting: an unchanged crop gives the photograph back, and outside the mask nothing changes at all."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pixel2style2pixel_cli.errors import ShapeError
from pixel2style2pixel_cli.face.align import AlignedFace, align_face, centre_crop
from pixel2style2pixel_cli.face.detect import Detector
from pixel2style2pixel_cli.face.paste import paste_face


@pytest.fixture(scope="module")
def points(detector: Detector, astronaut: np.ndarray) -> np.ndarray:
    return detector.detect(astronaut)[0].points


@pytest.fixture(scope="module")
def aligned(astronaut: np.ndarray, points: np.ndarray) -> AlignedFace:
    return align_face(astronaut, points, output_size=256)


def inside_quad(aligned: AlignedFace, photo: np.ndarray, size: int) -> np.ndarray:
    """Pixels of the photograph that the crop covers."""
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    u, v, _ = np.tensordot(aligned.matrix, np.stack([x, y, np.ones_like(x)]), axes=1)
    return (u > -0.5) & (u < size - 0.5) & (v > -0.5) & (v < size - 0.5)


@pytest.mark.parametrize(("size", "limit"), [(128, 3.3), (256, 2.4), (512, 2.2)])
def test_unchanged_crop_returns_the_photograph(
    astronaut: np.ndarray, points: np.ndarray, size: int, limit: float
) -> None:
    """Mean error in grey levels where the mask is not zero; the rest is detail that two resamplings cost."""
    aligned = align_face(astronaut, points, output_size=size)
    back = paste_face(astronaut, aligned.crop, aligned.matrix, crop_size=size)
    covered = inside_quad(aligned, astronaut, size)
    assert np.array_equal(back[~covered], astronaut[~covered])
    difference = np.abs(back.astype(int) - astronaut)
    touched = difference.max(axis=2) > 0
    assert touched.sum() > 0.4 * covered.sum()
    assert difference[touched].mean() < limit
    assert abs((back.astype(int) - astronaut)[covered].mean()) < 0.4, "no shift of brightness"


def test_smooth_photograph_returns_almost_exactly(points: np.ndarray) -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    photo = np.array(Image.fromarray(coarse).resize((512, 512), Image.Resampling.BICUBIC))
    aligned = align_face(photo, points, output_size=256)
    back = paste_face(photo, aligned.crop, aligned.matrix, crop_size=256)
    assert np.abs(back.astype(int) - photo).max() <= 4
    assert np.abs(back.astype(int) - photo)[inside_quad(aligned, photo, 256)].mean() < 0.5


def test_a_wrong_matrix_is_noticed(astronaut: np.ndarray, aligned: AlignedFace) -> None:
    """The error of the true matrix is the smallest one: half a pixel beside it is clearly worse."""

    def error(shift: float) -> float:
        moved = aligned.matrix.copy()
        moved[:2, 2] += shift
        back = paste_face(astronaut, aligned.crop, moved, crop_size=256)
        return float(np.abs(back.astype(int) - astronaut).mean())

    assert error(0.0) < 0.8 * min(error(0.5), error(-0.5))


def test_changed_face_arrives_and_surroundings_stay(astronaut: np.ndarray, aligned: AlignedFace) -> None:
    mirrored = np.ascontiguousarray(aligned.crop[:, ::-1])
    back = paste_face(astronaut, mirrored, aligned.matrix, crop_size=256)
    covered = inside_quad(aligned, astronaut, 256)
    assert np.array_equal(back[~covered], astronaut[~covered])
    assert (back != astronaut).any(axis=2).sum() > 0.4 * covered.sum()
    corners = np.linalg.inv(aligned.matrix) @ np.array([[3, 252, 3, 252], [3, 3, 252, 252], [1, 1, 1, 1]])
    x, y = np.rint(corners[:2]).astype(int)
    assert np.array_equal(back[y, x], astronaut[y, x]), "the corners of the crop lie outside the mask"


def test_feather_leaves_no_edge(astronaut: np.ndarray, aligned: AlignedFace) -> None:
    """A black face on white paper: from one pixel to the next the paper darkens little by little."""
    white = np.full_like(astronaut, 255)
    back = paste_face(white, np.zeros_like(aligned.crop), aligned.matrix, crop_size=256, match_colours=False)
    steps = max(np.abs(np.diff(back[:, :, 0].astype(int), axis=axis)).max() for axis in (0, 1))
    assert back.min() == 0
    assert steps < 32


@pytest.mark.parametrize("size", [64, 128, 256, 1024])
def test_face_of_any_size(astronaut: np.ndarray, aligned: AlignedFace, size: int) -> None:
    face = np.array(Image.fromarray(aligned.crop).resize((size, size), Image.Resampling.LANCZOS))
    back = paste_face(astronaut, face, aligned.matrix, crop_size=256)
    difference = np.abs(back.astype(int) - astronaut)
    assert difference[difference.max(axis=2) > 0].mean() < (6 if size == 64 else 3.5)


def test_colours_are_matched(astronaut: np.ndarray, aligned: AlignedFace) -> None:
    tinted = np.clip(aligned.crop * np.array([0.8, 0.9, 1.1]) + 12, 0, 255).astype(np.uint8)
    x, y = np.rint(np.linalg.solve(aligned.matrix, (128, 165, 1))[:2]).astype(int)
    skin = np.s_[y - 15 : y + 15, x - 15 : x + 15]

    def shift(**options: object) -> np.ndarray:
        back = paste_face(astronaut, tinted, aligned.matrix, crop_size=256, **options)
        return np.abs(back[skin].mean(axis=(0, 1)) - astronaut[skin].mean(axis=(0, 1)))

    assert shift().max() < 4
    assert shift(original_crop=aligned.crop).max() < 4
    assert shift(match_colours=False).max() > 15


def test_crop_that_reaches_over_the_edge(faces: list[Image.Image]) -> None:
    photo = np.array(faces[0])
    aligned = centre_crop(photo, output_size=128)
    moved = aligned.matrix.copy()
    moved[0, 2] += 60
    back = paste_face(photo, np.zeros((128, 128, 3), np.uint8), moved, crop_size=128, match_colours=False)
    assert back.shape == photo.shape
    assert back[70, 10].max() == 0
    assert np.array_equal(back[:, 70:], photo[:, 70:])
    moved[0, 2] += 1000
    assert np.array_equal(paste_face(photo, aligned.crop, moved, crop_size=128), photo)


def test_inputs_are_not_changed(astronaut: np.ndarray, aligned: AlignedFace) -> None:
    before, crop = astronaut.copy(), aligned.crop.copy()
    paste_face(astronaut, aligned.crop, aligned.matrix, crop_size=256)
    assert np.array_equal(astronaut, before)
    assert np.array_equal(aligned.crop, crop)


def test_wrong_shapes(astronaut: np.ndarray, aligned: AlignedFace) -> None:
    with pytest.raises(ShapeError, match="alignment matrix has shape 2x3"):
        paste_face(astronaut, aligned.crop, aligned.matrix[:2], crop_size=256)
    with pytest.raises(ShapeError, match="face has shape 256x255x3"):
        paste_face(astronaut, aligned.crop[:, :255], aligned.matrix, crop_size=256)
    with pytest.raises(ShapeError, match="cannot be inverted"):
        paste_face(astronaut, aligned.crop, np.zeros((3, 3)), crop_size=256)
