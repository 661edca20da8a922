"""Pivotal tuning: the generator itself is trained until it draws a picture from its code (Roich et al. 2021).

The code, the pivot, stands still, so that what can be done to codes can be done to it; the locality term keeps what is
drawn from other codes as it was. Shape suffixes: B batch, C channels, H W height and width, s side of a noise map,
N rows, D style width, P pictures.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import InputError, check_shape
from pixel2style2pixel_cli.fitting.frozen import FrozenGenerator
from pixel2style2pixel_cli.fitting.objective import Judge, Objective, reduced
from pixel2style2pixel_cli.interrupts import uninterrupted
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.seeds import torch_generator

BETAS, EPSILON = (0.9, 0.999), 1e-8
TRUNCATION = 0.5  # of the random codes that the locality term goes towards

# How far from the pivot the locality term looks, as a share of the spread of the codes, over all rows. The published 30
# is about this on the faces generator of 1024 px; a generator with a smaller space would be left far behind by it.
REACH = 0.75
SPREAD_DRAWS = 1000

_AT_ONCE = 4  # pictures that share a pass through the network on a CPU
_WORTH_KEEPING = 0.995  # a loss that falls by less than this is not copied: a copy costs as much as a tenth of a step


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How a generator is tuned: at most ``steps`` of Adam at ``rate``, which falls to a tenth in the last quarter.

    ``locality`` is the weight of the locality term, 0 for none, and ``every`` how often it is counted, with its weight
    times as much. ``enough`` ends the tuning once the mean loss of the pictures is as small; 0 never does. ``rows``
    are those of a code whose layers are tuned, empty for all.
    """

    steps: int
    rate: float
    locality: float
    every: int
    enough: float
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Pivots:
    """What is to be drawn: targets (P, 3, S, S) in [-1, 1] of codes (P, N, D)."""

    codes: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        check_shape(self.codes, (None, None, None), "the pivots")
        check_shape(self.targets, (len(self.codes), 3, None, None), "the pictures of the pivots")


