"""Directions without labels: what makes one of them, on a generator of a few thousand numbers."""

from __future__ import annotations

import pytest
import torch
from tiny_zoo import GENERATOR, tiny_model

from pixel2style2pixel_cli.engine.directions import (
    deviation_along,
    draw_codes,
    modulation_weights,
    principal_directions,
    sefa_directions,
)
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.networks.stylegan2 import Generator


@pytest.fixture(scope="module")
def generator() -> Generator:
    made = Generator(GENERATOR)
    made.load_state_dict(tiny_model().generator)
    return made.eval()


def test_every_row_has_the_weight_of_the_layer_that_it_drives(generator: Generator) -> None:
    weights = modulation_weights(generator)
    assert len(weights) == GENERATOR.n_styles
    codes = torch.randn(1, GENERATOR.n_styles, GENERATOR.style_dim)
    for row, weight in enumerate(weights):
        seen: list[torch.Tensor] = []
        layer = next(m for m in generator.modules() if getattr(m, "weight", None) is not None and m.weight is not None
                     and m.weight.shape == weight.shape and torch.equal(m.weight, weight))  # fmt: skip
        handle = layer.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        generator(codes)
        handle.remove()
        assert torch.equal(seen[0], codes[:, row]), row


def test_sefa_moves_the_styles_more_than_any_other_direction(generator: Generator) -> None:
    rows = (2, 3)
    first, second, *_, last = sefa_directions(generator, rows, GENERATOR.style_dim)
    stacked = torch.cat([modulation_weights(generator)[row] for row in rows])
    stacked = stacked / stacked.norm(dim=1, keepdim=True)
    others = torch.randn(200, GENERATOR.style_dim, generator=torch.Generator().manual_seed(0))
    moved = (stacked @ (others / others.norm(dim=1, keepdim=True)).T).norm(dim=0)
    assert (stacked @ first).norm() > moved.max() and (stacked @ last).norm() < moved.min()
    assert abs(float(first @ second)) < 1e-5 and float(first.norm()) == pytest.approx(1, abs=1e-5)
    assert first[first.abs().argmax()] > 0  # whatever sign the eigenvector came with
    with pytest.raises(UsageError):
        sefa_directions(generator, (8,), 1)


def test_principal_axes_are_those_along_which_codes_vary_most(generator: Generator) -> None:
    codes = draw_codes(generator, 2000)
    assert torch.equal(codes[:1500], draw_codes(generator, 1500)), "the same faces however many are drawn"
    axes = principal_directions(codes, 4)
    spread = [float(deviation_along(axis, codes)) for axis in axes]
    assert spread == sorted(spread, reverse=True)
    assert spread[0] == pytest.approx(float(torch.linalg.svdvals(codes - codes.mean(dim=0))[0]) / 1999**0.5, rel=1e-4)
