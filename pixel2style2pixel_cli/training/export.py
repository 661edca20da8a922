"""Trained networks as weight files that explain themselves: safetensors in half precision with the spec inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from pixel2style2pixel_cli.convert.digest import tensor_digest
from pixel2style2pixel_cli.convert.install import weight_metadata
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.networks.psp import EncoderSpec
from pixel2style2pixel_cli.networks.stylegan2 import GeneratorSpec

LICENCE = "mit"


def export_encoder(folder: Path, state: Mapping[str, Tensor], spec: EncoderSpec) -> Path:
    """Write ``encoder.safetensors``."""
    return _export(folder / "encoder.safetensors", "encoder", state, dataclasses.asdict(spec))


def export_generator(folder: Path, state: Mapping[str, Tensor], spec: GeneratorSpec) -> Path:
    """Write ``generator.safetensors``."""
    return _export(folder / "generator.safetensors", "generator", state, dataclasses.asdict(spec))


def _export(path: Path, kind: str, state: Mapping[str, Tensor], spec: dict[str, object]) -> Path:
    halved = {name: _halved(name, value) for name, value in state.items()}
    metadata = weight_metadata(kind, spec, tensor_digest(halved), LICENCE, "")
    write_atomic(path, save(halved, metadata))
    return path


def _halved(name: str, value: Tensor) -> Tensor:
    value = value.detach().cpu().contiguous()
    # Running statistics may leave the range of half precision, and take next to no space.
    keep = ".running_" in name or not value.is_floating_point()
    return value if keep else value.to(torch.float16)
