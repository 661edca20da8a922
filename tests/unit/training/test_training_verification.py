"""Verification figures against counting by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.training.verification import verify


def cloud(spread: float, persons: int = 12, each: int = 5, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """Unit vectors around a centre for each person."""
    draws = np.random.default_rng(seed)
    centres = draws.standard_normal((persons, 16))
    rows = np.repeat(centres, each, axis=0) + spread * draws.standard_normal((persons * each, 16))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), [i // each for i in range(persons * each)]


def test_figures_are_what_counting_gives() -> None:
    rows, persons = cloud(1.0)
    found = verify(rows, persons)
    own, others = [], []
    for i, j in itertools.combinations(range(len(rows)), 2):
        (own if persons[i] == persons[j] else others).append(float(rows[i] @ rows[j]))
    assert (found.persons, found.pictures, found.pairs) == (12, 60, 120) and len(own) == 120
    assert np.mean(np.array(others) > found.threshold) == pytest.approx(0.01, abs=1 / len(others))
    assert found.true_matches == pytest.approx(np.mean(np.array(own) > found.threshold))
    assert found.area == pytest.approx(np.mean([a > b for a in own for b in others]))
    miss, false = min(
        ((np.mean(np.array(own) <= t), np.mean(np.array(others) > t)) for t in own + others),
        key=lambda both: abs(both[0] - both[1]),
    )
    assert found.equal_error == pytest.approx((miss + false) / 2)
    assert 0.2 < found.true_matches < 0.98, "the figures are those of a hard case"
    rates = [true for _, true in found.curve]
    assert rates == sorted(rates) and found.curve[0][0] == 0 and found.curve[-1] == (1.0, 1.0)


def test_perfect_and_useless_embeddings() -> None:
    perfect = verify(*cloud(0.01))
    assert (perfect.true_matches, perfect.equal_error, perfect.area) == (1.0, 0.0, 1.0)
    rows, persons = cloud(1.0)
    useless = verify(rows, np.random.default_rng(1).permutation(persons).tolist())
    assert useless.area == pytest.approx(0.5, abs=0.08) and useless.equal_error == pytest.approx(0.5, abs=0.08)
    same = verify(np.tile([[1.0, 0.0]], (8, 1)), [0, 0, 0, 0, 1, 1, 1, 1])
    assert same.area == 0.5, "ties count half"


@pytest.mark.parametrize("persons", [[0, 0, 0], [0, 1, 2]])
def test_without_pairs_of_both_kinds_there_is_no_figure(persons: list[int]) -> None:
    with pytest.raises(UsageError, match="make no pairs of one person and of two"):
        verify(np.eye(3), persons)
