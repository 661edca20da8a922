"""The encoders of all tasks by themselves, without optimisation: error, detail, and identity, on held-out renders.

Pictures are measured at 128 px, whatever the generator's size.

python benchmarks/encoders.py --data shard_015.npz --out benchmarks/records/encoders.json
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from command import record_head, write_record
from generator import measure_inversion
from sides import SIDE, all_reduced

from pixel2style2pixel_cli.device import keep_freed_memory
from pixel2style2pixel_cli.engine.loading import load_model
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.training.config import Augmentation
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.training.inputs import make_inputs
from pixel2style2pixel_cli.zoo.choose import choose_model

TASKS: tuple[tuple[str, InputKind], ...] = (
    ("invert", "photo"), ("frontalize", "photo"), ("sketch2face", "sketch"), ("seg2face", "labels"),
    ("superres", "lowres"), ("inpaint", "masked"),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a packed shard that no training saw")
    parser.add_argument("--model", default="mini", help="the beginning of the models' names")
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_grad_enabled(False)
    record: dict[str, Any] = record_head("python benchmarks/encoders.py") | {
        "data": Path(options.data).name, "side": SIDE,
    }  # fmt: skip
    for task, kind in TASKS:
        model = load_model(choose_model(task, options.model), torch.device("cpu"), torch.float32)
        source = PictureSource([options.data], model.generator_spec.resolution, labels="required")
        batch = source.batch(list(range(options.pictures)), [False] * options.pictures)
        torch.manual_seed(5)
        fed = make_inputs(kind, batch, model.encoder_spec.input_size, Augmentation())
        drawn = [picture for part in fed.split(10) for picture in to_uint8(model.generator(model.encoder(part)))]
        truth = all_reduced(to_uint8(batch.image))
        record[task] = {"model": model.label, **measure_inversion(truth, all_reduced(drawn))}
    write_record(options.out, record)


if __name__ == "__main__":
    main()
