"""The degradation keeps size, place and plain areas; what cannot be reduced is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pixel2style2pixel_cli.errors import ShapeError, UsageError
from pixel2style2pixel_cli.inputs.lowres import FACTORS, degrade, reduce_bicubic

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)


def centre(image: np.ndarray) -> np.ndarray:
    """Where the brightness lies, (row, column)."""
    weight = image.astype(float).mean(axis=2)
    return np.array([(np.indices(weight.shape)[axis] * weight).sum() / weight.sum() for axis in (0, 1)])


@pytest.mark.parametrize("factor", [1, 2, 3, 7, 16, 32])
@pytest.mark.parametrize("level", [0, 1, 77, 254, 255])
def test_plain_pictures_keep_their_level(factor: int, level: int) -> None:
    assert (degrade(np.full((64, 64, 3), level, np.uint8), factor) == level).all()


def test_detail_falls_with_the_factor() -> None:
    detail = [np.abs(np.diff(degrade(NOISE, factor).astype(int), axis=1)).mean() for factor in FACTORS]
    assert all(more > 1.2 * less for more, less in itertools.pairwise(detail)), detail


@pytest.mark.parametrize("factor", [2, 5, 6, 10, 16, 24, 31])
def test_the_picture_keeps_its_place(factor: int) -> None:
    """Also where the factor does not divide the side; the published code would stretch by up to a factor."""
    disc = ((np.indices((128, 128)) - np.array([40, 95])[:, None, None]) ** 2).sum(axis=0) < 15**2
    picture = np.where(disc[:, :, None], 255, 0).astype(np.uint8).repeat(3, axis=2)
    shift = centre(degrade(picture, factor)) - centre(picture)
    assert np.abs(shift).max() < (1.3 if factor > 16 else 0.75), shift


def test_factor_one_is_the_published_half_pixel() -> None:
    """The kernel at four half-way places: -1/16, 9/16, 9/16, -1/16."""
    impulse = np.zeros((9, 9, 1))
    impulse[4, 4] = 1
    row = reduce_bicubic(impulse, 1)[:, :, 0].sum(axis=0)
    np.testing.assert_allclose(row, [0, 0, -1 / 16, 9 / 16, 9 / 16, -1 / 16, 0, 0, 0], atol=1e-12)


def test_channels_and_axes_are_independent() -> None:
    for order in ((1, 0, 2), (0, 1, 2)):
        turned = NOISE.transpose(order)[:, :, ::-1]
        expected = degrade(NOISE, 4).transpose(order)[:, :, ::-1].astype(int)
        assert np.abs(degrade(turned, 4) - expected).max() <= 1  # the enlargement rounds once for each axis


@pytest.mark.parametrize("factor", [0, -2, 33])
def test_other_factors_are_refused(factor: int) -> None:
    with pytest.raises(UsageError, match=f"reduction by {factor} is not possible, expected .* 1 to 32"):
        degrade(NOISE, factor)


def test_grey_is_refused() -> None:
    with pytest.raises(ShapeError, match="image has shape 64x64"):
        degrade(NOISE[:, :, 0], 2)
