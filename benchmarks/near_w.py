"""Encoders of inversion by themselves: how well they draw, how far from W their codes lie, how they bear an edit.

For held-out renders and each model: error, detail and identity of the pictures, as in encoders.py; the distance of the
rows of a code from their mean, beside the spread of W; and the latent editing consistency (Tov et al. 2021): the length
of E(x) - f'(E(G(f(E(x))))), where f adds a direction and f' takes it away again. The code of an edited picture should
be the edited code. Of the lengths a hundredth at either end is left out, as published. With --refine also codes of an
encoder that is refined for each picture.

python benchmarks/near_w.py --data shard_015.npz --models mini-invert mini-e4e mini-cycle --out near_w.json
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from command import record_head, write_record
from generator import measure_inversion
from sides import SIDE, all_reduced
from torch import Tensor

from pixel2style2pixel_cli.device import keep_freed_memory
from pixel2style2pixel_cli.engine.loading import Model, load_model
from pixel2style2pixel_cli.evaluation.consistency import kept_lengths
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.fitting.objective import load_judge
from pixel2style2pixel_cli.fitting.refine import Refinement
from pixel2style2pixel_cli.fitting.tuning import spread
from pixel2style2pixel_cli.tasks.steps import as_offset, find_steps, parse_directions
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.zoo.choose import choose_model

AT_ONCE = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a packed shard that no training saw")
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--directions", nargs="+", default=["smile=2", "age=2", "yaw=1"])
    parser.add_argument("--refine", type=int, default=0, help="steps of refinement of the first --refined pictures")
    parser.add_argument("--refined", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    keep_freed_memory()
    record: dict[str, Any] = record_head("python benchmarks/near_w.py") | {
        "data": Path(options.data).name, "side": SIDE, "directions": options.directions,
    }  # fmt: skip
    for name in options.models:
        model = load_model(choose_model("invert", name), torch.device("cpu"), torch.float32)
        source = PictureSource([options.data], model.generator_spec.resolution)
        image = source.batch(list(range(options.pictures)), [False] * options.pictures).image
        with torch.no_grad():
            record[name] = measured(model, image, encoded(model, image), options.directions)
        if options.refine:
            few = image[: options.refined]
            record[f"{name}, refined"] = {"steps": options.refine} | closeness(
                model, few, refined(model, few, options.refine)
            )
            with torch.no_grad():
                record[f"{name}, the same pictures"] = closeness(model, few, encoded(model, few))
        write_record(options.out, record)


@torch.no_grad()
def encoded(model: Model, image: Tensor) -> Tensor:
    """Codes (B, N, D) of pictures at the generator's size."""
    side = model.encoder_spec.input_size
    inputs = image if image.shape[-1] == side else F.interpolate(image, size=(side, side), mode="area")
    return torch.cat([model.encoder(part) for part in inputs.split(AT_ONCE)])


@torch.no_grad()
def drawn(model: Model, codes: Tensor) -> Tensor:
    """Pictures of codes, within the range of saved ones."""
    return torch.cat([model.generator(part) for part in codes.split(AT_ONCE)]).clamp(-1, 1)


def closeness(model: Model, image: Tensor, codes: Tensor) -> dict[str, Any]:
    """How near pictures come, and how near codes are to W."""
    made = drawn(model, codes)
    apart = (codes - codes.mean(dim=1, keepdim=True)).norm(dim=2).mean()
    inverted = measure_inversion(all_reduced(to_uint8(image)), all_reduced(to_uint8(made)))
    return {
        **inverted,
        "rows_from_their_mean": round(float(apart), 4),
        "spread_of_w": round(spread(model.generator), 4),
    }


def measured(model: Model, image: Tensor, codes: Tensor, directions: list[str]) -> dict[str, Any]:
    """All of it for one model."""
    found = {"model": model.label, **closeness(model, image, codes)}
    for step in find_steps(parse_directions(directions), None, model.installed):
        offset = as_offset(step, model.generator) * (1.0 if step.strength is None else step.strength)
        again = encoded(model, drawn(model, codes + offset)) - offset
        lengths = (codes - again).flatten(1).norm(dim=1).double().numpy()
        found[f"editing_consistency_{step.name}"] = round(float(kept_lengths(lengths).mean()), 4)
        found[f"length_of_{step.name}"] = round(float(offset.norm()), 4)
    return found


def refined(model: Model, image: Tensor, steps: int) -> Tensor:
    """Codes of an encoder that is refined for each picture by itself."""
    judge = load_judge("bundled", model.generator.latent_avg, model.generator_spec.resolution)
    work = Refinement(model.encoder, model.generator, judge=judge, seed=0)
    side = model.encoder_spec.input_size
    codes = []
    for target in image.split(1):
        fed = target if target.shape[-1] == side else F.interpolate(target, size=(side, side), mode="area")
        codes.append(work.run(fed, target, steps=steps).code)
    return torch.cat(codes)


if __name__ == "__main__":
    main()
