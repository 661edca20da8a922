"""A training checkpoint: weights, optimiser and step in one safetensors file, replaced as a whole.

Names inside: ``module/NAME/KEY``, ``optimiser/NAME/INDEX/KEY``, ``extra/NAME``; the stamp is in the metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import IntegrityError, UsageError, in_one_line
from pixel2style2pixel_cli.files.atomic import write_atomic

FILE = "checkpoint.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """Which run a checkpoint belongs to and how far it was; ``content`` is the fingerprint of its data.

    Seed, pictures and content are None in files that lack them.
    """

    step: int
    config: str
    seed: int | None = None
    pictures: int | None = None
    content: str | None = None


def save_checkpoint(
    folder: Path,
    stamp: Stamp,
    *,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    extra: Mapping[str, Tensor],
) -> None:
    """Write everything a resumed run needs; a run killed while writing keeps the checkpoint before."""
    tensors = {f"extra/{name}": _plain(value) for name, value in extra.items()}
    for name, module in modules.items():
        tensors |= {f"module/{name}/{key}": _plain(value) for key, value in module.state_dict().items()}
    scalars: dict[str, dict[str, Any]] = {}
    for name, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimiser/{name}/{index}/{key}"] = _plain(value)
                else:
                    scalars.setdefault(name, {})[f"{index}/{key}"] = value
    metadata = {"step": str(stamp.step), "config": stamp.config, "scalars": json.dumps(scalars, sort_keys=True)}
    metadata["data"] = json.dumps({"seed": stamp.seed, "pictures": stamp.pictures, "content": stamp.content})
    write_atomic(folder / FILE, save(tensors, metadata))


def read_stamp(folder: Path) -> Stamp | None:
    """The stamp of the checkpoint in a run folder, or None where there is none."""
    path = folder / FILE
    if not path.is_file():
        return None
    metadata = _read_metadata(path)
    if "step" not in metadata or "config" not in metadata:
        raise IntegrityError(f"{path} is not a training checkpoint", "choose another --out")
    data = json.loads(metadata.get("data", "{}"))
    return Stamp(step=int(metadata["step"]), config=metadata["config"], **data)


def load_checkpoint(
    folder: Path, *, modules: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Optimizer]
) -> dict[str, Tensor]:
    """Restore modules and optimisers in place, strictly; returns the extra tensors."""
    tensors = load_file(folder / FILE)
    scalars = json.loads(_read_metadata(folder / FILE)["scalars"])
    for name, module in modules.items():
        module.load_state_dict(_with_average(module, _below(f"module/{name}/", tensors)))
    for name, optimiser in optimisers.items():
        state: dict[int, dict[str, Any]] = {}
        for key, value in (_below(f"optimiser/{name}/", tensors) | scalars.get(name, {})).items():
            index, leaf = key.split("/")
            state.setdefault(int(index), {})[leaf] = value
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        _follow_strides(optimiser)
    return _below("extra/", tensors)


def module_names(path: Path) -> set[str]:
    """Names of the networks in a checkpoint file."""
    _read_metadata(path)
    with safe_open(path, framework="pt") as file:
        return {key.split("/")[1] for key in file.keys() if key.startswith("module/")}  # noqa: SIM118 - no dictionary


def read_module(path: Path, name: str) -> dict[str, Tensor]:
    """The state of one network of another run's checkpoint."""
    if name not in module_names(path):
        raise UsageError(f"{path} holds no network {name!r}", "start from a checkpoint of the same kind of run")
    prefix = f"module/{name}/"
    with safe_open(path, framework="pt") as file:
        keys = [key for key in file.keys() if key.startswith(prefix)]  # noqa: SIM118 - no dictionary
        return {key.removeprefix(prefix): file.get_tensor(key) for key in keys}


def load_module(path: Path, name: str, module: nn.Module, state: Mapping[str, Tensor] | None = None) -> None:
    """Load one network of another run's checkpoint, strictly: how a stage starts from the stage before.

    ``state`` is what ``read_module`` gave, where the caller has changed it.
    """
    state = read_module(path, name) if state is None else state
    try:
        module.load_state_dict(_with_average(module, state))
    except RuntimeError as error:
        raise UsageError(
            f"the {name} of {path} has other sizes: {in_one_line(error)}", "start from a run with the same specs"
        ) from error


def _read_metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise IntegrityError(f"{path} cannot be read: {in_one_line(error)}", "choose another run") from error
    return metadata


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _with_average(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with the module's average code where the checkpoint is older than encoders that own theirs."""
    own = {key: value for key, value in module.state_dict().items() if key == "latent_avg"}
    return own | dict(state)


def _follow_strides(optimiser: torch.optim.Optimizer) -> None:
    """Give the moments the memory order of their parameters; arithmetic between two orders is slower."""
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter, requires_grad=False).copy_(value)


def _plain(value: Tensor) -> Tensor:
    # Channels-last strides would survive in memory only; a file holds the plain order.
    return value.detach().cpu().contiguous()
