"""Descent: the best is kept, pictures end by themselves, and nothing that stops it early loses what was found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.fitting.search import FEWEST, Pace, is_flat, search


def start(batch: int = 2) -> list[Tensor]:
    return [torch.linspace(1.0, 2.0, batch * 3, dtype=torch.float64).view(batch, 3)]


def bowl(free: Sequence[Tensor]) -> Tensor:
    return free[0].square().sum(dim=1) + 1


def test_it_is_adam_until_the_fall() -> None:
    """As many steps as torch's own, whose last are evaluated too; the fall is what ours adds."""
    steps = 8
    found = search(start(), bowl, Pace(steps=steps, rate=0.1, until_flat=False))
    theirs = start()[0].requires_grad_(True)
    optimiser = torch.optim.Adam([theirs], lr=0.1)
    for _ in range(6):
        optimiser.zero_grad()
        bowl([theirs]).sum().backward()
        optimiser.step()
    assert found.history[6] == pytest.approx(bowl([theirs]).tolist(), rel=1e-12)
    assert found.losses == pytest.approx(bowl(found.best).tolist()) and found.steps == [steps] * 2
    moved = [found.history[i][0] - found.history[i + 1][0] for i in range(steps - 1)]
    assert moved[-1] < 0.8 * moved[0]


def test_the_best_is_kept_not_the_last() -> None:
    found = search([torch.zeros(1, 1)], lambda free: (free[0][:, 0] - 0.05).abs(), Pace(steps=30, rate=0.2))
    assert found.losses[0] == min(losses[0] for losses in found.history) <= 0.051
    assert float((found.best[0] - 0.05).abs()) == pytest.approx(found.losses[0])


def test_a_picture_ends_when_its_loss_is_flat_whatever_the_others_do() -> None:
    def two(free: Sequence[Tensor]) -> Tensor:
        """The first is at its lowest already, the second has far to go."""
        return torch.stack([free[0][0].square().sum() * 0 + 1, (free[0][1] - 90).square().sum() + 1])

    both = search([torch.zeros(2, 1)], two, Pace(steps=400, rate=0.1))
    assert both.steps[0] < FEWEST * 1.5 and both.steps[1] == 400
    alone = search([torch.zeros(1, 1)], lambda free: (free[0] - 90).square().sum(dim=1) + 1, Pace(steps=400, rate=0.1))
    assert torch.equal(both.best[0][1:], alone.best[0])
    patient = search([torch.zeros(2, 1)], two, Pace(steps=400, rate=0.1, until_flat=False))
    assert patient.steps == [400, 400]


def test_flat_is_a_fall_of_less_than_a_hundredth() -> None:
    assert is_flat([1.0] * 10) and is_flat([1 + 0.0005 * (i % 2) for i in range(20)])
    assert is_flat([1 - 0.0009 * i for i in range(10)]) and not is_flat([1 - 0.002 * i for i in range(10)])
    assert is_flat([1 + 0.1 * i for i in range(10)])


def test_an_interrupt_keeps_the_best() -> None:
    told: list[int] = []

    def stop(step: int, loss: float) -> None:
        told.append(step)
        if step == 5:
            raise KeyboardInterrupt

    found = search(start(), bowl, Pace(steps=50, rate=0.1), on_step=stop)
    assert found.interrupted and told == [1, 2, 3, 4, 5] and len(found.history) == 5
    assert found.losses == pytest.approx(found.history[-1]) and found.losses[0] < float(bowl(start())[0])


def test_what_is_not_a_number_ends_only_its_own_picture() -> None:
    def broken(free: Sequence[Tensor]) -> Tensor:
        return bowl(free) * torch.tensor([1.0, float("nan")]).double()

    with pytest.raises(InputError, match="not a number"):
        search(start(), broken, Pace(steps=3, rate=0.1))

    def later(free: Sequence[Tensor]) -> Tensor:
        """The second picture has no loss any more once it has come far enough."""
        return torch.where(free[0][:, 0] > 1.1, bowl(free), torch.where(torch.arange(2) == 0, bowl(free), torch.nan))

    found = search(start(), later, Pace(steps=40, rate=0.1))
    assert torch.isfinite(found.best[0]).all() and found.losses[0] < found.history[0][0]


def test_no_step_is_the_start_itself() -> None:
    found = search(start(), bowl, Pace(steps=0, rate=0.1))
    assert torch.equal(found.best[0], start()[0]) and found.steps == [0, 0]


def test_settle_puts_the_variables_right_after_each_step() -> None:
    def hold(free: Sequence[Tensor]) -> None:
        free[0].clamp_(min=0.9)

    found = search(start(), bowl, Pace(steps=40, rate=0.2), settle=hold)
    assert float(found.best[0].min()) == pytest.approx(0.9)
