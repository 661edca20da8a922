"""Trained networks as weight files that explain themselves: safetensors in half precision with the spec inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.weights.write import save_halved

LICENCE = "mit"


def export_encoder(folder: Path, state: Mapping[str, Tensor], spec: EncoderSpec) -> Path:
    """Write ``encoder.safetensors``."""
    return save_halved(folder / "encoder.safetensors", "encoder", state, dataclasses.asdict(spec), LICENCE)


def export_generator(folder: Path, state: Mapping[str, Tensor], spec: GeneratorSpec) -> Path:
    """Write ``generator.safetensors``."""
    return save_halved(folder / "generator.safetensors", "generator", state, dataclasses.asdict(spec), LICENCE)
