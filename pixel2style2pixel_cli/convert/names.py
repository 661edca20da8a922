"""Renaming tensors between a published layout and ours: a table read in either direction, with nothing left over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import SHOWN, IntegrityError, in_one_line
from pixel2style2pixel_cli.networks.layers import BLUR_TAPS
from pixel2style2pixel_cli.weights.read import SHOWN_NAMES, some_names

Reshape = Literal["same", "drop_first", "add_first", "flatten", "column"]
COUNTER = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Row:
    """One tensor: its published name, ours, and how the published shape becomes ours."""

    theirs: str
    ours: str
    reshape: Reshape = "same"


@dataclass(frozen=True, slots=True)
class Blur:
    """A published filter that ours builds itself: it must be the [1, 3, 3, 1] one with this gain."""

    theirs: str
    gain: float


def rename(
    state: Mapping[str, Tensor], rows: Sequence[Row], blurs: Sequence[Blur] = (), *, what: str
) -> dict[str, Tensor]:
    """Tensors under our names; IntegrityError for a missing tensor, one too many, or a blur of another kernel."""
    # BatchNorm's step counters are absent in the oldest files; nothing at inference reads them.
    counters = {row.theirs for row in rows if row.theirs.endswith(COUNTER)} - set(state)
    state = {**state, **dict.fromkeys(counters, torch.tensor(0))}
    expected = {row.theirs for row in rows} | {blur.theirs for blur in blurs}
    _check_names(set(state), expected, what)
    for blur in blurs:
        check_blur(blur.theirs, state[blur.theirs], blur.gain)
    renamed = {row.ours: _reshaped(state[row.theirs], row.reshape) for row in rows}
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in renamed.items()}


def publish(state: Mapping[str, Tensor], rows: Sequence[Row], blurs: Sequence[Blur] = ()) -> dict[str, Tensor]:
    """The opposite of ``rename``: our tensors under the published names, with the filters put back."""
    _check_names(set(state), {row.ours for row in rows}, "our state dict")
    back: dict[Reshape, Reshape] = {
        "same": "same",
        "drop_first": "add_first",
        "flatten": "column",
        "add_first": "drop_first",
    }
    published = {row.theirs: _reshaped(state[row.ours], back[row.reshape]) for row in rows}
    return published | {blur.theirs: blur_kernel() * blur.gain for blur in blurs}


def component(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with ``prefix``, without it."""
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def blur_kernel() -> Tensor:
    """The published filter of sum 1, shape (4, 4)."""
    taps = torch.tensor(BLUR_TAPS)
    kernel = torch.outer(taps, taps)
    return kernel / kernel.sum()


def check_blur(name: str, found: Tensor, gain: float) -> None:
    """Raise IntegrityError unless a stored filter is the one our networks build."""
    expected = blur_kernel() * gain
    if found.shape != expected.shape or not torch.allclose(found.float(), expected, rtol=1e-4, atol=1e-6):
        raise IntegrityError(
            f"{name} is another filter than [1, 3, 3, 1] with gain {gain:g}: {_head(found)}",
            "this model was built with another resampling filter and cannot be converted",
        )


def tensor_state(value: object, what: str) -> dict[str, Tensor]:
    """A mapping of names to tensors, or IntegrityError naming what else is in it."""
    if not isinstance(value, dict):
        raise IntegrityError(f"{what} is {type(value).__name__}, expected tensors by name", "name another file")
    other = [
        f"{in_one_line(key)[:SHOWN]} ({type(item).__name__})"
        for key, item in value.items()
        if not isinstance(item, Tensor)
    ]
    if other or not value:
        listed = ", ".join(other[:SHOWN_NAMES]) or "nothing"
        raise IntegrityError(f"{what} holds {listed}, expected tensors by name", "name another file")
    return {str(key): item for key, item in value.items()}


def fit(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Put tensors into a module built on the meta device; IntegrityError unless names and shapes are its own."""
    expected = module.state_dict()
    _check_names(set(state), set(expected), what)
    wrong = [key for key, tensor in expected.items() if tensor.shape != state[key].shape]
    if wrong:
        key = wrong[0]
        raise IntegrityError(
            f"{what}: {len(wrong)} tensors have another shape than expected, first {key}: "
            f"{tuple(state[key].shape)} instead of {tuple(expected[key].shape)}",
            "the file belongs to another model",
        )
    module.load_state_dict(state, strict=True, assign=True)


def _check_names(found: set[str], expected: set[str], what: str) -> None:
    missing, extra = sorted(expected - found), sorted(found - expected)
    if missing or extra:
        parts = [f"lacks {some_names(missing)}"] if missing else []
        parts += [f"has {some_names(extra)} too many"] if extra else []
        raise IntegrityError(
            f"{what} {' and '.join(parts)}", "the file belongs to another model or another version of it"
        )


def _head(tensor: Tensor) -> str:
    values: Iterable[float] = tensor.flatten()[:4].tolist()
    return f"shape {tuple(tensor.shape)}, beginning {', '.join(f'{value:.4g}' for value in values)}"


def _reshaped(tensor: Tensor, reshape: Reshape) -> Tensor:
    if reshape == "drop_first":
        if tensor.ndim == 0 or tensor.shape[0] != 1:
            raise IntegrityError(
                f"a tensor has shape {tuple(tensor.shape)}, expected a leading axis of 1", "name another file"
            )
        return tensor[0]
    if reshape == "add_first":
        return tensor[None]
    if reshape == "flatten":
        return tensor.reshape(-1)
    if reshape == "column":
        return tensor.reshape(1, -1, 1, 1)
    return tensor
