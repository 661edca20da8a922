"""Codes found by optimisation: closer, each picture by itself, the generator untouched."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.fitting.embed import embed, reconstruction_loss
from pixel2style2pixel_cli.networks.specs import GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator

SPEC = GeneratorSpec(resolution=16, style_dim=8, z_dim=8, channel_multiplier=1 / 32, channel_max=16, mapping_layers=1)


@pytest.fixture
def generator() -> Generator:
    """In float64: a batch adds up in another order than its pictures alone, and Adam enlarges the difference."""
    torch.manual_seed(0)
    return Generator(SPEC).double().requires_grad_(False).eval()


@pytest.fixture
def targets(generator: Generator) -> Tensor:
    return generator(torch.randn(2, SPEC.n_styles, SPEC.style_dim).double()) * 0.3


def start(count: int) -> Tensor:
    return torch.zeros(count, SPEC.n_styles, SPEC.style_dim).double()


def test_the_loss_falls(generator: Generator, targets: Tensor) -> None:
    losses = [
        float(reconstruction_loss(generator(embed(generator, targets, start(2), steps=steps)), targets))
        for steps in (0, 10, 40)
    ]
    assert losses[2] < losses[1] < losses[0]
    assert losses[2] < 0.8 * losses[0]


def test_a_batch_gives_the_codes_its_pictures_give_alone(generator: Generator, targets: Tensor) -> None:
    together = embed(generator, targets, start(2), steps=20)
    for i in range(2):
        alone = embed(generator, targets[i : i + 1], start(1), steps=20)
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-7, atol=1e-8)


def test_generator_and_start_stay_as_they_are(generator: Generator, targets: Tensor) -> None:
    before, first = copy.deepcopy(generator.state_dict()), start(2)
    codes = embed(generator, targets, first, steps=3)
    assert all(torch.equal(value, before[key]) for key, value in generator.state_dict().items())
    assert all(parameter.grad is None for parameter in generator.parameters())
    assert torch.equal(first, start(2)) and not codes.requires_grad


def test_every_step_is_told(generator: Generator, targets: Tensor) -> None:
    told: list[int] = []
    embed(generator, targets, start(2), steps=3, on_step=told.append)
    assert told == [1, 2, 3]


def test_no_step_is_the_start_itself(generator: Generator, targets: Tensor) -> None:
    assert torch.equal(embed(generator, targets, start(2) + 1, steps=0), start(2) + 1)


def test_rate_falls_to_a_tenth_for_the_last_tenth(generator: Generator, targets: Tensor) -> None:
    """Adam moves each number by the rate in the first step, whatever the gradient; later by about as much."""
    moved = [embed(generator, targets, start(2), steps=steps, learning_rate=0.01) for steps in (1, 9, 10)]
    assert float(moved[0].abs().max()) == pytest.approx(0.01, rel=1e-3)
    last = (moved[2] - moved[1]).abs().max()
    assert float(last) < 0.0025


@pytest.mark.parametrize("size", [8, 64])
def test_targets_of_another_size_are_met_at_the_smaller_one(generator: Generator, size: int) -> None:
    target = torch.rand(1, 3, size, size).double() * 0.2
    drawn = generator(embed(generator, target, start(1), steps=20))
    side = min(size, SPEC.resolution)

    def error(image: Tensor) -> float:
        return float(F.mse_loss(F.adaptive_avg_pool2d(image, side), F.adaptive_avg_pool2d(target, side)))

    assert error(drawn) < 0.8 * error(generator(start(1)))


def test_comparing_at_a_smaller_size_is_comparing_with_a_smaller_target(generator: Generator, targets: Tensor) -> None:
    """Every row gets the gradient of the whole picture, reduced by averages: not that of a smaller generator."""
    small = F.avg_pool2d(targets, 2)
    found = embed(generator, targets, start(2), steps=12, size=8)
    torch.testing.assert_close(found, embed(generator, small, start(2), steps=12), rtol=1e-9, atol=1e-12)
    codes = start(2).requires_grad_(True)
    loss = sum(
        reconstruction_loss(F.avg_pool2d(generator(code[None]), 2), want[None])
        for code, want in zip(codes, small, strict=True)
    )
    (slope,) = torch.autograd.grad(loss, codes)
    assert (slope.abs().sum(dim=(0, 2)) > 0).all()  # the last rows too, though what they add is mostly averaged out
    torch.testing.assert_close(
        embed(generator, targets, start(2), steps=1, size=8), -0.01 * slope.sign(), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("size", [None, 16, 64])
def test_no_size_and_a_larger_one_compare_whole_pictures(
    generator: Generator, targets: Tensor, size: int | None
) -> None:
    whole = embed(generator, targets, start(2), steps=5)
    assert torch.equal(embed(generator, targets, start(2), steps=5, size=size), whole)
    assert not torch.equal(embed(generator, targets, start(2), steps=5, size=8), whole)


def test_the_last_steps_compare_whole_pictures(generator: Generator, targets: Tensor) -> None:
    """What counts, the loss of whole pictures, is smaller with some at the end than without them; with them alone it is
    as without a size.
    """
    losses = []
    for last in (0, 15):
        codes = embed(generator, targets, start(2), steps=30, size=4, whole_steps=last, learning_rate=0.05)
        losses.append(float(reconstruction_loss(generator(codes), targets)))
    assert losses[1] < 0.97 * losses[0]
    alone = embed(generator, targets, start(2), steps=5, size=4, whole_steps=5)
    assert torch.equal(alone, embed(generator, targets, start(2), steps=5))


def test_works_inside_and_on_the_results_of_inference_mode(generator: Generator, targets: Tensor) -> None:
    with torch.inference_mode():
        first = start(2) + 0.1
    assert torch.isfinite(embed(generator, targets, first, steps=2)).all()
