"""Faces in a photograph: the protocol of a detector, and the choice among several faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import NoFaceError, UsageError

FACE_CHOICES = ("best", "largest", "all", "left-to-right")
# Beside a best face beyond doubt this is a score of 0.23. Of 400 rendered faces none scores below 0.28; the badge on a
# portrait that dlib takes for a face scores 0.12.
FAR_WEAKER = 0.2


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Face:
    """One face in photo pixels: box (left, top, right, bottom), the detector's score, 68 points (x, y).

    Integer coordinates are pixel centres, as dlib counts.
    """

    box: tuple[float, float, float, float]
    score: float
    points: NDArray[np.float64]

    @property
    def size(self) -> float:
        """Side of a square of the area of the box."""
        left, top, right, bottom = self.box
        return math.sqrt(max(right - left, 0.0) * max(bottom - top, 0.0))


class Detector(Protocol):
    """Finds faces; safe to call from several threads."""

    @property
    def name(self) -> str: ...

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Faces of a uint8 (H, W, 3) RGB photograph, best first."""
        ...


def confidence(face: Face) -> float:
    """How far the score of a face speaks for a real one, from 0 to 1.

    A logistic curve, because scores saturate: at 0.1 false faces are common, beyond 1 a higher score says frontal
    rather than real. Centre and slope from the gap between the scores of false faces (below 0.2) and of faces (above
    0.5).
    """
    return 1.0 / (1.0 + math.exp(-8.0 * (face.score - 0.4)))


def rank(face: Face) -> float:
    """Score and size together: of two faces that are beyond doubt, the larger one wins."""
    return face.size * confidence(face)


def best_first(faces: Sequence[Face]) -> list[Face]:
    """Sorted by ``rank``; ties by position, so that the order never depends on the detector's."""
    return sorted(faces, key=lambda face: (-rank(face), face.box))


def far_weaker(faces: Sequence[Face]) -> list[tuple[int, Face]]:
    """The faces, with their index, that are hardly faces at all beside the surest one: less than a fifth as sure.

    Measured against the best of the same picture, because a dark or turned photograph lowers the scores of all.
    """
    limit = FAR_WEAKER * max((confidence(face) for face in faces), default=0.0)
    return [(index, face) for index, face in enumerate(faces) if confidence(face) < limit]


def choose_faces(faces: Sequence[Face], choice: str, *, every: bool = False) -> list[tuple[int, Face]]:
    """The chosen faces with their index in ``faces``, which is sorted best first.

    choice: best, largest, all, left-to-right, or an index from 0. Of several, those that are far weaker than the best
    are left out, unless ``every`` one is wanted. Raises NoFaceError when there is no such face.
    """
    numbered = list(enumerate(faces))
    index = _index(choice)
    if not numbered:
        raise NoFaceError("no face found", "try --on-no-face crop, or a lower --detector-threshold such as -0.3")
    if index is not None:
        if index >= len(numbered):
            many = "1 face was" if len(numbered) == 1 else f"{len(numbered)} faces were"
            raise NoFaceError(
                f"there is no face {index}: {many} found, numbered from 0",
                f"use --face 0{f' to {len(numbered) - 1}' if len(numbered) > 1 else ''}; --list-faces shows them",
            )
        return [numbered[index]]
    if choice == "best":
        return numbered[:1]
    if choice == "largest":
        return [max(numbered, key=lambda item: item[1].size)]
    if not every:
        weak = {index for index, _ in far_weaker(faces)}
        numbered = [(number, face) for number, face in numbered if number not in weak]
    if choice == "left-to-right":
        return sorted(numbered, key=lambda item: (item[1].box[0] + item[1].box[2], item[1].box[1]))
    return numbered


def _index(choice: str) -> int | None:
    if choice in FACE_CHOICES:
        return None
    if choice.isascii() and choice.isdigit():
        return int(choice)
    raise UsageError(f"unknown face choice {choice!r}", f"use {', '.join(FACE_CHOICES)}, or an index from 0")
