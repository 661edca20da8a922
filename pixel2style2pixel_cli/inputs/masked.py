"""Pictures with a hole: the mask read or drawn at random, the hole blanked, the filling joined to what is known."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFilter

from pixel2style2pixel_cli.errors import InputError, ShapeError, UsageError, check_shape

if TYPE_CHECKING:
    from scipy.sparse import csc_array

HOLE_GREY = 127  # nearest to 0 in [-1, 1]
# Grey levels that are neither black nor white, and how many of them the soft rim of a mask may have.
_MIDDLE = (64, 191)
_MIDDLE_SHARE = 0.10
# Share of a mask's visible pixels that the soft rim of a brush may have in the other tone.
_STRAY = 0.02
# Random masks leave at least 40 % of a picture to go by.
_COVER = (0.05, 0.60)

Mask = NDArray[np.bool_]


def read_mask(pixels: NDArray[np.uint8], *, name: str, alpha: NDArray[np.uint8] | None = None) -> Mask:
    """Where to fill, bool (H, W), from a black and white picture (H, W) or (H, W, 3): white is filled.

    ``alpha``, uint8 (H, W), is its transparency. Where all that can be seen is white, it is what was painted, and
    transparent is not filled; where all is black, the transparent parts are those cut out of it, and are filled.
    Raises InputError for a picture with more grey than the rim of a mask has, with transparency beside both black and
    white, and as ``check_mask``.
    """
    if pixels.ndim == 3:
        check_shape(pixels, (None, None, 3), "mask")
        pixels = np.array(Image.fromarray(np.ascontiguousarray(pixels)).convert("L"))
    check_shape(pixels, (None, None), "mask")
    if alpha is not None and (alpha < 255).any():
        pixels = _on_background(pixels, alpha, name)
    grey = float(((pixels >= _MIDDLE[0]) & (pixels <= _MIDDLE[1])).mean())
    if grey > _MIDDLE_SHARE:
        raise InputError(
            f"{name} is not a mask: {grey:.0%} of its pixels are neither black nor white",
            "paint what is to be filled white and everything else black",
        )
    mask = pixels >= 128
    check_mask(mask, name=name)
    return mask


def _on_background(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """A mask with transparent parts, laid on the opposite of what can be seen of it."""
    check_shape(alpha, pixels.shape, "alpha of the mask")
    seen = pixels[alpha >= 128]
    white = float((seen >= 128).mean()) if seen.size else 1.0
    if _STRAY < white < 1.0 - _STRAY:
        raise InputError(
            f"{name} has black, white and transparent parts, so it is not clear what is to be filled",
            "save it without transparency, white where it is to be filled",
        )
    opacity = alpha / np.float32(255)
    background = 0.0 if white > 0.5 else 255.0
    return np.asarray(np.rint(pixels * opacity + background * (1 - opacity)), dtype=np.uint8)


def check_mask(mask: Mask, *, name: str) -> None:
    """Raise InputError for a mask that covers nothing or everything."""
    if not mask.any():
        raise InputError(f"{name} covers nothing, so there is nothing to fill", "paint what is to be filled white")
    if mask.all():
        raise InputError(
            f"{name} covers the whole picture, so nothing of the face is known", "leave the known part black"
        )


def parse_colour(text: str) -> tuple[int, int, int]:
    """A colour from ``#ff00ff``, ``ff00ff`` or a CSS name such as ``magenta``; UsageError otherwise."""
    bare = text.strip()
    try:
        return ImageColor.getrgb(f"#{bare}" if re.fullmatch(r"[0-9a-fA-F]{6}", bare) else bare)[:3]
    except ValueError as error:
        raise UsageError(f"{text!r} is not a colour", "expected #rrggbb or a name such as magenta") from error


def mask_of_colour(photo: NDArray[np.uint8], colour: tuple[int, int, int], tolerance: int) -> Mask:
    """The pixels painted over with ``colour``, bool (H, W).

    photo: uint8 (H, W, 3). A pixel counts if no channel differs by more than ``tolerance`` levels; so do the eight
    pixels around it, where a soft brush has mixed the colour with the photograph.
    """
    check_shape(photo, (None, None, 3), "photo")
    difference = np.abs(photo.astype(np.int16) - np.array(colour, dtype=np.int16)).max(axis=2)
    painted = Image.fromarray((difference <= tolerance).astype(np.uint8))
    return np.array(painted.filter(ImageFilter.MaxFilter(3))) > 0


