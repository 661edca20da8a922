"""Directions for edits as safetensors files that know which generators they belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from pixel2style2pixel_cli.errors import InputError, check_shape, in_one_line, reading
from pixel2style2pixel_cli.files.atomic import write_atomic
from pixel2style2pixel_cli.files.paths import display
from pixel2style2pixel_cli.weights.latents import read_small, sort_header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIRECTION_SUFFIX = ".safetensors"
DIRECTION_FOLDER = "directions"  # beside the card of a generator

DirectionSpace = Literal["W", "W+"]
Note: TypeAlias = str | int | float | bool | None

_MARK, SCHEMA, _TENSOR = "p2s2p", "direction 1", "direction"
_LARGEST = 16 << 20  # bytes; 18 rows of 512 numbers take 37 kB, so more is some other file
_LARGEST_STEP = 1e4  # far beyond any edit
_MAKE_IT = "make one with p2s2p edit-learn, or name one of p2s2p models show GENERATOR"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DirectionFile:
    """One direction: how codes move when something about their pictures changes by one standard deviation.

    ``step`` is a float32 array: (1, d) for W, the same step in every row, or (n, d) for W+, one for each row.
    ``generators`` are the digests of the generators it was made for. ``rows`` are those it moves unless the user names
    others, as ``--layers`` takes them; empty for all. ``made`` says how, and what was measured.
    """

    name: str
    step: NDArray[np.float32]
    space: DirectionSpace
    generators: tuple[str, ...]
    rows: str = ""
    made: Mapping[str, Note] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_shape(self.step, (None if self.space == "W+" else 1, None), f"a direction in {self.space}")


def save_direction(path: Path, direction: DirectionFile) -> None:
    """Write a direction, whole or not at all. Raises InputError for numbers that are not finite."""
    write_atomic(path, encode_direction(direction, name=display(path)))


def encode_direction(direction: DirectionFile, *, name: str) -> bytes:
    """The bytes of the file, the same for the same direction; ``name`` is what messages call it."""
    import numpy as np
    from safetensors.numpy import save

    step = np.ascontiguousarray(direction.step, dtype=np.float32)
    if not np.isfinite(step).all():
        raise InputError(f"the direction for {name} is not finite", "look for empty or constant labels")
    metadata = {
        _MARK: SCHEMA,
        "name": direction.name,
        "space": direction.space,
        "generators": ",".join(direction.generators),
        "rows": direction.rows,
        "units": "standard deviations",
        "made": json.dumps(dict(direction.made), sort_keys=True, allow_nan=False),
    }
    return sort_header(save({_TENSOR: step}, metadata=metadata))


def load_direction(path: Path) -> DirectionFile:
    """Read a direction written by ``save_direction``; InputError for any other file."""
    tensors, metadata = read_small(path, "a direction", _LARGEST, _MAKE_IT, file_of="file with a direction")
    shown = display(path)
    if metadata.get(_MARK) != SCHEMA:
        found = metadata.get(_MARK, f"tensors {', '.join(sorted(tensors)[:3]) or 'none'}")
        raise InputError(f"{shown} holds no direction of this version of p2s2p (found: {in_one_line(found)})", _MAKE_IT)
    step, space = tensors.get(_TENSOR), metadata.get("space")
    generators = tuple(filter(None, metadata.get("generators", "").split(",")))
    if step is None or len(tensors) != 1 or space not in ("W", "W+") or not generators:
        raise InputError(f"{shown} is damaged: its header does not fit its tensors", _MAKE_IT)
    _check_step(step, space, shown)
    return DirectionFile(
        name=in_one_line(metadata.get("name", path.stem)),
        step=step,
        space="W" if space == "W" else "W+",
        generators=generators,
        rows=in_one_line(metadata.get("rows", "")),
        made=_parse_made(metadata.get("made", "{}"), shown),
    )


def _check_step(step: NDArray[np.float32], space: str, shown: str) -> None:
    import numpy as np

    if step.dtype != np.float32 or step.ndim != 2 or step.size == 0 or (space == "W" and len(step) != 1):
        found = f"{step.dtype} {'x'.join(map(str, step.shape))}"
        raise InputError(f"{shown} has a direction of kind {found}, expected float32 rows of {space}", _MAKE_IT)
    if not np.isfinite(step).all() or float(np.abs(step).max()) > _LARGEST_STEP:
        raise InputError(f"{shown} has a direction of numbers that no edit has", _MAKE_IT)


def _parse_made(text: str, shown: str) -> dict[str, Note]:
    with reading(shown, "does not say how it was made", _MAKE_IT):
        found = json.loads(text)
        if not isinstance(found, dict):
            raise InputError(f"{shown} does not say how it was made", _MAKE_IT)
        return {
            str(key): value for key, value in found.items() if value is None or isinstance(value, (str, int, float))
        }
