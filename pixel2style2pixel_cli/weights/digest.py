"""The identity of a set of weights: the same numbers in another file have the same digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pixel2style2pixel_cli.errors import IntegrityError
from pixel2style2pixel_cli.weights.header import read_header, read_weight_header

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_BYTES = 1 << 20

# How the headers of weight files and how torch call the number types.
NUMBER_TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


def tensor_digest(state: Mapping[str, Tensor]) -> str:
    """Hex sha256 over (key, dtype, shape, bytes) of every tensor, in the order of the keys."""
    import torch

    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        digest.update(_title(key, str(tensor.dtype).removeprefix("torch."), tensor.shape))
        if tensor.numel():
            # through uint8, since NumPy has no bfloat16
            digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """The same of the tensors in a weight file, without torch."""
    header = read_header(path) or {}
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        begin = 8 + int.from_bytes(stream.read(8), "little")
        for key in sorted(header.keys() - {"__metadata__"}):
            tensor = header[key]
            kind = NUMBER_TYPES.get(tensor["dtype"], tensor["dtype"])
            digest.update(_title(key, kind, tensor["shape"]))
            start, end = tensor["data_offsets"]
            stream.seek(begin + start)
            left = end - start
            while left and (chunk := stream.read(min(left, CHUNK_BYTES))):
                digest.update(chunk)
                left -= len(chunk)
    return digest.hexdigest()


def require_digest(path: Path) -> None:
    """Raise IntegrityError unless a weight file of ours holds the numbers that it says it holds."""
    stated, found = read_weight_header(path).digest, file_digest(path)
    if stated != found:
        raise IntegrityError(
            f"the numbers in {path} have digest {found[:12]}, its header says {stated[:12]}",
            "the file is damaged; copy or export it again",
        )


def _title(key: str, kind: str, shape: Sequence[int]) -> bytes:
    return f"{key}\0{kind}\0{','.join(map(str, shape))}\0".encode()
