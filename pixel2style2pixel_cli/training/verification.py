"""How well embeddings tell persons apart: verification of pairs of pictures, as a curve and at single points.

Each pair of pictures is said to show one person where their similarity is over a threshold. The true-match rate is the
share of pairs of one person that are said to be that, the false-match rate the share of pairs of two (ISO/IEC 19795-1).
Shape suffixes: N pictures, E numbers of an embedding, P and Q pairs of one person and of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import UsageError

Floats = NDArray[np.float64]
FALSE_MATCHES = 0.01  # at which the true-match rate is told
MOST_PICTURES = 4000  # 8 million pairs
CURVE_POINTS = 201


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """The figures of some pictures, and the curve: false-match rates with the true-match rate at each.

    ``true_matches`` is at one false match in a hundred, ``equal_error`` where the rate of false matches is that of
    missed ones, ``area`` the chance that a pair of one person is more alike than a pair of two.
    """

    persons: int
    pictures: int
    pairs: int
    true_matches: float
    equal_error: float
    area: float
    threshold: float
    curve: tuple[tuple[float, float], ...]

    @property
    def figures(self) -> dict[str, float]:
        """What a log and a result say of it."""
        return {
            "true_match_rate_at_1_percent_false": round(self.true_matches, 4),
            "equal_error_rate": round(self.equal_error, 4),
            "area_under_curve": round(self.area, 4),
        }


def verify(embeddings_NE: Floats, persons: Sequence[int]) -> Verification:
    """Every pair of pictures compared; rows are of unit length, so that a product is a cosine.

    Of more than ``MOST_PICTURES`` pictures the first are taken. Raises UsageError where there is no pair of one person,
    or none of two.
    """
    rows, owners = embeddings_NE[:MOST_PICTURES], np.asarray(persons)[:MOST_PICTURES]
    first, second = np.triu_indices(len(rows), k=1)
    likeness, same = (rows @ rows.T)[first, second], owners[first] == owners[second]
    own_P, others_Q = np.sort(likeness[same]), np.sort(likeness[~same])
    if not len(own_P) or not len(others_Q):
        raise UsageError(
            f"{len(rows)} pictures of {len(set(owners.tolist()))} persons make no pairs of one person and of two",
            "hold out two persons or more, with two pictures or more each",
        )
    threshold = float(np.quantile(others_Q, 1 - FALSE_MATCHES))
    false = np.concatenate([[0.0], np.logspace(-4, 0, CURVE_POINTS - 1)])
    true = _share_over(own_P, np.quantile(others_Q, 1 - false))
    true[0] = _share_over(own_P, others_Q[-1:])[0]
    return Verification(
        persons=len(set(owners.tolist())),
        pictures=len(rows),
        pairs=len(own_P),
        true_matches=float(_share_over(own_P, np.array([threshold]))[0]),
        equal_error=_equal_error(own_P, others_Q),
        area=_area(own_P, others_Q),
        threshold=threshold,
        curve=tuple(zip(false.tolist(), true.tolist(), strict=True)),
    )


def _share_over(sorted_values: Floats, thresholds: Floats) -> Floats:
    return 1 - np.searchsorted(sorted_values, thresholds, side="right") / len(sorted_values)


def _equal_error(own_P: Floats, others_Q: Floats) -> float:
    """Where misses and false matches are equally frequent, halfway between the two rates nearest to that."""
    thresholds = np.concatenate([own_P, others_Q])
    missed, false = 1 - _share_over(own_P, thresholds), _share_over(others_Q, thresholds)
    best = int(np.abs(missed - false).argmin())
    return float((missed[best] + false[best]) / 2)


def _area(own_P: Floats, others_Q: Floats) -> float:
    """The area under the curve, by counting (Mann and Whitney); ties count half."""
    below = np.searchsorted(others_Q, own_P, side="left")
    up_to = np.searchsorted(others_Q, own_P, side="right")
    return float((below + up_to).mean() / 2 / len(others_Q))
