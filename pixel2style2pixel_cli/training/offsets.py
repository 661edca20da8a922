"""How many offsets are open at which step: the schedules of e4e and of Cycle Encoding, without torch.

An e4e encoder learns from W to W+ (Tov et al. 2021); Cycle Encoding goes the same way and then back to W (Mao et al.
2022; methods.md 8.1). Steps count from 0: what holds at step s holds for the update number s + 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.training.limits import MOST, check_numbers

Method = Literal["psp", "e4e", "cycle", "restyle"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progressive:
    """From W to W+: offset i opens at step ``start`` + (i - 1) x ``every``; with ``every`` 0 all open at once."""

    start: int = 20_000
    every: int = 2_000

    def __post_init__(self) -> None:
        check_numbers("progressive", self)

    def stage(self, step: int, n_styles: int) -> int:
        """The last open row of so many."""
        if step < self.start:
            return 0
        return min(n_styles - 1, 1 + (step - self.start) // self.every if self.every else n_styles - 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Regressive:
    """From W+ back to W, first by persuasion, then by closing one offset after the other, the last row first.

    At step ``start`` and every ``every`` steps from there the adversarial loss is multiplied by ``adversarial_factor``
    and, until ``close_from``, the loss of the offsets by ``delta_factor``. Offset n - 1 closes at ``close_from``, one
    more every ``close_every`` steps.
    """

    start: int = 500_005
    every: int = 10_000
    delta_factor: float = 1.2
    adversarial_factor: float = 0.5
    close_from: int = 650_000
    close_every: int = 4_000

    def __post_init__(self) -> None:
        check_numbers(
            "regressive", self, every=(1, MOST), close_from=(self.start, MOST), adversarial_factor=(0, 1),
            delta_factor=(1, 100),
        )  # fmt: skip
        if self._changes(self.close_from - 1) * math.log(self.delta_factor) > math.log(MOST):
            raise UsageError(
                f"regressive.delta_factor {self.delta_factor:g} is applied {self._changes(self.close_from - 1)} times, "
                f"to more than any weight",
                "set it nearer to 1, or regressive.every higher",
            )

    def stage(self, step: int, n_styles: int) -> int:
        """The last row whose offset is not closed."""
        if step < self.close_from:
            return n_styles - 1
        closed = 1 + (step - self.close_from) // self.close_every if self.close_every else n_styles - 1
        return max(0, n_styles - 1 - closed)

    def adversarial(self, step: int) -> float:
        """What the weight of the adversarial loss is multiplied by."""
        return float(self.adversarial_factor ** self._changes(step))

    def delta(self, step: int) -> float:
        """What the weight of the loss of the offsets is multiplied by."""
        return float(self.delta_factor ** self._changes(min(step, self.close_from - 1)))

    def _changes(self, step: int) -> int:
        return 0 if step < self.start else 1 + (step - self.start) // self.every


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """Both ways for a generator of so many rows; ``regressive`` is None for e4e, which stays in W+."""

    n_styles: int
    progressive: Progressive
    regressive: Regressive | None = None

    def stage(self, step: int) -> int:
        """Rows 1 to this one have an offset of their own at a step; 0 is W."""
        opened = self.progressive.stage(step, self.n_styles)
        return opened if self.regressive is None else min(opened, self.regressive.stage(step, self.n_styles))

    def factors(self, step: int) -> dict[str, float]:
        """What the weights of the losses of codes are multiplied by at a step."""
        back = self.regressive
        return {} if back is None else {"delta": back.delta(step), "adversarial": back.adversarial(step)}

    @property
    def settled(self) -> int:
        """The first step from which nothing opens or closes any more."""
        last, there = self.n_styles - 2, self.progressive
        opened = there.start + last * there.every
        back = self.regressive
        return opened if back is None else max(opened, back.close_from + last * back.close_every)


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeGame:
    """The discriminator of codes: Adam's ``rate``, R1 with weight ``r1`` every ``r1_every`` steps, and its pool.

    ``pool`` codes of earlier steps are kept of either side, and every second code is swapped for one of them; 0 is
    without.
    """

    rate: float = 2e-5
    r1: float = 10.0
    r1_every: int = 16
    pool: int = 50

    def __post_init__(self) -> None:
        check_numbers("code_discriminator", self, r1_every=(1, MOST), pool=(0, 100_000))
