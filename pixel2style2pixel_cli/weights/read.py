"""Weight files of ours into tensors, and tensors into modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import SHOWN, InputError, IntegrityError, in_one_line
from pixel2style2pixel_cli.weights.digest import NUMBER_TYPES
from pixel2style2pixel_cli.weights.header import read_header

M = TypeVar("M", bound=nn.Module)

SHOWN_NAMES = 3


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a weight file, as they are stored; IntegrityError for a file that is damaged or cut short."""
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dictionary
    except (OSError, SafetensorError, ValueError, RuntimeError, AttributeError, KeyError) as error:
        raise IntegrityError(
            f"{path} cannot be read: {in_one_line(error)}", "reinstall or import the model again"
        ) from error


def read_laid_out(path: Path, dtype: torch.dtype) -> dict[str, Tensor]:
    """The same for networks: in their number type and in the layout of memory that convolutions like (channels last).

    Read tensor by tensor: a file mapped into memory stays there as long as one tensor looks into it, beside the copies
    of all others. So a model takes its size in memory while it is loaded, and not twice that.
    """
    try:
        header = read_header(path)
        if header is None:
            raise ValueError("it is no safetensors file")
        with path.open("rb") as file:
            begin = 8 + int.from_bytes(file.read(8), "little")
            return {key: _read_one(file, begin, entry, dtype) for key, entry in header.items() if key != "__metadata__"}
    except (InputError, OSError, ValueError, RuntimeError, AttributeError, KeyError) as error:
        raise IntegrityError(
            f"{path} cannot be read: {in_one_line(error)}", "reinstall or import the model again"
        ) from error


def _read_one(file: BinaryIO, begin: int, entry: Mapping[str, Any], dtype: torch.dtype) -> Tensor:
    start, end = entry["data_offsets"]
    data = torch.empty(end - start, dtype=torch.uint8)
    file.seek(begin + start)
    if end > start and file.readinto(data.numpy()) != end - start:  # type: ignore[attr-defined]
        raise ValueError("it is cut short")
    tensor = _as_dtype(data.view(getattr(torch, NUMBER_TYPES[entry["dtype"]])).reshape(entry["shape"]), dtype)
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def require_finite(state: Mapping[str, Tensor], what: str) -> None:
    """Raise IntegrityError where a tensor holds numbers that are not finite: whatever it drew would be empty."""
    for key, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            wrong = value.numel() - int(torch.isfinite(value).sum())
            raise IntegrityError(
                f"{wrong} of the {value.numel()} numbers of {key} in {what} are not finite",
                "the training that made it has failed; choose an earlier file",
            )


def some_names(names: Sequence[str], noun: str = "tensor") -> str:
    """How many there are of something, and the names of the first of them."""
    shown = ", ".join(in_one_line(name)[:SHOWN] for name in names[:SHOWN_NAMES])
    more = ", ..." if len(names) > SHOWN_NAMES else ""
    return f"{len(names)} {noun}{'s' if len(names) != 1 else ''} ({shown}{more})"


def _misfit(module: nn.Module, state: Mapping[str, Tensor]) -> str:
    """In which tensors a file differs from the network that it should fill."""
    expected = module.state_dict()
    missing, extra = (sorted(one.keys() - other.keys()) for one, other in ((expected, state), (state, expected)))
    sizes = [key for key, value in expected.items() if key in state and value.shape != state[key].shape]
    parts = [f"it lacks {some_names(missing)}"] if missing else []
    parts += [f"it has {some_names(extra)} too many"] if extra else []
    parts += [f"the sizes differ of {some_names(sizes)}"] if sizes else []
    return ", ".join(parts)


def materialise(
    build: Callable[[], M], state: dict[str, Tensor], path: Path, device: torch.device, dtype: torch.dtype
) -> M:
    """Build on the meta device, load strictly, move: no random weights are drawn first."""
    with torch.device("meta"):
        module = build()
    try:
        module.load_state_dict({k: _as_dtype(v, dtype) for k, v in state.items()}, strict=True, assign=True)
    except RuntimeError as error:
        wrong = _misfit(module, state) or in_one_line(error)
        raise IntegrityError(f"{path} does not fit the model's card: {wrong}", "import the model again") from error
    return module.to(device=device, dtype=dtype).to(memory_format=torch.channels_last)


def _as_dtype(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.to(dtype) if value.is_floating_point() else value
