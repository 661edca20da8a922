"""Line drawings: made from photographs, read from scans, varied for training. Dark lines on white throughout."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from pixel2style2pixel_cli.errors import InputError, check_shape

# Limits of reading, measured on drawings, synthetic scans and photographs of faces.
_OVERVIEW = 256  # side of the picture that everything is judged on; shares below are of its pixels
_WORKING = 1024  # side at which scans are cleaned
# Tint beyond that of the paper, and how much of it a drawing may have: blue pen 5 %, photographs 30 to 90 %.
_COLOUR, _COLOUR_SHARE = 0.15, 0.2
_INK = 30.0  # grey levels by which ink differs from paper
_BOTH_SIDES = 0.04  # drawings differ from their paper to one side (other side: below 1 %), photographs to both (6 %)
# Pixels that count as white, the darkest corner of white paper, and how much white there is: what a screen or
# ``sketchify`` has drawn needs no cleaning.
_WHITE, _WHITE_PAPER, _WHITE_SHARE = 250, 215, 0.1
_GRAINS, _MOST_GRAIN = 2.5, 0.04  # standard deviations of grain that count as paper; stronger grain is shading
_FAINTEST_LINE, _EMPTY_SHARE, _LEAST_PAPER = 20, 0.002, 0.1
_DARKEST = 0.5  # per cent of the pixels that are taken for the darkest ink
# How dark that ink is made on a scan, and in a drawing whose lines nearly vanish in the reduction.
_PENCIL_INK, _LOST_INK, _MOST_GAIN = 24, 176, 4.0


def sketchify(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A line drawing of a photograph, uint8 (H, W), as the published training data were begun (methods.md 4.5).

    photo: uint8 (H, W, 3). Grey; Gaussian blur 3 x 3; on the image and on its negative the 3 x 3 Sobel derivatives in x
    and y, 8 bits each, joined by bitwise or; 0.75 of one plus 0.75 of the other; inverted. Left out: the network that
    simplified the published drawings afterwards, so these have more and softer lines.
    """
    check_shape(photo, (None, None, 3), "photo")
    grey = np.array(Image.fromarray(np.ascontiguousarray(photo)).convert("L")).astype(np.int32)
    blurred = (_weighted(_weighted(grey, (1, 2, 1), 0), (1, 2, 1), 1) + 8) >> 4
    across = _weighted(_weighted(blurred, (1, 2, 1), 0), (-1, 0, 1), 1)
    down = _weighted(_weighted(blurred, (1, 2, 1), 1), (-1, 0, 1), 0)
    edges = [np.clip(sign * down, 0, 255) | np.clip(sign * across, 0, 255) for sign in (1, -1)]
    return (255 - np.clip(np.rint(0.75 * edges[0] + 0.75 * edges[1]), 0, 255)).astype(np.uint8)


