"""Directions learned from codes and labels: what about codes goes with a number, or with a class (methods.md 9.1).

Everything is done in the coordinates of the codes' own singular vectors, so that hundreds of pictures are enough for
codes of thousands of numbers. Shape suffixes: M pictures, K numbers of a code, R coordinates, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pixel2style2pixel_cli.errors import InputError, check_shape

Numbers = NDArray[np.float64]

FEWEST = 10  # pictures with a label: fewer say nothing that would hold for others
FEWEST_OF_CLASS = 3
HELD_OUT = 0.2
# How strongly weights are kept small, as shares of the codes' largest variance; the best is found by leaving one out.
RIDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_NEWTON_STEPS = 25
_SAME = 1e3  # how much clearer one label must be than what tells it from others

# How a direction is found: what the mean code does, or what tells the label.
Method = Literal["means", "regression"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Label:
    """One label of pictures: a number each, NaN where there is none; ``is_class`` for 0 and 1 of a class."""

    name: str
    values: Numbers
    is_class: bool


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Learned:
    """The step (K,) of one standard deviation, and what the direction is worth on pictures it was not learned from.

    ``correlation`` is that of where a code lies along the direction with the label; ``leakage`` the same with every
    other label. NaN where too few are held out to tell.
    """

    name: str
    step: Numbers
    correlation: float
    leakage: Mapping[str, float]
    pictures: int


class Learner:
    """Codes (M, K) with their labels; ``learn`` gives a direction for one of them.

    ``seed`` decides which fifth of the pictures is held out. Raises InputError where there are too few pictures.
    """

    def __init__(self, codes_MK: Numbers, labels: Sequence[Label], seed: int = 0) -> None:
        check_shape(codes_MK, (None, None), "codes")
        if len(codes_MK) < FEWEST:
            raise InputError(
                f"{len(codes_MK)} pictures with labels are too few to learn from, expected {FEWEST} or more",
                "label more pictures",
            )
        self.labels = {label.name: label for label in labels}
        self.codes = codes_MK - codes_MK.mean(axis=0)
        u_MR, s_R, axes_RK = np.linalg.svd(self.codes, full_matrices=False)
        kept = s_R > s_R[0] * 1e-6
        self._coordinates, self._axes = u_MR[:, kept] * s_R[kept], axes_RK[kept]
        self._held = np.random.default_rng(seed).permutation(len(codes_MK)) < HELD_OUT * len(codes_MK)

    def learn(self, name: str, others: Sequence[str] = (), method: Method = "means") -> Learned:
        """The direction of a label that leaves those of others as they are.

        ``means``: how the mean code changes with the label while the others stand still: codes regressed on labels.
        ``regression``: what of a code tells the label, linear for numbers and logistic for classes, at right angles to
        the same of the others (InterFaceGAN, Shen et al. 2020, section 3.2). Raises InputError where a label has too
        few values, or always the same one.
        """
        find = self._mean_change if method == "means" else self._normal
        learned_R, every = find(name, others, ~self._held), np.ones(len(self.codes), bool)
        step_R = find(name, others, every)
        if method == "regression":
            step_R = step_R / np.linalg.norm(step_R)
            step_R = step_R * (self._coordinates @ step_R).std()
        return Learned(
            name=name,
            step=step_R @ self._axes,
            correlation=self._correlation(learned_R, name),
            leakage={other: self._correlation(learned_R, other) for other in self.labels if other != name},
            pictures=int(np.isfinite(self.labels[name].values).sum()),
        )

    def _mean_change(self, name: str, others: Sequence[str], used: NDArray[np.bool_]) -> Numbers:
        """The change (R,) of the mean code for one standard deviation of a label; of a class, half the difference."""
        labels = [self.labels[each] for each in (name, *others)]
        known = used & np.isfinite([label.values for label in labels]).all(axis=0)
        for label in labels:
            _check(label, label.values[known])
        told_ML = np.stack([(label.values[known] - label.values[known].mean()) for label in labels], axis=1)
        told_ML = told_ML / np.array([0.5 if label.is_class else label.values[known].std() for label in labels])
        if np.linalg.cond(told_ML) > _SAME:
            raise InputError(
                f"the labels {name!r} and {', '.join(others)} say the same, so one cannot change without the other",
                "name fewer with --orthogonal-to, or label more pictures",
            )
        x_MR = self._coordinates[known]
        change_LR: Numbers = np.linalg.lstsq(told_ML, x_MR - x_MR.mean(axis=0), rcond=None)[0]
        return np.asarray(change_LR[0])

    def _normal(self, name: str, others: Sequence[str], used: NDArray[np.bool_]) -> Numbers:
        """The weights (R,) of a label, less what lies in the span of those of others."""
        normal_R = self._weights(self.labels[name], used)
        if not others:
            return normal_R
        others_RL = np.stack([self._weights(self.labels[other], used) for other in others], axis=1)
        basis_RL, _ = np.linalg.qr(others_RL)
        left_R = normal_R - basis_RL @ (basis_RL.T @ normal_R)
        if np.linalg.norm(left_R) < np.linalg.norm(normal_R) / _SAME:
            raise InputError(
                f"nothing of the direction of {name!r} is left at right angles to {', '.join(others)}",
                "name fewer with --orthogonal-to, or label more pictures",
            )
        return left_R

    def _weights(self, label: Label, used: NDArray[np.bool_]) -> Numbers:
        known = used & np.isfinite(label.values)
        x_MR, y_M = self._coordinates[known], label.values[known]
        _check(label, y_M)
        x_MR, target_M = x_MR - x_MR.mean(axis=0), (y_M - y_M.mean()) / y_M.std()
        ridge = _best_ridge(x_MR, target_M)
        if label.is_class:
            return _logistic(x_MR, y_M, ridge)
        return _linear(x_MR, target_M, ridge)

    def _correlation(self, normal_R: Numbers, name: str) -> float:
        """Of the held-out pictures' places along a direction with a label."""
        values = self.labels[name].values
        known = self._held & np.isfinite(values)
        along, told = self._coordinates[known] @ normal_R, values[known]
        if len(told) < 3 or told.std() == 0 or along.std() == 0:
            return math.nan
        return float(np.corrcoef(along, told)[0, 1])


