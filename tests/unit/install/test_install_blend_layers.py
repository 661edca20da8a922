"""Blending two generators: which layer comes from which, at every resolution, and what lies between."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_zoo import GENERATOR
from torch import Tensor

from pixel2style2pixel_cli.errors import IntegrityError, UsageError
from pixel2style2pixel_cli.install.blend_layers import blend_generators, layer_resolution, look_share
from pixel2style2pixel_cli.networks.stylegan2 import Generator

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def pair() -> tuple[State, State]:
    """Two generators that differ in every number."""
    torch.manual_seed(0)
    states = []
    for _ in range(2):
        state = Generator(GENERATOR).state_dict()
        states.append({key: torch.randn_like(value) for key, value in state.items()})
    return states[0], states[1]


def swapped(structure: State, look: State, at: int) -> State:
    """The same by hand: modules of the second put in the place of the first's."""
    taken = [f"blocks.{i}." for i, size in enumerate(GENERATOR.resolutions[1:]) if size >= at]
    taken += [f"noise_{i}" for i, size in enumerate(GENERATOR.noise_sizes) if size >= at]
    taken += ["conv_first.", "to_rgb_first."] if at == 4 else []
    return {key: look[key] if key.startswith(tuple(taken)) else value for key, value in structure.items()}


@pytest.mark.parametrize("at", GENERATOR.resolutions)
def test_a_hard_switch_is_swapped_layers(pair: tuple[State, State], at: int) -> None:
    blended = blend_generators(*pair, GENERATOR, at)
    expected = swapped(*pair, at)
    assert blended.keys() == expected.keys()
    assert all(torch.equal(blended[key], value) for key, value in expected.items())
    for key, value in blended.items():
        if key.startswith(("mapping.", "constant", "latent_avg")):
            assert torch.equal(value, pair[0][key])
    Generator(GENERATOR).load_state_dict(blended, strict=True)


def test_every_tensor_has_its_resolution(pair: tuple[State, State]) -> None:
    for key, value in pair[0].items():
        size = layer_resolution(key, GENERATOR)
        if key.startswith("noise_"):
            assert size == value.shape[-1]
        assert (size is None) == key.startswith(("mapping.", "constant", "latent_avg"))


@pytest.mark.parametrize(
    ("width", "shares"), [(0, [0, 0, 1, 1]), (1, [0, 0.25, 0.75, 1]), (3, [0.125, 0.375, 0.625, 0.875])]
)
def test_a_width_mixes_the_weights_in_between(pair: tuple[State, State], width: float, shares: list[float]) -> None:
    assert [look_share(size, 16, width) for size in (4, 8, 16, 32)] == pytest.approx(shares)
    structure, look = pair
    blended = blend_generators(structure, look, GENERATOR, 16, width)
    for key, value in blended.items():
        size = layer_resolution(key, GENERATOR)
        share = 0.0 if size is None else shares[GENERATOR.resolutions.index(size)]
        if key.startswith("noise_"):  # half of two noises is a weaker noise
            share = float(share > 0.5)
        torch.testing.assert_close(value, (1 - share) * structure[key] + share * look[key])


def test_the_precision_of_the_files_is_kept(pair: tuple[State, State]) -> None:
    halves = [{key: value.half() for key, value in state.items()} for state in pair]
    for width in (0.0, 2.0):
        blended = blend_generators(halves[0], halves[1], GENERATOR, 16, width)
        assert {value.dtype for value in blended.values()} == {torch.float16}
    assert blend_generators(halves[0], pair[1], GENERATOR, 16, 2.0)["blocks.0.conv.conv.weight"].dtype == torch.float32


def test_what_cannot_be_blended(pair: tuple[State, State]) -> None:
    with pytest.raises(UsageError, match="no layers at 12 px") as caught:
        blend_generators(*pair, GENERATOR, 12)
    assert "4, 8, 16, 32" in caught.value.hint
    for width in (-0.5, math.nan, math.inf):
        with pytest.raises(UsageError, match="expected 0 or more"):
            blend_generators(*pair, GENERATOR, 16, width)
    short = {key: value for key, value in pair[1].items() if key != "constant"}
    with pytest.raises(IntegrityError, match="only one of the two generators has constant"):
        blend_generators(pair[0], short, GENERATOR, 16)
