"""Image2StyleGAN: a code found by optimisation, each picture by itself (Abdal et al. 2019).

Shape suffixes: B batch, C channels, H W height and width, N styles, D style width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from pixel2style2pixel_cli.fitting.features import LEAST_SIDE, FixedFeatures, load_features
from pixel2style2pixel_cli.fitting.frozen import FrozenGenerator
from pixel2style2pixel_cli.fitting.objective import levels_for
from pixel2style2pixel_cli.interrupts import uninterrupted
from pixel2style2pixel_cli.losses.pixel import gradient_l1, mse, pyramid_l1, pyramid_l1_each
from pixel2style2pixel_cli.networks.stylegan2 import Generator, NoiseMode

LEARNING_RATE = 0.01

# How much pixels count beside features: enough to keep colours and layout where the features leave them open.
PIXEL_WEIGHT = 4.0


def reconstruction_loss(image_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Squared error plus pyramid L1 and gradients: what the bundled encoder was trained with, without a network."""
    return mse(image_BCHW, target_BCHW) + pyramid_l1(image_BCHW, target_BCHW) + gradient_l1(image_BCHW, target_BCHW)


def embed(
    generator: Generator,
    target_BCHW: Tensor,
    start_BND: Tensor,
    *,
    steps: int,
    size: int | None = None,
    whole_steps: int = 0,
    noise: NoiseMode = "fixed",
    learning_rate: float = LEARNING_RATE,
    features: bool = True,
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Codes (B, N, D) in W+ after ``steps`` of Adam from ``start``, for targets (B, 3, S, S) in [-1, 1].

    Pictures are compared at the smaller of the target's size and the generator's, or at ``size``, where that is less:
    what is larger is reduced to it by averages. Of such steps, the last ``whole_steps`` compare as if no ``size`` were
    given. Pictures of 64 px and more are compared in features as well, which tell people apart where pixels hardly
    differ. Every picture has its own loss, and Adam treats every number apart, so a batch gives the codes that its
    pictures give alone. The last tenth of the steps falls to a tenth of the rate, which takes the last unrest out.
    ``on_step`` is told how many are made.
    """
    told = None if on_step is None else (lambda step, loss: on_step(step))
    found, made = descend(
        generator, target_BCHW, start_BND, steps=steps, size=size, whole_steps=whole_steps, noise=noise,
        learning_rate=learning_rate, features=features, on_step=told,
    )  # fmt: skip
    if made < steps:
        raise KeyboardInterrupt
    return found


def descend(
    generator: Generator,
    target_BCHW: Tensor,
    start_BND: Tensor,
    *,
    steps: int,
    size: int | None = None,
    whole_steps: int = 0,
    noise: NoiseMode = "fixed",
    learning_rate: float = LEARNING_RATE,
    features: bool = True,
    on_step: Callable[[int, float], None] | None = None,
) -> tuple[Tensor, int]:
    """The codes of ``embed`` and how many steps were made: fewer than asked for where Ctrl-C ended them.

    ``on_step`` is told how many are made, and the mean loss.
    """
    codes_BND = start_BND.detach().clone().requires_grad_(True)
    optimiser = torch.optim.Adam([codes_BND], lr=learning_rate, betas=(0.9, 0.999), eps=1e-8)
    largest = min(target_BCHW.shape[-1], generator.spec.resolution)
    judge = load_features(codes_BND) if features and steps and largest >= LEAST_SIDE else None
    draw = FrozenGenerator(generator)
    goal: _Goal | None = None
    made = 0
    try:
        for step in range(steps):
            if step == steps - steps // 10:
                optimiser.param_groups[0]["lr"] = learning_rate / 10
            side = largest if size is None or step >= steps - whole_steps else min(size, largest)
            if goal is None or goal.side != side:
                goal = _Goal(target_BCHW, side, judge)
            with torch.enable_grad():
                loss = goal.loss(draw(codes_BND, noise))
                (codes_BND.grad,) = torch.autograd.grad(loss, codes_BND)
            with uninterrupted():  # the recipe says how many steps these codes took
                optimiser.step()
                made = step + 1
            if on_step is not None:
                on_step(made, loss.item() / len(codes_BND))
    except KeyboardInterrupt:
        if made == steps:
            raise
    return codes_BND.detach(), made


class _Goal:
    """Targets (B, 3, S, S) reduced to one side, and their features, which every step compares with."""

    def __init__(self, target_BCHW: Tensor, side: int, judge: FixedFeatures | None) -> None:
        self.side, self.target_BCHW = side, _at_most(target_BCHW, side)
        self.judge = judge if side >= LEAST_SIDE else None
        self.wanted = [] if self.judge is None else self.judge.maps(self.target_BCHW)

    def loss(self, image_BCHW: Tensor) -> Tensor:
        """The sum of what each picture (B, 3, R, R) is away from its own target."""
        image_BCHW = _at_most(image_BCHW, self.side)
        if self.judge is None:  # a mean over the batch, and every picture is to count whole
            return reconstruction_loss(image_BCHW, self.target_BCHW) * len(image_BCHW)
        pixels_B = pyramid_l1_each(image_BCHW, self.target_BCHW, levels_for(self.side))
        return (self.judge.distances(image_BCHW, self.wanted) + PIXEL_WEIGHT * pixels_B).sum()


def _at_most(image_BCHW: Tensor, size: int) -> Tensor:
    return image_BCHW if image_BCHW.shape[-1] <= size else F.interpolate(image_BCHW, size=(size, size), mode="area")
