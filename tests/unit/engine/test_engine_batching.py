"""The batch size: halves when memory runs out, never grows, gives up at one picture."""

from __future__ import annotations

import pytest
import torch

from pixel2style2pixel_cli.engine.batching import CPU_BATCH, BatchSize, first_batch_size
from pixel2style2pixel_cli.errors import DeviceError
from pixel2style2pixel_cli.events import Event, Notice


def limited(limit: int, seen: list[tuple[int, int]]) -> object:
    def run(start: int, stop: int) -> list[int]:
        if stop - start > limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        seen.append((start, stop))
        return list(range(start, stop))

    return run


@pytest.mark.parametrize(("size", "limit", "count"), [(8, 8, 20), (8, 3, 20), (64, 1, 5), (4, 4, 0), (5, 9, 3)])
def test_every_picture_goes_through_once_and_in_order(size: int, limit: int, count: int) -> None:
    seen: list[tuple[int, int]] = []
    results = list(BatchSize(size).split(count, limited(limit, seen)))  # type: ignore[arg-type]
    assert [i for part in results for i in part] == list(range(count))
    assert all(stop - start <= min(size, limit) for start, stop in seen)


def test_the_size_stays_small_and_is_reported() -> None:
    events: list[Event] = []
    batch = BatchSize(8, events.append)
    list(batch.split(10, limited(2, [])))  # type: ignore[arg-type]
    assert batch.size == 2
    assert events == [
        Notice(message="out of memory: batch size is now 4", level="warning"),
        Notice(message="out of memory: batch size is now 2", level="warning"),
    ]
    list(batch.split(10, limited(8, [])))  # type: ignore[arg-type]
    assert batch.size == 2


def test_a_single_picture_too_large_is_an_error() -> None:
    with pytest.raises(DeviceError, match="out of memory with a single picture"):
        list(BatchSize(4).split(4, limited(0, [])))  # type: ignore[arg-type]


def test_other_errors_are_not_swallowed() -> None:
    def broken(start: int, stop: int) -> None:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(BatchSize(4).split(4, broken))


def test_first_size() -> None:
    assert first_batch_size(7, torch.device("cpu"), None) == 7
    assert first_batch_size(None, torch.device("cpu"), 1000) == CPU_BATCH
    assert first_batch_size(None, torch.device("cuda"), None) == CPU_BATCH
