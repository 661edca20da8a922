"""How much the judge may say and learn: by the ratio of gradients at the last layer, spectrum, spread, its own loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pixel2style2pixel_cli.losses.spectrum import spectral_power
from pixel2style2pixel_cli.training.joint_config import SpectrumRule, SpreadRule

# Where detail is judged, in cycles per pixel: fine enough to show blur, coarse enough not to be noise.
WATCHED = (1 / 4, 3 / 8)

# A loss of the judge under this, for so many steps: its rate is halved.
WON_BELOW, WON_FOR = 0.1, 300

RATIO_EVERY, RATIO_DECAY, LARGEST_RATIO = 8, 0.9, 1e4


class GradientRatio:
    """Norm of one loss's gradient at a layer over another's, smoothed: the factor that makes the second as strong.

    Source: Esser et al., Taming Transformers, 2021, equation 7.
    """

    def __init__(self) -> None:
        self.value = torch.full((), float("nan"))

    def update(self, main: Tensor, other: Tensor, layer: Tensor) -> None:
        """Measure again; ``layer`` is a parameter that both losses depend on."""
        norms = [torch.autograd.grad(loss, layer, retain_graph=True)[0].norm() for loss in (main, other)]
        found = (norms[0] / (norms[1] + 1e-4)).clamp(0, LARGEST_RATIO).detach().cpu()
        first = bool(self.value.isnan())
        self.value = found if first else RATIO_DECAY * self.value + (1 - RATIO_DECAY) * found

    def due(self, step: int) -> bool:
        """Whether this step measures."""
        return step % RATIO_EVERY == 0 or bool(self.value.isnan())


class JudgeControl:
    """Halves the rate of a judge that has won: one whose loss is near nothing teaches nothing, and learns by heart."""

    def __init__(self) -> None:
        self.factor = torch.ones(())
        # For how many steps in a row its loss has been that low.
        self._won = torch.zeros(())

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs."""
        return {"judge_factor": self.factor, "judge_won": self._won}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The counterpart of ``state``."""
        for name, value in self.state().items():
            value.copy_(state[name])

    def saw(self, loss: float) -> None:
        """Count a step's loss (hinge, 2 for a judge that knows nothing)."""
        self._won.copy_(self._won + 1 if loss < WON_BELOW else torch.zeros(()))
        if self._won >= WON_FOR:
            self.factor *= 0.5
            self._won.zero_()


class SpreadControl:
    """Notices when samples become alike, and how much less the judge may say since (SpreadRule)."""

    def __init__(self, rule: SpreadRule) -> None:
        self.rule = rule
        self.factor = torch.ones(())
        self._largest = torch.zeros(())

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs."""
        return {"spread_factor": self.factor, "spread_largest": self._largest}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The counterpart of ``state``."""
        for name, value in self.state().items():
            value.copy_(state[name])

    def fell(self, spread: float) -> bool:
        """Whether this spread is too small beside the largest so far; the weights are then lowered."""
        if spread < (1 - self.rule.fall) * float(self._largest):
            self.factor *= self.rule.weaker
            return True
        self._largest.clamp_(min=spread)
        return False


class SpectrumControl:
    """Factors on the adversarial weights of reconstructions and samples, which follow the spectrum (SpectrumRule)."""

    def __init__(self, rule: SpectrumRule) -> None:
        self.rule = rule
        self.factors = torch.ones(2)
        # Summed power of real pictures, reconstructions and samples, and over how many looks.
        self._power = torch.zeros(3, len(WATCHED))

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs."""
        return {"spectrum_factors": self.factors, "spectrum_power": self._power}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The counterpart of ``state``."""
        for name, value in self.state().items():
            value.copy_(state[name])

    def look(self, real: Tensor, reconstructions: Tensor, samples: Tensor) -> None:
        """Add the power of some pictures (B, 3, S, S) of each kind."""
        cycles = [round(share * real.shape[-1]) for share in WATCHED]
        kinds = (real, reconstructions, samples)
        self._power += torch.stack([spectral_power(kind, cycles).cpu() for kind in kinds])

    def decide(self) -> tuple[float, float] | None:
        """Move the factors by what was seen since the last time; returns both ratios, 1 being that of real pictures.

        None where nothing was seen yet: no power at all would read as pictures without any detail.
        """
        real, *drawn = self._power
        if not bool(real.any()):
            return None
        ratios = [float((power / real.clamp_min(1e-12)).mean()) for power in drawn]
        for i, (ratio, bounds) in enumerate(zip(ratios, self._bounds(), strict=True)):
            change = self.rule.up if ratio < bounds[0] else self.rule.down if ratio > bounds[1] else 1.0
            self.factors[i] = (self.factors[i] * change).clamp(self.rule.least, self.rule.most)
        self._power.zero_()
        return ratios[0], ratios[1]

    def _bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return self.rule.reconstructions, self.rule.samples
