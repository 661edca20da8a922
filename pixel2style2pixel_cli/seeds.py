"""Seeds to random numbers, drawn on the CPU so that every device, batch size and order agrees."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def image_seed(seed: int, relative_path: str) -> int:
    """Seed of one image: a hash of the run's seed and the path relative to its input, so order changes nothing."""
    digest = hashlib.sha256(f"{seed}:{relative_path}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # torch takes 63 bits


def torch_generator(seed: int) -> torch.Generator:
    """A generator on the CPU."""
    import torch

    return torch.Generator(device="cpu").manual_seed(seed)
