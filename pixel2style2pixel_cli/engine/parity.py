"""Whether compiled networks do what PyTorch does: codes and pictures compared on this machine."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from pixel2style2pixel_cli.engine.graphs import Graph
from pixel2style2pixel_cli.files.pixels import to_uint8

T = TypeVar("T")
Run = Callable[[Sequence[NDArray[np.float32]]], NDArray[np.float32]]

MOST_GREY = 1  # grey levels of 255 that a pixel may differ by in float32
MOST_CODES = 1e-3  # of the spread of a code
MOST_MEAN_GREY = 3.0  # in bfloat16, which is asked for knowing that it is coarse
_ROUNDS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """How far codes (in parts of their spread) and pictures (in grey levels) are from PyTorch's; both their seconds.

    The pictures are drawn of the codes of each, so that they differ by what both networks do. ``exact``: in float32.
    """

    codes: float
    grey: int
    mean_grey: float
    seconds: float
    torch_seconds: float
    exact: bool

    @property
    def accepted(self) -> bool:
        """Whether the compiled networks may stand for PyTorch's."""
        return self.grey <= MOST_GREY and self.codes <= MOST_CODES if self.exact else self.mean_grey <= MOST_MEAN_GREY

    @property
    def faster(self) -> bool:
        """Whether they were faster when they were compared."""
        return self.seconds < self.torch_seconds

    @property
    def told(self) -> str:
        """The result, for people."""
        verdict = "taken" if self.accepted else "refused"
        return (
            f"{verdict}: pictures differ from PyTorch's by {self.grey} of 255 grey levels at most and "
            f"{self.mean_grey:.2g} on average, codes by {self.codes:.1e} of their spread; "
            f"{self.torch_seconds / max(self.seconds, 1e-9):.1f} times as fast"
        )

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Parity | None:
        """What was stored; None where it is something else."""
        try:
            return cls(**{field.name: stored[field.name] for field in dataclasses.fields(cls)})
        except KeyError:
            return None


def compare(graphs: Sequence[Graph], compiled: Sequence[Run], *, exact: bool) -> Parity:
    """Encoder and generator compared with what was compiled of them, on the numbers they were traced with."""
    (encoder, generator), (encode, draw) = graphs, compiled
    picture, start = encoder.example
    _, *noise = generator.example
    maps = [map_.numpy() for map_ in noise]
    best, best_torch = math.inf, math.inf
    with torch.inference_mode():
        for _ in range(_ROUNDS):
            seconds, (codes, drawn) = _timed(lambda: _compiled_pair(encode, draw, picture.numpy(), start.numpy(), maps))
            best = min(best, seconds)
            seconds, (wanted, picture_wanted) = _timed(lambda: _torch_pair(encoder, generator, noise))
            best_torch = min(best_torch, seconds)
    if not (np.isfinite(codes).all() and np.isfinite(drawn).all()):
        return Parity(
            codes=math.inf, grey=255, mean_grey=255.0, seconds=best, torch_seconds=best_torch, exact=exact
        )  # fmt: skip
    (shown,), (shown_wanted,) = to_uint8(torch.from_numpy(drawn)), to_uint8(picture_wanted)
    difference = np.abs(shown.astype(int) - shown_wanted.astype(int))
    spread = float(wanted.std()) or 1.0
    return Parity(
        codes=float(np.abs(codes - wanted.numpy()).max()) / spread,
        grey=int(difference.max()),
        mean_grey=float(difference.mean()),
        seconds=best,
        torch_seconds=best_torch,
        exact=exact,
    )


def _compiled_pair(
    encode: Run, draw: Run, picture: NDArray[np.float32], start: NDArray[np.float32], maps: list[NDArray[np.float32]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    codes = encode([picture, start])
    return codes, draw([codes, *maps])


def _torch_pair(encoder: Graph, generator: Graph, noise: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    codes = encoder.module(*encoder.example)
    return codes, generator.module(codes, *noise)


def _timed(run: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    found = run()
    return time.perf_counter() - started, found
