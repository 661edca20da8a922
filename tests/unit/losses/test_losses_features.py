"""Feature distance, inner face, hinge, sliced distance and spectrum, each against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from pixel2style2pixel_cli.errors import ShapeError
from pixel2style2pixel_cli.losses.adversarial import hinge_fake_loss, hinge_generator_loss, hinge_real_loss
from pixel2style2pixel_cli.losses.features import feature_distance, inner_face
from pixel2style2pixel_cli.losses.pixel import pyramid_l1, pyramid_l1_each
from pixel2style2pixel_cli.losses.sliced import sliced_wasserstein
from pixel2style2pixel_cli.losses.spectrum import spectral_power, spectrum_ratio


def test_each_channel_counts_by_its_magnitude_in_the_target() -> None:
    target = torch.stack([torch.full((1, 2, 2), 1.0), torch.full((1, 2, 2), 100.0)], dim=1)
    wrong = target * torch.tensor([1.5, 1.5]).view(1, 2, 1, 1)
    deep = [torch.ones(1, 3, 1, 1), torch.ones(1, 3, 1, 1)]
    assert float(feature_distance([wrong], [target])) == pytest.approx(0.5, abs=1e-3)
    assert float(feature_distance([wrong, deep[0]], [target, deep[1]])) == pytest.approx(0.25, abs=1e-3)
    with pytest.raises(ShapeError):
        feature_distance([wrong], [target, target])


def test_no_gradient_flows_into_the_target() -> None:
    image, target = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 3, 4, 4, requires_grad=True)
    distances = feature_distance([image], [target])
    assert distances.shape == (2,)
    torch.autograd.backward(distances.sum())
    assert image.grad is not None and target.grad is None


def test_the_inner_face_is_the_middle_at_the_size_of_the_whole() -> None:
    rows = torch.linspace(-1, 1, 128).view(1, 1, 128, 1).expand(1, 3, 128, 128)
    face = inner_face(rows)
    assert face.shape == rows.shape
    assert float(face.min()) == pytest.approx(float(rows[0, 0, 36, 0]), abs=1e-5)
    assert float(face.max()) == pytest.approx(float(rows[0, 0, 107, 0]), abs=1e-5)


def test_the_hinge_asks_for_a_margin_and_no_more() -> None:
    sure, doubtful = torch.full((2, 1, 4, 4), 3.0), torch.full((2, 1, 2, 2), 0.5)
    assert float(hinge_real_loss([sure, doubtful])) == pytest.approx(0.25)
    assert float(hinge_fake_loss([-sure, doubtful])) == pytest.approx(0.75)
    assert hinge_generator_loss([sure, doubtful]).tolist() == pytest.approx([-3.5, -3.5])


def test_the_sliced_distance_sees_a_cloud_that_has_shrunk() -> None:
    torch.manual_seed(0)
    cloud = torch.randn(512, 8)
    assert float(sliced_wasserstein(cloud, cloud[torch.randperm(512)], 64)) == pytest.approx(0, abs=1e-10)
    # Sorted projections of half a cloud are half as long: a quarter of their variance, which is 1.
    assert float(sliced_wasserstein(cloud * 0.5, cloud, 256)) == pytest.approx(0.25, rel=0.1)


def test_a_wave_has_its_power_at_its_number_of_cycles() -> None:
    places = torch.arange(128) / 128
    wave = torch.cos(2 * math.pi * 16 * places).expand(1, 3, 128, 128)
    power = spectral_power(wave)
    assert int(power.argmax()) == 1
    assert float(power[1]) > 1e3 * float(power[0].clamp_min(1e-9))
    assert spectrum_ratio(wave * 0.5, wave)[1] == pytest.approx(0.25, rel=1e-4)


def test_the_pyramid_of_each_picture_averages_to_that_of_all() -> None:
    image, target = torch.randn(3, 3, 32, 32), torch.randn(3, 3, 32, 32)
    each = pyramid_l1_each(image, target, levels=4)
    assert each.shape == (3,)
    torch.testing.assert_close(each.mean(), pyramid_l1(image, target, levels=4))
