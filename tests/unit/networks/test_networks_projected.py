"""The heads on mixed maps: sizes of their logits, what is frozen, and that a picture can learn from them."""

from __future__ import annotations

import pytest
import torch

from pixel2style2pixel_cli.errors import ShapeError, UsageError
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk
from pixel2style2pixel_cli.networks.projected import ProjectedHeads, ProjectedSpec

WIDTHS, SIZES = (16, 24, 40, 112, 320), (64, 32, 16, 8, 4)


def maps(batch: int = 2) -> list[torch.Tensor]:
    return [torch.randn(batch, c, s, s) * 3 for c, s in zip(WIDTHS, SIZES, strict=True)]


def test_every_map_gets_a_verdict_on_patches() -> None:
    heads = ProjectedHeads(ProjectedSpec(width=8), WIDTHS, SIZES)
    assert [tuple(x.shape) for x in heads(maps())] == [
        (2, 1, 8, 8),
        (2, 1, 8, 8),
        (2, 1, 8, 8),
        (2, 1, 8, 8),
        (2, 1, 4, 4),
    ]


def test_mixing_is_the_same_for_a_seed_and_never_trained() -> None:
    one, other, third = (ProjectedHeads(ProjectedSpec(width=8, seed=s), WIDTHS, SIZES) for s in (0, 0, 1))
    assert torch.equal(one.get_buffer("mixing_2"), other.get_buffer("mixing_2"))
    assert not torch.equal(one.get_buffer("mixing_2"), third.get_buffer("mixing_2"))
    assert not [name for name, _ in one.named_parameters() if "mixing" in name]


def test_calibration_brings_mixed_maps_to_unit_deviation_once() -> None:
    heads = ProjectedHeads(ProjectedSpec(width=8), WIDTHS, SIZES)
    assert not heads.calibrated
    seen = maps(8)
    heads.calibrate(seen)
    assert heads.calibrated
    for x, gain in zip(heads.mix(seen), heads.gain, strict=True):
        assert float((x * gain).std()) == pytest.approx(1, rel=1e-4)


def test_a_picture_gets_a_gradient_through_trunk_and_heads() -> None:
    torch.manual_seed(0)
    trunk = LiteTrunk(LiteSpec()).requires_grad_(False)
    heads = ProjectedHeads(ProjectedSpec(width=8), trunk.spec.widths, (32, 16, 8, 4, 2)).requires_grad_(False)
    image = torch.randn(2, 3, 64, 64, requires_grad=True)
    torch.autograd.backward(torch.stack([logits.mean() for logits in heads(trunk(image))]).sum())
    assert image.grad is not None and float(image.grad.abs().max()) > 0


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ShapeError, match="5 widths for 4 sizes"):
        ProjectedHeads(ProjectedSpec(), WIDTHS, SIZES[:4])
    with pytest.raises(UsageError, match=r"projected.width"):
        ProjectedSpec(width=0)
