"""Options that belong to commands of several kinds."""

from __future__ import annotations

from typing import Literal

from pixel2style2pixel_cli.options.declare import MODEL, declare

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

LARGEST_SEED = 2**63 - 1  # what torch takes


def declare_device() -> str:
    """The device of a task or a training."""
    return declare(
        "auto", "--device", metavar="DEVICE", section=MODEL, help="Where to compute: auto, cpu, cuda, cuda:N or mps."
    )


def declare_seed() -> int:
    """The seed of a task or a training."""
    return declare(
        0, "--seed", metavar="N", section=MODEL, minimum=0, maximum=LARGEST_SEED, help="Seed for everything random."
    )
