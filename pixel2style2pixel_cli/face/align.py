"""Photograph to FFHQ crop (methods.md 5), with the matrix that leads from photo pixels to crop pixels.

Coordinates are (x, y) with integer values at pixel centres, as landmarks are given. A quad lists the corners of the
crop in the order upper left, lower left, lower right, upper right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixel2style2pixel_cli.errors import InputError, ShapeError, check_shape

Matrix = NDArray[np.float64]
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
MOUTH_CORNERS = [48, 54]

# How far landmarks may say that the crop is off before it counts as not aligned, as shares of the crop's side, a ratio
# of sides and degrees; and how far its two sides may differ. Measured on FFHQ-style crops: see tests/data/README.md.
SHIFT_LIMIT = 0.05
SCALE_LIMIT = 1.15
TURN_LIMIT = 6.0
SQUARE_LIMIT = 0.02


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AlignedFace:
    """A square crop, uint8 (s, s, 3); the 3 x 3 matrix photo pixel -> crop pixel; its corners (4, 2)."""

    crop: NDArray[np.uint8]
    matrix: Matrix
    quad: NDArray[np.float64]


def face_quad(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners (4, 2) of the FFHQ crop of a face with these 68 points."""
    check_shape(points, (68, 2), "landmarks")
    left_eye, right_eye = points[LEFT_EYE].mean(axis=0), points[RIGHT_EYE].mean(axis=0)
    eyes = (left_eye + right_eye) / 2
    between_eyes = right_eye - left_eye
    to_mouth = points[MOUTH_CORNERS].mean(axis=0) - eyes
    x = between_eyes - _quarter_turn(to_mouth)
    length = math.hypot(*x)
    if not length > 0.0:
        raise InputError("the landmarks of the face lie on one point", "use another photograph, or --align never")
    x *= max(2.0 * math.hypot(*between_eyes), 1.8 * math.hypot(*to_mouth)) / length
    y = _quarter_turn(x)
    centre = eyes + 0.1 * to_mouth
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def align_face(
    image: NDArray[np.uint8], points: NDArray[np.float64], *, output_size: int, transform_size: int | None = None
) -> AlignedFace:
    """The FFHQ crop of one face: uint8 (H, W, 3) photograph and its 68 points.

    transform_size: side at which the quad is sampled before the final antialiased resize. By default 256 for 256, as
    pSp and e4e were trained, and otherwise four times the output, as FFHQ was made: sampling a large face at 128
    directly would alias.
    """
    if transform_size is None:
        transform_size = output_size if output_size == 256 else 4 * output_size
    quad = face_quad(np.asarray(points, dtype=np.float64))
    return crop_quad(image, quad, output_size=output_size, transform_size=transform_size)


def crop_again(image: NDArray[np.uint8], matrix: Matrix, *, crop_size: int, output_size: int) -> NDArray[np.uint8]:
    """The part of a photograph, uint8 (H, W, 3), that a recipe names: its matrix leads to a crop of ``crop_size``.

    Returns uint8 (output_size, output_size, 3). Raises InputError where the matrix does not lead back.
    """
    low, high = -0.5, crop_size - 0.5
    corners = np.array([(low, low, 1), (low, high, 1), (high, high, 1), (high, low, 1)])
    try:
        quad = (corners @ np.linalg.inv(np.asarray(matrix, dtype=np.float64)).T)[:, :2]
    except np.linalg.LinAlgError as error:
        raise InputError("the recipe names no part of a photograph", "name the result itself") from error
    return crop_quad(image, quad, output_size=output_size, transform_size=4 * output_size).crop


def crop_quad(
    image: NDArray[np.uint8], photo_quad: NDArray[np.float64], *, output_size: int, transform_size: int
) -> AlignedFace:
    """The square crop between four corners (4, 2), as FFHQ was cut: shrunk first, mirrored beyond the borders."""
    check_shape(image, (None, None, 3), "photograph")
    if output_size < 1:
        raise ShapeError(f"crop size is {output_size}, expected at least 1", "use 64 or more")
    quad = photo_quad.copy()
    qsize = math.hypot(*(quad[3] - quad[0]))
    picture = Image.fromarray(np.ascontiguousarray(image))
    matrix = np.eye(3)

    factor = math.floor(qsize / output_size * 0.5)
    if factor > 1:
        picture, step = _shrink(picture, factor)
        matrix = step @ matrix
        quad /= factor
        qsize /= factor
    picture, origin = _crop(picture, quad, qsize)
    quad -= origin
    matrix = _shift(-origin) @ matrix
    picture, margin = _pad(picture, quad, qsize)
    quad += margin
    matrix = _shift(margin) @ matrix

    crop = picture.transform(
        (transform_size, transform_size),
        Image.Transform.QUAD,
        tuple((quad + 0.5).ravel()),
        Image.Resampling.BILINEAR,
    )
    if output_size < transform_size:
        crop = crop.resize((output_size, output_size), Image.Resampling.LANCZOS)
    return AlignedFace(crop=np.array(crop), matrix=_quad_matrix(quad, crop.width) @ matrix, quad=photo_quad)


def centre_crop(image: NDArray[np.uint8], *, output_size: int) -> AlignedFace:
    """The largest centred square, resized with antialiasing; the whole of a square picture."""
    check_shape(image, (None, None, 3), "photograph")
    height, width = image.shape[:2]
    side = min(width, height)
    x, y = (width - side) // 2, (height - side) // 2
    picture = Image.fromarray(np.ascontiguousarray(image[y : y + side, x : x + side]))
    if side != output_size:
        picture = picture.resize((output_size, output_size), Image.Resampling.LANCZOS)
    left, top, right, bottom = x - 0.5, y - 0.5, x + side - 0.5, y + side - 0.5
    quad = np.array([(left, top), (left, bottom), (right, bottom), (right, top)])
    return AlignedFace(crop=np.array(picture), matrix=_quad_matrix(quad, output_size), quad=quad)


