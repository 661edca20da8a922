"""Where a joint run begins: at another run's networks, of the same size or of half of it, and at a pretrained trunk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteTrunk
from pixel2style2pixel_cli.networks.lite import LiteEncoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.checkpoint import module_names, read_module
from pixel2style2pixel_cli.training.joint import JointTrainer
from pixel2style2pixel_cli.training.joint_networks import last_layer


def fill_trunk(encoder: nn.Module, trunk: LiteTrunk) -> None:
    """Give an encoder of kind lite the pretrained trunk; others have none that fits."""
    if isinstance(encoder, LiteEncoder):
        encoder.trunk.load_state_dict(trunk.state_dict())


def networks_of(checkpoint: Path) -> dict[str, dict[str, Tensor]]:
    """What a run of generators left to begin with: its averages, as ``generator`` and ``encoder``, and its judge."""
    names = module_names(checkpoint)
    if "generator_average" not in names:
        raise UsageError(f"{checkpoint} holds no averaged generator", "start from a run of train generator")
    there = {"generator": "generator_average", "encoder": "encoder_average", "judge": "judge"}
    return {name: read_module(checkpoint, key) for name, key in there.items() if key in names}


def begin_joint(
    trainer: JointTrainer, states: Mapping[str, Mapping[str, Tensor]], where: Path, on_event: OnEvent
) -> None:
    """Start from other networks, ``generator`` and where there are such ``encoder`` and ``judge``, which are ``where``.

    A generator of half the size gets one block more. An encoder of another kind is not taken over, nor is the judge of
    another size.
    """
    grow_generator(states["generator"], trainer.generator, where)
    taken = ["generator"]
    if "encoder" in states:
        state = grow_heads(states["encoder"], trainer.encoder)
        if _fits(state, trainer.encoder):
            trainer.encoder.load_state_dict(state)
            taken.append("encoder")
    if trainer.judge is not None and "judge" in states and _fits(states["judge"], trainer.judge):
        trainer.judge.load_state_dict(states["judge"])
        taken.append("judge")
    on_event(Notice(message=f"from {where}: {', '.join(taken)}"))


def grow_generator(state: Mapping[str, Tensor], generator: Generator, where: Path) -> None:
    """Load a generator of the same size, or of half of it into one with a block more.

    The new block adds nothing to the picture at first: what is drawn is the small picture, enlarged.
    """
    own = generator.state_dict()
    missing = [key for key in own if key not in state]
    newest = f"blocks.{len(generator.blocks) - 1}."
    maps = {f"noise_{i}" for i in range(len(generator.spec.noise_sizes) - 2, len(generator.spec.noise_sizes))}
    unknown = [key for key in state if key not in own or own[key].shape != state[key].shape]
    if unknown or any(not key.startswith(newest) and key not in maps for key in missing):
        name = (unknown or missing)[0]
        raise UsageError(
            f"the generator of {where} has other sizes than this one, at {name}",
            "start from a run of the same spec, or of half the resolution and the same channels",
        )
    with torch.no_grad():
        if missing:
            last_layer(generator).zero_()
        generator.load_state_dict({**generator.state_dict(), **state})


def grow_heads(state: Mapping[str, Tensor], encoder: nn.Module) -> dict[str, Tensor]:
    """The state of an encoder with fewer rows, its last head repeated for those that it lacks."""
    grown = dict(state)
    wanted = encoder.state_dict().get("latent_avg")
    if wanted is not None and "latent_avg" in grown and len(grown["latent_avg"]) != len(wanted):
        grown["latent_avg"] = grown["latent_avg"][:1].expand_as(wanted)  # one row in as many places
    rows = sorted({int(found[1]) for key in state if (found := re.match(r"heads\.(\d+)\.", key))})
    if not rows:
        return grown
    last = f"heads.{rows[-1]}."
    for key in encoder.state_dict():
        found = re.match(r"heads\.(\d+)\.", key)
        if found and int(found[1]) > rows[-1]:
            source = last + key[found.end() :]
            if source in state:
                grown[key] = state[source]
    return grown


def _fits(state: Mapping[str, Tensor], module: nn.Module) -> bool:
    own = module.state_dict()
    return own.keys() == state.keys() and all(own[key].shape == state[key].shape for key in own)
