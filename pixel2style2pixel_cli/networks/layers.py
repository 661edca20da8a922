"""Building blocks of StyleGAN2: resampling, equalised layers, modulated convolution.

Shape suffixes: B batch, C channels, I O channels in and out, H W height and width, K kernel side, S style width,
D width of a code.
Source: Karras et al. 2020 ("Analyzing and improving the image quality of StyleGAN"), parametrised as the published
PyTorch checkpoints are, so that their numbers fit without rescaling.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SQRT2 = math.sqrt(2.0)
NEGATIVE_SLOPE = 0.2
BLUR_TAPS = (1.0, 3.0, 3.0, 1.0)


def normal_weight(*shape: int, divisor: float = 1.0) -> Tensor:
    """Standard normal numbers over ``divisor``; none on the meta device, where they would be thrown away.

    There torch computes in Python, and imports most of its compiler for that: two seconds at the start of every run.
    """
    if torch.get_default_device().type == "meta":
        return torch.empty(shape)
    return torch.randn(shape) / divisor


def pixel_norm(x_BD: Tensor) -> Tensor:
    """Divide each vector by its root mean square (epsilon 1e-8)."""
    return x_BD * torch.rsqrt(x_BD.square().mean(dim=1, keepdim=True) + 1e-8)


def scaled_leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2 times the square root of 2, which keeps the variance."""
    return F.leaky_relu(x, NEGATIVE_SLOPE) * SQRT2


