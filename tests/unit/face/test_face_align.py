"""FFHQ alignment against a plain second writing of methods.md 5, and the matrix against drawn dots."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from pixel2style2pixel_cli.errors import InputError, ShapeError
from pixel2style2pixel_cli.face.align import align_face, centre_crop, face_quad, gaussian_blur, is_aligned
from pixel2style2pixel_cli.face.detect import Detector

RNG = np.random.default_rng(0)


def template(centre: tuple[float, float], side: float, turn: float = 0.0) -> np.ndarray:
    """68 points whose crop has this centre, side and turn (degrees, clockwise as seen)."""
    unit = np.zeros((68, 2))
    unit[36:42], unit[42:48] = (-0.12, -0.03), (0.12, -0.03)
    unit[48], unit[54] = (-0.08, 0.21), (0.08, 0.21)
    shape = np.array(face_quad(unit))
    angle = math.radians(turn)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return (unit - shape.mean(axis=0)) / (shape[3] - shape[0])[0] * side @ rotation.T + centre


def plain_ffhq(image: np.ndarray, points: np.ndarray, output: int, transform: int) -> np.ndarray:
    """The rule of methods.md 5, step by step and without care for speed."""
    from scipy import ndimage

    left, right = points[36:42].mean(0), points[42:48].mean(0)
    eyes, mouth = (left + right) / 2, (points[48] + points[54]) / 2
    e, m = right - left, mouth - (left + right) / 2
    x = e - np.flip(m) * [-1, 1]
    x = x / np.hypot(*x) * max(2 * np.hypot(*e), 1.8 * np.hypot(*m))
    y, c = np.flip(x) * [-1, 1], eyes + 0.1 * m
    quad, size = np.array([c - x - y, c - x + y, c + x + y, c + x - y]), 2 * np.hypot(*x)
    picture = Image.fromarray(image)
    k = int(np.floor(size / output * 0.5))
    if k > 1:
        width, height = (int(np.rint(n / k)) for n in picture.size)
        picture, quad, size = picture.resize((width, height), Image.Resampling.LANCZOS), quad / k, size / k
    border = max(int(np.rint(size * 0.1)), 3)
    low, high = np.floor(quad.min(0)).astype(int) - border, np.ceil(quad.max(0)).astype(int) + border
    low, high = np.maximum(low, 0), np.minimum(high, picture.size)
    picture, quad = picture.crop((*low.tolist(), *high.tolist())), quad - low
    low, high = np.floor(quad.min(0)).astype(int), np.ceil(quad.max(0)).astype(int)
    before, after = np.maximum(border - low, 0), np.maximum(high - picture.size + border, 0)
    if max(before.max(), after.max()) > border - 4:
        before, after = (np.maximum(p, int(np.rint(size * 0.3))) for p in (before, after))
        a = np.pad(np.float32(picture), ((before[1], after[1]), (before[0], after[0]), (0, 0)), "reflect")
        h, w = a.shape[:2]
        mask = np.zeros((h, w, 1))
        for row in range(h):
            for column in range(w):
                near_x = min(column / before[0], (w - 1 - column) / after[0])
                near_y = min(row / before[1], (h - 1 - row) / after[1])
                mask[row, column] = max(1 - near_x, 1 - near_y)
        sigma = size * 0.02
        a += (ndimage.gaussian_filter(a, [sigma, sigma, 0]) - a) * np.clip(mask * 3 + 1, 0, 1)
        a += (np.median(a, axis=(0, 1)) - a) * np.clip(mask, 0, 1)
        picture, quad = Image.fromarray(np.uint8(np.clip(np.rint(a), 0, 255))), quad + before
    shape = tuple((quad + 0.5).flatten())
    picture = picture.transform((transform, transform), Image.Transform.QUAD, shape, Image.Resampling.BILINEAR)
    if output < transform:
        picture = picture.resize((output, output), Image.Resampling.LANCZOS)
    return np.array(picture)


def smooth_photo(width: int, height: int) -> np.ndarray:
    coarse = RNG.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


CASES = {
    "inside": ((300, 260), (150.3, 131.2), 140.0, 12.0),
    "shrunk by 3": ((700, 640), (351.0, 322.0), 395.0, -17.0),
    "over the upper left edge": ((200, 180), (60.0, 40.0), 150.0, 5.0),
    "over every edge": ((120, 100), (61.0, 52.0), 170.0, 0.0),
    "shrunk and over the edge": ((420, 400), (300.0, 330.0), 300.0, 30.0),
    "upside down": ((200, 200), (100.0, 100.0), 120.0, 180.0),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("transform", [64, 256])
def test_equals_the_plain_writing(case: str, transform: int) -> None:
    (width, height), centre, side, turn = CASES[case]
    photo, points = smooth_photo(width, height), template(centre, side, turn)
    ours = align_face(photo, points, output_size=64, transform_size=transform).crop
    theirs = plain_ffhq(photo, points, 64, transform)
    assert ours.shape == theirs.shape == (64, 64, 3)
    difference = np.abs(ours.astype(int) - theirs)
    assert difference.max() <= 1
    assert difference.mean() < 1e-3, "only ties may round the other way"


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [64, 101])
def test_matrix_leads_to_where_the_pixels_went(case: str, size: int) -> None:
    """White dots are drawn at known places of the photograph and looked for in the crop."""
    (width, height), centre, side, turn = CASES[case]
    points = template(centre, side, turn)
    matrix = align_face(np.zeros((height, width, 3), np.uint8), points, output_size=size).matrix
    grid_y, grid_x = np.mgrid[:height, :width].astype(float)
    radius = side / 30
    for u, v in ((0.35, 0.4), (0.6, 0.35), (0.5, 0.62)):
        x, y = np.linalg.solve(matrix, (u * size, v * size, 1))[:2]
        if not (4 * radius < x < width - 4 * radius and 4 * radius < y < height - 4 * radius):
            continue
        dot = 255 * np.exp(-((grid_x - x) ** 2 + (grid_y - y) ** 2) / (2 * radius**2))
        photo = np.repeat(np.rint(dot).astype(np.uint8)[:, :, None], 3, axis=2)
        crop = align_face(photo, points, output_size=size).crop[:, :, 0].astype(float)
        rows, columns = np.mgrid[:size, :size]
        near = np.hypot(columns - u * size, rows - v * size) < size / 6  # beside it may be its reflection
        weights = np.where(near & (crop > 40), crop, 0)
        found = (columns * weights).sum() / weights.sum(), (rows * weights).sum() / weights.sum()
        assert found == pytest.approx((u * size, v * size), abs=0.12)


def test_quad_and_matrix_agree() -> None:
    points = template((150, 130), 140, 12)
    aligned = align_face(smooth_photo(300, 260), points, output_size=64)
    corners = (aligned.matrix @ np.c_[aligned.quad, np.ones(4)].T)[:2].T
    assert np.allclose(corners, [(-0.5, -0.5), (-0.5, 63.5), (63.5, 63.5), (63.5, -0.5)])
    assert np.allclose(aligned.quad.mean(axis=0), (150, 130))
    assert aligned.matrix.dtype == np.float64


def test_default_sampling_is_antialiased_at_128_and_published_at_256() -> None:
    board = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    points = template((200, 200), 380)
    default = align_face(board, points, output_size=128).crop
    assert default.std() < 12 < align_face(board, points, output_size=128, transform_size=128).crop.std()
    photo, points = smooth_photo(400, 400), template((200, 200), 300, 7)
    published = align_face(photo, points, output_size=256, transform_size=256).crop
    assert np.array_equal(align_face(photo, points, output_size=256).crop, published)


def test_photograph_is_not_changed() -> None:
    photo = smooth_photo(120, 100)
    before = photo.copy()
    align_face(photo, template((20, 20), 170), output_size=64)
    assert np.array_equal(photo, before)


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0, 7.3])
def test_blur_equals_scipy(sigma: float) -> None:
    from scipy import ndimage

    values = RNG.random((41, 30, 3), dtype=np.float32) * 255
    assert np.allclose(gaussian_blur(values, sigma), ndimage.gaussian_filter(values, [sigma, sigma, 0]), atol=1e-3)


def test_impossible_landmarks() -> None:
    photo = smooth_photo(100, 100)
    with pytest.raises(InputError, match="lie on one point"):
        align_face(photo, np.full((68, 2), 5.0), output_size=64)
    with pytest.raises(InputError, match="outside the photograph"):
        align_face(photo, template((900, 900), 60), output_size=64)
    with pytest.raises(ShapeError, match="landmarks has shape 5x2"):
        align_face(photo, np.zeros((5, 2)), output_size=64)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 200, 3)])
def test_tiny_photographs_do_not_crash(shape: tuple[int, int, int]) -> None:
    photo = np.full(shape, 9, np.uint8)
    points = template((shape[1] / 2, shape[0] / 2), 20)
    assert align_face(photo, points, output_size=32).crop.shape == (32, 32, 3)


@pytest.mark.parametrize(("width", "height"), [(90, 60), (60, 90), (64, 64), (65, 64)])
def test_centre_crop(width: int, height: int) -> None:
    photo = smooth_photo(width, height)
    aligned = centre_crop(photo, output_size=32)
    assert aligned.crop.shape == (32, 32, 3)
    centre = aligned.matrix @ ((width - 1) // 2, (height - 1) // 2, 1)
    assert np.allclose(centre[:2], 15.5, atol=0.6)
    assert np.allclose(np.ptp(aligned.quad, axis=0), min(width, height))


def test_centre_crop_of_the_right_size_is_the_picture() -> None:
    photo = smooth_photo(64, 64)
    aligned = centre_crop(photo, output_size=64)
    assert np.array_equal(aligned.crop, photo)
    assert np.allclose(aligned.matrix, np.eye(3))


def test_rendered_crops_count_as_aligned(detector: Detector, faces: list[Image.Image]) -> None:
    for face in faces:
        assert is_aligned(detector.detect(np.array(face))[0].points, 128, 128)


def test_photographs_do_not_count_as_aligned(
    detector: Detector, faces: list[Image.Image], two_faces: np.ndarray, astronaut: np.ndarray
) -> None:
    assert not is_aligned(detector.detect(astronaut)[0].points, 512, 512)
    for found in detector.detect(two_faces):
        assert not is_aligned(found.points, 360, 200)
    for angle in (10, 20, 40):
        turned = faces[3].resize((256, 256)).rotate(angle, Image.Resampling.BICUBIC)
        assert not is_aligned(detector.detect(np.array(turned))[0].points, 256, 256)
    small = Image.new("RGB", (180, 180))
    small.paste(faces[0], (26, 26))
    assert not is_aligned(detector.detect(np.array(small))[0].points, 180, 180)


@pytest.mark.parametrize(
    ("centre", "side", "turn", "size", "expected"),
    [
        ((127.5, 127.5), 256, 0, (256, 256), True),
        ((137.0, 127.5), 256, 3, (256, 256), True),
        ((142.0, 127.5), 256, 0, (256, 256), False),
        ((127.5, 127.5), 215, 0, (256, 256), False),
        ((127.5, 127.5), 300, 0, (256, 256), False),
        ((127.5, 127.5), 256, 8, (256, 256), False),
        ((127.5, 127.5), 256, 180, (256, 256), False),
        ((127.5, 127.5), 256, 0, (256, 300), False),
        ((127.5, 127.5), 256, 0, (256, 255), True),
    ],
)
def test_tolerances(
    centre: tuple[float, float], side: float, turn: float, size: tuple[int, int], expected: bool
) -> None:
    assert is_aligned(template(centre, side, turn), *size) is expected


def test_an_aligned_crop_counts_as_aligned(detector: Detector, astronaut: np.ndarray) -> None:
    """Aligning twice changes nothing much, and at several sizes the second time is skipped."""
    points = detector.detect(astronaut)[0].points
    for size in (128, 256, 512):
        crop = align_face(astronaut, points, output_size=size).crop
        assert is_aligned(detector.detect(crop)[0].points, size, size)
