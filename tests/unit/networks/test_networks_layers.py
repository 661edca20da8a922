"""The fast layers against slow ones written straight from the definitions, in float64."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.networks.irse import StridedPointwise
from pixel2style2pixel_cli.networks.layers import (
    EqualLinear,
    ModulatedConv2d,
    Resample,
    StyledConv,
    ToRGB,
    pixel_norm,
    scaled_leaky_relu,
    upfirdn2d,
)
from pixel2style2pixel_cli.networks.specs import channel_table

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
BLUR = torch.outer(TAPS, TAPS) / 64


def slow_upfirdn(x: Tensor, kernel: Tensor, up: int, down: int, pad: tuple[int, int, int, int]) -> Tensor:
    """Every output pixel as its own sum over the kernel."""
    batch, channels, height, width = x.shape
    spread = x.new_zeros(batch, channels, height * up, width * up)
    spread[:, :, ::up, ::up] = x
    padded = F.pad(spread, pad)
    rows, columns = padded.shape[2] - kernel.shape[0] + 1, padded.shape[3] - kernel.shape[1] + 1
    out = x.new_zeros(batch, channels, rows, columns)
    for i in range(rows):
        for j in range(columns):
            window = padded[:, :, i : i + kernel.shape[0], j : j + kernel.shape[1]]
            out[:, :, i, j] = (window * kernel.flip(0, 1)).sum(dim=(2, 3))
    return out[:, :, ::down, ::down]


def grouped(layer: ModulatedConv2d, x: Tensor, style: Tensor) -> Tensor:
    """StyleGAN2, eq. 1 and 3 as printed: one filter bank per picture, run as a grouped convolution."""
    batch, channels, height, width = x.shape
    styles = layer.to_style(style)
    weight = layer.scale * layer.weight[None] * styles[:, None, :, None, None]
    if layer.demodulate:
        weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
    out_channels, kernel = weight.shape[1], weight.shape[-1]
    one = x.reshape(1, batch * channels, height, width)
    if layer.blur_up is not None:
        swapped = weight.transpose(1, 2).reshape(batch * channels, out_channels, kernel, kernel)
        out = F.conv_transpose2d(one, swapped, stride=2, groups=batch)
        return slow_upfirdn(out.view(batch, out_channels, *out.shape[2:]), BLUR * 4, 1, 1, (1, 1, 1, 1))
    flat = weight.reshape(batch * out_channels, channels, kernel, kernel)
    if layer.blur_down is not None:
        one = slow_upfirdn(one, BLUR, 1, 1, (2, 2, 2, 2))
        out = F.conv2d(one, flat, stride=2, groups=batch)
    else:
        out = F.conv2d(one, flat, padding=kernel // 2, groups=batch)
    return out.view(batch, out_channels, *out.shape[2:])


@pytest.mark.parametrize("kind", ["plain", "up", "down", "rgb"])
def test_modulated_convolution_is_the_one_with_a_filter_per_picture(kind: str) -> None:
    torch.manual_seed(0)
    plain = kind == "rgb"
    layer = ModulatedConv2d(
        5, 4, 1 if plain else 3, 7, demodulate=not plain, up=kind == "up", down=kind == "down"
    ).double()
    x, style = torch.randn(3, 5, 6, 6).double(), torch.randn(3, 7).double() * 3
    torch.testing.assert_close(layer(x, style), grouped(layer, x, style), rtol=1e-12, atol=1e-13)


def test_gradients_of_the_modulated_convolution_are_those_of_the_slow_one() -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(3, 4, 3, 5, up=True).double()
    x, style = torch.randn(2, 3, 4, 4).double().requires_grad_(), torch.randn(2, 5).double().requires_grad_()
    cotangent = torch.randn(2, 4, 8, 8).double()
    inputs = [x, style, *layer.parameters()]
    fast = torch.autograd.grad((layer(x, style) * cotangent).sum(), inputs)
    slow = torch.autograd.grad((grouped(layer, x, style) * cotangent).sum(), inputs)
    for ours, theirs in zip(fast, slow, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_styled_convolution_is_noise_bias_and_activation_after_the_slow_one() -> None:
    torch.manual_seed(0)
    layer = StyledConv(3, 4, 5).double()
    with torch.no_grad():
        layer.noise_strength.fill_(0.3)
        layer.activate.bias.normal_()
    x, style = torch.randn(2, 3, 6, 6).double(), torch.randn(2, 5).double()
    noise = torch.randn(2, 1, 6, 6).double()
    before = grouped(layer.conv, x, style) + 0.3 * noise + layer.activate.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(layer(x, style, noise), F.leaky_relu(before, 0.2) * math.sqrt(2), rtol=1e-12, atol=1e-13)
    without = grouped(layer.conv, x, style) + layer.activate.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(layer(x, style, None), scaled_leaky_relu(without), rtol=1e-12, atol=1e-13)


def test_in_place_activation_has_right_second_derivatives() -> None:
    torch.manual_seed(0)
    layer = StyledConv(2, 2, 3).double()
    x, style = torch.randn(1, 2, 3, 3).double().requires_grad_(), torch.randn(1, 3).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda a, b: layer(a, b, None), (x, style))


def test_demodulated_filters_have_unit_norm() -> None:
    """White noise through them keeps its variance, whatever the size of the style."""
    torch.manual_seed(0)
    layer = ModulatedConv2d(16, 8, 3, 4).double()
    style = torch.randn(1, 4).double() * 100
    impulse = torch.zeros(16, 16, 3, 3).double()
    for channel in range(16):
        impulse[channel, channel, 1, 1] = 1
    response = torch.cat([layer(one[None], style) for one in impulse])
    torch.testing.assert_close(response.square().sum(dim=(0, 2, 3)), torch.ones(8).double())


def test_half_precision_survives_large_styles() -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(8, 4, 3, 4).requires_grad_(False)
    x, style = torch.randn(2, 8, 4, 4) * 100, torch.randn(2, 4) * 3000
    expected = layer(x, style)
    half = layer.half()(x.half(), style.half()).float()
    assert torch.isfinite(half).all()
    assert float((half - expected).abs().max() / expected.std()) < 0.02


@pytest.mark.parametrize(
    ("up", "down", "pad"), [(1, 1, (1, 2, 2, 1)), (2, 1, (2, 1, 2, 1)), (1, 2, (1, 1, 1, 1)), (2, 2, (-1, 2, 0, 1))]
)
def test_upfirdn_is_the_sum_over_the_kernel(up: int, down: int, pad: tuple[int, int, int, int]) -> None:
    torch.manual_seed(0)
    x, kernel = torch.randn(2, 3, 7, 7).double(), torch.randn(4, 4).double()
    ours = upfirdn2d(x, kernel, up=(up, up), down=(down, down), pad=pad)
    torch.testing.assert_close(ours, slow_upfirdn(x, kernel, up, down, pad), rtol=1e-12, atol=1e-12)
    taps = torch.randn(4).double()
    separate = upfirdn2d(x, taps, up=(up, up), down=(down, down), pad=pad)
    torch.testing.assert_close(separate, slow_upfirdn(x, torch.outer(taps, taps), up, down, pad))


@pytest.mark.parametrize(
    "resample", [Resample(up=2, pad=(2, 1), gain=4.0), Resample(pad=(2, 1)), Resample(down=2, pad=(1, 1))]
)
def test_resampling_keeps_a_constant_inside(resample: Resample) -> None:
    out = resample(torch.full((1, 2, 12, 12), 0.7))
    inside = out[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.7))
    assert float(out[0, 0, 0, 0]) < 0.7  # zeros beyond the edge


def test_upsampling_convolution_keeps_a_constant_inside() -> None:
    layer = ModulatedConv2d(1, 1, 3, 2, up=True).double().requires_grad_(False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    out = layer(torch.ones(1, 1, 10, 10).double(), torch.zeros(1, 2).double())
    inside = out[:, :, 3:-3, 3:-3]
    torch.testing.assert_close(inside, torch.full_like(inside, float(inside[0, 0, 0, 0])))


def test_to_rgb_adds_the_enlarged_picture() -> None:
    torch.manual_seed(0)
    layer = ToRGB(4, 5).double()
    x, style, skip = torch.randn(1, 4, 8, 8).double(), torch.randn(1, 5).double(), torch.randn(1, 3, 4, 4).double()
    expected = layer(x, style) + slow_upfirdn(skip, BLUR * 4, 2, 1, (2, 1, 2, 1))
    torch.testing.assert_close(layer(x, style, skip), expected, rtol=1e-6, atol=1e-7)


def test_equal_linear_scales_at_run_time() -> None:
    torch.manual_seed(0)
    layer = EqualLinear(9, 4, lr_multiplier=0.01, bias=2.0)
    assert 50 < float(layer.weight.std()) < 200  # drawn as N(0, 1) / lr_multiplier
    x = torch.randn(2, 9)
    torch.testing.assert_close(layer(x), x @ (layer.weight.T * 0.01 / 3) + 0.02)


def test_pixel_norm() -> None:
    x = torch.randn(3, 64) * torch.tensor([[1.0], [50.0], [0.01]])
    torch.testing.assert_close(pixel_norm(x).square().mean(dim=1), torch.ones(3), rtol=1e-3, atol=0)


def test_channel_table_is_the_published_one() -> None:
    sizes = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
    assert [*channel_table(sizes, 2, 512).values()] == [512, 512, 512, 512, 512, 256, 128, 64, 32]
    assert [*channel_table(sizes, 1, 512).values()] == [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert [*channel_table(sizes[:6], 0.25, 256).values()] == [256, 256, 256, 128, 64, 32]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_strided_pointwise_convolutions_learn_from_the_right_gradients(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    layer = StridedPointwise(4, 8, 1, 2, bias=False)
    x = torch.randn(2, 4, 8, 8).contiguous(memory_format=memory_format)
    for _ in range(50):  # a write past a buffer shows after a few
        layer.weight.grad = None
        layer(x).square().sum().backward()
    weight = layer.weight.detach().double().requires_grad_(True)
    torch.einsum("oi,bihw->bohw", weight[..., 0, 0], x[..., ::2, ::2].double()).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, weight.grad.float(), rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), torch.nn.functional.conv2d(x, layer.weight, stride=2))