def blank(photo: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    """The photograph with a grey hole, and the hole as a fourth channel (255 inside): uint8 (H, W, 4)."""
    _check_pair(photo, mask)
    holed = np.where(mask[:, :, None], np.uint8(HOLE_GREY), photo)
    return np.concatenate([holed, np.where(mask, 255, 0).astype(np.uint8)[:, :, None]], axis=2)


def random_mask(size: int, rng: np.random.Generator) -> Mask:
    """A hole of brush strokes and boxes over 5 to 60 % of a picture, bool (size, size)."""
    least, most = _COVER
    wanted, cover = rng.uniform(least, 0.9 * most), 0.0
    canvas = Image.new("L", (size, size))
    while cover < wanted:
        grown = canvas.copy()
        draw = ImageDraw.Draw(grown)
        if rng.random() < 0.3:
            _draw_box(draw, size, rng)
        else:
            _draw_stroke(draw, size, rng)
        covered = grown.histogram()[1] / size**2
        if covered <= most:
            canvas, cover = grown, covered
    return np.array(canvas) > 0


def fill_seam(known: NDArray[np.uint8], drawn: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    """What is known outside the mask, untouched, and what was drawn inside, joined without an edge: uint8 (H, W, 3).

    The difference of the two pictures along the rim of the hole is spread over the hole as smoothly as can be and added
    to what was drawn: Poisson image editing (Perez, Gangnet and Blake, 2003). The pixels of ``known`` inside the hole,
    painted over or blank, take no part.
    """
    _check_pair(known, mask)
    _check_pair(drawn, mask)
    if not mask.any() or mask.all():
        return np.where(mask[:, :, None], drawn, known)
    rim = np.where(mask[:, :, None], 0.0, known.astype(np.float64) - drawn)
    joined = known.copy()
    joined[mask] = np.rint(np.clip(drawn[mask] + _spread(rim, mask), 0.0, 255.0)).astype(np.uint8)
    return joined


def _spread(values: NDArray[np.float64], mask: Mask) -> NDArray[np.float64]:
    """Values (n, C) for the n pixels of the mask, each the mean of the four around it: the Laplace equation.

    values: (H, W, C), of which those outside the mask are given.
    """
    from scipy.sparse.linalg import splu

    matrix, given = _laplace(values, mask)
    # For a symmetric matrix with a heavy diagonal this order takes a third of the time.
    solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return np.asarray(solver.solve(given))


def _laplace(values: NDArray[np.float64], mask: Mask) -> tuple[csc_array, NDArray[np.float64]]:
    """The matrix (n, n) of that equation and its right side (n, C); nothing lies beyond the edges of the picture."""
    from scipy.sparse import csc_array

    rows, columns = np.nonzero(mask)
    count = len(rows)
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(count)
    around, given = np.zeros(count), np.zeros((count, values.shape[2]))
    places, neighbours = [np.arange(count)], [np.arange(count)]
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        y, x = rows + down, columns + right
        inside = np.flatnonzero((y >= 0) & (y < mask.shape[0]) & (x >= 0) & (x < mask.shape[1]))
        around[inside] += 1
        y, x = y[inside], x[inside]
        open_ = mask[y, x]
        given[inside[~open_]] += values[y[~open_], x[~open_]]
        places.append(inside[open_])
        neighbours.append(number[y[open_], x[open_]])
    entries = np.concatenate([around, -np.ones(sum(map(len, places[1:])))])
    where = (np.concatenate(places), np.concatenate(neighbours))
    return csc_array((entries, where), shape=(count, count)), given


def _draw_box(draw: ImageDraw.ImageDraw, size: int, rng: np.random.Generator) -> None:
    wide, high = rng.uniform(0.1, 0.5, 2) * size
    left, top = rng.uniform(-0.1, 0.9, 2) * size
    draw.rectangle((left, top, left + wide, top + high), fill=1)


def _draw_stroke(draw: ImageDraw.ImageDraw, size: int, rng: np.random.Generator) -> None:
    """A brush led in arcs: each piece turns a little from the one before."""
    radius = rng.uniform(0.02, 0.09) * size
    x, y = rng.uniform(0.0, size, 2)
    heading = rng.uniform(0.0, 2 * math.pi)
    turns, lengths = rng.uniform(-0.9, 0.9, 8), rng.uniform(0.04, 0.15, 8) * size
    points = [(x, y)]
    for turn, length in zip(turns[: rng.integers(2, 9)], lengths, strict=False):
        heading += turn
        x, y = x + length * math.cos(heading), y + length * math.sin(heading)
        points.append((x, y))
    draw.line(points, fill=1, width=max(1, round(2 * radius)))
    for x, y in points:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)


def _check_pair(picture: NDArray[np.uint8], mask: Mask) -> None:
    check_shape(picture, (None, None, 3), "photo")
    if picture.shape[:2] != mask.shape:
        raise ShapeError(
            f"the mask has shape {'x'.join(map(str, mask.shape))}, expected {picture.shape[0]}x{picture.shape[1]}",
            "give a mask of the size of the photograph",
        )
