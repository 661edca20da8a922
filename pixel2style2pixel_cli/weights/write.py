"""Tensors into weight files that explain themselves: safetensors with spec, digest and licence inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save, save_file
from torch import Tensor

from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.weights.digest import tensor_digest
from pixel2style2pixel_cli.weights.header import METADATA_KEY, METADATA_SCHEMA


def weight_metadata(
    kind: str, spec: Mapping[str, object], digest: str, licence: str, source_sha256: str, generator: str = ""
) -> dict[str, str]:
    """The metadata of a weight file: one key whose JSON makes the file explain itself.

    ``generator`` is the digest of the generator that an encoder belongs to.
    """
    content = {
        "schema": METADATA_SCHEMA,
        "kind": kind,
        "spec": spec,
        "source_sha256": source_sha256,
        "licence": licence,
        "digest": digest,
    }
    if generator:
        content["generator"] = generator
    return {METADATA_KEY: json.dumps(content, sort_keys=True)}


def save_weights(
    path: Path,
    kind: str,
    state: dict[str, Tensor],
    spec: Mapping[str, object],
    licence: str,
    source_sha256: str,
    generator: str = "",
) -> str:
    """Write contiguous tensors as they are, without a copy in memory; returns their digest."""
    digest = tensor_digest(state)
    save_file(state, path, metadata=weight_metadata(kind, spec, digest, licence, source_sha256, generator))
    return digest


def save_halved(
    path: Path, kind: str, state: Mapping[str, Tensor], spec: Mapping[str, object], licence: str, generator: str = ""
) -> Path:
    """Write a trained network in half precision, whole or not at all."""
    halved = {name: _halved(name, value) for name, value in state.items()}
    write_atomic(path, save(halved, weight_metadata(kind, spec, tensor_digest(halved), licence, "", generator)))
    return path


def _halved(name: str, value: Tensor) -> Tensor:
    value = value.detach().cpu().contiguous()
    # Running statistics may leave the range of half precision, and take next to no space.
    keep = ".running_" in name or not value.is_floating_point()
    return value if keep else value.to(torch.float16)
