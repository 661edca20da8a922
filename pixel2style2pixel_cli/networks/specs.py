"""Sizes and kinds of the networks, without torch: what cards, weight files, commands and options speak of."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from pixel2style2pixel_cli.errors import SHOWN, UsageError, in_one_line, listed, shown_value
from pixel2style2pixel_cli.networks.families import ENCODER_FAMILIES, HEADS, MOST_ROWS

EncoderKind: TypeAlias = str  # a key of ENCODER_FAMILIES

# Rows from the coarse and the middle features; a smaller generator only shortens the fine group.
N_COARSE, N_MIDDLE = 3, 4

# Units per stage of the published depths.
DEPTHS: dict[int, tuple[int, int, int, int]] = {50: (3, 4, 14, 3), 100: (3, 13, 30, 3), 152: (3, 8, 36, 3)}
WIDTHS = (64, 128, 256, 512)

# What a ReStyle encoder reads: a picture, and the one that was drawn of it so far.
RESIDUAL_CHANNELS = 6

# Far above every network there is. A card or file that asks for more is damaged or means harm: building what it
# describes would take the machine's memory or hours.
MOST_PIXELS, MOST_WIDTH, MOST_UNITS, MOST_LAYERS = 4096, 4096, 200, 64

# The stage of an encoder whose rows may all differ from the first, whatever their number.
ALL_OPEN = -1

# The face inside an FFHQ crop of 256 px that the published recogniser sees: first row, end, first column, end.
FACE_BOX = (35, 223, 32, 220)
BOX_SIZE = 256

# Kinds of recognisers, and how much smaller than its input the last map of each is.
RECOGNISER_STRIDES = {"irse": 16, "lite": 32}

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderSpec:
    """Size and kind of an encoder; the defaults are those of the published pSp encoders.

    The number of rows and the style width are the generator's and are not repeated here. ``stage`` is how many rows
    after the first have an offset of their own, in a kind that has such (e4e): 0 is a code in W. ``heads`` is how many
    rows have a head of their own, in a kind on EfficientNet-Lite0: those after take the last one's; 0 is every row.
    """

    kind: EncoderKind = "psp"
    input_channels: int = 3
    input_size: int = 256
    units: tuple[int, int, int, int] = DEPTHS[50]
    widths: tuple[int, int, int, int] = WIDTHS
    head_width: int = 512
    stage: int = ALL_OPEN
    heads: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ENCODER_FAMILIES:
            raise UsageError(f"unknown encoder kind {shown_value(self.kind)}", f"known: {', '.join(ENCODER_FAMILIES)}")
        if len(self.units) != 4 or len(self.widths) != 4:
            raise UsageError("an encoder has four stages: give four units and four widths")
        _check_side("encoder input size", self.input_size, 32)
        _check_sizes("encoder units", MOST_UNITS, *self.units)
        _check_sizes("encoder widths", MOST_WIDTH, *self.widths, self.head_width, self.input_channels)
        if self.stage != ALL_OPEN and not self.has_offsets:
            raise UsageError(
                f"the rows of an encoder of kind {self.kind} are no offsets, so it has no stage {self.stage}",
                f"leave stage out, or use kind {' or '.join(k for k, f in ENCODER_FAMILIES.items() if f.offsets)}",
            )
        if self.heads and not ENCODER_FAMILIES[self.kind].repeats:
            raise UsageError(
                f"every row has a head of its own in an encoder of kind {self.kind}, and encoder.heads is {self.heads}",
                f"leave heads out, or use kind {' or '.join(k for k, f in ENCODER_FAMILIES.items() if f.repeats)}",
            )
        if not 0 <= self.heads <= MOST_ROWS:
            raise UsageError(f"encoder heads is {self.heads}, expected 0 (one for every row) to {MOST_ROWS}")
        if not ALL_OPEN <= self.stage <= MOST_ROWS:
            raise UsageError(
                f"encoder stage is {self.stage}, expected {ALL_OPEN} (all offsets are open) or 0 to {MOST_ROWS}"
            )

    @property
    def residual(self) -> bool:
        """Whether it corrects a code in passes: it also reads the picture drawn so far (ReStyle)."""
        return self.input_channels == RESIDUAL_CHANNELS

    @property
    def given_channels(self) -> int:
        """Channels of its input alone, without those of the picture drawn so far."""
        return self.input_channels // 2 if self.residual else self.input_channels

    @property
    def shared(self) -> tuple[str, ...]:
        """How the names of those parts begin that encoders of one generator may share.

        At stage 0 the heads of all rows but the first are never asked, so that anybody's will do.
        """
        shared = ENCODER_FAMILIES[self.kind].shared
        return (*shared, *(f"{HEADS}{row}." for row in range(1, MOST_ROWS))) if self.stage == 0 else shared

    @property
    def has_offsets(self) -> bool:
        """Whether rows after the first are offsets from it, which a stage opens."""
        return ENCODER_FAMILIES[self.kind].offsets

    def head_rows(self, n_styles: int) -> int:
        """How many of so many rows have a head of their own; UsageError for more heads than rows."""
        if self.heads > n_styles:
            raise UsageError(
                f"the encoder has {self.heads} heads, and a code of this generator has {n_styles} rows",
                f"set heads to {n_styles} or less",
            )
        return self.heads or n_styles

    def open_rows(self, n_styles: int) -> int:
        """How many of so many rows have an offset of their own; UsageError for a stage beyond the last of them."""
        if self.stage >= n_styles:
            raise UsageError(
                f"encoder stage is {self.stage}, and a code of this generator has {n_styles} rows",
                f"set stage to {n_styles - 1} or less",
            )
        return n_styles - 1 if self.stage == ALL_OPEN else self.stage


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
        _check_side("generator resolution", self.resolution, 8)
        _check_sizes("generator widths", MOST_WIDTH, self.style_dim, self.z_dim, self.channel_max)
        _check_sizes("generator mapping layers", MOST_LAYERS, self.mapping_layers)
        _check_channels("generator", self)

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
        _check_side("discriminator resolution", self.resolution, 8)
        _check_sizes("discriminator widths", MOST_WIDTH, self.channel_max)
        _check_channels("discriminator", self)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, ... up to the resolution."""
        return tuple(2**i for i in range(2, int(math.log2(self.resolution)) + 1))

    @property
    def channels(self) -> dict[int, int]:
        """Channels of the features at each resolution."""
        return channel_table(self.resolutions, self.channel_multiplier, self.channel_max)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecogniserSpec:
    """Size and kind of a face recogniser; the defaults are those of the published ArcFace network.

    ``irse`` is the IR-SE trunk, ``lite`` EfficientNet-Lite0. ``box`` is the part of an aligned picture that it sees, a
    square: first row, end, first column, end, in pixels of a picture of 256 px.
    """

    kind: str = "irse"
    input_size: int = 112
    embedding: int = 512
    units: tuple[int, int, int, int] = DEPTHS[50]
    widths: tuple[int, int, int, int] = WIDTHS
    box: tuple[int, int, int, int] = FACE_BOX

    def __post_init__(self) -> None:
        if self.kind not in RECOGNISER_STRIDES:
            raise UsageError(
                f"unknown recogniser kind {shown_value(self.kind)}", f"known: {', '.join(RECOGNISER_STRIDES)}"
            )
        stride = RECOGNISER_STRIDES[self.kind]
        if not 32 <= self.input_size <= MOST_PIXELS or self.input_size % stride:
            raise UsageError(
                f"recogniser input size is {shown_value(self.input_size)}, expected a multiple of {stride} from 32 to "
                f"{MOST_PIXELS}"
            )
        if len(self.units) != 4 or len(self.widths) != 4 or len(self.box) != 4:
            raise UsageError("a recogniser has four units, four widths, and a box of four edges")
        _check_sizes("recogniser units", MOST_UNITS, *self.units)
        _check_sizes("recogniser widths", MOST_WIDTH, *self.widths, self.embedding)
        top, bottom, left, right = self.box
        if not (0 <= top < bottom <= BOX_SIZE and 0 <= left < right <= BOX_SIZE) or bottom - top != right - left:
            raise UsageError(
                f"recogniser box is {list(self.box)}, expected a square in a picture of {BOX_SIZE} px",
                "give first row, end, first column, end: [32, 224, 32, 224]",
            )

    @property
    def picture_size(self) -> int:
        """The side of an aligned picture of whose box nothing is enlarged or reduced."""
        return round(self.input_size * BOX_SIZE / (self.box[1] - self.box[0]))


