"""The StyleGAN2 generator: a mapping network and a synthesis network, of any size.

Shape suffixes: B batch, N styles, D style width, Z width of z, C channels, H W height and width.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pixel2style2pixel_cli.errors import ShapeError, check_shape
from pixel2style2pixel_cli.networks.layers import EqualLinear, StyledConv, ToRGB, normal_weight, pixel_norm
from pixel2style2pixel_cli.networks.specs import GeneratorSpec

NoiseMode = Literal["fixed", "random", "off"]


class MappingNetwork(nn.Module):
    """z to w: normalisation, then fully connected layers of learning rate 0.01."""

    def __init__(self, spec: GeneratorSpec) -> None:
        super().__init__()
        widths = [spec.z_dim] + [spec.style_dim] * spec.mapping_layers
        self.layers = nn.ModuleList(
            EqualLinear(i, o, lr_multiplier=0.01, activate=True) for i, o in itertools.pairwise(widths)
        )

    def forward(self, z_BZ: Tensor) -> Tensor:
        w_BD = pixel_norm(z_BZ)
        for layer in self.layers:
            w_BD = layer(w_BD)
        return w_BD


class SynthesisBlock(nn.Module):
    """The layers of one resolution: an upsampling and a plain convolution, and the step to RGB."""

    def __init__(self, in_channels: int, out_channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv_up = StyledConv(in_channels, out_channels, style_dim, up=True)
        self.conv = StyledConv(out_channels, out_channels, style_dim)
        self.to_rgb = ToRGB(out_channels, style_dim)

    def forward(
        self, x_BCHW: Tensor, rgb_BCHW: Tensor, codes_BND: Tensor, noise: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor]:
        """``codes_BND`` holds this block's three rows; the third also feeds the first layer of the next block."""
        x_BCHW = self.conv_up(x_BCHW, codes_BND[:, 0], noise[0])
        x_BCHW = self.conv(x_BCHW, codes_BND[:, 1], noise[1])
        return x_BCHW, self.to_rgb(x_BCHW, codes_BND[:, 2], rgb_BCHW)


class Generator(nn.Module):
    """StyleGAN2: codes of shape (B, n_styles, style_dim) to images of shape (B, 3, R, R), roughly in [-1, 1].

    ``latent_avg`` (style_dim,) is the mean of the mapping network's output, the centre of truncation. With
    ``recompute``, what a block leaves for the gradients is computed again instead of kept.
    """

    latent_avg: Tensor
    recompute = False

    def __init__(self, spec: GeneratorSpec) -> None:
        super().__init__()
        self.spec = spec
        channels, width = spec.channels, spec.style_dim
        self.mapping = MappingNetwork(spec)
        self.constant = nn.Parameter(normal_weight(1, channels[4], 4, 4))
        self.conv_first = StyledConv(channels[4], channels[4], width)
        self.to_rgb_first = ToRGB(channels[4], width, up=False)
        self.blocks = nn.ModuleList(SynthesisBlock(channels[r // 2], channels[r], width) for r in spec.resolutions[1:])
        self.register_buffer("latent_avg", torch.zeros(width))
        for i, size in enumerate(spec.noise_sizes):
            self.register_buffer(f"noise_{i}", normal_weight(1, 1, size, size))

    def forward(self, codes_BND: Tensor, noise: NoiseMode | Sequence[Tensor] = "fixed") -> Tensor:
        """Draw the images of W+ codes; a sequence of noise maps (B or 1, 1, s, s) replaces the stored ones."""
        image, _ = self.synthesise(codes_BND, noise)
        return image

    def synthesise(self, codes_BND: Tensor, noise: NoiseMode | Sequence[Tensor] = "fixed") -> tuple[Tensor, Tensor]:
        """Images (B, 3, R, R) and the features (B, C, R, R) before the last step to RGB."""
        check_shape(codes_BND, (None, self.spec.n_styles, self.spec.style_dim), "W+ code")
        maps = self.noise_maps(noise, codes_BND)
        x = self.constant.expand(codes_BND.shape[0], -1, -1, -1)
        if x.is_cuda or x.device.type == "cpu":
            x = x.contiguous(memory_format=torch.channels_last)
        x = self.conv_first(x, codes_BND[:, 0], maps[0])
        rgb = self.to_rgb_first(x, codes_BND[:, 1])
        for i, block in enumerate(self.blocks):
            parts = (x, rgb, codes_BND[:, 2 * i + 1 : 2 * i + 4], maps[2 * i + 1 : 2 * i + 3])
            x, rgb = checkpoint(block, *parts, use_reentrant=False) if self.recompute else block(*parts)
        return rgb, x

    def noise_maps(self, noise: NoiseMode | Sequence[Tensor], like: Tensor) -> Sequence[Tensor | None]:
        """One map per layer, or None where no noise is added."""
        sizes = self.spec.noise_sizes
        if noise == "off":
            return [None] * len(sizes)
        if noise == "fixed":
            return [self.get_buffer(f"noise_{i}") for i in range(len(sizes))]
        if noise == "random":
            return [torch.randn(like.shape[0], 1, s, s, device=like.device, dtype=like.dtype) for s in sizes]
        if len(noise) != len(sizes):
            raise ShapeError(f"{len(noise)} noise maps given, this generator takes {len(sizes)}")
        return [m for m in noise if isinstance(m, Tensor)]

    def map(self, z_BZ: Tensor, truncation: float = 1.0) -> Tensor:
        """W+ codes of z (B, z_dim): the same row n times, pulled towards the average by 1 - ``truncation``."""
        check_shape(z_BZ, (None, self.spec.z_dim), "z")
        w_BD = self.mapping(z_BZ)
        if truncation != 1.0:
            w_BD = self.latent_avg + truncation * (w_BD - self.latent_avg)
        return self.repeat(w_BD)

    def repeat(self, w_BD: Tensor) -> Tensor:
        """A code in W as a code in W+."""
        return w_BD[:, None].expand(-1, self.spec.n_styles, -1)

    @torch.no_grad()
    def estimate_latent_avg(self, draws: int, generator: torch.Generator) -> Tensor:
        """Mean of the mapping network over ``draws`` standard normal z, shape (style_dim,)."""
        total = torch.zeros(self.spec.style_dim, dtype=torch.float64)
        for start in range(0, draws, 1000):
            z_BZ = torch.randn(min(1000, draws - start), self.spec.z_dim, generator=generator)
            total += self.mapping(z_BZ.to(self.constant)).double().sum(dim=0).cpu()
        return (total / draws).to(self.constant)


def mix_styles(first_BND: Tensor, second_BND: Tensor, crossover: int) -> Tensor:
    """Rows before ``crossover`` of the first code, the others of the second (StyleGAN, section 3.1)."""
    return torch.cat([first_BND[:, :crossover], second_BND[:, crossover:]], dim=1)
