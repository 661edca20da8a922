"""What pivotal tuning changed in a generator, as a weight file: small differences, and the codes it was tuned for.

A file holds ``change.NAME``, what has to be added to the generator's tensor of that name, in half precision, and
``pivots`` (P, N, D), one code for each picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixel2style2pixel_cli.errors import IntegrityError, UsageError
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.weights.digest import require_digest
from pixel2style2pixel_cli.weights.header import read_weight_header

if TYPE_CHECKING:
    from torch import Tensor, nn

CHANGES_SUFFIX = ".safetensors"
KIND = "changes"
_CHANGE, _PIVOTS = "change.", "pivots"
_TUNE_AGAIN = "tune again: p2s2p tune photo.jpg -o anna.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangesHeader:
    """What a file of changes says about itself.

    ``generator`` is the digest of the generator it changes, ``model`` the model whose encoder found the pivots.
    ``crops`` are the sha256 of the pictures, as the encoder saw them, in the order of the pivots. ``made`` is how it
    was tuned, and what came of it.
    """

    generator: str
    model: str
    licence: str
    crops: tuple[str, ...]
    made: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Changes:
    """The contents of the file: differences by the name of their tensor, and codes (P, N, D)."""

    header: ChangesHeader
    tensors: Mapping[str, Tensor]
    pivots: Tensor


def save_changes(path: Path, changes: Changes) -> int:
    """Write the file, whole or not at all; returns its size in bytes.

    A tensor that has not changed is left out. Raises IntegrityError for numbers that half precision does not hold.
    """
    import torch
    from safetensors.torch import save

    from pixel2style2pixel_cli.weights.digest import tensor_digest
    from pixel2style2pixel_cli.weights.read import require_finite
    from pixel2style2pixel_cli.weights.write import weight_metadata

    halved = {
        _CHANGE + name: value.detach().cpu().contiguous().to(torch.float16)
        for name, value in changes.tensors.items()
        if bool((value != 0).any())
    }
    state = {**halved, _PIVOTS: changes.pivots.detach().cpu().float().contiguous()}
    require_finite(state, display(path))
    header = changes.header
    spec = {"model": header.model, "crops": list(header.crops), "made": dict(header.made)}
    data = save(state, weight_metadata(KIND, spec, tensor_digest(state), header.licence, "", header.generator))
    write_atomic(path, data)
    return len(data)


def read_changes_header(path: Path) -> ChangesHeader:
    """What a file of changes says about itself, without torch; UsageError for a file of something else."""
    shown = display(path)
    if not path.is_file():
        raise UsageError(f"there is no file {shown}", f"check the spelling, or {_TUNE_AGAIN}")
    try:
        found = read_weight_header(path)
    except IntegrityError as error:
        raise UsageError(f"{shown} is no model: {error.message}", _TUNE_AGAIN) from error
    if found.kind != KIND:
        raise UsageError(
            f"{shown} holds weights of kind {found.kind}, expected what p2s2p tune writes",
            "name the folder it lies in, or install it: p2s2p models import",
        )
    model, crops, made = found.spec.get("model"), found.spec.get("crops"), found.spec.get("made")
    if not (isinstance(model, str) and isinstance(crops, list) and isinstance(made, dict) and found.generator):
        raise UsageError(f"{shown} does not say what it changes", _TUNE_AGAIN)
    return ChangesHeader(
        generator=found.generator, model=model, licence=found.licence, crops=tuple(map(str, crops)), made=made
    )


def load_changes(path: Path) -> Changes:
    """Read and check the whole file. Raises IntegrityError where it is damaged."""
    from pixel2style2pixel_cli.weights.read import read_tensors, require_finite

    header = read_changes_header(path)
    require_digest(path)
    state = read_tensors(path)
    require_finite(state, display(path))
    pivots = state.pop(_PIVOTS, None)
    if pivots is None or pivots.ndim != 3 or len(pivots) != len(header.crops):
        raise IntegrityError(f"{display(path)} has no pivot for each of its pictures", _TUNE_AGAIN)
    tensors = {name.removeprefix(_CHANGE): value for name, value in state.items()}
    return Changes(header=header, tensors=tensors, pivots=pivots)


def apply_changes(module: nn.Module, changes: Changes, path: Path) -> None:
    """Add the changes to the tensors of a generator, in place; IntegrityError where one does not fit."""
    import torch

    own = dict(module.named_parameters())
    for name, change in changes.tensors.items():
        if name not in own or own[name].shape != change.shape:
            raise IntegrityError(f"{display(path)} changes {name}, which does not fit this generator", _TUNE_AGAIN)
    with torch.no_grad():
        for name, change in changes.tensors.items():
            own[name].add_(change.to(own[name]))


def pivots_by_crop(crops: Sequence[str], pivots: Tensor) -> dict[str, Tensor]:
    """The codes (N, D) of the pictures that a generator was tuned for, by the sha256 of their crops."""
    return dict(zip(crops, pivots, strict=True))
