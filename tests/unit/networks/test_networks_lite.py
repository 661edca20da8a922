"""EfficientNet-Lite: its sizes, the padding of odd sides, the fold of batch norms; the pSp encoder on its trunk."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from pixel2style2pixel_cli.errors import ShapeError, UsageError
from pixel2style2pixel_cli.networks.e4e import LiteE4EEncoder, set_stage
from pixel2style2pixel_cli.networks.efficientnet_lite import FoldedConv, LiteSpec, LiteTrunk, fold_batch_norm
from pixel2style2pixel_cli.networks.lite import LITE_UNITS, LITE_WIDTHS, LiteEncoder
from pixel2style2pixel_cli.networks.psp import EncoderSpec
from pixel2style2pixel_cli.networks.registry import build_encoder


def spec(size: int = 64, channels: int = 3) -> EncoderSpec:
    return EncoderSpec(
        kind="lite", input_channels=channels, input_size=size, units=LITE_UNITS, widths=LITE_WIDTHS, head_width=8
    )


def test_a_trunk_writes_five_maps_of_the_stated_sizes() -> None:
    maps = LiteTrunk(LiteSpec())(torch.zeros(2, 3, 64, 96))
    assert [tuple(x.shape) for x in maps] == [
        (2, 16, 32, 48), (2, 24, 16, 24), (2, 40, 8, 12), (2, 112, 4, 6), (2, 320, 2, 3),
    ]  # fmt: skip


def test_sizes_of_lite0_and_lite2_are_the_published_ones() -> None:
    assert LiteSpec().widths == (16, *LITE_WIDTHS)
    assert sum(stage.repeats for stage in LiteSpec().stages) == sum(LITE_UNITS) == 16
    larger = LiteSpec(width=1.1, depth=1.2)
    assert [stage.out_channels for stage in larger.stages] == [16, 24, 48, 88, 120, 208, 352]
    assert [stage.repeats for stage in larger.stages] == [1, 3, 3, 4, 4, 5, 1]
    with pytest.raises(UsageError, match="at least Lite0"):
        LiteSpec(width=0.5)


def test_a_folded_convolution_does_what_convolution_and_batch_norm_do() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=1e-3)
    nn.init.normal_(norm.weight)
    norm.train()
    norm(torch.randn(8, 4, 5, 5) * 3 + 1)
    norm.eval()
    assert norm.running_mean is not None and norm.running_var is not None
    weight, bias = fold_batch_norm(
        conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var, eps=norm.eps
    )
    x = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(nn.functional.conv2d(x, weight, bias), norm(conv(x)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("side", "before", "behind"), [(8, 0, 1), (9, 1, 1)])
def test_a_stride_pads_as_tensorflow_does(side: int, before: int, behind: int) -> None:
    conv = FoldedConv(1, 1, 3, stride=2, activate=False)
    x = torch.randn(1, 1, side, side)
    padded = nn.functional.pad(x, (before, behind, before, behind))
    expected = nn.functional.conv2d(padded, conv.conv.weight, conv.conv.bias, stride=2)
    torch.testing.assert_close(conv(x), expected)


@pytest.mark.parametrize("channels", [1, 3, 4, 19])
def test_an_encoder_starts_near_the_average_code_and_every_part_learns(channels: int) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(spec(channels=channels), 10, 16)
    assert isinstance(encoder, LiteEncoder)
    assert (encoder.adapter is None) == (channels == 3)
    codes = encoder(torch.randn(2, channels, 64, 64))
    assert codes.shape == (2, 10, 16)
    assert float(codes.detach().abs().max()) < 0.5
    torch.autograd.backward(codes.square().sum())
    silent = [name for name, p in encoder.named_parameters() if p.grad is None]
    assert not silent


def test_rows_read_coarse_middle_and_fine_maps() -> None:
    assert LiteEncoder(spec(), 12, 4).levels == [2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0]
    assert LiteEncoder(spec(), 14, 4).levels[8:] == [0] * 6
    encoder = LiteEncoder(spec(size=128), 12, 4)
    assert [tuple(x.shape[2:]) for x in encoder.pyramid(torch.zeros(1, 3, 128, 128))] == [(32, 32), (16, 16), (8, 8)]


def test_the_last_rows_may_share_a_head() -> None:
    torch.manual_seed(0)
    shared = LiteEncoder(dataclasses.replace(spec(), heads=10), 12, 4)
    assert len(shared.heads) == 10 and shared.latent_avg.shape == (12, 4)
    x = torch.randn(2, 3, 64, 64)
    codes = shared.offsets(x)
    assert codes.shape == (2, 12, 4) and not torch.equal(codes[:, 8], codes[:, 9])
    assert torch.equal(codes[:, 10], codes[:, 9]) and torch.equal(codes[:, 11], codes[:, 9])
    kind = dataclasses.replace(spec(), kind="lite_e4e", heads=10)
    offsets = LiteE4EEncoder(kind, 12, 4)
    codes = offsets.offsets(x)
    assert torch.equal(codes[:, 11], codes[:, 9]) and not torch.equal(codes[:, 11], codes[:, 0])
    set_stage(offsets, 10)  # the last open row takes the offset of row 9
    codes = offsets.offsets(x)
    assert torch.equal(codes[:, 10], codes[:, 9]) and torch.equal(codes[:, 11], codes[:, 0])
    with pytest.raises(UsageError, match="13 heads, and a code of this generator has 12 rows"):
        LiteEncoder(dataclasses.replace(spec(), heads=13), 12, 4)
    with pytest.raises(UsageError, match="every row has a head of its own in an encoder of kind psp"):
        EncoderSpec(heads=2)
    with pytest.raises(UsageError, match="heads is -1"):
        dataclasses.replace(spec(), heads=-1)


def test_other_trunks_and_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="Lite0"):
        LiteEncoder(EncoderSpec(kind="lite", input_size=64), 12, 4)
    with pytest.raises(UsageError, match="64 px or more"):
        LiteEncoder(spec(size=32), 12, 4)
    with pytest.raises(ShapeError, match="encoder input"):
        LiteEncoder(spec(), 12, 4)(torch.zeros(1, 3, 128, 128))
