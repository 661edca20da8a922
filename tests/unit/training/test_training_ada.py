"""Adaptive discriminator augmentation: what it leaves alone, what it changes, how its strength moves."""

from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path

import pytest
import torch
from tiny_runs import ADVERSARIAL, AUTOENCODER, CPU, SIDE

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.training.ada import AdaptiveAugment, change_colours, change_geometry
from pixel2style2pixel_cli.training.config import AdaptiveAugmentation
from pixel2style2pixel_cli.training.data import PictureSource, training_batches
from pixel2style2pixel_cli.training.generator import GeneratorTrainer


def picture(batch: int = 4, side: int = 16) -> torch.Tensor:
    """Smooth pictures in [-1, 1] without any symmetry."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    return torch.stack([x, 0.5 * y + 0.3 * x, x * y])[None].repeat(batch, 1, 1, 1)


def test_nothing_happens_at_probability_zero() -> None:
    image = picture()
    torch.manual_seed(0)
    torch.testing.assert_close(change_geometry(image, 0.0), image, atol=1e-5, rtol=0)
    torch.testing.assert_close(change_colours(image, 0.0), image, atol=1e-6, rtol=0)


def test_every_picture_is_changed_in_its_own_way_at_probability_one() -> None:
    torch.manual_seed(0)
    for change in (change_geometry, change_colours):
        changed = change(picture(), 1.0)
        assert changed.shape == (4, 3, 16, 16)
        distances = torch.pdist(changed.flatten(1))
        assert float(distances.min()) > 0.5, change.__name__


def test_greys_stay_grey() -> None:
    torch.manual_seed(0)
    changed = change_colours(torch.linspace(-1, 1, 256).view(1, 1, 16, 16).repeat(8, 3, 1, 1), 1.0)
    assert float((changed - changed.mean(dim=1, keepdim=True)).abs().max()) < 1e-4


def test_gradients_reach_the_picture() -> None:
    torch.manual_seed(0)
    image = picture().requires_grad_()
    (gradient,) = torch.autograd.grad(change_colours(change_geometry(image, 0.8), 0.8).square().sum(), image)
    assert bool(torch.isfinite(gradient).all()) and float(gradient.abs().sum()) > 0


@pytest.mark.parametrize(("score", "p"), [(1.0, 0.16), (-1.0, 0.0)])
def test_p_rises_while_real_pictures_are_recognised_too_surely(score: float, p: float) -> None:
    augment = AdaptiveAugment(AdaptiveAugmentation(images=100, every=2), CPU)
    for step in range(4):
        augment.follow(torch.full((4, 1), score))
        assert float(augment.p) == pytest.approx(p * ((step + 1) // 2) / 2)


def test_p_stays_between_zero_and_one_and_travels_with_a_checkpoint() -> None:
    augment = AdaptiveAugment(AdaptiveAugmentation(images=10, every=1), CPU)
    for _ in range(5):
        augment.follow(torch.ones(4, 1))
    assert float(augment.p) == 1.0
    other = AdaptiveAugment(augment.config, CPU)
    other.load_state(augment.state())
    assert float(other.p) == 1.0


def test_a_run_with_adaptive_augmentation_learns_and_logs_its_strength(discs: Path) -> None:
    config = dataclasses.replace(ADVERSARIAL, ada=AdaptiveAugmentation(images=40, every=1))
    torch.manual_seed(0)
    trainer = GeneratorTrainer(config, CPU)
    batches = islice(training_batches(PictureSource([discs], SIDE), batch=4, seed=0, start=0, held_out=4, flip=True), 6)
    logs = [trainer.step(batch, step) for step, batch in enumerate(batches)]
    assert all(0 <= log["ada_p"] <= 1 for log in logs)
    assert {log["ada_p"] for log in logs} != {0.0}
    assert trainer.extra().keys() == {"path_mean", "ada_p", "ada_signs", "ada_steps"}


def test_without_an_adversarial_loss_it_is_refused() -> None:
    with pytest.raises(UsageError, match="ada"):
        dataclasses.replace(AUTOENCODER, ada=AdaptiveAugmentation())
