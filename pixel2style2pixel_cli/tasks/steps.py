"""Directions as people name them on a command line, and the step in W+ that each of them is for one generator."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pixel2style2pixel_cli.engine.rows import parse_layers
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.weights.directions import DIRECTION_SUFFIX, DirectionFile
from pixel2style2pixel_cli.zoo.directions import find_direction, generator_digest
from pixel2style2pixel_cli.zoo.resolve import InstalledModel

if TYPE_CHECKING:
    # imports torch, which a refused command line should not wait for
    from torch import Tensor

    from pixel2style2pixel_cli.networks.stylegan2 import Generator

# A direction that is worked out from the generator: which method, which rows, which number.
_COMPUTED = re.compile(r"(sefa|pca)(?::([a-z]+|[\d,-]+))?:(\d{1,4})", re.ASCII)
_LARGEST = 1000.0

MOST_VALUES = 200  # of a sweep


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One direction as it was asked for; ``strength`` is None where that of the whole edit counts."""

    name: str
    strength: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Computed:
    """The direction with this number of a method that needs no labels, of ``rows``, empty for all."""

    method: Literal["sefa", "pca"]
    rows: str
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One direction on one model: its strength, the rows it moves, and what it is."""

    name: str
    strength: float | None
    rows: tuple[int, ...]
    source: DirectionFile | Computed

    @property
    def label(self) -> str:
        """What the recipe calls it: name, own strength, rows, and the hash of numbers that came from a file."""
        own = "" if self.strength is None else f"={self.strength:g}"
        named = f"{self.name}{own} rows {','.join(map(str, self.rows))}"
        if isinstance(self.source, Computed):
            return named
        return f"{named} {hashlib.sha256(self.source.step.tobytes()).hexdigest()[:12]}"


def parse_directions(texts: Sequence[str]) -> tuple[Asked, ...]:
    """Directions out of ``smile``, ``smile=2``, ``sefa:0``, ``pca:coarse:1=-2``, ``my/smile.safetensors``.

    Raises UsageError for anything else, and where none is named.
    """
    found = []
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals:
            found.append(Asked(name=text.strip()))
            continue
        found.append(Asked(name=name.strip(), strength=_number(value, f"the strength in {text!r}")))
    if not found or not all(asked.name for asked in found):
        raise UsageError("no direction is named", "add --direction smile; p2s2p models show GENERATOR lists them")
    twice = [asked.name for asked in found if [each.name for each in found].count(asked.name) > 1]
    if twice:
        raise UsageError(f"the direction {twice[0]} is named twice", "name it once, with its strength: smile=2")
    return tuple(found)


def parse_sweep(text: str) -> tuple[float, ...]:
    """Strengths from ``FIRST:LAST:COUNT``, evenly spaced, as -3:3:7; UsageError for anything else."""
    parts = text.split(":")
    if len(parts) != 3 or not parts[2].strip().isdecimal():
        raise UsageError(f"the sweep {text!r} is not FIRST:LAST:COUNT", "write --sweep -3:3:7 for seven strengths")
    first, last = (_number(part, f"the sweep {text!r}") for part in parts[:2])
    count = int(parts[2])
    if not 2 <= count <= MOST_VALUES or first == last:
        raise UsageError(
            f"the sweep {text!r} has {count} strengths from {first:g} to {last:g}",
            f"give two different ends and 2 to {MOST_VALUES} strengths, as in -3:3:7",
        )
    # Rounded, because the values are in names of files: 0.1 + 0.2 is no better as 0.30000000000000004.
    return tuple(round(first + (last - first) * i / (count - 1), 6) + 0.0 for i in range(count))


def find_steps(asked: Sequence[Asked], layers: str | None, installed: InstalledModel) -> tuple[Step, ...]:
    """The directions on an installed model, before it is loaded; UsageError for one that is not its own."""
    digest, spec = generator_digest(installed), installed.generator
    return tuple(_find_step(each, layers, digest, spec.n_styles, spec.style_dim) for each in asked)


def _find_step(asked: Asked, layers: str | None, digest: str, n_styles: int, width: int) -> Step:
    every = f"0-{n_styles - 1}"
    match = _COMPUTED.fullmatch(asked.name)
    if match is not None:
        method: Literal["sefa", "pca"] = "sefa" if match[1] == "sefa" else "pca"
        source: Computed | DirectionFile = Computed(method=method, rows=match[2] or "", number=int(match[3]))
        if int(match[3]) >= width:
            raise UsageError(
                f"{asked.name} is beyond the {width} directions of this generator", f"count from 0 to {width - 1}"
            )
        rows = match[2] or every
    else:
        if asked.name.startswith(("sefa", "pca")) and not asked.name.lower().endswith(DIRECTION_SUFFIX):
            raise UsageError(
                f"the direction {asked.name!r} cannot be read", "write sefa:0, or with rows sefa:coarse:0, pca:4-7:2"
            )
        source = find_direction(asked.name, digest)
        count, found = source.step.shape
        if found != width or (source.space == "W+" and count != n_styles):
            raise UsageError(
                f"the direction {asked.name} has {count} x {found} numbers in {source.space}, "
                f"and codes of this model have {n_styles} x {width}",
                "name a direction that was made for this generator",
            )
        rows = source.rows or every
    wanted = parse_layers(layers or rows, n_styles)
    return Step(name=asked.name, strength=asked.strength, rows=wanted, source=source)


def as_offset(step: Step, generator: Generator, codes_MD: Tensor | None = None) -> Tensor:
    """The step of strength 1 as an offset (N, D) of W+ codes, float32 on the CPU; rows that it leaves alone are 0.

    ``codes_MD`` are random codes of the generator, which tell how long one standard deviation is; they are drawn where
    they are needed and not given.
    """
    import torch

    from pixel2style2pixel_cli.engine.directions import (
        deviation_along,
        draw_codes,
        principal_directions,
        sefa_directions,
    )

    spec = generator.spec
    if isinstance(step.source, DirectionFile):
        whole_ND = torch.from_numpy(step.source.step).expand(spec.n_styles, -1)
    else:
        drawn_MD = draw_codes(generator) if codes_MD is None else codes_MD
        number = step.source.number
        if step.source.method == "pca":
            unit_D = principal_directions(drawn_MD, number + 1)[number]
        else:
            of_rows = parse_layers(step.source.rows or f"0-{spec.n_styles - 1}", spec.n_styles)
            unit_D = sefa_directions(generator, of_rows, number + 1)[number]
        # SeFa does not look at codes, and along its axes they may hardly vary: its unit is that of their widest axis.
        scale = unit_D if step.source.method == "pca" else principal_directions(drawn_MD, 1)[0]
        whole_ND = (unit_D * deviation_along(scale, drawn_MD)).expand(spec.n_styles, -1)
    offset_ND = torch.zeros(spec.n_styles, spec.style_dim)
    offset_ND[list(step.rows)] = whole_ND[list(step.rows)]
    return offset_ND


def with_strength(steps: Sequence[Step], strength: float) -> tuple[Step, ...]:
    """The steps with a strength each."""
    return tuple(step if step.strength is not None else replace(step, strength=strength) for step in steps)


def _number(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{what} is {text.strip()!r}, which is no number", "write it as 2, -1.5 or 0.3") from None
    if not abs(value) <= _LARGEST:  # neither does anything hold for nan
        raise UsageError(
            f"{what} is {text.strip()}, expected -{_LARGEST:g} to {_LARGEST:g}", "an edit of 3 is strong already"
        )
    return value
