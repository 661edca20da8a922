"""Losses on pixels against sums written out by hand."""

from __future__ import annotations

import pytest
import torch

from pixel2style2pixel_cli.losses.pixel import gradient_l1, mse, pyramid_l1
from pixel2style2pixel_cli.losses.w_norm import w_norm


def test_mse_is_the_mean_over_all_elements() -> None:
    image, target = torch.tensor([[[[1.0, 0.0], [0.0, 3.0]]]]), torch.zeros(1, 1, 2, 2)
    assert float(mse(image, target)) == (1 + 9) / 4


def test_pyramid_is_the_mean_over_halvings() -> None:
    image, target = torch.randn(2, 3, 16, 16).double(), torch.randn(2, 3, 16, 16).double()
    levels = []
    for size in (16, 8, 4):
        step = 16 // size
        difference = (image - target).reshape(2, 3, size, step, size, step).mean(dim=(3, 5))
        levels.append(difference.abs().mean())
    torch.testing.assert_close(pyramid_l1(image, target, levels=3), sum(levels) / 3)


def test_pyramid_counts_a_wrong_average_at_every_level() -> None:
    image = torch.zeros(1, 3, 16, 16)
    torch.testing.assert_close(pyramid_l1(image + 0.25, image), torch.tensor(0.25))
    chequered = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1
    torch.testing.assert_close(pyramid_l1(image + chequered, image), torch.tensor(1 / 5))  # the finest level alone


def test_a_small_picture_has_fewer_levels() -> None:
    image, target = torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(pyramid_l1(image, target), pyramid_l1(image, target, levels=3))


def test_gradient_by_hand() -> None:
    image = torch.tensor([[[[0.0, 2.0], [1.0, 1.0]]]])
    across, down = (2 + 0) / 2, (1 + 1) / 2
    assert float(gradient_l1(image, torch.zeros(1, 1, 2, 2))) == across + down
    assert float(gradient_l1(image + 5, image)) == pytest.approx(0, abs=1e-6)


def test_w_norm_is_the_length_of_the_whole_code() -> None:
    offset = torch.zeros(2, 3, 4)
    offset[0, 0, 0], offset[0, 2, 1], offset[1, 1, 1] = 3, 4, 2
    assert float(w_norm(offset)) == (5 + 2) / 2
