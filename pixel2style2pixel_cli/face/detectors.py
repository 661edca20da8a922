"""The detectors: one row each, imported when asked for, and at most one of each in memory."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from weakref import WeakValueDictionary

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.face.detect import Detector

# What makes a detector of a landmark file and a threshold.
Make = Callable[[Path, float], Detector]


def _later(module: str, name: str) -> Make:
    """A class of this room, whose module is imported when it is first used."""

    def make(landmarks: Path, threshold: float) -> Detector:
        kind: Make = getattr(import_module(f"{__package__}.{module}"), name)
        return kind(landmarks, threshold)

    return make


DETECTORS: dict[str, Make] = {"dlib": _later("dlib_detector", "DlibDetector")}

# Reading the landmark file takes half a second: a detector that somebody still holds is handed out again.
_alive: WeakValueDictionary[tuple[str, Path, float], Detector] = WeakValueDictionary()


def load_detector(name: str, *, landmarks: Path, threshold: float = 0.0) -> Detector:
    """The detector of that name; UsageError lists the valid names."""
    if name not in DETECTORS:
        raise UsageError(f"unknown detector {name!r}", f"use one of: {', '.join(DETECTORS)}")
    key = (name, landmarks, threshold)
    detector = _alive.get(key)
    if detector is None:
        detector = _alive[key] = DETECTORS[name](landmarks, threshold)
    return detector
