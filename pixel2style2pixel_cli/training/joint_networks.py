"""The parts of a joint run that have no step of their own: averages, parameter groups, learning rates."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.joint_config import JointRates
from pixel2style2pixel_cli.training.loop import falling_rate

ENCODER_BETAS = (0.9, 0.99)
# Against an opponent that moves, momentum does harm.
GAME_BETAS = (0.0, 0.99)


def averages_of(generator: Generator, encoder: nn.Module, rates: JointRates) -> dict[str, Any]:
    """Averages of both networks, frozen: ``generator_average``, ``encoder_average``, and ``_slow`` where asked for."""
    lives = ("average", "slow") if rates.ema_images_slow else ("average",)
    return {
        f"{name}_{life}": copy.deepcopy(module).requires_grad_(False).eval()
        for life in lives
        for name, module in (("generator", generator), ("encoder", encoder))
    }


def joint_optimisers(
    generator: Generator, encoder: nn.Module, judge: nn.Module | None, rates: JointRates
) -> dict[str, torch.optim.Optimizer]:
    """Adam for each part; a group's ``base`` is its learning rate before warm-up and fall. What has none is frozen."""
    slowed = slowed_parameters(generator, rates.slowed_to)
    names = {id(p) for p in slowed}
    mapping = list(generator.mapping.parameters())
    rest = [p for p in generator.parameters() if id(p) not in names | {id(m) for m in mapping}]
    trunk = [p for name, p in encoder.named_parameters() if name.startswith("trunk.")]
    heads = [p for name, p in encoder.named_parameters() if not name.startswith("trunk.")]
    groups: dict[str, tuple[list[tuple[list[nn.Parameter], float]], tuple[float, float]]] = {
        "generator": ([(rest, rates.generator), (slowed, rates.generator * rates.slowed)], GAME_BETAS),
        "mapping": ([(mapping, rates.mapping)], GAME_BETAS),
        "encoder": ([(trunk, rates.trunk), (heads, rates.encoder)], ENCODER_BETAS),
    }
    if judge is not None:
        groups["judge"] = ([(list(judge.parameters()), rates.judge)], GAME_BETAS)
    optimisers: dict[str, torch.optim.Optimizer] = {}
    for name, (parts, betas) in groups.items():
        for parameter in (p for parameters, rate in parts if not rate for p in parameters):
            parameter.requires_grad_(False)
        moved = [{"params": p, "lr": rate, "base": rate} for p, rate in parts if p and rate]
        if moved:
            optimisers[name] = torch.optim.Adam(moved, betas=betas)
    return optimisers


def last_layer(generator: Generator) -> nn.Parameter:
    """The weight of the last step to RGB: every loss of pictures passes it."""
    return generator.get_parameter(f"blocks.{len(generator.blocks) - 1}.to_rgb.conv.weight")


def slowed_parameters(generator: Generator, up_to: int) -> list[nn.Parameter]:
    """The synthesis parameters of the layers of at most ``up_to`` px; none below 4."""
    if up_to < 4:
        return []
    parts: list[nn.Module] = [generator.conv_first, generator.to_rgb_first]
    sizes = generator.spec.resolutions[1:]
    parts += [block for block, size in zip(generator.blocks, sizes, strict=True) if size <= up_to]
    return [generator.constant, *(p for part in parts for p in part.parameters())]


def set_joint_rates(
    optimisers: dict[str, torch.optim.Optimizer], rates: JointRates, step: int, steps: int, judge: float = 1.0
) -> None:
    """Learning rates of this step, the judge's times ``judge``.

    A judge that falls with the others would stop seeing before they stop moving.
    """
    for name, optimiser in optimisers.items():
        factor = falling_rate(1.0, step, steps, rates.warm_up, rates.fall_from)
        if name == "judge" and step >= rates.warm_up:
            factor = max(factor, rates.judge_least)
        factor *= judge if name == "judge" else 1.0
        for group in optimiser.param_groups:
            group["lr"] = group["base"] * factor
