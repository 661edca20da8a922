"""What stands before the tensors of a weight file, read without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pixel2style2pixel_cli.errors import InputError, IntegrityError
from pixel2style2pixel_cli.files.paths import display

METADATA_KEY = "p2s2p"  # of weights and latents alike
METADATA_SCHEMA = 1
LARGEST_HEADER = 100_000_000  # bytes, the limit of the safetensors library

_AGAIN = "copy the file again"


def read_header(path: Path) -> dict[str, Any] | None:
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


def read_weight_metadata(path: Path) -> dict[str, Any]:
    """What a weight file of ours says about itself: kind, spec, digest, licence."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
    except (OSError, SafetensorError) as error:
        raise IntegrityError(f"{path} cannot be read: {error}", "reinstall or import the model again") from error
    if text is None:
        raise IntegrityError(
            f"{path} is a safetensors file, but none of ours", "import it: p2s2p models import NAME FILE"
        )
    content: dict[str, Any] = json.loads(text)
    return content
