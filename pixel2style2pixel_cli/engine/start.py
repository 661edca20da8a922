"""An engine from an installed model: device and precision chosen, networks loaded, batches sized."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch

from pixel2style2pixel_cli.device import keep_freed_memory
from pixel2style2pixel_cli.engine.backends import make_backend
from pixel2style2pixel_cli.engine.batching import BatchSize, first_batch_size
from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.engine.loading import Model, load_model
from pixel2style2pixel_cli.events import Notice, OnEvent
from pixel2style2pixel_cli.zoo.resolve import InstalledModel


def start_engine(
    installed: InstalledModel,
    *,
    device: torch.device,
    dtype: torch.dtype,
    backend: str = "torch",
    batch_size: int | Literal["auto"],
    on_event: OnEvent,
    loaded: Iterable[Model] = (),
) -> Engine:
    """The networks of a model, ready on a device; a generator that one of the ``loaded`` models has is shared."""
    if device.type == "cpu":
        keep_freed_memory()
    model = load_model(installed, device, dtype, loaded=loaded)
    per_image = installed.card.measured.get("bytes_per_image")
    size = first_batch_size(
        None if batch_size == "auto" else batch_size, device, per_image if isinstance(per_image, int) else None
    )
    made = make_backend(backend, model, device, dtype, on_event)
    if made.name != "torch":
        on_event(Notice(message=f"backend: {made.name}"))
    return Engine(model, made, device, dtype, BatchSize(size, on_event), on_event)