class Tuning:
    """One tuning, from step to step; ``load`` goes on with what ``state`` gave."""

    def __init__(self, generator: Generator, pivots: Pivots, judge: Judge | None, rule: Rule, seed: int) -> None:
        self.rule, self.seed, self.pivots = rule, seed, pivots
        self.original = FrozenGenerator(generator)
        self.tuned = copy.deepcopy(generator).requires_grad_(False)
        self.free = tunable(self.tuned, rule.rows)
        for parameter in self.free.values():
            parameter.requires_grad_(True)
        # Fused where there is a kernel for it: one pass over weights and moments in place of ten.
        fused = generator.constant.device.type in ("cpu", "cuda")
        self.optimiser = torch.optim.Adam(self.free.values(), lr=rule.rate, betas=BETAS, eps=EPSILON, fused=fused)
        self.judge = judge
        self.parts = [slice(i, i + _AT_ONCE) for i in range(0, len(pivots.codes), _AT_ONCE)]
        # LPIPS or features, plus the squared error with weight 1 (PTI, eq. 2).
        self.objectives = [Objective(pivots.targets[part], judge=judge, pixels="mse") for part in self.parts]
        self.maps = [map_ for map_ in generator.noise_maps("fixed", pivots.codes) if map_ is not None]
        self.reach = REACH * spread(generator, seed) * math.sqrt(generator.spec.n_styles)
        self.step, self.loss, self.best_loss, self.best_step = 0, math.inf, math.inf, 0
        self._best: dict[str, Tensor] = {}

    @property
    def finished(self) -> bool:
        """Whether all steps are made, or the pictures are met."""
        return self.step >= self.rule.steps or self.loss <= self.rule.enough

    def advance(self) -> float:
        """One step on all pictures; returns their mean loss before it.

        Raises InputError where it is not a number: ``changes`` still gives the best so far.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.rule.rate * self._fall()
        self.optimiser.zero_grad(set_to_none=True)
        total = 0.0
        with torch.enable_grad():
            for part, objective in zip(self.parts, self.objectives, strict=True):
                local = part.start == 0 and self.rule.locality > 0 and self.step % self.rule.every == 0
                total += self._add_gradients(part, objective, local)
        loss = total / len(self.pivots.codes)
        if not math.isfinite(loss):
            raise InputError(
                f"the tuning has failed at step {self.step + 1}: its loss is not a number", "use a smaller --rate"
            )
        with uninterrupted():  # what is gone on from must be whole steps
            self.loss = loss
            self._keep()
            self.step += 1
            if self.loss > self.rule.enough:
                self.optimiser.step()
        return self.loss

    def finish(self) -> None:
        """Measure what the last step has made, which may be the best."""
        with torch.no_grad():
            total = sum(
                float(objective(self.tuned(self.pivots.codes[part])).sum())
                for part, objective in zip(self.parts, self.objectives, strict=True)
            )
        with uninterrupted():
            self.loss = total / len(self.pivots.codes)
            self._keep()

    def changes(self) -> dict[str, Tensor]:
        """What has to be added to the tensors of the generator for the best of the tuning, on the CPU."""
        original = dict(self.original.generator.named_parameters())
        return {name: (value - original[name].detach()).cpu() for name, value in self._best.items()}

    def state(self) -> dict[str, Tensor]:
        """Everything that a later process needs to go on, by names."""
        losses = torch.tensor([self.loss, self.best_loss], dtype=torch.float64)  # the mean of three is no float32
        found = {"step": torch.tensor([self.step, self.best_step]), "loss": losses}
        for name, parameter in self.free.items():
            found[f"now/{name}"] = parameter.detach()
            found[f"best/{name}"] = self._best.get(name, parameter.detach())
            for moment, value in self.optimiser.state.get(parameter, {}).items():
                found[f"{moment}/{name}"] = torch.as_tensor(value)
        return {name: value.detach().cpu().contiguous() for name, value in found.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on with a state of the same generator, pictures and rule."""
        self.step, self.best_step = (int(value) for value in state["step"])
        self.loss, self.best_loss = (float(value) for value in state["loss"])
        with torch.no_grad():
            for name, parameter in self.free.items():
                parameter.copy_(state[f"now/{name}"])
                self._best[name] = torch.empty_like(parameter).copy_(state[f"best/{name}"])
                if self.step:
                    self.optimiser.state[parameter] = {
                        "step": state[f"step/{name}"].clone(),
                        "exp_avg": torch.empty_like(parameter).copy_(state[f"exp_avg/{name}"]),
                        "exp_avg_sq": torch.empty_like(parameter).copy_(state[f"exp_avg_sq/{name}"]),
                    }

    def _add_gradients(self, part: slice, objective: Objective, local: bool) -> float:
        """The gradients of a part of the pictures; the locality term goes with the first, as one more picture."""
        codes_BND = self.pivots.codes[part]
        count, maps = len(codes_BND), [map_.expand(len(codes_BND), -1, -1, -1) for map_ in self.maps]
        if local:
            near_1ND = self._near(codes_BND)
            codes_BND = torch.cat([codes_BND, near_1ND])
            maps = [torch.cat([map_, torch.zeros_like(map_[:1])]) for map_ in maps]  # drawn without noise, as published
        image_BCHW = self.tuned(codes_BND, maps)
        loss = objective(image_BCHW[:count]).sum()
        weighted = loss / len(self.pivots.codes)
        if local:
            with torch.no_grad():
                wanted_1CHW = self.original(near_1ND, "off")
            weighted = weighted + self.rule.locality * self.rule.every * self._distance(image_BCHW[count:], wanted_1CHW)
        weighted.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _near(self, codes_BND: Tensor) -> Tensor:
        """The code w_r = w_p + alpha (w_z - w_p) / ||w_z - w_p|| of a random w_z (PTI, eq. 4), another at every step.

        The norm is over all rows, as in the published code; the pivots take turns.
        """
        generator = self.original.generator
        chance = torch_generator((self.seed << 20) + self.step)
        z_1Z = torch.randn(1, generator.spec.z_dim, generator=chance).to(codes_BND)
        pivot_1ND = codes_BND[self.step % len(codes_BND)][None]
        with torch.no_grad():
            away_1ND = generator.map(z_1Z, TRUNCATION) - pivot_1ND
            near: Tensor = pivot_1ND + self.reach * away_1ND / away_1ND.norm().clamp_min(1e-8)
        return near

    def _distance(self, image_BCHW: Tensor, wanted_BCHW: Tensor) -> Tensor:
        """Squared error plus the perceptual term (PTI, eq. 5)."""
        side = self.pivots.targets.shape[-1]
        return Objective(reduced(wanted_BCHW, side), judge=self.judge, pixels="mse")(image_BCHW).mean()

    def _fall(self) -> float:
        """The rate of this step as a share of the first: whole, then down to a tenth along a cosine."""
        begin = 0.75 * self.rule.steps
        if self.step < begin:
            return 1.0
        reached = (self.step - begin) / max(1.0, self.rule.steps - begin)
        return 0.1 + 0.9 * (0.5 + 0.5 * math.cos(math.pi * reached))

    @torch.no_grad()
    def _keep(self) -> None:
        """Remember the weights where their loss is the least so far."""
        if self._best and self.loss >= self.best_loss * _WORTH_KEEPING:
            return
        self.best_loss, self.best_step = self.loss, self.step
        for name, parameter in self.free.items():
            if name in self._best:
                self._best[name].copy_(parameter)
            else:
                self._best[name] = parameter.detach().clone()


def tunable(generator: Generator, rows: Sequence[int] = ()) -> dict[str, nn.Parameter]:
    """The parameters that are tuned, by name: those of the layers that these rows of a code drive, all for none.

    The mapping network gets no gradient from codes that stand still, so it is never among them.
    """
    wanted = set(rows or range(generator.spec.n_styles))
    prefixes = []
    if 0 in wanted:
        prefixes += ["constant", "conv_first."]
    if 1 in wanted:
        prefixes.append("to_rgb_first.")
    for i in range(len(generator.blocks)):
        names = {2 * i + 1: "conv_up.", 2 * i + 2: "conv.", 2 * i + 3: "to_rgb."}
        prefixes += [f"blocks.{i}.{name}" for row, name in names.items() if row in wanted]
    return {name: value for name, value in generator.named_parameters() if name.startswith(tuple(prefixes))}


@torch.no_grad()
def spread(generator: Generator, seed: int = 0) -> float:
    """The root mean square distance of random codes in W from the average one (the w_std of the W projection)."""
    z_MZ = torch.randn(SPREAD_DRAWS, generator.spec.z_dim, generator=torch_generator(seed)).to(generator.latent_avg)
    w_MD = generator.mapping(z_MZ)
    return float((w_MD - w_MD.mean(dim=0)).square().sum(dim=1).mean().sqrt())
