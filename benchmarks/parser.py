"""How the face parser is trained that ``p2s2p evaluate --parser`` and the benchmarks judge with; it is not shipped."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from heldout import label_maps
from safetensors.torch import save_file
from torch import Tensor

from pixel2style2pixel_cli.evaluation.layout import label_agreement
from pixel2style2pixel_cli.evaluation.parser import parse
from pixel2style2pixel_cli.inputs.labels import CELEBAMASK
from pixel2style2pixel_cli.networks.face_parser import FaceParser
from pixel2style2pixel_cli.training.augment import augment
from pixel2style2pixel_cli.training.config import Augmentation
from pixel2style2pixel_cli.training.data import PictureSource, training_batches

CLASSES = len(CELEBAMASK)
# The parser must also read soft pictures with noise, as generators make them; a shift would move the classes.
DAMAGE = Augmentation(colour=0.5, blur=1.0, noise=0.4)


def class_weights(source: PictureSource, count: int = 200) -> Tensor:
    """How much an error in each class costs: small classes more, by the root of their share; absent ones nothing."""
    seen = np.stack(label_maps(source, np.linspace(0, len(source) - 1, count).astype(int).tolist()))
    share = np.bincount(seen.ravel(), minlength=CLASSES)[:CLASSES] / seen.size
    weights = np.where(share > 0, 1 / np.sqrt(np.maximum(share, 1e-4)), 0.0)
    return torch.from_numpy(weights / np.sum(weights * share)).float()


def train(source: PictureSource, kept: Path, *, steps: int, batch: int = 16, rate: float = 4e-3) -> FaceParser:
    """Cross entropy on damaged and mirrored pictures, Adam with one cycle of the learning rate.

    The state is ``kept`` every 50 steps, and an interrupted training of as many steps goes on from there.
    """
    torch.manual_seed(0)
    network, weights = FaceParser(CLASSES).to(memory_format=torch.channels_last), class_weights(source)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    parts: dict[str, Any] = {"network": network, "optimiser": optimiser, "schedule": schedule}
    begin = _resume(kept, parts, steps)
    batches = training_batches(source, batch=batch, seed=0, start=begin, held_out=0, flip=True)
    started = time.perf_counter()
    for step, item in zip(range(begin + 1, steps + 1), batches, strict=False):
        assert item.labels is not None  # the source was asked for them
        image = augment(item.image, DAMAGE).contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(network(image), item.labels.long(), weights)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 50 == 0 or step == steps:
            seconds = time.perf_counter() - started
            print(f"parser: step {step} of {steps}, loss {loss.item():.3f}, {seconds:.0f} s", flush=True)
            torch.save({"step": step, "steps": steps} | {n: part.state_dict() for n, part in parts.items()}, kept)
    return network.eval()


def _resume(kept: Path, parts: dict[str, Any], steps: int) -> int:
    """Load an interrupted training of that many steps, if there is one; the step it had reached."""
    if not kept.is_file():
        return 0
    state = torch.load(kept, weights_only=True)
    if state["steps"] != steps:
        return 0
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])


def train_parser(
    data: Sequence[Path], held_out: Path, path: Path, *, steps: int, size: int, count: int = 500
) -> dict[str, Any]:
    """Train on shards, measure on the first ``count`` pictures of one that is not among them, save with the record."""
    source = PictureSource(list(data), size, labels="required")
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = path.with_suffix(".interrupted")
    network = train(source, kept, steps=steps)
    unseen = PictureSource([held_out], size, labels="required")
    numbers = range(min(count, len(unseen)))
    truth = label_maps(unseen, numbers)
    agreement = label_agreement(truth, parse(network, [unseen.pixels(i) for i in numbers]))
    record = {
        "size": size,
        "steps": steps,
        "pictures_trained_on": len(source),
        "parameters": sum(p.numel() for p in network.parameters()),
        "held_out": held_out.name,
        "held_out_pictures": len(numbers),
        **agreement,
    }
    save_file(
        {name: value.contiguous() for name, value in network.state_dict().items()},
        path,
        metadata={"record": json.dumps(record)},
    )
    kept.unlink()
    return record
