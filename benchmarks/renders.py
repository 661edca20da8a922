"""Faces drawn by a parametric renderer, with everything that the trainers of the bundled models learn from.

    python benchmarks/renders.py --renderer FOLDER --out renders --count 40000 --workers 14

``FOLDER`` holds ``engine.py``, whose ``Generator().render(z, size, ss)`` draws a face of 64 numbers and its label map.
One process for each core; a picture whose row in ``done.npy`` is 1 is complete, so a trainer can begin at the first.
Beside each picture lie the inputs that the encoders of the tasks get of it, made once as the trainer makes them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pixel2style2pixel_cli.files.pixels import to_float, to_uint8
from pixel2style2pixel_cli.inputs.labels import resize_labels
from pixel2style2pixel_cli.training.config import EncoderTraining, load_training
from pixel2style2pixel_cli.training.data import Batch
from pixel2style2pixel_cli.training.inputs import make_inputs

# Every so many faces is drawn from the front as well.
FRONTAL_EVERY = 3

# What is learnt from, by the preset whose faults and kind of input it has.
INPUTS = {"photo": "lite-invert", "sketch": "lite-sketch2face", "lowres": "lite-superres", "masked": "lite-inpaint"}
INPUT_SIZE = 128


@dataclass(frozen=True, slots=True)
class Renders:
    """The arrays of a folder of renders, mapped from disk."""

    folder: Path
    size: int
    count: int

    @classmethod
    def open(cls, folder: Path) -> Renders:
        """A folder that ``create`` has made."""
        return cls(folder, **json.loads((folder / "renders.json").read_text()))

    @classmethod
    def create(cls, folder: Path, size: int, count: int) -> Renders:
        """Empty arrays; what is not written takes no room on disk."""
        folder.mkdir(parents=True)
        for name, (shape, kind) in _shapes(size, count).items():
            np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, shape)
        (folder / "renders.json").write_text(json.dumps({"size": size, "count": count}))
        return cls(folder, size, count)

    def array(self, name: str) -> NDArray[Any]:
        """One array, for reading and writing."""
        return np.load(self.folder / f"{name}.npy", mmap_mode="r+")  # type: ignore[no-any-return]


def _shapes(size: int, count: int) -> dict[str, tuple[tuple[int, ...], str]]:
    turned = -(-count // FRONTAL_EVERY)
    return {
        "image": ((count, size, size, 3), "|u1"),
        "mask": ((count, size, size), "|u1"),
        "frontal": ((turned, size, size, 3), "|u1"),
        "z": ((count, 64), "<f4"),
        "labels": ((count, INPUT_SIZE, INPUT_SIZE), "|u1"),
        "photo": ((count, INPUT_SIZE, INPUT_SIZE, 3), "|u1"),
        "sketch": ((count, INPUT_SIZE, INPUT_SIZE, 1), "|u1"),
        "lowres": ((count, INPUT_SIZE, INPUT_SIZE, 3), "|u1"),
        "masked": ((count, INPUT_SIZE, INPUT_SIZE, 4), "|u1"),
        "done": ((count,), "|u1"),
    }


def inputs_of(image: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """What each kind of encoder gets of a picture (S, S, 3), as bytes (128, 128, channels)."""
    batch = Batch(to_float([image]), None, torch.tensor([True]))
    made: dict[str, NDArray[np.uint8]] = {}
    for name, preset in INPUTS.items():
        config = load_training(EncoderTraining, "encoder", preset, {})
        found = make_inputs(config.task.kind, batch, INPUT_SIZE, config.augmentation)[0]
        if name == "masked":
            made[name] = np.concatenate([to_uint8(found[None, :3])[0], _bytes(found[3:])], axis=-1)
        else:
            made[name] = _bytes(found) if name == "sketch" else to_uint8(found[None])[0]
    return made


def _bytes(share_CHW: torch.Tensor) -> NDArray[np.uint8]:
    """Shares from 0 to 1 as bytes (H, W, C)."""
    return (share_CHW * 255).round().byte().permute(1, 2, 0).numpy()


def draw(renders: Renders, renderer: Path, seed: int, worker: int, workers: int) -> None:
    """Every ``workers``-th face; one that the renderer fails at is reported and left out."""
    sys.path.insert(0, str(renderer))
    import engine

    torch.set_num_threads(1)
    generator = engine.Generator()
    arrays = {name: renders.array(name) for name in _shapes(renders.size, renders.count)}
    for i in range(worker, renders.count, workers):
        if arrays["done"][i]:
            continue
        torch.manual_seed(seed + i)
        z = engine.sample_z(seed + i)
        try:
            drawn = generator.render(z, size=renders.size, ss=2)
            arrays["image"][i], arrays["mask"][i], arrays["z"][i] = drawn["image"], drawn["mask"], z
            arrays["labels"][i] = resize_labels(drawn["mask"], INPUT_SIZE)
            for name, made in inputs_of(drawn["image"]).items():
                arrays[name][i] = made
            if i % FRONTAL_EVERY == 0:
                turned = generator.render(z, size=renders.size, ss=2, frontal=True)
                arrays["frontal"][i // FRONTAL_EVERY] = turned["image"]
        except Exception:
            traceback.print_exc()
            continue
        arrays["done"][i] = 1


def main() -> None:
    """Start the processes, the first one alone until the renderer is compiled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renderer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=40_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=16_000, help="of the first face; those below are held back")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    renders = Renders.open(args.out) if args.out.exists() else Renders.create(args.out, args.size, args.count)
    if args.worker is not None:
        draw(renders, args.renderer, args.seed, args.worker, args.workers)
        return
    command = [sys.executable, __file__, *sys.argv[1:], "--worker"]
    draw_one = (
        "import sys; sys.path.insert(0, sys.argv[1]); import engine; engine.Generator().render(engine.sample_z(0))"
    )
    subprocess.run([sys.executable, "-c", draw_one, str(args.renderer)], check=True)
    running = [subprocess.Popen([*command, str(worker)]) for worker in range(args.workers)]
    sys.exit(max(process.wait() for process in running))


if __name__ == "__main__":
    main()
