"""Ranger: RAdam, Lookahead and gradient centralisation, as the published encoders were trained (methods.md 4.8).

Sources: Liu et al. 2020 (RAdam), Zhang et al. 2019 (Lookahead), Yong et al. 2020 (gradient centralisation).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class Ranger(torch.optim.Optimizer):
    """Rectified Adam whose weights are pulled, every ``k`` steps, half-way back to a slow copy.

    While the length of the rectified average is at most ``threshold`` (the first five steps at the default betas) the
    step is plain momentum. Gradients with more than one axis (``gc_conv_only``: more than three) lose their mean.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        *,
        alpha: float = 0.5,
        k: int = 6,
        threshold: float = 5,
        betas: tuple[float, float] = (0.95, 0.999),
        eps: float = 1e-5,
        weight_decay: float = 0.0,
        gc_conv_only: bool = False,
    ) -> None:
        defaults: dict[str, Any] = {
            "lr": lr,
            "alpha": alpha,
            "k": k,
            "threshold": threshold,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "gc_axes": 4 if gc_conv_only else 2,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["average"] = torch.zeros_like(parameter)
            state["square"] = torch.zeros_like(parameter)
            state["slow"] = parameter.detach().clone()
        state["step"] += 1
        if gradient.ndim >= group["gc_axes"]:
            gradient = gradient - gradient.mean(dim=tuple(range(1, gradient.ndim)), keepdim=True)
        beta1, beta2 = group["betas"]
        state["square"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        state["average"].mul_(beta1).add_(gradient, alpha=1 - beta1)
        if group["weight_decay"]:
            parameter.add_(parameter, alpha=-group["weight_decay"] * group["lr"])
        length, size = _rectified(state["step"], beta1, beta2, group["threshold"])
        if length > group["threshold"]:
            parameter.addcdiv_(state["average"], state["square"].sqrt().add_(group["eps"]), value=-size * group["lr"])
        else:
            parameter.add_(state["average"], alpha=-size * group["lr"])
        if state["step"] % group["k"] == 0:
            state["slow"].add_(parameter - state["slow"], alpha=group["alpha"])
            parameter.copy_(state["slow"])


def _rectified(step: int, beta1: float, beta2: float, threshold: float) -> tuple[float, float]:
    """Length of the approximated average, and the factor of the step (RAdam, algorithm 2)."""
    power = beta2**step
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * power / (1 - power)
    correction = 1 - beta1**step
    if length <= threshold:
        return length, 1 / correction
    variance = (length - 4) / (longest - 4) * (length - 2) / length * longest / (longest - 2)
    return length, math.sqrt((1 - power) * variance) / correction
