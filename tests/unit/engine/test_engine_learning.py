"""Directions learned from labels, on codes of which the truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pixel2style2pixel_cli.engine.learning import Label, Learner, Method
from pixel2style2pixel_cli.errors import InputError

PICTURES, WIDTH = 400, 60


def made(seed: int = 0, related: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes that two causes move along two steps, the causes, and the steps; ``related`` is their correlation."""
    chance = np.random.default_rng(seed)
    causes = chance.standard_normal((PICTURES, 2))
    causes[:, 1] = related * causes[:, 0] + math.sqrt(1 - related**2) * causes[:, 1]
    steps = chance.standard_normal((2, WIDTH))
    return causes @ steps + 0.5 * chance.standard_normal((PICTURES, WIDTH)) + 3, causes, steps


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def numbers(name: str, values: np.ndarray) -> Label:
    return Label(name=name, values=values, is_class=False)


def test_means_find_the_step_and_its_length() -> None:
    codes, causes, steps = made()
    learner = Learner(codes, [numbers("a", causes[:, 0] * 7 + 1), numbers("b", causes[:, 1])])
    found = learner.learn("a", ["b"])
    assert cosine(found.step, steps[0]) > 0.98
    assert np.linalg.norm(found.step) == pytest.approx(np.linalg.norm(steps[0]), rel=0.1), "one standard deviation"
    assert found.correlation > 0.9 and abs(found.leakage["b"]) < 0.3 and found.pictures == PICTURES


def test_what_is_held_fixed_takes_related_labels_apart() -> None:
    codes, causes, steps = made(related=0.8)
    learner = Learner(codes, [numbers("a", causes[:, 0]), numbers("b", causes[:, 1])])
    alone, apart = learner.learn("a").step, learner.learn("a", ["b"]).step
    assert cosine(apart, steps[0]) > 0.95 > cosine(alone, steps[0])


def test_regression_tells_the_label_at_right_angles_to_others() -> None:
    codes, causes, _ = made(related=0.5)
    learner = Learner(codes, [numbers("a", causes[:, 0]), numbers("b", causes[:, 1])])
    first, second = (learner.learn(name, method="regression").step for name in "ab")
    apart = learner.learn("a", ["b"], "regression")
    assert abs(cosine(apart.step, second)) < 1e-6 < abs(cosine(first, second))
    assert learner.learn("a", method="regression").correlation > 0.95
    spread = (codes - codes.mean(axis=0)) @ (apart.step / np.linalg.norm(apart.step))
    assert np.linalg.norm(apart.step) == pytest.approx(spread.std(), rel=1e-6)


@pytest.mark.parametrize("method", ["means", "regression"])
def test_classes_and_missing_values(method: Method) -> None:
    codes, causes, steps = made(1)
    worn = (causes[:, 0] > 0.8).astype(float)
    worn[::7] = np.nan
    found = Learner(codes, [Label(name="glasses", values=worn, is_class=True)]).learn("glasses", (), method)
    assert cosine(found.step, steps[0]) > 0.85 and found.pictures == int(np.isfinite(worn).sum())
    if method == "means":
        difference = codes[worn == 1].mean(axis=0) - codes[worn == 0].mean(axis=0)
        assert np.allclose(found.step, difference / 2, atol=1e-9)


def test_more_numbers_than_pictures_and_the_same_every_time() -> None:
    codes, causes, steps = made(2)
    wide = np.hstack([codes, np.random.default_rng(3).standard_normal((PICTURES, 2000)) * 0.1])
    found = [Learner(wide[:80], [numbers("a", causes[:80, 0])]).learn("a", (), "regression").step for _ in range(2)]
    assert np.array_equal(*found) and cosine(found[0][:WIDTH], steps[0]) > 0.8


def test_what_cannot_be_learned_is_refused() -> None:
    codes, causes, _ = made()
    with pytest.raises(InputError, match="9 pictures with labels are too few"):
        Learner(codes[:9], [numbers("a", causes[:9, 0])])
    with pytest.raises(InputError, match="is always the same"):
        Learner(codes, [numbers("a", np.ones(PICTURES))]).learn("a")
    one = np.zeros(PICTURES)
    one[3] = 1
    with pytest.raises(InputError, match="too few values to learn from"):
        Learner(codes, [Label(name="a", values=one, is_class=True)]).learn("a")
    same = [numbers("a", causes[:, 0]), numbers("b", causes[:, 0] * 2)]
    for method in ("means", "regression"):
        with pytest.raises(InputError, match=r"say the same|nothing of the direction"):
            Learner(codes, same).learn("a", ["b"], method)  # type: ignore[arg-type]
