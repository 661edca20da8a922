"""A generator whose weights stand still, for many steps on the same one: what is constant is computed once.

The same pictures as ``networks/stylegan2.py`` draws, to rounding; a test compares the two. Shape suffixes: B batch,
C channels, H W height and width, I O channels in and out, K kernel side, N rows, D style width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.errors import check_shape
from pixel2style2pixel_cli.networks.layers import NEGATIVE_SLOPE, SQRT2, ModulatedConv2d, StyledConv, ToRGB
from pixel2style2pixel_cli.networks.stylegan2 import Generator, NoiseMode


class _Conv:
    """A modulated convolution with its weight scaled and laid out for the kernels, and its energy summed."""

    def __init__(self, conv: ModulatedConv2d) -> None:
        weight_OIKK = conv.weight.detach() * conv.scale
        self.blur = conv.blur_up
        weight = weight_OIKK if self.blur is None else weight_OIKK.transpose(0, 1)
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.energy_IO = weight_OIKK.square().sum(dim=(2, 3)).T.contiguous() if conv.demodulate else None
        self.padding = conv.padding
        affine = conv.to_style
        self.style_weight = (affine.weight.detach() * affine.scale).contiguous()
        self.style_bias = affine.bias.detach() * affine.lr_multiplier

    def __call__(self, x_BIHW: Tensor, style_BD: Tensor) -> tuple[Tensor, Tensor | None]:
        """The convolution, and the factor (B, O) that completes it where there is one (StyleGAN2, eq. 1 and 3)."""
        style_BI = F.linear(style_BD, self.style_weight, self.style_bias)
        x_BIHW = x_BIHW * style_BI[:, :, None, None]
        if self.blur is not None:
            y_BOHW = self.blur(F.conv_transpose2d(x_BIHW, self.weight, stride=2))
        else:
            y_BOHW = F.conv2d(x_BIHW, self.weight, padding=self.padding)
        gain_BO = None if self.energy_IO is None else torch.rsqrt(style_BI.square() @ self.energy_IO + 1e-8)
        return y_BOHW, gain_BO


class _Styled:
    """Convolution, noise, bias, activation."""

    def __init__(self, layer: StyledConv) -> None:
        self.conv = _Conv(layer.conv)
        self.strength = layer.noise_strength.detach() * SQRT2
        self.bias = (layer.activate.bias.detach() * SQRT2).view(1, -1, 1, 1)

    def __call__(self, x_BIHW: Tensor, style_BD: Tensor, noise_B1HW: Tensor | None) -> Tensor:
        y_BOHW, gain_BO = self.conv(x_BIHW, style_BD)
        assert gain_BO is not None
        # In place after the first product, as the module does and for the same reason.
        y_BOHW = y_BOHW * (gain_BO * SQRT2)[:, :, None, None]
        if noise_B1HW is not None:
            y_BOHW = y_BOHW.add_(noise_B1HW * self.strength)
        return F.leaky_relu_(y_BOHW.add_(self.bias), NEGATIVE_SLOPE)


class _Rgb:
    """The step to RGB, on top of the picture of half the size."""

    def __init__(self, layer: ToRGB) -> None:
        self.conv, self.upsample = _Conv(layer.conv), layer.upsample
        self.bias = layer.bias.detach()[:, None, None]

    def __call__(self, x_BIHW: Tensor, style_BD: Tensor, skip_BCHW: Tensor | None) -> Tensor:
        y_BCHW = self.conv(x_BIHW, style_BD)[0] + self.bias
        if skip_BCHW is None:
            return y_BCHW
        return y_BCHW + (skip_BCHW if self.upsample is None else self.upsample(skip_BCHW))


class FrozenGenerator:
    """The synthesis network of a generator; a change of its weights after this is not seen."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.constant = generator.constant.detach()
        blocks = list(generator.blocks)
        self.first, self.first_rgb = _Styled(generator.conv_first), _Rgb(generator.to_rgb_first)
        self.blocks = [(_Styled(b.conv_up), _Styled(b.conv), _Rgb(b.to_rgb)) for b in blocks]  # type: ignore[arg-type]

    def __call__(self, codes_BND: Tensor, noise: NoiseMode | Sequence[Tensor] = "fixed") -> Tensor:
        """Pictures (B, 3, R, R) of codes (B, N, D), as the generator itself draws them."""
        spec = self.generator.spec
        check_shape(codes_BND, (None, spec.n_styles, spec.style_dim), "W+ code")
        maps = self.generator.noise_maps(noise, codes_BND)
        x = self.constant.expand(len(codes_BND), -1, -1, -1)
        if x.device.type in ("cpu", "cuda"):
            x = x.contiguous(memory_format=torch.channels_last)
        x = self.first(x, codes_BND[:, 0], maps[0])
        rgb = self.first_rgb(x, codes_BND[:, 1], None)
        for i, (up, plain, to_rgb) in enumerate(self.blocks):
            x = up(x, codes_BND[:, 2 * i + 1], maps[2 * i + 1])
            x = plain(x, codes_BND[:, 2 * i + 2], maps[2 * i + 2])
            rgb = to_rgb(x, codes_BND[:, 2 * i + 3], rgb)
        return rgb