def _check(label: Label, values_M: Numbers) -> None:
    least = min(int(values_M.sum()), int((1 - values_M).sum())) if label.is_class else len(values_M)
    wanted = FEWEST_OF_CLASS if label.is_class else FEWEST // 2
    if least < wanted:
        raise InputError(
            f"the label {label.name!r} has too few values to learn from: {least}, expected {wanted} or more",
            "label more pictures" + (" of both kinds" if label.is_class else ""),
        )
    if values_M.std() == 0:
        raise InputError(f"the label {label.name!r} is always the same", "label pictures that differ in it")


def _penalty(x_MR: Numbers, ridge: float) -> float:
    return ridge * float(np.square(x_MR).sum(axis=0).max())


def _best_ridge(x_MR: Numbers, y_M: Numbers) -> float:
    """The ridge whose predictions of each picture from all others are best, in closed form."""
    u_MR, s_R, _ = np.linalg.svd(x_MR, full_matrices=False)
    errors = []
    for ridge in RIDGES:
        share_R = s_R**2 / (s_R**2 + _penalty(x_MR, ridge))
        fitted_M = u_MR @ (share_R * (u_MR.T @ y_M))
        leverage_M = (u_MR**2) @ share_R + 1 / len(y_M)
        errors.append(float(np.square((y_M - fitted_M) / np.maximum(1 - leverage_M, 1e-3)).mean()))
    return RIDGES[int(np.argmin(errors))]


def _linear(x_MR: Numbers, y_M: Numbers, ridge: float) -> Numbers:
    size = x_MR.shape[1]
    weights = np.linalg.solve(x_MR.T @ x_MR + _penalty(x_MR, ridge) * np.eye(size), x_MR.T @ y_M)
    return np.asarray(weights, dtype=np.float64)


def _logistic(x_MR: Numbers, y_M: Numbers, ridge: float) -> Numbers:
    """Newton's method with the same penalty; an intercept is fitted and left out."""
    with_one = np.hstack([x_MR, np.ones((len(x_MR), 1))])
    penalty = np.full(with_one.shape[1], _penalty(x_MR, ridge) / 4)  # the curvature of a logistic term is 1/4 at most
    penalty[-1] = 1e-9
    weights: Numbers = np.zeros(with_one.shape[1])
    for _ in range(_NEWTON_STEPS):
        chance_M = 1 / (1 + np.exp(-np.clip(with_one @ weights, -30, 30)))
        curvature_M = np.maximum(chance_M * (1 - chance_M), 1e-6)
        gradient = with_one.T @ (chance_M - y_M) + penalty * weights
        step = np.linalg.solve(with_one.T @ (curvature_M[:, None] * with_one) + np.diag(penalty), gradient)
        weights = np.asarray(weights - step, dtype=np.float64)
        if np.abs(step).max() < 1e-8:
            break
    return np.asarray(weights[:-1])
