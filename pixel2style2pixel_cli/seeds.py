"""Seeds to random numbers, drawn on the CPU so that every device, batch size and order agrees."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pixel2style2pixel_cli.errors import UsageError

if TYPE_CHECKING:
    import torch

MOST_SEEDS = 10_000
_LARGEST = 2**63 - 1
_RANGE = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?", re.ASCII)


def image_seed(seed: int, relative_path: str) -> int:
    """Seed of one image: a hash of the run's seed and the path relative to its input, so order changes nothing."""
    digest = hashlib.sha256(f"{seed}:{relative_path}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # torch takes 63 bits


def torch_generator(seed: int) -> torch.Generator:
    """A generator on the CPU."""
    import torch

    return torch.Generator(device="cpu").manual_seed(seed)


def parse_seeds(given: Sequence[int | str], *, flag: str = "--mix-seed", what: str = "styles") -> tuple[int, ...]:
    """Seeds out of numbers and texts such as ``3`` and ``10-13,20``: in the order given, each once.

    ``flag`` and ``what`` are what messages call the option, and what there is one of for each seed.
    """
    seeds: list[int] = []
    for text in (part.strip() for item in given for part in str(item).split(",")):
        match = _RANGE.fullmatch(text)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (_LARGEST + 1, 0)
        if max(first, last) > _LARGEST:
            raise UsageError(
                f"the seed {text!r} is not a whole number from 0 to {_LARGEST}", f"write {flag} 3 or 0-7,20"
            )
        if last < first:
            raise UsageError(f"the seeds {text} are not a valid range", "write the smaller number first, as in 0-7")
        if len(seeds) + last - first >= MOST_SEEDS:
            raise UsageError(f"{text} asks for more than {MOST_SEEDS} {what}", "use fewer seeds at a time")
        seeds.extend(range(first, last + 1))
    return tuple(dict.fromkeys(seeds))
