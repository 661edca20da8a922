"""Sizes and kinds of the networks, without torch: what cards, weight files, commands and options speak of."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pixel2style2pixel_cli.errors import UsageError

EncoderKind = Literal["psp", "psp_w", "psp_wplus", "e4e"]

# What the names of the map2style blocks begin with in a state dict: encoders of one generator may share them.
HEADS = "heads."

# Rows from the coarse and the middle features; a smaller generator only shortens the fine group.
N_COARSE, N_MIDDLE = 3, 4

# Units per stage of the published depths.
DEPTHS: dict[int, tuple[int, int, int, int]] = {50: (3, 4, 14, 3), 100: (3, 13, 30, 3), 152: (3, 8, 36, 3)}
WIDTHS = (64, 128, 256, 512)


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderSpec:
    """Size and kind of an encoder; the defaults are those of the published pSp encoders.

    The number of rows and the style width are the generator's and are not repeated here.
    """

    kind: EncoderKind = "psp"
    input_channels: int = 3
    input_size: int = 256
    units: tuple[int, int, int, int] = DEPTHS[50]
    widths: tuple[int, int, int, int] = WIDTHS
    head_width: int = 512

    def __post_init__(self) -> None:
        if self.kind not in get_args(EncoderKind):
            raise UsageError(f"unknown encoder kind {self.kind!r}", f"known: {', '.join(get_args(EncoderKind))}")
        if self.input_size < 32 or self.input_size & (self.input_size - 1):
            raise UsageError(f"encoder input size is {self.input_size}, expected a power of two from 32 on")
        if len(self.units) != 4 or len(self.widths) != 4:
            raise UsageError("an encoder has four stages: give four units and four widths")
        if min(*self.units, *self.widths, self.head_width, self.input_channels) < 1:
            raise UsageError("encoder sizes must be positive", "check [spec.encoder] in the model card")


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorSpec:
    """Size of a StyleGAN2 generator; the defaults are those of the published face models."""

    resolution: int
    style_dim: int = 512
    z_dim: int = 512
    channel_multiplier: float = 2
    channel_max: int = 512
    mapping_layers: int = 8

    def __post_init__(self) -> None:
        if self.resolution < 8 or self.resolution & (self.resolution - 1):
            raise UsageError(f"generator resolution is {self.resolution}, expected a power of two from 8 on")
        if min(self.style_dim, self.z_dim, self.channel_max, self.mapping_layers) < 1 or self.channel_multiplier <= 0:
            raise UsageError("generator sizes must be positive", "check [spec.generator] in the model card")
        if min(self.channels.values()) < 1:
            raise UsageError(
                f"a generator of {self.resolution} px has no channels left", "raise generator.channel_multiplier"
            )

    @property
    def n_styles(self) -> int:
        """Rows of a W+ code."""
        return n_styles_of(self.resolution)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, ... up to the resolution."""
        return tuple(2**i for i in range(2, int(math.log2(self.resolution)) + 1))

    @property
    def channels(self) -> dict[int, int]:
        """Channels of the features at each resolution."""
        return channel_table(self.resolutions, self.channel_multiplier, self.channel_max)

    @property
    def noise_sizes(self) -> tuple[int, ...]:
        """Side of each noise map, in the order of the layers: 4, 8, 8, 16, 16, ..."""
        return (4, *(r for r in self.resolutions[1:] for _ in range(2)))


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscriminatorSpec:
    """Size of a discriminator; the defaults are those of the published face models."""

    resolution: int
    channel_multiplier: float = 2
    channel_max: int = 512

    def __post_init__(self) -> None:
        if self.resolution < 8 or self.resolution & (self.resolution - 1):
            raise UsageError(f"discriminator resolution is {self.resolution}, expected a power of two from 8 on")
        if min(self.channels.values()) < 1:
            raise UsageError(
                f"a discriminator of {self.resolution} px has no channels left",
                "raise discriminator.channel_multiplier",
            )

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, ... up to the resolution."""
        return tuple(2**i for i in range(2, int(math.log2(self.resolution)) + 1))

    @property
    def channels(self) -> dict[int, int]:
        """Channels of the features at each resolution."""
        return channel_table(self.resolutions, self.channel_multiplier, self.channel_max)


def channel_table(resolutions: Sequence[int], multiplier: float, maximum: int) -> dict[int, int]:
    """Channels by resolution: 16384 x multiplier / resolution, at most ``maximum``; published: 2 and 512."""
    return {r: min(maximum, int(16384 * multiplier) // r) for r in resolutions}


def level_of_row(row: int) -> int:
    """0 for the coarse rows 0-2, 1 for the middle rows 3-6, 2 for the fine ones."""
    return 0 if row < N_COARSE else 1 if row < N_COARSE + N_MIDDLE else 2


def n_styles_of(resolution: int) -> int:
    """Rows of a W+ code for pictures of this side, a power of two: 2 log2(R) - 2."""
    return 2 * resolution.bit_length() - 4


def encoder_spec_from(table: Mapping[str, object], where: str) -> EncoderSpec:
    """The encoder that a table of a card or of a weight file describes; UsageError for a key the spec does not have."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    _check_keys(values, EncoderSpec, where)
    return EncoderSpec(**values)  # type: ignore[arg-type]


def generator_spec_from(table: Mapping[str, object], where: str) -> GeneratorSpec:
    """The generator that a table of a card describes; UsageError for a key the spec does not have."""
    values = dict(table)
    _check_keys(values, GeneratorSpec, where)
    return GeneratorSpec(**values)  # type: ignore[arg-type]


def _check_keys(values: dict[str, object], spec: type[EncoderSpec] | type[GeneratorSpec], where: str) -> None:
    known = {field.name for field in dataclasses.fields(spec)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise UsageError(f"{where} has unknown keys: {', '.join(unknown)}", f"known keys: {', '.join(sorted(known))}")
