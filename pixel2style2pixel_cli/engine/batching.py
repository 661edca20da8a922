"""How many pictures go through the network at once: a number that halves when the device runs out of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from pixel2style2pixel_cli.device import is_out_of_memory
from pixel2style2pixel_cli.errors import DeviceError
from pixel2style2pixel_cli.events import Notice, OnEvent, ignore_event

T = TypeVar("T")

CPU_BATCH = 4  # larger ones gain nothing on a CPU and only take memory
MOST = 64
FREE_SHARE = 0.7


class BatchSize:
    """The current batch size; it only ever shrinks."""

    def __init__(self, size: int, on_event: OnEvent = ignore_event) -> None:
        self.size = size
        self._on_event = on_event

    def split(self, count: int, run: Callable[[int, int], T]) -> Iterator[T]:
        """``run(start, stop)`` over 0..count in steps of the size; DeviceError when a single picture is too much."""
        start = 0
        while start < count:
            stop = min(start + self.size, count)
            try:
                result = run(start, stop)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._shrink(stop - start)
                continue
            yield result
            start = stop

    def _shrink(self, tried: int) -> None:
        if tried == 1:
            raise DeviceError(
                "the device ran out of memory with a single picture", "use --device cpu, or --dtype bfloat16"
            )
        self.size = tried // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._on_event(Notice(message=f"out of memory: batch size is now {self.size}", level="warning"))


def first_batch_size(asked: int | None, device: torch.device, bytes_per_image: int | None) -> int:
    """The size a run starts with: as asked, else from the card's measured bytes per image and the free memory."""
    if asked is not None:
        return asked
    if device.type != "cuda" or not bytes_per_image:
        return CPU_BATCH
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(MOST, int(free * FREE_SHARE / bytes_per_image)))
