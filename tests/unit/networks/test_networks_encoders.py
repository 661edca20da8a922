"""The encoders: shapes at every size, which features feed which row, stages of e4e, nonsense refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from pixel2style2pixel_cli.errors import ShapeError, UsageError
from pixel2style2pixel_cli.networks.e4e import E4EEncoder, set_stage
from pixel2style2pixel_cli.networks.faceid import FaceRecogniser
from pixel2style2pixel_cli.networks.families import ENCODER_FAMILIES
from pixel2style2pixel_cli.networks.irse import IRSETrunk, IRUnit
from pixel2style2pixel_cli.networks.lite import LITE_UNITS, LITE_WIDTHS
from pixel2style2pixel_cli.networks.psp import PSPEncoder
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import ALL_OPEN, DEPTHS, EncoderKind, EncoderSpec, level_of_row


def spec_of(kind: EncoderKind = "psp", size: int = 32, channels: int = 3) -> EncoderSpec:
    # a pretrained trunk has the sizes it was trained with
    units, widths = (LITE_UNITS, LITE_WIDTHS) if kind.startswith("lite") else ((1, 1, 1, 1), (4, 6, 8, 10))
    return EncoderSpec(kind=kind, input_size=size, input_channels=channels, units=units, widths=widths, head_width=6)


@pytest.mark.parametrize("kind", ENCODER_FAMILIES)
@pytest.mark.parametrize(("size", "channels"), [(64, 3), (128, 1)])
def test_codes_have_the_generators_rows(kind: EncoderKind, size: int, channels: int) -> None:
    encoder = build_encoder(spec_of(kind, size, channels), 9, 5).eval()
    x = torch.randn(2, channels, size, size)
    assert encoder.offsets(x).shape == (2, 1 if kind == "psp_w" else 9, 5)
    assert encoder(x).shape == (2, 9, 5)
    assert torch.isfinite(encoder(x)).all()


def test_other_sizes_are_refused_instead_of_folded_into_the_batch() -> None:
    encoder = build_encoder(spec_of(), 9, 5)
    with pytest.raises(ShapeError, match="encoder input has shape 1x3x64x64, expected anyx3x32x32"):
        encoder(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ShapeError, match="expected anyx3x32x32"):
        encoder(torch.zeros(1, 1, 32, 32))


def test_rows_belong_to_levels() -> None:
    assert [level_of_row(row) for row in range(12)] == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2]
    encoder = build_encoder(spec_of(), 9, 5)
    assert isinstance(encoder, PSPEncoder)
    convolutions = [sum(isinstance(m, nn.Conv2d) for m in head.modules()) for head in encoder.heads]
    assert convolutions == [1, 1, 1, 2, 2, 2, 2, 3, 3]  # log2 of 2, 4 and 8


def test_fine_features_reach_fine_rows_only() -> None:
    encoder = build_encoder(spec_of(), 9, 5).eval()
    assert isinstance(encoder, PSPEncoder)
    x = torch.randn(1, 3, 32, 32)
    before = encoder(x)
    with torch.no_grad():
        encoder.lateral_fine.bias.add_(1)
    moved = (encoder(x) - before).abs().amax(dim=(0, 2)) > 0
    assert moved.tolist() == [False] * 7 + [True] * 2


@pytest.mark.parametrize("kind", ["e4e", "lite_e4e"])
def test_e4e_stages_open_offsets_one_by_one(kind: EncoderKind) -> None:
    encoder = build_encoder(spec_of(kind, 64), 9, 5).eval()
    x = torch.randn(2, 3, 64, 64)
    for stage in (0, 4, 8):
        set_stage(encoder, stage)
        codes = encoder(x)
        same = [torch.equal(codes[:, row], codes[:, 0]) for row in range(9)]
        assert same == [row == 0 or row > stage for row in range(9)]


@pytest.mark.parametrize(("rows", "offsets"), [("psp", "e4e"), ("lite", "lite_e4e")])
def test_encoders_of_rows_and_of_offsets_have_the_same_tensors_and_other_codes(
    rows: EncoderKind, offsets: EncoderKind
) -> None:
    torch.manual_seed(0)
    psp, e4e = build_encoder(spec_of(rows, 64), 9, 5).eval(), build_encoder(spec_of(offsets, 64), 9, 5).eval()
    e4e.load_state_dict(psp.state_dict(), strict=True)
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(e4e(x)[:, 4], psp(x)[:, 4] + psp(x)[:, 0])


def test_a_stage_of_the_spec_is_that_of_the_encoder() -> None:
    for stage, opened in ((ALL_OPEN, 8), (0, 0), (3, 3), (8, 8)):
        encoder = build_encoder(dataclasses.replace(spec_of("e4e"), stage=stage), 9, 5)
        assert isinstance(encoder, E4EEncoder) and encoder.stage == opened
    with pytest.raises(UsageError, match="encoder stage is 9, and a code of this generator has 9 rows"):
        build_encoder(dataclasses.replace(spec_of("e4e"), stage=9), 9, 5)
    with pytest.raises(TypeError, match="has no offsets"):
        set_stage(build_encoder(spec_of(), 9, 5), 0)


def test_heads_of_offsets_share_all_but_their_last_layers() -> None:
    encoder, spec = build_encoder(spec_of("lite_e4e", 128), 22, 5), spec_of("lite_e4e", 128)
    own = [key for key in encoder.state_dict() if not key.startswith(spec.shared)]
    heads = {key for key in own if key.startswith("heads.")}
    assert len(heads) == 2 * 22 and all(
        value.shape[-1] in (5, 96) for key, value in encoder.state_dict().items() if key in heads
    )
    assert {key.split(".")[0] for key in own} == {"latent_avg", "lateral", "smooth", "heads"}
    closed = dataclasses.replace(spec, stage=0)
    left = {key for key in encoder.state_dict() if key.startswith("heads.") and not key.startswith(closed.shared)}
    assert len(left) == 2 and all(key.startswith("heads.0.") for key in left)


def test_codes_are_offsets_from_the_average() -> None:
    for kind in ENCODER_FAMILIES:
        encoder = build_encoder(spec_of(kind, 64), 6, 5).eval()
        encoder.latent_avg.copy_(torch.randn(6, 5))
        x = torch.randn(2, 3, 64, 64)
        assert encoder(x).shape == (2, 6, 5)
        torch.testing.assert_close(encoder(x), encoder.offsets(x) + encoder.latent_avg)


def test_trunk_halves_the_side_four_times() -> None:
    sizes = [f.shape[1:] for f in IRSETrunk(1, (1, 2, 1, 1), (4, 6, 8, 10))(torch.randn(1, 1, 32, 32))]
    assert [tuple(s) for s in sizes] == [(4, 16, 16), (6, 8, 8), (8, 4, 4), (10, 2, 2)]
    assert DEPTHS[50] == (3, 4, 14, 3)


def test_unit_of_equal_width_has_no_weights_in_its_shortcut() -> None:
    unit = IRUnit(4, 4, 2).eval()
    assert not [*unit.shortcut.parameters()]
    with torch.no_grad():
        for parameter in unit.residual[4].parameters():  # silence the residual: what is left is every second pixel
            parameter.zero_()
    x = torch.randn(1, 4, 6, 6)
    torch.testing.assert_close(unit(x), x[:, :, ::2, ::2])


def test_parameter_counts_of_the_trunk() -> None:
    with torch.device("meta"):
        trunk = IRSETrunk(3, DEPTHS[50], (64, 128, 256, 512))
        assert sum(p.numel() for p in trunk.stages.parameters()) == 30_948_160
        assert sum(p.numel() for p in trunk.input_layer.parameters()) == 1_920


def test_recogniser_takes_112_pixels_only() -> None:
    with torch.device("meta"):
        recogniser = FaceRecogniser()
    with pytest.raises(ShapeError, match="face has shape 1x3x128x128, expected anyx3x112x112"):
        recogniser(torch.zeros(1, 3, 128, 128))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "hyperstyle"}, "unknown encoder kind 'hyperstyle'"),
        ({"input_size": 100}, "encoder input size is 100"),
        ({"input_size": 16}, "expected a power of two from 32 to 4096"),
        ({"units": (1, 2, 3)}, "four stages"),
        ({"widths": (8, 8, 8, 0)}, "encoder widths of 0, expected 1 to 4096"),
        ({"input_channels": 0}, "expected 1 to 4096"),
        ({"head_width": 10**8}, "encoder widths of 100000000, expected 1 to 4096"),
        ({"units": (100_000_000, 1, 1, 1)}, "encoder units of 100000000, expected 1 to 200"),
    ],
)
def test_nonsense_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EncoderSpec(**values)
