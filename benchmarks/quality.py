"""How good the bundled inversion model is: on rendered faces it never saw, beside the alternatives.

    python benchmarks/quality.py --data shard_015.npz --out benchmarks/records/quality.json

Measures mean squared error on [-1, 1] of the encoder alone, of `invert` with the steps that its card asks for, of the
average face and of codes optimised from the average one; the share of reconstructions whose dlib face descriptor is
near the input's; the share of random samples in which dlib finds a face. Everything is measured at 128 px.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import torch
from command import record_head, write_record
from identity import shares
from measures import mse
from numpy.typing import NDArray
from sides import SIDE, all_reduced

from pixel2style2pixel_cli.engine.codes import Codes
from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.engine.start import start_engine
from pixel2style2pixel_cli.events import ignore_event
from pixel2style2pixel_cli.files.pixels import to_float, to_uint8
from pixel2style2pixel_cli.fitting.embed import embed
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.seeds import torch_generator
from pixel2style2pixel_cli.tasks.optimised import RATE
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.zoo.choose import choose_model

Pixels = NDArray[np.uint8]


def invert(engine: Engine, pictures: list[Pixels], steps: int) -> list[Pixels]:
    """Reconstructions of aligned pictures, as `p2s2p invert --align never --optimize STEPS` makes them."""
    size, generator, card = engine.model.encoder_spec.input_size, engine.model.generator, engine.model.card
    targets = to_float(pictures)

    def change(codes: Codes, part: slice) -> Codes:
        found = embed(
            generator, targets[part], codes.w_plus, steps=steps, size=card.optimize_size or None,
            whole_steps=card.optimize_whole, learning_rate=RATE,
        )  # fmt: skip
        return codes.with_w_plus(found)

    inputs = to_float([resize_photo(p, size) for p in pictures])
    return to_uint8(engine.draw(engine.encode(inputs, change if steps else None)))


def optimised(engine: Engine, pictures: list[Pixels], steps: int) -> list[Pixels]:
    """Reconstructions by optimising W+ from the average code (Image2StyleGAN)."""
    model = engine.model
    results = []
    for start in range(0, len(pictures), 8):
        part = to_float(pictures[start : start + 8])
        begin = model.generator.latent_avg.expand(len(part), engine.model.generator_spec.n_styles, -1)
        with torch.no_grad():
            results += to_uint8(model.generator(embed(model.generator, part, begin, steps=steps)))
    return results


def samples(engine: Engine, count: int, seed: int, truncation: float) -> list[Pixels]:
    """Random faces of the generator."""
    generator = engine.model.generator
    pictures: list[Pixels] = []
    draws = torch.randn(count, engine.model.generator_spec.z_dim, generator=torch_generator(seed))
    with torch.no_grad():
        for part in draws.split(16):
            pictures += to_uint8(generator(generator.map(part, truncation)))
    return pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a packed shard, or a folder of aligned pictures")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--command", type=int, default=200, help="how many are inverted with the card's steps")
    parser.add_argument("--optimised", type=int, default=16, help="how many are optimised from the average code")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    engine = start_engine(
        choose_model("invert", options.model), device=torch.device("cpu"), dtype=torch.float32, batch_size=8,
        on_event=ignore_event,
    )  # fmt: skip
    resolution = engine.model.generator_spec.resolution
    source = PictureSource([options.data], resolution)
    pictures = [source.pixels(i) for i in range(min(options.pictures, len(source)))]
    started = time.perf_counter()
    encoded = all_reduced(invert(engine, pictures, 0))
    seconds = time.perf_counter() - started
    steps, some = engine.model.card.optimize, pictures[: options.command]
    started = time.perf_counter()
    outputs = all_reduced(invert(engine, some, steps)) if steps else encoded[: len(some)]
    command_seconds = time.perf_counter() - started
    with torch.no_grad():
        average = all_reduced(to_uint8(engine.model.generator(engine.model.encoder.latent_avg[None])))
    few, truth = pictures[: options.optimised], all_reduced(pictures)
    same, wanted = truth[: len(few)], truth[: len(some)]
    record: dict[str, Any] = record_head("python benchmarks/quality.py") | {
        "model": engine.model.label,
        "data": Path(options.data).name,
        "side": SIDE,
        "pictures": len(pictures),
        "mse_average_face": mse(average * len(truth), truth),
        "encoder_alone": {
            "seconds_per_picture": seconds / len(pictures),
            "mse": mse(encoded, truth),
            "descriptor": shares(truth, encoded),
        },
        "invert": {
            "steps": steps,
            "pictures": len(some),
            "seconds_per_picture": command_seconds / len(some),
            "mse": mse(outputs, wanted),
            "descriptor": shares(wanted, outputs),
        },
    }
    if few:
        best = all_reduced(optimised(engine, few, options.steps))
        record |= {
            "optimised_pictures": len(few),
            "optimised_steps": options.steps,
            "mse_encoder_same_pictures": mse(encoded[: len(few)], same),
            "mse_invert_same_pictures": mse(outputs[: len(few)], same),
            "mse_optimised": mse(best, same),
        }
        record["ratio_to_optimised"] = record["mse_invert_same_pictures"] / record["mse_optimised"]
    detector = dlib.get_frontal_face_detector()
    for truncation in (1.0, 0.7):
        drawn = all_reduced(samples(engine, options.samples, 1, truncation))
        found = sum(bool(detector(picture, 1)) for picture in drawn) / max(1, len(drawn))
        record[f"samples_with_a_face_truncation_{truncation}"] = found
    write_record(options.out, record)


if __name__ == "__main__":
    main()