def channel_table(resolutions: Sequence[int], multiplier: float, maximum: int) -> dict[int, int]:
    """Channels by resolution: 16384 x multiplier / resolution, at most ``maximum``; published: 2 and 512."""
    return {r: min(maximum, int(16384 * multiplier) // r) for r in resolutions}


def level_of_row(row: int) -> int:
    """0 for the coarse rows 0-2, 1 for the middle rows 3-6, 2 for the fine ones."""
    return 0 if row < N_COARSE else 1 if row < N_COARSE + N_MIDDLE else 2


def n_styles_of(resolution: int) -> int:
    """Rows of a W+ code for pictures of this side, a power of two: 2 log2(R) - 2."""
    return 2 * resolution.bit_length() - 4


def read_spec(kind: type[S], table: Mapping[str, object], where: str) -> S:
    """The spec that a table of a card or of a weight file describes.

    Raises UsageError with everything that is wrong with it: unknown and missing keys, values of another type, sizes
    that no network has.
    """
    hints, wanted = get_type_hints(kind), {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    problems = [f"{in_one_line(key)[:SHOWN]} is not a known key" for key in table if key not in wanted]
    values: dict[str, object] = {}
    for name, field in wanted.items():
        if name in table:
            values[name] = tuple(found) if isinstance(found := table[name], list) else found
            if not _fits(values[name], hints[name]):
                problems.append(f"{name} is {shown_value(found)}, expected {_described(hints[name])}")
        elif field.default is dataclasses.MISSING:
            problems.append(f"{name} is missing")
    if problems:
        raise UsageError(f"{where} is wrong: {listed(problems)}", f"known keys: {', '.join(sorted(wanted))}")
    try:
        return kind(**values)
    except UsageError as error:
        raise UsageError(f"{where} is wrong: {error.message}", error.hint) from error


def _fits(value: object, hint: object) -> bool:
    """Whether a value of TOML or JSON has the type of a field; a whole number may stand for a real one."""
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        return isinstance(value, tuple) and len(value) == len(parts) and all(map(_fits, value, parts))
    kinds = {int: (int,), float: (int, float), str: (str,)}[hint]  # type: ignore[index]
    return isinstance(value, kinds) and not isinstance(value, bool)


def _described(hint: object) -> str:
    if get_origin(hint) is tuple:
        return f"{len(get_args(hint))} whole numbers"
    return {int: "a whole number", float: "a number", str: "text"}[hint]  # type: ignore[index]


def _check_side(what: str, value: int, least: int) -> None:
    if not least <= value <= MOST_PIXELS or value & (value - 1):
        raise UsageError(f"{what} is {shown_value(value)}, expected a power of two from {least} to {MOST_PIXELS}")


def _check_sizes(what: str, most: int, *values: int) -> None:
    wrong = [shown_value(value) for value in values if not 1 <= value <= most]
    if wrong:
        raise UsageError(f"{what} of {', '.join(wrong)}, expected 1 to {most}")


def _check_channels(what: str, spec: GeneratorSpec | DiscriminatorSpec) -> None:
    if not 0 < spec.channel_multiplier <= MOST_WIDTH:  # catches what is no number too
        raise UsageError(f"{what} channel multiplier is {spec.channel_multiplier}, expected 0 to {MOST_WIDTH}")
    if min(spec.channels.values()) < 1:
        raise UsageError(f"a {what} of {spec.resolution} px has no channels left", f"raise {what}.channel_multiplier")