def is_aligned(points: NDArray[np.float64], width: int, height: int) -> bool:
    """Whether a picture of that size is an FFHQ crop already: square, and its landmarks ask for the whole of it."""
    if abs(width - height) > SQUARE_LIMIT * max(width, height):
        return False
    quad = face_quad(np.asarray(points, dtype=np.float64))
    across = quad[3] - quad[0]
    shift = quad.mean(axis=0) - ((width - 1) / 2, (height - 1) / 2)
    scale = math.hypot(*across) / width
    turn = math.degrees(math.atan2(across[1], across[0]))
    return (
        math.hypot(*shift) <= SHIFT_LIMIT * width
        and 1 / SCALE_LIMIT <= scale <= SCALE_LIMIT
        and abs(turn) <= TURN_LIMIT
    )


def _quarter_turn(v: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([-v[1], v[0]])


def _shift(by: NDArray[np.float64]) -> Matrix:
    matrix = np.eye(3)
    matrix[:2, 2] = by
    return matrix


def _shrink(picture: Image.Image, factor: int) -> tuple[Image.Image, Matrix]:
    """Step 1. The matrix holds the true scale, which rounding the size makes a little different from ``factor``."""
    width, height = (max(round(side / factor), 1) for side in picture.size)
    x_scale, y_scale = width / picture.width, height / picture.height
    matrix = np.array(
        [[x_scale, 0.0, 0.5 * x_scale - 0.5], [0.0, y_scale, 0.5 * y_scale - 0.5], [0.0, 0.0, 1.0]], dtype=np.float64
    )
    return picture.resize((width, height), Image.Resampling.LANCZOS), matrix


def _bounds(quad: NDArray[np.float64]) -> tuple[int, int, int, int]:
    low, high = np.floor(quad.min(axis=0)), np.ceil(quad.max(axis=0))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _border(qsize: float) -> int:
    return max(round(qsize * 0.1), 3)


def _crop(picture: Image.Image, quad: NDArray[np.float64], qsize: float) -> tuple[Image.Image, NDArray[np.float64]]:
    """Step 2: the surroundings of the quad, and their upper left corner."""
    border = _border(qsize)
    left, top, right, bottom = _bounds(quad)
    box = (
        max(left - border, 0),
        max(top - border, 0),
        min(right + border, picture.width),
        min(bottom + border, picture.height),
    )
    if box[2] <= box[0] or box[3] <= box[1]:
        raise InputError("the face lies outside the photograph", "use another photograph, or --align never")
    return picture.crop(box), np.array(box[:2], dtype=np.float64)


def _pad(picture: Image.Image, quad: NDArray[np.float64], qsize: float) -> tuple[Image.Image, NDArray[np.float64]]:
    """Step 3: continue the picture by reflection where the quad leaves it, blurred outwards; the margin added."""
    border = _border(qsize)
    left, top, right, bottom = _bounds(quad)
    pads = [
        max(-left + border, 0),
        max(-top + border, 0),
        max(right - picture.width + border, 0),
        max(bottom - picture.height + border, 0),
    ]
    if max(pads) <= border - 4:
        return picture, np.zeros(2)
    left, top, right, bottom = (max(pad, round(qsize * 0.3)) for pad in pads)
    values = np.pad(np.asarray(picture, dtype=np.float32), ((top, bottom), (left, right), (0, 0)), "reflect")
    height, width = values.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        inside_x = np.minimum(x / np.float32(left), (width - 1 - x) / np.float32(right))
        inside_y = np.minimum(y / np.float32(top), (height - 1 - y) / np.float32(bottom))
        mask = np.nan_to_num(1.0 - np.minimum(inside_x, inside_y), nan=1.0)[:, :, None]
    values += (gaussian_blur(values, qsize * 0.02) - values) * np.clip(3.0 * mask + 1.0, 0.0, 1.0)
    values += (np.median(values, axis=(0, 1)) - values) * np.clip(mask, 0.0, 1.0)
    padded = Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    return padded, np.array([left, top], dtype=np.float64)


def gaussian_blur(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian blur of (H, W, C) in both directions: cut at four sigma, edges mirrored with the edge pixel repeated.

    By Fourier transform: at sigma 20 the kernel has 161 taps.
    """
    radius = int(4.0 * sigma + 0.5)
    if radius < 1:
        return values.copy()
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    out = np.empty_like(values)
    for channel in range(values.shape[2]):
        plane = values[:, :, channel].astype(np.float64)
        for _ in range(2):  # once along each axis, turning the picture in between
            plane = _blur_rows(plane, taps, radius).T
        out[:, :, channel] = plane
    return out


def _blur_rows(plane: NDArray[np.float64], taps: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    wide = np.pad(plane, ((0, 0), (radius, radius)), "symmetric")
    length = wide.shape[1]
    blurred: NDArray[np.float64] = np.fft.irfft(np.fft.rfft(wide, axis=1) * np.fft.rfft(taps, length), length, axis=1)
    return blurred[:, 2 * radius : 2 * radius + plane.shape[1]]


def _quad_matrix(quad: NDArray[np.float64], size: int) -> Matrix:
    """Matrix from pixels to those of the square of ``size`` whose outer corners the quad gives."""
    across, down = (quad[3] - quad[0]) / size, (quad[1] - quad[0]) / size
    to_photo = np.eye(3)
    to_photo[:2, 0], to_photo[:2, 1] = across, down
    to_photo[:2, 2] = quad[0] + 0.5 * across + 0.5 * down
    return np.asarray(np.linalg.inv(to_photo), dtype=np.float64)
