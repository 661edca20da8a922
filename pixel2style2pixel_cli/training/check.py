"""``--check``: reads all the data, draws eight of them, makes two steps, and says what a run would take."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import Any

from pixel2style2pixel_cli.device import device_seconds, keep_freed_memory, peak_bytes
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import OnEvent, Progress
from pixel2style2pixel_cli.training.config import RunConfig
from pixel2style2pixel_cli.training.data import PictureSource, preview_batch, training_batches
from pixel2style2pixel_cli.training.log import sheet_of, write_sheet
from pixel2style2pixel_cli.training.loop import Trainer, report_news, require_finite
from pixel2style2pixel_cli.training.memory import estimate_memory, require_memory

STEPS = 2  # after one that warms up
REPORT_SECONDS = 1.0


def check_run(
    trainer: Trainer, run: RunConfig, source: PictureSource, out: Path, *, seed: int, on_event: OnEvent
) -> dict[str, Any]:
    """Everything that can be known of a run before it begins; only the sheet ``samples/check.png`` is written.

    Raises UsageError where too few pictures can be used, DeviceError where a step would not fit into memory.
    """
    left_out = _read_all(source, on_event)
    sound = len(source) - left_out
    if sound < run.batch:
        raise UsageError(
            f"{sound} of {len(source)} pictures can be used: not enough for a batch of {run.batch}",
            "correct or add pictures, or set run.batch lower",
        )
    keep_freed_memory()
    sheet = write_sheet(out, "check", sheet_of(trainer.samples(preview_batch(source, run.held_out))))
    require_memory(trainer, run, source)
    memory = estimate_memory(trainer, source)
    fitting = {} if memory is None else {
        "memory_needed": memory.needed(run.batch),
        "memory_free": memory.free,
        "largest_batch": memory.fitting,
    }  # fmt: skip
    batches = training_batches(source, batch=run.batch, seed=seed, start=0, held_out=run.held_out, flip=run.flip)
    seconds = []
    for step, batch in enumerate(islice(batches, 1 + STEPS)):
        started = device_seconds(trainer.device)
        require_finite(trainer.step(batch, step), step + 1)
        seconds.append(device_seconds(trainer.device) - started)
    typical = sum(seconds[1:]) / STEPS
    return {
        "pictures": len(source),
        "left_out": left_out,
        "unpaired": source.unpaired,
        "parameters": {n: sum(p.numel() for p in module.parameters()) for n, module in trainer.modules().items()},
        "seconds_per_step": round(typical, 3),
        "pictures_per_second": round(run.batch / typical, 1),
        "hours": round(typical * run.steps / 3600, 1),
        "peak_bytes": peak_bytes(trainer.device),
        **fitting,
        "sheet": str(sheet),
    }


def _read_all(source: PictureSource, on_event: OnEvent) -> int:
    """Read every picture with its partner; how many cannot be used."""
    left_out, reported = 0, time.monotonic()
    report_news(source, on_event)
    for index in range(len(source)):
        left_out += not source.can_be_read(index)
        report_news(source, on_event)
        if time.monotonic() - reported > REPORT_SECONDS:
            on_event(Progress(done=index + 1, total=len(source), label="reading the data"))
            reported = time.monotonic()
    return left_out
