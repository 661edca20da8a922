"""ReStyle's encoders: rows of the last map alone, e4e's rule on them, and two pictures through the small encoder."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from pixel2style2pixel_cli.errors import ShapeError
from pixel2style2pixel_cli.networks.lite import LITE_UNITS, LITE_WIDTHS, LiteEncoder
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.resnet import RESNET34_UNITS, ResNetTrunk
from pixel2style2pixel_cli.networks.specs import EncoderKind, EncoderSpec

LITE = EncoderSpec(kind="lite", input_channels=6, input_size=64, units=LITE_UNITS, widths=LITE_WIDTHS, head_width=8)


def spec_of(kind: EncoderKind) -> EncoderSpec:
    return EncoderSpec(
        kind=kind, input_channels=6, input_size=32, units=(1, 2, 1, 1), widths=(4, 6, 8, 10), head_width=6
    )


def test_six_channels_are_two_pictures() -> None:
    assert spec_of("restyle").residual and spec_of("restyle").given_channels == 3
    for channels in (1, 3, 4, 19):
        spec = EncoderSpec(input_channels=channels)
        assert not spec.residual and spec.given_channels == channels


@pytest.mark.parametrize("kind", ["restyle", "restyle_resnet"])
def test_e4e_s_rule_adds_the_first_row_to_every_other(kind: EncoderKind) -> None:
    torch.manual_seed(0)
    plain, progressive = (build_encoder(spec_of(name), 9, 5).eval() for name in (kind, f"{kind}_e4e"))
    progressive.load_state_dict(plain.state_dict(), strict=True)
    assert progressive.offset_rows and not plain.offset_rows
    x = torch.randn(2, 6, 32, 32)
    rows = plain(x)
    torch.testing.assert_close(progressive(x)[:, 0], rows[:, 0])
    torch.testing.assert_close(progressive(x)[:, 1:], rows[:, 1:] + rows[:, :1])


@pytest.mark.parametrize("kind", ["restyle", "restyle_resnet"])
def test_a_start_takes_the_place_of_the_average(kind: EncoderKind) -> None:
    encoder = build_encoder(spec_of(kind), 9, 5).eval()
    encoder.latent_avg.fill_(2.0)
    x, start = torch.randn(2, 6, 32, 32), torch.randn(2, 9, 5)
    torch.testing.assert_close(encoder(x, start) - start, encoder(x) - 2.0)
    with pytest.raises(ShapeError, match="expected anyx6x32x32"):
        encoder(x[:, :3])


def test_resnet34_keeps_half_the_side_through_its_first_stage() -> None:
    trunk = ResNetTrunk(6, (1, 2, 1, 1), (4, 6, 8, 10))
    assert [tuple(f.shape[1:]) for f in trunk(torch.zeros(1, 6, 64, 64))] == [
        (4, 32, 32), (6, 16, 16), (8, 8, 8), (10, 4, 4),
    ]  # fmt: skip
    with torch.device("meta"):
        whole = ResNetTrunk(3, RESNET34_UNITS, (64, 128, 256, 512))
    # ResNet34 has 21 797 672 numbers to learn; its classifier is absent, and the 64 slopes of a PReLU are new
    assert sum(p.numel() for p in whole.parameters()) == 21_797_672 - 513 * 1000 + 64


def test_the_small_encoder_takes_what_it_sees_in_the_drawn_picture_from_what_it_sees_in_the_given_one() -> None:
    torch.manual_seed(0)
    both = build_encoder(LITE, 12, 16).eval()
    one = build_encoder(dataclasses.replace(LITE, input_channels=3), 12, 16).eval()
    assert isinstance(both, LiteEncoder) and both.adapter is None
    one.load_state_dict(both.state_dict(), strict=True)
    given, drawn = torch.randn(2, 2, 3, 64, 64).unbind(0)
    rows = both.offsets(torch.cat([given, drawn], dim=1)).detach()
    torch.testing.assert_close(rows, one.offsets(given) - one.offsets(drawn), atol=1e-6, rtol=1e-4)
    assert float(rows.abs().max()) > 0
    assert float(both.offsets(torch.cat([given, given], dim=1)).detach().abs().max()) < 1e-6
