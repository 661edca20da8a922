"""The two networks of a model as plain graphs, tensors in and one tensor out, for what compiles or exports them.

A graph takes one picture at a time. Shape suffixes: B batch, C channels, H W height and width, N rows, D style width.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator

Role = Literal["encoder", "generator"]
ROLES: tuple[Role, ...] = ("encoder", "generator")


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """A network on the CPU in float32, the names of its inputs and its output, and numbers to trace it with."""

    role: Role
    module: nn.Module
    inputs: tuple[str, ...]
    output: str
    example: tuple[Tensor, ...]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each input."""
        return tuple(tuple(tensor.shape) for tensor in self.example)


class _EncoderGraph(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, picture_BCHW: Tensor, start_BND: Tensor) -> Tensor:
        codes: Tensor = self.encoder(picture_BCHW, start_BND)
        return codes


class _GeneratorGraph(nn.Module):
    """Every noise map is an input: stored ones, other ones, and zeros for none, all with one graph."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, codes_BND: Tensor, *noise_B1HW: Tensor) -> Tensor:
        picture: Tensor = self.generator(codes_BND, list(noise_B1HW))
        return picture


def encoder_graph(encoder: Encoder) -> Graph:
    """Inputs ``picture`` (1, C, S, S) and ``start`` (1, N, D), the code that offsets are added to; output ``codes``."""
    spec, average_ND = encoder.spec, encoder.latent_avg
    chance = torch.Generator().manual_seed(0)
    picture = torch.rand(1, spec.input_channels, spec.input_size, spec.input_size, generator=chance) * 2 - 1
    return Graph(
        role="encoder",
        module=_EncoderGraph(encoder).eval(),
        inputs=("picture", "start"),
        output="codes",
        example=(picture, average_ND.detach().float().cpu()[None].clone()),
    )


def generator_graph(generator: Generator) -> Graph:
    """Inputs ``codes`` (1, N, D) and ``noise_0`` (1, 1, 4, 4) to the last; output ``picture`` (1, 3, R, R)."""
    spec = generator.spec
    average_D = generator.latent_avg.detach().float().cpu()
    chance = torch.Generator().manual_seed(0)
    codes = average_D.expand(1, spec.n_styles, -1) + 0.1 * torch.randn(
        1, spec.n_styles, spec.style_dim, generator=chance
    )
    noise = [torch.randn(1, 1, side, side, generator=chance) for side in spec.noise_sizes]
    return Graph(
        role="generator",
        module=_GeneratorGraph(generator).eval(),
        inputs=("codes", *(f"noise_{i}" for i in range(len(noise)))),
        output="picture",
        example=(codes, *noise),
    )


@contextlib.contextmanager
def tracing() -> Iterator[None]:
    """Without gradients, and without the warnings that numbers of a network's own shapes become constants."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
