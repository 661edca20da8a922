"""The backends: one row each, imported when one is chosen."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch

from pixel2style2pixel_cli.engine.backend import Backend
from pixel2style2pixel_cli.engine.loading import Model

# Module and class of each.
BACKENDS = {"torch": ("backend", "TorchBackend")}


def make_backend(name: str, model: Model, device: torch.device, dtype: torch.dtype) -> Backend:
    """The backend of that name, running a model on a device."""
    module, kind = BACKENDS[name]
    make: Callable[[Model, torch.device, torch.dtype], Backend] = getattr(
        import_module(f"{__package__}.{module}"), kind
    )
    return make(model, device, dtype)
