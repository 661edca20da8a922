"""The networks of a model as plain graphs, tensors in and tensors out, for what compiles or exports them.

Shape suffixes: B batch, C channels, H W height and width, N rows, D style width.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.engine.passes import encode_in_passes
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator

Role = Literal["encoder", "generator"]
Part = Literal["whole", "encoder", "generator"]
ROLES: tuple[Role, ...] = ("encoder", "generator")


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """A network on the CPU in float32, the names of inputs and outputs, and numbers for one picture to trace it with.

    ``any_batch``: what is made of it takes any number of pictures, else one at a time.
    """

    part: Part
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    any_batch: bool = False
    example: tuple[Tensor, ...]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each input, with -1 for any number."""
        sides = (tuple(tensor.shape) for tensor in self.example)
        return tuple((-1, *side[1:]) if self.any_batch else side for side in sides)


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
        part="encoder",
        module=_EncoderGraph(encoder).eval(),
        inputs=("picture", "start"),
        outputs=("codes",),
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
        part="generator",
        module=_GeneratorGraph(generator).eval(),
        inputs=("codes", *(f"noise_{i}" for i in range(len(noise)))),
        outputs=("picture",),
        example=(codes, *noise),
    )


class _Whole(nn.Module):
    """Codes and pictures of encoder inputs, in as many passes as the model makes."""

    def __init__(self, encoder: Encoder, generator: Generator, passes: int) -> None:
        super().__init__()
        self.encoder, self.generator, self.passes = encoder, generator, passes

    def forward(self, picture_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        if self.encoder.spec.residual:
            codes = encode_in_passes(
                self.encoder, self.generator, self.encoder.latent_avg, picture_BCHW, self.passes
            )  # fmt: skip
        else:
            codes = self.encoder(picture_BCHW)
        return codes, self.generator(codes)


def export_graph(part: Part, encoder: Encoder | None, generator: Generator, passes: int = 1) -> Graph:
    """A graph for other programs: average code and stored noise are inside, the number of pictures is free.

    ``encoder``: ``picture`` (B, C, S, S) to ``codes`` (B, N, D), a residual one also from ``start``; ``generator``:
    ``codes`` to ``image`` (B, 3, R, R); ``whole``: ``picture`` to both.
    """
    module: nn.Module
    names: tuple[str, ...]
    outputs: tuple[str, ...]
    if part == "generator" or encoder is None:
        names, outputs, example = ("codes",), ("image",), generator_graph(generator).example[:1]
        module = _Sampler(generator)
    else:
        traced = encoder_graph(encoder)
        names, outputs, example = traced.inputs, traced.outputs, traced.example
        module = traced.module
        if part == "whole":
            module, outputs = _Whole(encoder, generator, passes), ("codes", "image")
            names, example = ("picture",), (example[0][:, : encoder.spec.given_channels],)
        elif not encoder.spec.residual:
            module, names, example = encoder, ("picture",), example[:1]
    return Graph(
        part=part, module=module.eval(), inputs=names, outputs=outputs, example=example, any_batch=True
    )  # fmt: skip


class _Sampler(nn.Module):
    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, codes_BND: Tensor) -> Tensor:
        picture: Tensor = self.generator(codes_BND)
        return picture


@contextlib.contextmanager
def tracing() -> Iterator[None]:
    """Without gradients, and without the warnings that numbers of a network's own shapes become constants."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
