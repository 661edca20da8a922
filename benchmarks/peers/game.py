"""The same training for every compared system: its adversarial game, features of its judge, features of a trunk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from networks import Conditioned, Scores
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.inputs.labels import one_hot
from pixel2style2pixel_cli.inputs.sketch import sketchify
from pixel2style2pixel_cli.losses.features import feature_distance
from pixel2style2pixel_cli.training.data import PictureSource, training_batches

Pixels = NDArray[np.uint8]
Kind = Literal["labels", "sketch"]
FEATURES, PERCEPTUAL, EXTRA = 10.0, 10.0, 10.0  # pix2pixHD's weights, which SPADE and CC-FPSE took over
KEPT = 40  # batches of training conditions that a system may look at once more when it is finished


@dataclass(frozen=True, kw_only=True, slots=True)
class System:
    """A compared system: what it reads, whose code it is, how its game is played (the settings of its paper)."""

    name: str
    kind: Kind
    source: str
    make: Callable[[], tuple[Conditioned, nn.Module]]
    hinge: bool
    rates: tuple[float, float]
    betas: tuple[float, float]
    published: str = ""  # the repository, where it is needed


def train(
    system: System, source: PictureSource, trunk: nn.Module, place: Path, *, steps: int, batch: int, seed: int
) -> tuple[Conditioned, float]:
    """The generator after so many steps, and the processor seconds that they took; from its file where it is there."""
    torch.manual_seed(seed)
    generator, judge = system.make()
    if place.is_file():
        state = load_file(place)
        seconds = float(state.pop("seconds"))
        if "known_PME" in state:
            generator.known_PME = state["known_PME"]
        generator.load_state_dict(state)
        return generator.eval(), seconds
    optimisers = [
        torch.optim.Adam(network.parameters(), lr=rate, betas=system.betas)
        for network, rate in zip((generator, judge), system.rates, strict=True)
    ]
    kept: list[Tensor] = []
    started = time.process_time()
    batches = training_batches(source, batch=batch, seed=seed, start=0, held_out=0, flip=True)
    for step, item in zip(range(1, steps + 1), batches, strict=False):
        condition = conditions(system.kind, item.image, item.labels)
        if len(kept) < KEPT:
            kept.append(condition)
        said = _step(system, generator, judge, optimisers, condition, item.image, trunk)
        if step % 20 == 0 or step == steps:
            seconds = time.process_time() - started
            print(f"{system.name}, {system.kind}: step {step} of {steps}, {said}, {seconds:.0f} s", flush=True)
    generator.eval()
    generator.finish(kept)
    seconds = time.process_time() - started
    place.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.contiguous() for name, value in generator.state_dict().items()}
    save_file({**state, "seconds": torch.tensor(seconds)}, place)
    return generator, seconds


def _step(
    system: System,
    generator: Conditioned,
    judge: nn.Module,
    optimisers: list[torch.optim.Adam],
    condition: Tensor,
    image: Tensor,
    trunk: nn.Module,
) -> str:
    """One step of either side; what came of it in words."""
    drawn = generator(condition)
    optimisers[1].zero_grad()
    fake, real = judge(condition, drawn.detach()), judge(condition, image)
    against = _of_judge(system.hinge, fake, real)
    against.backward()  # type: ignore[no-untyped-call]
    optimisers[1].step()
    optimisers[0].zero_grad()
    scores, features = judge(condition, drawn)
    wanted = [feature.detach() for feature in judge(condition, image)[1]]
    adversarial = torch.stack([-s.mean() if system.hinge else F.mse_loss(s, torch.ones_like(s)) for s in scores]).mean()
    matching = torch.stack([F.l1_loss(a, b) for a, b in zip(features, wanted, strict=True)]).mean()
    with torch.no_grad():
        looked_for = trunk(image)
    seen = feature_distance(trunk(drawn), looked_for).mean()
    total = adversarial + FEATURES * matching + PERCEPTUAL * seen + EXTRA * generator.extra_loss(condition)
    total.backward()
    optimisers[0].step()
    return f"adversarial {float(adversarial.detach()):.2f}, features {float(seen.detach()):.3f}"


def _of_judge(hinge: bool, fake: Scores, real: Scores) -> Tensor:
    """What the judge learns: hinge (SPADE, CC-FPSE) or least squares (pix2pixHD)."""
    losses = []
    for drawn, true in zip(fake[0], real[0], strict=True):
        if hinge:
            losses.append(F.relu(1 - true).mean() + F.relu(1 + drawn).mean())
        else:
            losses.append((F.mse_loss(true, torch.ones_like(true)) + drawn.square().mean()) / 2)
    return torch.stack(losses).mean()


def conditions(kind: Kind, image_BCHW: Tensor, labels_BHW: Tensor | None) -> Tensor:
    """What systems are given of pictures: classes one-hot (B, 19, H, W), or drawings (B, 1, H, W), lines 1 on 0."""
    if kind == "labels":
        assert labels_BHW is not None  # the source was asked for them
        return torch.from_numpy(one_hot(labels_BHW.numpy(), 19))
    return of_drawings([sketchify(picture) for picture in to_uint8(image_BCHW)])


def of_maps(maps: list[Pixels]) -> Tensor:
    """Label maps (S, S) as systems are given them."""
    return torch.from_numpy(one_hot(np.stack(maps), 19))


def of_drawings(drawings: list[Pixels]) -> Tensor:
    """Drawings (S, S), dark lines on white, as systems are given them."""
    return 1 - torch.from_numpy(np.stack(drawings)).float()[:, None] / 255


@torch.no_grad()
def draw(generator: Conditioned, condition_BCHW: Tensor) -> tuple[list[Pixels], float]:
    """Pictures of conditions, one at a time, and the processor seconds of each."""
    started = time.process_time()
    drawn = [picture for part in condition_BCHW.split(1) for picture in to_uint8(generator(part).clamp(-1, 1))]
    return drawn, (time.process_time() - started) / len(condition_BCHW)
