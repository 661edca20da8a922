"""What the judge is shown: pictures and targets alike, of the stated strength, and with a gradient."""

from __future__ import annotations

import pytest
import torch

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.training.joint_config import Schedule, Shown
from pixel2style2pixel_cli.training.shown import draw_changes, gaussian_blur


def test_nothing_changes_at_strength_zero() -> None:
    image = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(draw_changes(Shown(shift=0.0), 3, 32, 0).put_on(image), image)


def test_a_picture_and_its_target_are_changed_alike() -> None:
    torch.manual_seed(0)
    changes = draw_changes(Shown(shift=0.25, cutout=0.25, colour=1.0), 4, 32, 0)
    image = torch.rand(4, 3, 32, 32)
    chosen = torch.tensor([2, 0])
    torch.testing.assert_close(changes.of(chosen).put_on(image[chosen]), changes.put_on(image)[chosen])


def test_shifts_stay_within_their_reach_and_holes_have_their_size() -> None:
    torch.manual_seed(0)
    changes = draw_changes(Shown(shift=0.125, cutout=0.5), 200, 32, 0)
    assert int(changes.shift_B2.abs().max()) == 4
    shown = changes.put_on(torch.ones(200, 3, 32, 32))
    empty = (shown[:, 0] == 0).sum(dim=(1, 2))
    assert int(empty.max()) == 16 * 16
    assert int(empty.min()) >= 8 * 8


def test_a_part_is_cut_at_one_place_from_a_picture_and_its_target() -> None:
    torch.manual_seed(0)
    changes = draw_changes(Shown(shift=0.0, crop=16), 50, 32, 0)
    ramp = torch.arange(32.0)
    image = (ramp[:, None] * 100 + ramp).expand(50, 1, 32, 32)
    shown = changes.put_on(image)
    assert shown.shape == (50, 1, 16, 16)
    corners = shown[:, 0, 0, 0]
    assert len(corners.unique()) > 40, "parts lie anywhere"
    torch.testing.assert_close(shown - corners.view(-1, 1, 1, 1), image[:, :, :16, :16])
    chosen = torch.tensor([4, 1])
    torch.testing.assert_close(changes.of(chosen).put_on(image[chosen]), shown[chosen])


def test_blur_fades_and_takes_away_detail() -> None:
    config = Shown(shift=0.0, blur=Schedule(start=2.0, end=0.0, images=100))
    noise = torch.randn(1, 3, 32, 32)
    deviations = [float(draw_changes(config, 1, 32, n).put_on(noise).std()) for n in (0, 50, 100)]
    assert deviations[0] < deviations[1] < deviations[2]
    assert deviations[2] == pytest.approx(float(noise.std()))
    torch.testing.assert_close(gaussian_blur(torch.ones(1, 3, 32, 32), 2.0), torch.ones(1, 3, 32, 32))


def test_a_gradient_reaches_the_picture() -> None:
    image = torch.rand(2, 3, 32, 32, requires_grad=True)
    config = Shown(shift=0.1, cutout=0.2, colour=0.5, blur=Schedule(start=1.0, end=1.0))
    torch.autograd.backward(draw_changes(config, 2, 32, 0).put_on(image).square().sum())
    assert image.grad is not None and bool(image.grad.isfinite().all()) and float(image.grad.abs().max()) > 0


def test_strengths_are_shares() -> None:
    with pytest.raises(UsageError, match=r"shown.cutout"):
        Shown(cutout=1.5)
