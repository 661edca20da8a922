"""Faults put on the encoder's input: nothing at strength 0, in range at 1, the same for the same seed."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from pixel2style2pixel_cli.training.augment import augment
from pixel2style2pixel_cli.training.config import Augmentation

KINDS = [field.name for field in dataclasses.fields(Augmentation)]


@pytest.fixture
def pictures() -> torch.Tensor:
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(6, 3, 4, 4), size=(32, 32), mode="bicubic")
    return smooth.clamp(0, 1) * 2 - 1


def with_seed(pictures: torch.Tensor, seed: int, **strengths: float) -> torch.Tensor:
    torch.manual_seed(seed)
    return augment(pictures, Augmentation(**strengths))


def test_no_strength_is_no_change(pictures: torch.Tensor) -> None:
    state = torch.get_rng_state()
    assert torch.equal(augment(pictures, Augmentation()), pictures)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_the_picture_within_its_range(pictures: torch.Tensor, kind: str) -> None:
    before = pictures.clone()
    out = with_seed(pictures, 1, **{kind: 1.0})
    assert torch.equal(pictures, before)
    assert out.shape == pictures.shape and out.dtype == pictures.dtype
    assert float(out.min()) >= -1 and float(out.max()) <= 1
    assert not torch.equal(out, pictures)


@pytest.mark.parametrize("kind", KINDS)
def test_a_weak_fault_is_smaller_than_a_strong_one(pictures: torch.Tensor, kind: str) -> None:
    """Over several seeds: of a few pictures chance may blur one by a share of a pixel, which mixes its neighbours."""
    weak, strong = (
        sum(float((with_seed(pictures, seed, **{kind: s}) - pictures).abs().mean()) for seed in range(8))
        for s in (0.1, 1.0)
    )
    assert weak < strong


def test_a_seed_decides_everything(pictures: torch.Tensor) -> None:
    every = dict.fromkeys(KINDS, 1.0)
    assert torch.equal(with_seed(pictures, 4, **every), with_seed(pictures, 4, **every))
    assert not torch.equal(with_seed(pictures, 4, **every), with_seed(pictures, 5, **every))


def test_each_picture_has_faults_of_its_own(pictures: torch.Tensor) -> None:
    same = pictures[:1].expand(6, -1, -1, -1)
    out = with_seed(same, 1, colour=1.0)
    assert not torch.equal(out[0], out[1])
