"""Weight files of ours into tensors, and tensors into modules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import safe_open
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import IntegrityError

M = TypeVar("M", bound=nn.Module)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a weight file, as they are stored."""
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dictionary


def materialise(
    build: Callable[[], M], state: dict[str, Tensor], path: Path, device: torch.device, dtype: torch.dtype
) -> M:
    """Build on the meta device, load strictly, move: no random weights are drawn first."""
    with torch.device("meta"):
        module = build()
    try:
        module.load_state_dict({k: _as_dtype(v, dtype) for k, v in state.items()}, strict=True, assign=True)
    except RuntimeError as error:
        raise IntegrityError(f"{path} does not fit the model's card: {error}", "import the model again") from error
    return module.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)


def _as_dtype(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.to(dtype) if value.is_floating_point() else value
