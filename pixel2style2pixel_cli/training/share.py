"""Which pictures of a batch one process, or one part of its work, computes; and which process speaks for all."""

from __future__ import annotations

import os
from dataclasses import dataclass

# What torchrun and accelerate launch tell each process that they start.
RANK, PROCESSES = "RANK", "WORLD_SIZE"


@dataclass(frozen=True, slots=True)
class Share:
    """Every ``shares``-th picture of a batch, from number ``index`` on."""

    index: int = 0
    shares: int = 1


WHOLE = Share()


def is_one_of_several() -> bool:
    """Whether a launcher has started further processes beside this one."""
    return os.environ.get(PROCESSES, "1") not in ("", "1")


def is_main_process() -> bool:
    """Whether this process is the only one of a run, or the one of several that writes and reports."""
    return not is_one_of_several() or os.environ.get(RANK, "0") == "0"