def resize_sketch(grey: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """One channel (H, W) to (size, size), bilinear with antialiasing: all the published code does to a sketch."""
    check_shape(grey, (None, None), "sketch")
    if grey.shape == (size, size):
        return grey
    return np.array(Image.fromarray(grey).resize((size, size), Image.Resampling.BILINEAR))


def read_sketch(pixels: NDArray[np.uint8], size: int, *, invert: bool, name: str) -> NDArray[np.uint8]:
    """The drawing in a picture or a scan as the encoder's channel: uint8 (size, size), dark lines on white.

    pixels: uint8 (H, H, 3); ``invert``: light lines on dark paper. A drawing on white becomes ``resize_sketch`` of its
    grey. On any other paper its shade, its tint and uneven light are taken out first, grain becomes white and pencil
    is darkened. Lines so thin that the reduction would all but lose them are darkened in either case.
    Raises InputError for what is no drawing, is drawn in the other tones, is empty or is not square.
    """
    check_shape(pixels, (None, None, 3), "sketch")
    height, width = pixels.shape[:2]
    if height != width:
        raise InputError(
            f"{name} is {width} x {height}, expected a square sketch", "crop it to a square, or add white on two sides"
        )
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    overview = picture.resize((min(width, _OVERVIEW),) * 2, Image.Resampling.BOX)
    _check_colour(np.array(overview), name)
    grey, small = (np.array(image.convert("L")) for image in (picture, overview))
    if invert:
        grey, small = 255 - grey, 255 - small
    paper = _fit_paper(small.astype(np.float64))
    _check_tones(small - paper, invert, name)
    clean = paper.min() >= _WHITE_PAPER and (small >= _WHITE).mean() >= _WHITE_SHARE
    drawing = resize_sketch(grey if clean else _clean_scan(grey, paper), size)
    if not _EMPTY_SHARE <= float((drawing < _WHITE - _FAINTEST_LINE).mean()) <= 1 - _LEAST_PAPER:
        raise InputError(f"{name} is empty: no lines were found on it", "draw darker lines, or give another picture")
    return _darken(drawing, _LOST_INK)


def _check_colour(overview: NDArray[np.uint8], name: str) -> None:
    """Raise InputError for a picture in colours; those of paper and of a pen are allowed."""
    paper = np.median(overview.reshape(-1, 3), axis=0)
    light = paper.mean() > 127
    ratio = (overview if light else 255.0 - overview) / np.maximum(paper if light else 255.0 - paper, 1.0)
    share = float((np.ptp(ratio, axis=2) > _COLOUR).mean())
    if share > _COLOUR_SHARE:
        raise InputError(
            f"{name} is not a sketch: {share:.0%} of its pixels have colour",
            "give a line drawing; --sketchify makes one from a photograph",
        )


def _check_tones(difference: NDArray[np.float64], invert: bool, name: str) -> None:
    """Raise InputError unless the ink is darker than the paper; difference: grey levels above the paper, (H, W)."""
    dark, light = float((difference < -_INK).mean()), float((difference > _INK).mean())
    if min(dark, light) > _BOTH_SIDES:
        raise InputError(
            f"{name} is not a sketch: {dark:.0%} of it is darker and {light:.0%} lighter than its background, as in a "
            "photograph",
            "give a line drawing; --sketchify makes one from a photograph",
        )
    if light > max(dark, _EMPTY_SHARE):
        found, hint = ("dark lines on light", "leave out") if invert else ("light lines on dark", "use")
        raise InputError(
            f"{name} has {found} paper, expected {'light lines on dark' if invert else 'dark lines on light'}",
            f"{hint} --invert-sketch",
        )


def _fit_paper(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """The brightness of the paper, (H, W): a quadratic surface through what most pixels agree on.

    Least squares with weights: first least absolute deviation, which finds the paper whatever is drawn on it, then the
    pixels near the surface alone. So stiff a surface follows the light, and neither lines nor areas filled with ink.
    """
    terms = _surface_terms(*grey.shape)
    stride = max(1, max(grey.shape) // 64)
    picked, values = terms[::stride, ::stride].reshape(-1, terms.shape[-1]), grey[::stride, ::stride].reshape(-1)
    fitted = np.full(len(values), float(np.median(values)))
    coefficients = np.zeros(terms.shape[-1])
    for turn in range(20):
        distance = np.abs(values - fitted)
        weights = 1.0 / np.maximum(distance, 2.0) if turn < 12 else np.where(distance < 20.0, 1.0, 1e-6)
        scaled = picked * weights[:, None]
        ridge = 1e-6 * np.eye(terms.shape[-1])
        coefficients = np.linalg.solve(scaled.T @ picked + ridge, scaled.T @ values)
        fitted = np.asarray(picked @ coefficients)
    return np.asarray(np.clip(terms @ coefficients, 1.0, 255.0))


def _surface_terms(height: int, width: int) -> NDArray[np.float64]:
    """1, x, y, xx, xy, yy over a picture, each axis from -1 to 1: (H, W, 6)."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _clean_scan(grey: NDArray[np.uint8], paper: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Paper and its grain to white, pencil to nearly black; at most ``_WORKING`` pixels wide."""
    side = min(grey.shape[0], _WORKING)
    reduced = Image.fromarray(grey).resize((side, side), Image.Resampling.BOX)
    shade = Image.fromarray(paper.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    level = np.array(reduced, dtype=np.float32) / np.array(shade)
    plain = level[np.abs(level - 1.0) < 0.12]
    grain = 1.4826 * float(np.median(np.abs(plain - np.median(plain)))) if plain.size else 0.0
    flat = np.clip(level / (1.0 - _GRAINS * min(grain, _MOST_GRAIN)), 0.0, 1.0)
    return _darken(np.rint(255.0 * flat).astype(np.uint8), _PENCIL_INK)


def _darken(drawing: NDArray[np.uint8], ink: int) -> NDArray[np.uint8]:
    """Stretch the contrast below white so that the darkest lines reach ``ink``; a drawing that dark stays as it is."""
    darkest = float(np.percentile(drawing, _DARKEST))
    if darkest <= ink:
        return drawing
    gain = min((255.0 - ink) / max(255.0 - darkest, 1.0), _MOST_GAIN)
    level = 255.0 - gain * (255.0 - drawing.astype(np.float32))
    return np.asarray(np.rint(np.clip(level, 0.0, 255.0)), dtype=np.uint8)


def vary_sketch(sketch: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A sketch as somebody else might have drawn and scanned it, uint8 (H, W): training augmentation.

    Each at random: lines wider or narrower, parts rubbed out, soft focus, weak lines and shading left out (people draw
    fewer lines than ``sketchify``), other ink, grey or unevenly lit paper, grain.
    One in six stays as it is.
    """
    check_shape(sketch, (None, None), "sketch")
    if rng.random() < 1 / 6:
        return sketch
    if rng.random() < 0.6:
        change = _neighbourhood(sketch, np.minimum if rng.random() < 0.6 else np.maximum) - sketch.astype(np.float32)
        sketch = (sketch + np.float32(rng.uniform(0.2, 0.8)) * change).astype(np.uint8)
    image = Image.fromarray(sketch)
    if rng.random() < 0.4:
        _rub_out(image, rng)
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9)))
    ink = 1.0 - np.arange(256) / 255.0
    if rng.random() < 0.5:
        weakest = rng.uniform(0.05, 0.3)
        ink = np.maximum(ink - weakest, 0.0) / (1.0 - weakest)
    ink = ink ** rng.uniform(0.7, 1.4) * rng.uniform(0.45, 1.3)
    level = (1.0 - np.minimum(ink, 1.0)).astype(np.float32)[np.array(image)]
    if rng.random() < 0.5:
        level *= _paper(sketch.shape, rng)
    if rng.random() < 0.5:
        level += rng.standard_normal(level.shape, dtype=np.float32) * np.float32(rng.uniform(0.0, 0.04))
    return np.asarray(np.rint(255.0 * np.clip(level, 0.0, 1.0)), dtype=np.uint8)


def _neighbourhood(sketch: NDArray[np.uint8], choose: np.ufunc) -> NDArray[np.uint8]:
    """The least or the greatest of the 3 x 3 pixels around each pixel."""
    padded = np.pad(sketch, 1, mode="edge")
    rows = choose(choose(padded[:-2], padded[1:-1]), padded[2:])
    return np.asarray(choose(choose(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:]), dtype=np.uint8)


def _rub_out(image: Image.Image, rng: np.random.Generator) -> None:
    """Up to four short strokes of an eraser."""
    draw = ImageDraw.Draw(image)
    side = max(image.size)
    for _ in range(rng.integers(1, 5)):
        x, y, angle = rng.uniform(0, image.width), rng.uniform(0, image.height), rng.uniform(0, 2 * math.pi)
        length = rng.uniform(0.02, 0.15) * side
        end = (x + length * math.cos(angle), y + length * math.sin(angle))
        draw.line(((x, y), end), fill=255, width=max(1, round(rng.uniform(0.015, 0.05) * side)))


def _paper(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Paper of some grey, darker towards one side: (H, W), at most 1 and at least 0.7."""
    height, width = shape
    across, down = rng.uniform(0.0, 0.1, 2)
    x, y = np.linspace(0, across, width, dtype=np.float32), np.linspace(0, down, height, dtype=np.float32)[:, None]
    x, y = (x[::-1] if rng.random() < 0.5 else x), (y[::-1] if rng.random() < 0.5 else y)
    return np.asarray(np.float32(rng.uniform(0.9, 1.0)) - x - y, dtype=np.float32)


def _weighted(values: NDArray[np.int32], taps: tuple[int, int, int], axis: int) -> NDArray[np.int32]:
    """Three taps along one axis, edges reflected."""
    padding = [(1, 1) if a == axis else (0, 0) for a in (0, 1)]
    padded = np.pad(values, padding, mode="reflect" if values.shape[axis] > 1 else "edge")
    count = values.shape[axis]
    return np.asarray(sum(tap * padded.take(range(i, i + count), axis=axis) for i, tap in enumerate(taps)))
