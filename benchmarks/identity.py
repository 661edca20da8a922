"""dlib's opinion on faces in aligned pictures: where the points lie, and who it is."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dlib
import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.zoo.landmarks import find_landmarks

Pixels = NDArray[np.uint8]
SAME_PERSON = 0.6  # the distance under which dlib's descriptor calls two faces one person
DESCRIPTOR = "dlib_face_recognition_resnet_model_v1.dat"


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The best face of a picture: its 68 points (x, y) and dlib's 128 numbers."""

    points: NDArray[np.float64]
    descriptor: NDArray[np.float64]


class Descriptor:
    """The best face of a picture, or None where dlib finds none; a picture seen before costs nothing."""

    def __init__(self) -> None:
        files = importlib.metadata.files("face_recognition_models") or []
        weights = next(str(f.locate()) for f in files if f.name == DESCRIPTOR)
        self.detector = dlib.get_frontal_face_detector()
        self.points = dlib.shape_predictor(str(find_landmarks()))
        self.network = dlib.face_recognition_model_v1(weights)
        self._seen: dict[bytes, Known | None] = {}

    def look(self, picture: Pixels) -> Known | None:
        """Points and descriptor."""
        key = hashlib.sha256(picture.tobytes() + str(picture.shape).encode()).digest()
        if key not in self._seen:
            self._seen[key] = self._look(np.ascontiguousarray(picture))
        return self._seen[key]

    def __call__(self, picture: Pixels) -> NDArray[np.float64] | None:
        """The descriptor alone."""
        known = self.look(picture)
        return None if known is None else known.descriptor

    def _look(self, picture: Pixels) -> Known | None:
        boxes, scores, _ = self.detector.run(picture, 1, 0.0)
        if not boxes:
            return None
        shape = self.points(picture, boxes[int(np.argmax(scores))])
        points = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)
        return Known(points, np.array(self.network.compute_face_descriptor(picture, shape)))


def distances(describe: Descriptor, firsts: Sequence[Pixels], seconds: Sequence[Pixels]) -> NDArray[np.float64]:
    """Descriptor distance of each pair; not a number where a face of the two is not found."""
    pairs = [(describe(a), describe(b)) for a, b in zip(firsts, seconds, strict=True)]
    return np.array([np.nan if a is None or b is None else np.linalg.norm(a - b) for a, b in pairs])


def shares(inputs: Sequence[Pixels], outputs: Sequence[Pixels], describe: Descriptor | None = None) -> dict[str, Any]:
    """How often input and output are one person for dlib, beside pairs of different inputs and outputs."""
    describe = describe or Descriptor()
    pairs = [(describe(a), describe(b)) for a, b in zip(inputs, outputs, strict=True)]
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    found: dict[str, Any] = {
        "pairs": len(pairs),
        "face_found_in_input": sum(a is not None for a, _ in pairs) / len(pairs),
        "face_found_in_output": sum(b is not None for _, b in pairs) / len(pairs),
    }
    if not both:
        return found
    own = np.array([np.linalg.norm(a - b) for a, b in both])
    other = np.array([np.linalg.norm(both[i][0] - both[(i + 1) % len(both)][1]) for i in range(len(both))])
    return found | {
        "under_0.6_of_all_pairs": float((own < SAME_PERSON).sum() / len(pairs)),
        "under_0.6_of_described_pairs": float((own < SAME_PERSON).mean()),
        "distance_mean": float(own.mean()),
        "distance_median": float(np.median(own)),
        "random_pairs_under_0.6": float((other < SAME_PERSON).mean()),
        "random_distance_mean": float(other.mean()),
        "random_distance_median": float(np.median(other)),
        "nearer_than_random_partner": float((own < other).mean()),
    }
