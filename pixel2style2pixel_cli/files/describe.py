"""What a file of ours holds: the recipe of a picture, the codes of a latent, the network in a weight file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.files.image import read_metadata
from pixel2style2pixel_cli.files.latents import LatentFile, load_latents
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.files.recipe import parse_recipe

MARK = "p2s2p"  # the metadata key of weights and latents alike
SYNTHETIC = "lgorithmicMedia"  # what the IPTC terms for generated and for composite pictures have in common
CHECKPOINTS = frozenset({".pt", ".pth", ".ckpt", ".pkl", ".bin"})
LARGEST_HEADER = 100_000_000  # bytes, the limit of the safetensors library

_SHOWN = "p2s2p show takes pictures, latents and weight files made by p2s2p"
_AGAIN = "copy the file again"


def describe_file(path: Path) -> dict[str, Any]:
    """Named values for people and for JSON, ``kind`` first; InputError for a file that p2s2p did not write."""
    shown = display(path)
    header = _read_header(path)
    if header is not None:
        metadata = header.pop("__metadata__", None)
        if isinstance(metadata, dict) and str(metadata.get(MARK)).startswith("latent"):
            return _describe_latent(load_latents(path))
        return _describe_weights(header, metadata, shown)
    if path.suffix.lower() in CHECKPOINTS:
        raise InputError(
            f"{shown} is a checkpoint that p2s2p did not write",
            f"convert it first: p2s2p models import NAME {shown}",
        )
    return _describe_picture(path, shown)


def _describe_picture(path: Path, shown: str) -> dict[str, Any]:
    text, xmp = read_metadata(path, name=shown)
    if text is not None:
        return {"kind": "picture", **asdict(parse_recipe(text))}
    if SYNTHETIC in (xmp or ""):
        return {"kind": "picture", "synthetic": True, "recipe": None}
    raise InputError(f"{shown} is a picture without a recipe", _SHOWN)


def _describe_latent(latent: LatentFile) -> dict[str, Any]:
    return {
        "kind": "latent",
        "space": latent.space,
        "shape": list(latent.codes.shape),
        "generator": latent.generator,
        "latent_avg_included": latent.latent_avg_included,
        "matrix": latent.matrix,
        "recipe": None if latent.recipe is None else asdict(parse_recipe(latent.recipe)),
    }


def _describe_weights(tensors: dict[str, Any], metadata: Any, shown: str) -> dict[str, Any]:
    try:
        content = json.loads(metadata[MARK])
        named = {name: content[name] for name in ("spec", "digest", "licence", "source_sha256")}
        part = content["kind"]
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{shown} is a safetensors file that p2s2p did not write", "only files with its metadata can be shown"
        ) from error
    return {
        "kind": "weights",
        "part": part,
        **named,
        "tensors": len(tensors),
        "parameters": sum(math.prod(tensor["shape"]) for tensor in tensors.values()),
        "dtypes": sorted({tensor["dtype"] for tensor in tensors.values()}),
        "bytes": max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0),
    }


def _read_header(path: Path) -> dict[str, Any] | None:
    """The header of a safetensors file, None for any other file; InputError where the file is cut short.

    Read by hand, because the library needs torch for the number types that NumPy does not have.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not path.is_file() or file.read(1) != b"{" or not 2 <= length <= LARGEST_HEADER:
                return None
            text = b"{" + file.read(length - 1)
    except OSError:
        return None  # the reader of pictures says what is wrong with the path
    try:
        header: dict[str, Any] = json.loads(text)
        ends = [8 + length + tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{display(path)} is a damaged safetensors file: {error}", _AGAIN) from error
    if max(ends, default=size) > size:
        raise InputError(
            f"{display(path)} is cut short: it has {size} bytes, and its header speaks of {max(ends)}", _AGAIN
        )
    return header
