"""How often dlib calls the faces of two pictures one person, beside pairs of different people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.evaluation.judges import SAME_PERSON, Descriptor, Pixels


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
