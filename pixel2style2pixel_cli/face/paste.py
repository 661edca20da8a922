"""A changed crop back into its photograph: inverse of the alignment, feathered mask, colours matched."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixel2style2pixel_cli.errors import ShapeError, check_shape

Pixels = NDArray[np.uint8]
Values = NDArray[np.floating[Any]]
Box = tuple[int, int, int, int]

# In shares of the crop, on the FFHQ template: an oval around face and hair. Background, which a generator invents, is
# left to the photograph as far as possible.
MASK_CENTRE, MASK_RADII, FEATHER = (0.5, 0.52), (0.44, 0.46), 0.30
# Skin between brows and chin: what the colours are matched on. Hair and background may really have changed.
SKIN_CENTRE, SKIN_RADII = (0.5, 0.62), (0.20, 0.24)
GAIN_LIMIT = 1.25
COMPARED_SIDE = 32
MOST_SAMPLES = 3


def paste_face(
    photo: Pixels,
    face: Pixels,
    matrix: NDArray[np.float64],
    *,
    crop_size: int,
    original_crop: Pixels | None = None,
    match_colours: bool = True,
) -> Pixels:
    """The photograph with ``face`` in place of the crop it was aligned to; outside the mask not a bit changes.

    photo: uint8 (H, W, 3). face: uint8 (s, s, 3) of any size. matrix: 3 x 3 photo pixel -> pixel of a crop of
    ``crop_size``. original_crop: the crop before the change, whose skin colours are matched; taken from the photograph
    when absent.
    """
    check_shape(photo, (None, None, 3), "photograph")
    check_shape(matrix, (3, 3), "alignment matrix")
    check_shape(face, (face.shape[0], face.shape[0], 3), "face")
    if crop_size < 1 or face.shape[0] < 1:
        raise ShapeError(f"crop size {crop_size} and face size {face.shape[0]}, expected at least 1", "align first")
    to_unit = _to_unit(np.asarray(matrix, dtype=np.float64), crop_size)
    if not (np.isfinite(to_unit).all() and abs(np.linalg.det(to_unit)) > 1e-12):
        raise ShapeError("the alignment matrix cannot be inverted", "align the photograph again")
    box = _covered(to_unit, photo.shape[1], photo.shape[0])
    if box is None:
        return photo.copy()
    left, top, right, bottom = box
    region = photo[top:bottom, left:right].astype(np.float32)
    values = _warp(face, to_unit, box)
    if match_colours:
        before = region if original_crop is None else _warp(original_crop, to_unit, box)
        gain, offset = _colour_match(values, before, to_unit, box)
        values = values * gain + offset
    mask = _mask(to_unit, box)[:, :, None]
    blended = np.clip(np.rint(region + (values - region) * mask), 0, 255).astype(np.uint8)
    result = photo.copy()
    result[top:bottom, left:right] = np.where(mask > 0.0, blended, photo[top:bottom, left:right])
    return result


def _to_unit(matrix: NDArray[np.float64], crop_size: int) -> NDArray[np.float64]:
    """Photo pixels to the unit square of the crop, which is the same for every size of face."""
    scale = np.diag([1.0 / crop_size, 1.0 / crop_size, 1.0])
    half = np.eye(3)
    half[:2, 2] = 0.5
    return scale @ half @ matrix


def _covered(to_unit: NDArray[np.float64], width: int, height: int) -> Box | None:
    """The part of the photograph the crop lies on: left, top, right, bottom; None when it lies outside."""
    corners = np.linalg.inv(to_unit) @ np.array([[0.0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 1, 1]])
    low, high = np.floor(corners[:2].min(axis=1)), np.ceil(corners[:2].max(axis=1)) + 1
    left, top = max(int(low[0]), 0), max(int(low[1]), 0)
    right, bottom = min(int(high[0]), width), min(int(high[1]), height)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _coordinates(to_unit: NDArray[np.float64], x: Values, y: Values) -> tuple[Values, Values]:
    """Where photo pixels of these columns and rows lie in the unit square of the crop."""
    rows = y[:, None]
    u = to_unit[0, 0] * x + to_unit[0, 1] * rows + to_unit[0, 2]
    v = to_unit[1, 0] * x + to_unit[1, 1] * rows + to_unit[1, 2]
    return u, v


def _mask(to_unit: NDArray[np.float64], box: Box) -> Values:
    """1 inside the oval, falling smoothly to 0 before the edge of the crop; at the resolution of the photograph."""
    left, top, right, bottom = box
    u, v = _coordinates(to_unit, np.arange(left, right, dtype=np.float64), np.arange(top, bottom, dtype=np.float64))
    # exponent 3: between an ellipse, which cuts the hair, and a square, which shows its corners
    distance = (
        np.abs((u - MASK_CENTRE[0]) / MASK_RADII[0]) ** 3 + np.abs((v - MASK_CENTRE[1]) / MASK_RADII[1]) ** 3
    ) ** (1 / 3)
    t = np.clip((1.0 - distance) / FEATHER, 0.0, 1.0)
    result: Values = t * t * (3.0 - 2.0 * t)
    return result


def _warp(face: Pixels, to_unit: NDArray[np.float64], box: Box) -> Values:
    """The face as it lies on ``box`` of the photograph."""
    side = face.shape[0]
    photo_side = 1.0 / math.sqrt(abs(np.linalg.det(to_unit[:2, :2])))
    # Where the face has more pixels than the photograph, several samples are averaged for each of the photograph's.
    samples = min(max(round(side / photo_side), 1), MOST_SAMPLES)
    picture = Image.fromarray(np.ascontiguousarray(face))
    if samples * photo_side < side:
        side = max(round(samples * photo_side), 1)
        picture = picture.resize((side, side), Image.Resampling.LANCZOS)
    left, top, right, bottom = box
    # Pillow counts from the outer corner of the first pixel, the matrix from its centre
    to_photo = np.diag([1.0 / samples, 1.0 / samples, 1.0])
    to_photo[:2, 2] = (left - 0.5, top - 0.5)
    affine = (np.diag([side, side, 1.0]) @ to_unit @ to_photo)[:2].ravel()
    size = (samples * (right - left), samples * (bottom - top))
    # in floating point: on bytes Pillow cuts fractions off, which darkens the face by half a level
    planes = [
        plane.convert("F").transform(size, Image.Transform.AFFINE, tuple(affine), Image.Resampling.BICUBIC)
        for plane in picture.split()
    ]
    return np.stack([np.asarray(plane.reduce(samples)) for plane in planes], axis=2)


def _colour_match(face: Values, before: Values, to_unit: NDArray[np.float64], box: Box) -> tuple[Values, Values]:
    """Per channel the gain and offset that give the skin of ``face`` the mean and spread it had ``before``.

    Compared on block means, so that a face of few pixels is not taken for one of little contrast.
    """
    photo_side = 1.0 / math.sqrt(abs(np.linalg.det(to_unit[:2, :2])))
    block = max(round(photo_side / COMPARED_SIDE), 1)
    height, width = face.shape[0] // block, face.shape[1] // block
    x, y = (start + (np.arange(count) + 0.5) * block - 0.5 for start, count in ((box[0], width), (box[1], height)))
    u, v = _coordinates(to_unit, x, y)
    skin = ((u - SKIN_CENTRE[0]) / SKIN_RADII[0]) ** 2 + ((v - SKIN_CENTRE[1]) / SKIN_RADII[1]) ** 2 <= 1.0
    if not skin.any():
        return np.ones(3), np.zeros(3)
    now, then = (
        values[: height * block, : width * block].reshape(height, block, width, block, 3).mean(axis=(1, 3))[skin]
        for values in (face, before)
    )
    # one grey level keeps a flat picture from being stretched
    gain = np.clip((then.std(axis=0) + 1.0) / (now.std(axis=0) + 1.0), 1.0 / GAIN_LIMIT, GAIN_LIMIT)
    return gain, then.mean(axis=0) - gain * now.mean(axis=0)