def upfirdn2d(
    x_BCHW: Tensor,
    kernel: Tensor,
    *,
    up: tuple[int, int] = (1, 1),
    down: tuple[int, int] = (1, 1),
    pad: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> Tensor:
    """Insert zeros, pad, convolve with ``kernel``, take every n-th sample.

    ``kernel`` is (K, K), or (K,) for the separable kernel of its outer product, which costs 2 K products a pixel
    instead of K squared. ``up`` and ``down`` are (x, y); ``pad`` is (left, right, top, bottom), negative values crop.
    """
    if up != (1, 1):
        x_BCHW = _insert_zeros(x_BCHW, up)
    x_BCHW = F.pad(x_BCHW, list(pad)) if any(pad) else x_BCHW
    channels = int(x_BCHW.shape[1])  # an exporter needs the number itself: kernels have a known shape
    kernel = kernel.to(x_BCHW.dtype).flip(tuple(range(kernel.ndim)))  # conv2d correlates; a filter convolves
    if kernel.ndim == 1:
        row = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
        column = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
        x_BCHW = F.conv2d(x_BCHW, row, stride=(1, down[0]), groups=channels)
        return F.conv2d(x_BCHW, column, stride=(down[1], 1), groups=channels)
    weight = kernel.expand(channels, 1, *kernel.shape)
    return F.conv2d(x_BCHW, weight, stride=(down[1], down[0]), groups=channels)


def _insert_zeros(x_BCHW: Tensor, up: tuple[int, int]) -> Tensor:
    batch, channels, height, width = x_BCHW.shape
    out = x_BCHW.new_zeros(batch, channels, height * up[1], width * up[0])
    out[:, :, :: up[1], :: up[0]] = x_BCHW
    return out


def _doubled(x_BCHW: Tensor) -> Tensor:
    """Twice the size by [1, 3, 3, 1]: every pixel is 3/4 of its nearest and 1/4 of the next, which is bilinear.

    Beyond the edges are zeros. It leaves out the products with inserted zeros; not for CUDA, where the gradient of this
    kernel differs from run to run.
    """
    wide_BCHW = F.interpolate(F.pad(x_BCHW, (1, 1, 1, 1)), scale_factor=2, mode="bilinear", align_corners=False)
    return wide_BCHW[:, :, 2:-2, 2:-2]


class Resample(nn.Module):
    """The [1, 3, 3, 1] filter at a factor of 2 up, 2 down or 1, with a gain of ``up`` squared."""

    taps: Tensor

    def __init__(self, *, up: int = 1, down: int = 1, pad: tuple[int, int], gain: float = 1.0) -> None:
        super().__init__()
        self.up, self.down, self.pad = up, down, pad
        self.doubles = (up, down, pad, gain) == (2, 1, (2, 1), 4.0)
        # A constant, so not part of the weight file, and real even while a module is built on the meta device; a
        # buffer, so that it moves with the module.
        taps = torch.tensor(BLUR_TAPS, device="cpu")
        self.register_buffer("taps", taps / taps.sum() * math.sqrt(gain), persistent=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        first, last = self.pad
        if self.doubles and x_BCHW.device.type == "cpu":
            return _doubled(x_BCHW)
        return upfirdn2d(
            x_BCHW,
            self.taps,
            up=(self.up, self.up),
            down=(self.down, self.down),
            pad=(first, last, first, last),
        )


class EqualLinear(nn.Module):
    """Fully connected layer whose learning rate is equalised at run time (Karras et al. 2018, section 4.1)."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        lr_multiplier: float = 1.0,
        bias: float = 0.0,
        activate: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal_weight(out_features, in_features, divisor=lr_multiplier))
        self.bias = nn.Parameter(torch.full((out_features,), bias))
        self.scale = lr_multiplier / math.sqrt(in_features)
        self.lr_multiplier = lr_multiplier
        self.activate = activate

    def forward(self, x_BI: Tensor) -> Tensor:
        y_BO = F.linear(x_BI, self.weight * self.scale, self.bias * self.lr_multiplier)
        return scaled_leaky_relu(y_BO) if self.activate else y_BO


def subsampled(x_BIHW: Tensor, kernel: int, stride: int) -> tuple[Tensor, int]:
    """The input and stride of a convolution, the pixels that a 1x1 kernel would skip left out while gradients count.

    The same numbers. oneDNN writes past its buffer in the backward pass of such a convolution where the input has fewer
    channels than a vector register holds (its issue 6035; PyTorch 2.14 aborts, or learns from wrong gradients).
    """
    if kernel != 1 or stride == 1 or not torch.is_grad_enabled():
        return x_BIHW, stride
    return x_BIHW[..., ::stride, ::stride], 1


class EqualConv2d(nn.Module):
    """Convolution whose learning rate is equalised at run time."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal_weight(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = 1 / math.sqrt(in_channels * kernel * kernel)
        self.stride, self.padding = stride, padding

    def forward(self, x_BIHW: Tensor) -> Tensor:
        x_BIHW, stride = subsampled(x_BIHW, self.weight.shape[-1], self.stride)
        return F.conv2d(x_BIHW, self.weight * self.scale, self.bias, stride=stride, padding=self.padding)


class BiasActivation(nn.Module):
    """A bias per channel, then the scaled leaky ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return scaled_leaky_relu(x + self.bias.view(1, -1, *[1] * (x.ndim - 2)))


class ModulatedConv2d(nn.Module):
    """Convolution whose input channels are scaled by a style (StyleGAN2, eq. 1 and 3).

    The style multiplies the activations and the normalisation is computed from the energy of the weights, which
    equals filters modulated per sample and costs one ordinary convolution for the whole batch.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        style_dim: int,
        *,
        demodulate: bool = True,
        up: bool = False,
        down: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal_weight(out_channels, in_channels, kernel, kernel))
        self.scale = 1 / math.sqrt(in_channels * kernel * kernel)
        self.to_style = EqualLinear(style_dim, in_channels, bias=1.0)
        self.demodulate = demodulate
        self.padding = kernel // 2
        self.blur_up = Resample(pad=(1, 1), gain=4.0) if up else None
        self.blur_down = Resample(pad=(2, 2)) if down else None

    def forward(self, x_BIHW: Tensor, style_BS: Tensor) -> Tensor:
        y_BOHW, gain_BO = self.convolve(x_BIHW, style_BS)
        return y_BOHW * gain_BO.to(y_BOHW.dtype)[:, :, None, None] if self.demodulate else y_BOHW

    def convolve(self, x_BIHW: Tensor, style_BS: Tensor) -> tuple[Tensor, Tensor]:
        """The convolution before demodulation, and the factor (B, O) that completes it; 1 without demodulation."""
        style_BI = self.to_style(style_BS)
        if x_BIHW.dtype == torch.float16:
            # The product may leave the range of half precision; the factor cancels in the demodulation.
            style_BI = style_BI / style_BI.abs().amax(dim=1, keepdim=True) if self.demodulate else style_BI
        weight_OIKK = self.weight * self.scale
        y_BOHW = self._filter(x_BIHW * style_BI.to(x_BIHW.dtype)[:, :, None, None], weight_OIKK)
        if not self.demodulate:
            return y_BOHW, y_BOHW.new_ones(1, 1)
        energy_OI = weight_OIKK.square().sum(dim=(2, 3))
        return y_BOHW, torch.rsqrt(style_BI.square() @ energy_OI.T + 1e-8)

    def _filter(self, x_BIHW: Tensor, weight_OIKK: Tensor) -> Tensor:
        if self.blur_up is not None:
            y_BOHW: Tensor = self.blur_up(F.conv_transpose2d(x_BIHW, weight_OIKK.transpose(0, 1), stride=2))
            return y_BOHW
        if self.blur_down is not None:
            return F.conv2d(self.blur_down(x_BIHW), weight_OIKK, stride=2)
        return F.conv2d(x_BIHW, weight_OIKK, padding=self.padding)


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise of one learned strength, bias and activation."""

    def __init__(self, in_channels: int, out_channels: int, style_dim: int, *, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, out_channels, 3, style_dim, up=up)
        self.noise_strength = nn.Parameter(torch.zeros(1))
        self.activate = BiasActivation(out_channels)

    def forward(self, x_BIHW: Tensor, style_BS: Tensor, noise_B1HW: Tensor | None) -> Tensor:
        y_BOHW, gain_BO = self.conv.convolve(x_BIHW, style_BS)
        # The leaky ReLU is positively homogeneous, so its gain of sqrt(2) moves into the factors before it; and it is
        # inverted from its own output, so everything after the first product may happen in place, with gradients too.
        y_BOHW = y_BOHW * (gain_BO * SQRT2).to(y_BOHW.dtype)[:, :, None, None]
        if noise_B1HW is not None:
            y_BOHW = y_BOHW.add_((noise_B1HW * (self.noise_strength * SQRT2)).to(y_BOHW.dtype))
        y_BOHW = y_BOHW.add_((self.activate.bias * SQRT2).to(y_BOHW.dtype).view(1, -1, 1, 1))
        return F.leaky_relu_(y_BOHW, NEGATIVE_SLOPE)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to three channels, added to the picture of half the size."""

    def __init__(self, in_channels: int, style_dim: int, *, up: bool = True) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, 3, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))
        self.upsample = Resample(up=2, pad=(2, 1), gain=4.0) if up else None

    def forward(self, x_BIHW: Tensor, style_BS: Tensor, skip_BCHW: Tensor | None = None) -> Tensor:
        y_BCHW: Tensor = self.conv(x_BIHW, style_BS) + self.bias[:, None, None]
        if skip_BCHW is None:
            return y_BCHW
        if self.upsample is not None:
            skip_BCHW = self.upsample(skip_BCHW)
        return y_BCHW + skip_BCHW


class ConvActivation(nn.Module):
    """Equalised convolution, optionally halving the size after a blur, then bias and activation."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, down: bool = False) -> None:
        super().__init__()
        pad = (2, 2) if kernel == 3 else (1, 1)
        self.blur = Resample(pad=pad) if down else None
        stride, padding = (2, 0) if down else (1, kernel // 2)
        self.conv = EqualConv2d(in_channels, out_channels, kernel, stride=stride, padding=padding, bias=False)
        self.activate = BiasActivation(out_channels)

    def forward(self, x_BIHW: Tensor) -> Tensor:
        if self.blur is not None:
            x_BIHW = self.blur(x_BIHW)
        out: Tensor = self.activate(self.conv(x_BIHW))
        return out
