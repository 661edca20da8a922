"""The identity of a set of weights: the same numbers in another file have the same digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def tensor_digest(state: Mapping[str, Tensor]) -> str:
    """Hex sha256 over (key, dtype, shape, bytes) of every tensor, in the order of the keys."""
    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        kind = str(tensor.dtype).removeprefix("torch.")
        digest.update(f"{key}\0{kind}\0{','.join(map(str, tensor.shape))}\0".encode())
        if tensor.numel():
            # through uint8, since NumPy has no bfloat16
            digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
