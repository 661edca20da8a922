"""Trained networks as weight files that explain themselves: safetensors in half precision with the spec inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec, RecogniserSpec
from pixel2style2pixel_cli.weights.write import save_halved

LICENCE = "mit"


def export_encoder(folder: Path, state: Mapping[str, Tensor], spec: EncoderSpec, generator: str = "") -> Path:
    """Write ``encoder.safetensors``; ``generator`` is the digest of the one that it was trained for."""
    path = folder / "encoder.safetensors"
    return save_halved(path, "encoder", state, dataclasses.asdict(spec), LICENCE, generator)


def export_heads(folder: Path, state: Mapping[str, Tensor], spec: EncoderSpec) -> Path:
    """Write ``heads.safetensors``: the heads that an encoder was trained with, but that are another encoder's."""
    heads = {key: value for key, value in state.items() if key.startswith(spec.shared)}
    return save_halved(folder / "heads.safetensors", "heads", heads, dataclasses.asdict(spec), LICENCE)


def export_generator(folder: Path, state: Mapping[str, Tensor], spec: GeneratorSpec) -> Path:
    """Write ``generator.safetensors``."""
    return save_halved(folder / "generator.safetensors", "generator", state, dataclasses.asdict(spec), LICENCE)


def export_recogniser(folder: Path, state: Mapping[str, Tensor], spec: RecogniserSpec) -> Path:
    """Write ``recogniser.safetensors``."""
    return save_halved(folder / "recogniser.safetensors", "recogniser", state, dataclasses.asdict(spec), LICENCE)
