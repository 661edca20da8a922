"""The synthesis network for drawing alone, one picture at a time on a CPU: what is constant computed once, few passes.

The same pictures as ``networks/stylegan2.py`` draws, to rounding; tests compare the two, and both with the published
numbers. At 1024 px much of the time beside the convolutions goes into reading and writing 130 MB for one product or
sum, so these move to where numbers are few: demodulation and bias into the blur or the filters; noise and activation
follow in strips that stay in the cache.
Shape suffixes: B batch, C channels, H W height and width, I O channels in and out, K kernel side, N rows, D width.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import check_shape
from pixel2style2pixel_cli.networks.layers import NEGATIVE_SLOPE, SQRT2, ModulatedConv2d, StyledConv, ToRGB
from pixel2style2pixel_cli.networks.stylegan2 import Generator, NoiseMode

STRIP_NUMBERS = 1 << 18  # of one strip: a megabyte, which the second-level cache of a core holds


class _Affine:
    """The style of a layer, multiplied by what its equalised weights are multiplied by."""

    def __init__(self, conv: ModulatedConv2d) -> None:
        affine = conv.to_style
        self.weight_ID = affine.weight.detach() * (affine.scale * conv.scale)
        self.bias_I = affine.bias.detach() * (affine.lr_multiplier * conv.scale)

    def __call__(self, row_D: Tensor) -> Tensor:
        return torch.addmv(self.bias_I, self.weight_ID, row_D)


class _Styled:
    """Modulated convolution, blur, noise, bias and activation."""

    def __init__(self, layer: StyledConv) -> None:
        conv = layer.conv
        self.affine, self.weight_OIKK = _Affine(conv), conv.weight.detach()
        self.energy_OI = self.weight_OIKK.square().sum(dim=(2, 3))
        self.strength = layer.noise_strength.detach() * SQRT2
        self.bias_O = layer.activate.bias.detach() * SQRT2
        self.padding, self.up = conv.padding, conv.blur_up is not None
        if conv.blur_up is not None:
            taps, channels = conv.blur_up.taps.to(self.bias_O), len(self.bias_O)
            self.row = taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1).contiguous()
            self.column = taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1).contiguous()

    def __call__(self, x_BIHW: Tensor, row_D: Tensor, noise_B1HW: Tensor | None) -> Tensor:
        style_I = self.affine(row_D)
        # StyleGAN2, eq. 3; the gain of the activation moves before it, since a leaky ReLU keeps factors
        gain_O = torch.rsqrt(torch.mv(self.energy_OI, style_I.square()) + 1e-8) * SQRT2
        y_BOHW = self._upsampled(x_BIHW, style_I, gain_O) if self.up else self._filtered(x_BIHW, style_I, gain_O)
        return self._finished(y_BOHW, noise_B1HW)

    def _upsampled(self, x_BIHW: Tensor, style_I: Tensor, gain_O: Tensor) -> Tensor:
        x_BIHW, weight_OIKK = self._modulated(x_BIHW, style_I)
        channels = len(gain_O)
        y_BOHW = F.conv_transpose2d(x_BIHW, weight_OIKK.transpose(0, 1), stride=2)
        y_BOHW = F.conv2d(y_BOHW, self.row, padding=(0, 1), groups=channels)
        column = self.column * gain_O.view(-1, 1, 1, 1)
        return F.conv2d(y_BOHW, column, self.bias_O, padding=(1, 0), groups=channels)

    def _filtered(self, x_BIHW: Tensor, style_I: Tensor, gain_O: Tensor) -> Tensor:
        x_BIHW, weight_OIKK = self._modulated(x_BIHW, style_I)
        if weight_OIKK is self.weight_OIKK:  # few pixels: they are changed, not the weights
            y_BOHW = F.conv2d(x_BIHW, weight_OIKK, padding=self.padding)
            return torch.addcmul(self.bias_O.view(1, -1, 1, 1), y_BOHW, gain_O.view(1, -1, 1, 1), out=y_BOHW)
        return F.conv2d(x_BIHW, weight_OIKK * gain_O.view(-1, 1, 1, 1), self.bias_O, padding=self.padding)

    def _modulated(self, x_BIHW: Tensor, style_I: Tensor) -> tuple[Tensor, Tensor]:
        """Input and weight, of which the smaller one takes the style."""
        if x_BIHW.numel() < self.weight_OIKK.numel():
            return x_BIHW * style_I.view(1, -1, 1, 1), self.weight_OIKK
        return x_BIHW, self.weight_OIKK * style_I.view(1, -1, 1, 1)

    def _finished(self, y_BOHW: Tensor, noise_B1HW: Tensor | None) -> Tensor:
        noise = None if noise_B1HW is None else noise_B1HW * self.strength
        height = y_BOHW.shape[2]
        rows = max(1, math.ceil(height * STRIP_NUMBERS / y_BOHW.numel()))
        for start in range(0, height, rows):
            strip = y_BOHW[:, :, start : start + rows]
            if noise is not None:
                strip.add_(noise[:, :, start : start + rows])
            F.leaky_relu_(strip, NEGATIVE_SLOPE)
        return y_BOHW


class _Rgb:
    """The step to RGB, on top of the picture of half the size."""

    def __init__(self, layer: ToRGB) -> None:
        self.affine, self.weight_OIKK = _Affine(layer.conv), layer.conv.weight.detach()
        self.bias_O, self.upsample = layer.bias.detach(), layer.upsample

    def __call__(self, x_BIHW: Tensor, row_D: Tensor, skip_BCHW: Tensor | None) -> Tensor:
        weight_OIKK = self.weight_OIKK * self.affine(row_D).view(1, -1, 1, 1)
        y_BCHW = F.conv2d(x_BIHW, weight_OIKK, self.bias_O)
        if skip_BCHW is None:
            return y_BCHW
        return y_BCHW.add_(skip_BCHW if self.upsample is None else self.upsample(skip_BCHW))


class InferenceGenerator:
    """The synthesis network of a generator in float32 on a CPU, as its weights are now."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self._versions = _versions(generator)
        self.constant = generator.constant.detach().contiguous(memory_format=torch.channels_last)
        self.first, self.first_rgb = _Styled(generator.conv_first), _Rgb(generator.to_rgb_first)
        self.blocks = [
            (_Styled(b.conv_up), _Styled(b.conv), _Rgb(b.to_rgb))  # type: ignore[arg-type]
            for b in generator.blocks
        ]

    @property
    def is_current(self) -> bool:
        """Whether the weights are still those that it was made of; it sees no change by itself."""
        return self._versions == _versions(self.generator)

    @torch.no_grad()
    def __call__(self, codes_BND: Tensor, noise: NoiseMode | Sequence[Tensor] = "fixed") -> Tensor:
        """Pictures (B, 3, R, R) of codes (B, N, D), drawn one after another."""
        spec = self.generator.spec
        check_shape(codes_BND, (None, spec.n_styles, spec.style_dim), "W+ code")
        maps = self.generator.noise_maps(noise, codes_BND)
        return torch.cat([self._drawn(code_ND, _maps_of(maps, i)) for i, code_ND in enumerate(codes_BND)])

    def _drawn(self, code_ND: Tensor, maps: Sequence[Tensor | None]) -> Tensor:
        x = self.first(self.constant, code_ND[0], maps[0])
        rgb = self.first_rgb(x, code_ND[1], None)
        for i, (up, plain, to_rgb) in enumerate(self.blocks):
            x = up(x, code_ND[2 * i + 1], maps[2 * i + 1])
            x = plain(x, code_ND[2 * i + 2], maps[2 * i + 2])
            rgb = to_rgb(x, code_ND[2 * i + 3], rgb)
        return rgb


def _versions(generator: Generator) -> list[tuple[int, int]]:
    """Which tensors the parameters are, and how often each was written to; those of inference mode do not count."""
    return [(id(each), 0 if each.is_inference() else each._version) for each in generator.parameters()]


def with_tensors(generator: Generator, tensors: Mapping[str, Tensor]) -> Generator:
    """A generator in which these tensors stand in the place of those of the same names; all others are shared."""
    shared = itertools.chain(generator.parameters(), generator.buffers())
    changed = copy.deepcopy(generator, {id(tensor): tensor for tensor in shared})
    for name, tensor in tensors.items():
        owner, _, leaf = name.rpartition(".")
        module = changed.get_submodule(owner)
        if leaf in module._parameters:
            module._parameters[leaf] = nn.Parameter(tensor, requires_grad=False)
        else:
            module._buffers[leaf] = tensor
    return changed


def _maps_of(maps: Sequence[Tensor | None], index: int) -> list[Tensor | None]:
    """The noise maps of one picture, where not all have the same."""
    return [map_ if map_ is None or len(map_) == 1 else map_[index : index + 1] for map_ in maps]
