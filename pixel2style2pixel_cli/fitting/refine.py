"""Refinement of an encoder for one picture: its weights are tuned, held by what they do to other pictures.

Cycle Encoding (Mao et al. 2022, equations 5 and 6): L = L_S(x) + lambda_reg L_reg(x*), where L_S compares the drawn
picture with its target and L_reg is the same of other faces. With lambda_reg = M over M others this is M + 1 times the
mean over the batch. The generator stands still, and so does every code: the encoder alone is free (methods.md 8.3).
Shape suffixes: B batch, C channels, H W height and width, S side of the encoder's input, N rows, D style width.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import InputError
from pixel2style2pixel_cli.fitting.frozen import FrozenGenerator
from pixel2style2pixel_cli.fitting.objective import Judge, Objective, reduced
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.seeds import image_seed, torch_generator

COMPANIONS = 7  # M, as published
RATE = 1e-4
BETAS, EPSILON = (0.9, 0.999), 1e-8


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Refined:
    """The code (1, N, D) that drew its picture best, its loss, the steps until then, and how many were made in all."""

    code: Tensor
    loss: float
    best_step: int
    steps: int
    interrupted: bool


class Companions:
    """Faces that the generator draws of random vectors: other ones at every step, the same for every picture.

    The published code takes training pictures, which do not come with a model.
    """

    def __init__(self, generator: Generator, drawing: FrozenGenerator, seed: int) -> None:
        self.generator, self.drawing, self.seed = generator, drawing, seed

    @torch.no_grad()
    def of_step(self, step: int) -> Tensor:
        """The faces (M, 3, R, R) of a step, within [-1, 1] as saved pictures are."""
        chance = torch_generator(image_seed(self.seed, f"companions of step {step}"))
        z_MZ = torch.randn(COMPANIONS, self.generator.spec.z_dim, generator=chance).to(self.generator.latent_avg)
        return self.drawing(self.generator.map(z_MZ)).clamp(-1, 1)


class Refinement:
    """What refines the encoder of a model for one picture after the other, each from the same trained weights."""

    def __init__(self, encoder: Encoder, generator: Generator, *, judge: Judge | None, seed: int) -> None:
        self.encoder, self.judge = encoder, judge
        self.drawing = FrozenGenerator(generator)
        self.companions = Companions(generator, self.drawing, seed)

    def run(
        self,
        input_1CSS: Tensor,
        target_1CHW: Tensor,
        *,
        steps: int,
        rate: float = RATE,
        on_step: Callable[[int, float], None] | None = None,
    ) -> Refined:
        """The best code of a picture within so many steps; its target is of the generator's size.

        Ctrl-C ends the steps, and what was best until then is kept.

        As published, batch norms use the statistics of the picture and its companions, and the code after the last
        step is among those that are compared. ``on_step`` is told how many steps are made, and the loss of the picture.
        Raises InputError where a loss is not a number.
        """
        tuned = copy.deepcopy(self.encoder).requires_grad_(True).train()
        optimiser = torch.optim.Adam(tuned.parameters(), lr=rate, betas=BETAS, eps=EPSILON)
        best: list[Tensor] = []
        losses: list[float] = []
        interrupted = False
        try:
            for step in range(steps + 1):
                last = step == steps
                with torch.set_grad_enabled(not last):
                    code_1ND, losses_B = self._look(tuned, input_1CSS, target_1CHW, step)
                _keep(best, losses, code_1ND, losses_B, step)
                if on_step is not None and step:
                    on_step(step, losses[-1])
                if not last:
                    optimiser.zero_grad(set_to_none=True)
                    losses_B.mean().backward()  # type: ignore[no-untyped-call]
                    optimiser.step()
        except KeyboardInterrupt:
            if not best:
                raise
            interrupted = True
        least = min(range(len(losses)), key=losses.__getitem__)
        return Refined(
            code=best[0], loss=losses[least], best_step=least, steps=len(losses) - 1, interrupted=interrupted
        )

    def _look(self, tuned: Encoder, input_1CSS: Tensor, target_1CHW: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """The code of the picture, and the losses (B,) of it and its companions."""
        faces_MCHW = self.companions.of_step(step)
        side = input_1CSS.shape[-1]
        inputs_BCSS = torch.cat([input_1CSS, reduced(faces_MCHW, side)])
        codes_BND = tuned(inputs_BCSS)
        targets_BCHW = torch.cat([target_1CHW, faces_MCHW])
        objective = Objective(targets_BCHW, judge=self.judge, pixels="mse")
        return codes_BND[:1].detach(), objective(self.drawing(codes_BND))


def _keep(best: list[Tensor], losses: list[float], code_1ND: Tensor, losses_B: Tensor, step: int) -> None:
    """Note the loss of the picture, and its code where it is the best so far."""
    values: Sequence[float] = losses_B.detach().tolist()
    if not all(map(math.isfinite, values)):
        raise InputError(
            f"the refinement has failed at step {step}: its loss is not a number", "use --dtype float32, or no --refine"
        )
    if not losses or values[0] < min(losses):
        best[:] = [code_1ND.clone()]
    losses.append(values[0])
