"""The ways of inverting a picture that are compared, each through a session, as a user would call it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli import Result, load
from pixel2style2pixel_cli.session import Session

Pixels = NDArray[np.uint8]
Codes = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inverted:
    """What a method made of pictures.

    ``codes`` (M, N, D) and ``pictures`` drawn from them; ``seconds`` of processor time for each picture, ``elapsed``
    those on the wall, which count other work on the machine as well. ``draw`` draws other codes (K, N, D) as picture
    number i is drawn: after a tuning every picture has a generator of its own.
    """

    pictures: list[Pixels]
    codes: Codes
    seconds: float
    elapsed: float
    draw: Callable[[int, Codes], list[Pixels]]


class Sessions:
    """Sessions by the name of their model, loaded once, and the settings of the methods that have some."""

    def __init__(self, steps: int, refine: int, tune: int) -> None:
        self.steps, self.refine, self.tune = steps, refine, tune
        self._loaded: dict[str, Session] = {}
        self._folder = tempfile.TemporaryDirectory()
        self._files = 0

    def new_file(self) -> Path:
        """A place for what a tuning writes, which stays as long as these sessions."""
        self._files += 1
        return Path(self._folder.name) / f"{self._files}.safetensors"

    def get(self, model: str) -> Session:
        """The session of a model; raises what prevents it."""
        if model not in self._loaded:
            self._loaded[model] = load(model, device="cpu", dtype="float32")
        return self._loaded[model]


Run = Callable[[Sessions, Sequence[Pixels]], Inverted]


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """One row of the comparison.

    ``costly``: it is run on few pictures. ``again``: the edited picture can be inverted by the same map, which the
    consistency of edits needs; a tuned network is another map for every picture.
    """

    name: str
    run: Run
    costly: bool = False
    again: bool = True


def methods(model: str) -> list[Method]:
    """Every method; ``model`` is the beginning of the models' names, as mini."""
    base, e4e, cycle, restyle = (f"{model}-{name}" for name in ("invert", "e4e", "cycle", "restyle"))
    return [
        Method(name="pSp", run=_invert(base, optimize=0)),
        Method(name="pSp + default steps", run=_invert(base)),
        Method(name="ReStyle", run=_invert(restyle, optimize=0)),
        Method(name="e4e", run=_invert(e4e, optimize=0)),
        Method(name="Cycle", run=_invert(cycle, optimize=0)),
        Method(name="pSp + refinement", run=_refine(base), costly=True, again=False),
        Method(name="Cycle + refinement", run=_refine(cycle), costly=True, again=False),
        Method(name="pSp + PTI", run=_tune(base), costly=True, again=False),
        Method(name="e4e + PTI", run=_tune(e4e), costly=True, again=False),
        Method(name="Cycle + PTI", run=_tune(cycle), costly=True, again=False),
        Method(name="W optimisation", run=_embed(base, "w"), costly=True),
        Method(name="W+ optimisation", run=_embed(base, "w+"), costly=True),
    ]


def _invert(model: str, **options: Any) -> Run:
    def run(sessions: Sessions, pictures: Sequence[Pixels]) -> Inverted:
        session = sessions.get(model)
        session.invert(pictures[0], align="never", optimize=0)  # loaded and warm
        with _Clock() as clock:
            found = session.invert(list(pictures), align="never", **options)
        return _inverted(session, found, clock)

    return run


def _refine(model: str) -> Run:
    def run(sessions: Sessions, pictures: Sequence[Pixels]) -> Inverted:
        return _invert(model, optimize=0, refine=sessions.refine)(sessions, pictures)

    return run


def _embed(model: str, space: str) -> Run:
    def run(sessions: Sessions, pictures: Sequence[Pixels]) -> Inverted:
        session = sessions.get(model)
        session.embed(pictures[0], align="never", steps=1, space=space)
        with _Clock() as clock:
            found = session.embed(
                list(pictures), align="never", space=space, steps=sessions.steps, early_stop=False
            )  # fmt: skip
        return _inverted(session, found, clock)

    return run


def _tune(model: str) -> Run:
    def run(sessions: Sessions, pictures: Sequence[Pixels]) -> Inverted:
        session = sessions.get(model)
        session.invert(pictures[0], align="never", optimize=0)
        tuned: list[Session] = []
        found: list[Result] = []
        with _Clock() as clock:
            for picture in pictures:
                out = sessions.new_file()
                session.tune(picture, out, align="never", steps=sessions.tune)
                tuned.append(load(out, device="cpu", dtype="float32"))
                found.append(tuned[-1].invert(picture, align="never"))
        made = _inverted(session, found, clock)
        return Inverted(
            pictures=made.pictures, codes=made.codes, seconds=made.seconds, elapsed=made.elapsed,
            draw=lambda i, codes: [each.array for each in tuned[i].draw(codes)],
        )  # fmt: skip

    return run


def _inverted(session: Session, found: Sequence[Result], clock: _Clock) -> Inverted:
    def draw(_: int, codes: Codes) -> list[Pixels]:
        return [each.array for each in session.draw(codes)]  # type: ignore[union-attr]

    return Inverted(
        pictures=[each.array for each in found],
        codes=np.stack([each.codes for each in found]),
        seconds=clock.used / len(found),
        elapsed=clock.elapsed / len(found),
        draw=draw,
    )


@dataclass(slots=True)
class _Clock:
    """Processor time and time on the wall of what happens inside."""

    used: float = 0.0
    elapsed: float = 0.0
    _from: tuple[float, float] = field(default=(0.0, 0.0))

    def __enter__(self) -> _Clock:
        self._from = (time.process_time(), time.perf_counter())
        return self

    def __exit__(self, *_: object) -> None:
        self.used, self.elapsed = time.process_time() - self._from[0], time.perf_counter() - self._from[1]
