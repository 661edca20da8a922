"""What a file of ours holds: the recipe of a picture, the codes of a latent, the network in a weight file."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pixel2style2pixel_cli.errors import InputError, IntegrityError
from pixel2style2pixel_cli.files.glance import glance
from pixel2style2pixel_cli.files.image import read_metadata
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.files.recipe import parse_recipe
from pixel2style2pixel_cli.weights.directions import DirectionFile, load_direction
from pixel2style2pixel_cli.weights.header import METADATA_KEY, read_header, read_weight_header
from pixel2style2pixel_cli.weights.latents import LatentFile, load_latents

SYNTHETIC = "lgorithmicMedia"  # what the IPTC terms for generated and for composite pictures have in common
MOVING = frozenset({".gif", ".mp4"})  # whose metadata Pillow does not read
CHECKPOINTS = frozenset({".pt", ".pth", ".ckpt", ".pkl", ".bin"})

_SHOWN = "p2s2p show takes pictures, latents and weight files made by p2s2p"


def describe_file(path: Path) -> dict[str, Any]:
    """Named values for people and for JSON, ``kind`` first; InputError for a file that p2s2p did not write."""
    shown = display(path)
    header = read_header(path)
    if header is not None:
        metadata = header.pop("__metadata__", None)
        if isinstance(metadata, dict) and str(metadata.get(METADATA_KEY)).startswith("latent"):
            return _describe_latent(load_latents(path))
        if isinstance(metadata, dict) and str(metadata.get(METADATA_KEY)).startswith("direction"):
            return _describe_direction(load_direction(path))
        return _describe_weights(path, header, shown)
    if path.suffix.lower() in CHECKPOINTS:
        raise InputError(
            f"{shown} is a checkpoint that p2s2p did not write",
            f"convert it first: p2s2p models import NAME {shown}",
        )
    return _describe_picture(path, shown)


def _describe_picture(path: Path, shown: str) -> dict[str, Any]:
    kind, text, marked = "picture", None, False
    if path.suffix.lower() in MOVING and path.is_file():
        look = glance(path)
        kind, text, marked = "animation", look.recipe, look.ours
    if not marked:
        text, xmp = read_metadata(path, name=shown)
        marked = SYNTHETIC in (xmp or "")
    if text is not None:
        return {"kind": kind, **asdict(parse_recipe(text))}
    if marked:
        return {"kind": kind, "synthetic": True, "recipe": None}
    raise InputError(f"{shown} is a picture without a recipe", _SHOWN)


def _describe_latent(latent: LatentFile) -> dict[str, Any]:
    return {
        "kind": "latent",
        "space": latent.space,
        "shape": list(latent.codes.shape),
        "generator": latent.generator,
        "latent_avg_included": latent.latent_avg_included,
        "matrix": latent.matrix,
        **({} if latent.noise is None else {"noise_maps": [len(noise) for noise in latent.noise]}),
        "recipe": None if latent.recipe is None else asdict(parse_recipe(latent.recipe)),
    }


def _describe_direction(direction: DirectionFile) -> dict[str, Any]:
    return {
        "kind": "direction",
        "name": direction.name,
        "space": direction.space,
        "shape": list(direction.step.shape),
        "generators": list(direction.generators),
        "rows": direction.rows or "all",
        "made": dict(direction.made),
    }


def _describe_weights(path: Path, tensors: dict[str, Any], shown: str) -> dict[str, Any]:
    try:
        header = read_weight_header(path)
    except IntegrityError as error:
        raise InputError(
            f"{shown} is a safetensors file that p2s2p did not write", "only files with its metadata can be shown"
        ) from error
    return {
        "kind": "weights",
        "part": header.kind,
        "spec": dict(header.spec),
        "digest": header.digest,
        "licence": header.licence,
        "source_sha256": header.source_sha256,
        "tensors": len(tensors),
        "parameters": sum(math.prod(tensor["shape"]) for tensor in tensors.values()),
        "dtypes": sorted({tensor["dtype"] for tensor in tensors.values()}),
        "bytes": max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0),
    }
