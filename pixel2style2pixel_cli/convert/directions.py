"""Published directions: InterFaceGAN's normals and GANSpace's axes as files hold them, to steps in W or W+.

Shape suffixes: N rows, D style width, A axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pixel2style2pixel_cli.convert.safe_pickle import load_checkpoint
from pixel2style2pixel_cli.errors import IntegrityError, reading
from pixel2style2pixel_cli.files.paths import display

KNOWN = "known: one direction as (1, D), (N, D) or (1, N, D) in a .pt or .npy file, and GANSpace's comp, mean and std"
MOST_ROWS, MOST_AXES = 64, 10_000
LARGEST = 64 << 20  # bytes


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Published:
    """A direction as it was published: rows (1, D) for W or (N, D) for W+, float32.

    ``deviation`` is the standard deviation of codes along it where the file says so; None where it is a direction only.
    """

    rows_ND: Tensor
    deviation: float | None = None


def read_published(path: Path) -> list[Published]:
    """The directions of a published file, in their order; IntegrityError for any other. No code from it is run."""
    if path.is_file() and path.stat().st_size > LARGEST:
        raise IntegrityError(f"{display(path)} is too large for directions", KNOWN)
    if path.suffix.lower() == ".npy":
        with reading(display(path), "is no array of NumPy", KNOWN):
            loaded: object = torch.from_numpy(np.load(path, allow_pickle=False).astype(np.float32))
    else:
        loaded = load_checkpoint(path)
    if isinstance(loaded, Tensor):
        return [Published(rows_ND=_rows(loaded, path))]
    if isinstance(loaded, dict) and {"comp", "std"} <= loaded.keys():
        return _axes(loaded, path)
    what = ", ".join(map(str, list(loaded)[:5])) if isinstance(loaded, dict) else type(loaded).__name__
    raise IntegrityError(f"{display(path)} holds {what or 'nothing'}, which is no direction", KNOWN)


def _rows(value: Tensor, path: Path) -> Tensor:
    shape = tuple(value.shape)
    if value.ndim == 3 and shape[0] == 1:
        value = value[0]
    if value.ndim == 1:
        value = value[None]
    if value.ndim != 2 or not 1 <= len(value) <= MOST_ROWS or not value.is_floating_point():
        found = "x".join(map(str, shape)) or "one number"
        raise IntegrityError(f"{display(path)} holds {found} numbers of {value.dtype}, which is no direction", KNOWN)
    rows = value.float()
    if not bool(torch.isfinite(rows).all()) or not bool(rows.norm() > 0):
        raise IntegrityError(f"{display(path)} holds a direction that is empty or not finite", KNOWN)
    return rows


def _axes(loaded: Mapping[object, object], path: Path) -> list[Published]:
    """GANSpace's principal axes (A, 1, D), each with the standard deviation of codes along it (A,)."""
    comp, std = loaded["comp"], loaded["std"]
    fits = (
        isinstance(comp, Tensor)
        and isinstance(std, Tensor)
        and comp.ndim == 3
        and comp.shape[1] == 1
        and std.shape == comp.shape[:1]
        and 1 <= len(comp) <= MOST_AXES
    )
    if not fits or not isinstance(comp, Tensor) or not isinstance(std, Tensor) or not bool((std > 0).all()):
        raise IntegrityError(f"the axes in {display(path)} do not have the sizes of GANSpace", KNOWN)
    return [Published(rows_ND=_rows(axis, path), deviation=float(s)) for axis, s in zip(comp, std, strict=True)]
