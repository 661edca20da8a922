"""The discriminator: minibatch deviation, features, group sizes, nonsense refused. Counts are in the parity tests."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pixel2style2pixel_cli.errors import ShapeError, UsageError
from pixel2style2pixel_cli.networks.discriminator import Discriminator, minibatch_stddev
from pixel2style2pixel_cli.networks.specs import DiscriminatorSpec

SPEC = DiscriminatorSpec(resolution=16, channel_multiplier=1 / 64, channel_max=8)


def test_minibatch_deviation_by_hand() -> None:
    x = torch.randn(8, 3, 2, 2).double()
    out = minibatch_stddev(x)
    assert out.shape == (8, 4, 2, 2) and torch.equal(out[:, :3], x)
    for first in (0, 1):  # groups take every second picture
        group = x[first::2]
        expected = (group.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
        torch.testing.assert_close(out[first::2, 3], expected.expand(4, 2, 2))


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 8])
def test_scores_have_one_number_a_picture(batch: int) -> None:
    assert Discriminator(SPEC)(torch.randn(batch, 3, 16, 16)).shape == (batch, 1)


def test_a_batch_that_makes_no_groups_is_refused() -> None:
    with pytest.raises(ShapeError, match="batch is 6, expected a multiple of 4"):
        Discriminator(SPEC)(torch.zeros(6, 3, 16, 16))


def test_features_go_down_to_four_pixels() -> None:
    features = Discriminator(SPEC).features(torch.randn(2, 3, 16, 16))
    assert [tuple(f.shape) for f in features] == [(2, 8, 8, 8), (2, 8, 4, 4)]


def test_wrong_pictures_are_refused() -> None:
    with pytest.raises(ShapeError, match="image has shape 1x3x32x32, expected anyx3x16x16"):
        Discriminator(SPEC)(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(
    ("values", "message"),
    [({"resolution": 48}, "power of two"), ({"resolution": 256, "channel_multiplier": 0.01}, "no channels left")],
)
def test_nonsense_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DiscriminatorSpec(**values)
