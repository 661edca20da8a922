"""How good the bundled inversion model is: on rendered faces it never saw, beside the alternatives.

    python benchmarks/quality.py --data shard_015.npz --out benchmarks/records/quality.json --sheets docs/pictures

Measures mean squared error on [-1, 1] of the encoder alone, of `invert` with the steps that its card asks for, of the
average face and of codes optimised from the average one; the share of reconstructions whose dlib face descriptor is
near the input's; the share of random samples in which dlib finds a face.
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

from pixel2style2pixel_cli.engine.codes import Codes
from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.engine.start import start_engine
from pixel2style2pixel_cli.events import ignore_event
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.files.pixels import to_float, to_uint8
from pixel2style2pixel_cli.files.sheet import sheet_image
from pixel2style2pixel_cli.fitting.embed import embed
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.seeds import torch_generator
from pixel2style2pixel_cli.tasks.invert import RATE
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.zoo.choose import choose_model

Pixels = NDArray[np.uint8]


def invert(engine: Engine, pictures: list[Pixels], steps: int) -> list[Pixels]:
    """Reconstructions of aligned pictures, as `p2s2p invert --align never --optimize STEPS` makes them."""
    size, generator = engine.model.encoder_spec.input_size, engine.model.generator
    targets = to_float(pictures)

    def change(codes: Codes, part: slice) -> Codes:
        return codes.with_w_plus(embed(generator, targets[part], codes.w_plus, steps=steps, learning_rate=RATE))

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
    parser.add_argument("--sheets", type=Path)
    options = parser.parse_args()
    engine = start_engine(
        choose_model("invert", options.model), device=torch.device("cpu"), dtype=torch.float32, batch_size=8,
        on_event=ignore_event,
    )  # fmt: skip
    resolution = engine.model.generator_spec.resolution
    source = PictureSource([options.data], resolution)
    pictures = [source.pixels(i) for i in range(min(options.pictures, len(source)))]
    started = time.perf_counter()
    encoded = invert(engine, pictures, 0)
    seconds = time.perf_counter() - started
    steps, some = engine.model.card.optimize, pictures[: options.command]
    started = time.perf_counter()
    outputs = invert(engine, some, steps) if steps else encoded[: len(some)]
    command_seconds = time.perf_counter() - started
    with torch.no_grad():
        average = to_uint8(engine.model.generator(engine.model.encoder.latent_avg[None]))[0]
    few = pictures[: options.optimised]
    record: dict[str, Any] = record_head("python benchmarks/quality.py") | {
        "model": engine.model.label,
        "data": Path(options.data).name,
        "pictures": len(pictures),
        "mse_average_face": mse([average] * len(pictures), pictures),
        "encoder_alone": {
            "seconds_per_picture": seconds / len(pictures),
            "mse": mse(encoded, pictures),
            "descriptor": shares(pictures, encoded),
        },
        "invert": {
            "steps": steps,
            "pictures": len(some),
            "seconds_per_picture": command_seconds / len(some),
            "mse": mse(outputs, some),
            "descriptor": shares(some, outputs),
        },
    }
    if few:
        best = optimised(engine, few, options.steps)
        record |= {
            "optimised_pictures": len(few),
            "optimised_steps": options.steps,
            "mse_encoder_same_pictures": mse(encoded[: len(few)], few),
            "mse_invert_same_pictures": mse(outputs[: len(few)], few),
            "mse_optimised": mse(best, few),
        }
        record["ratio_to_optimised"] = record["mse_invert_same_pictures"] / record["mse_optimised"]
    detector = dlib.get_frontal_face_detector()
    for truncation in (1.0, 0.7):
        drawn = samples(engine, options.samples, 1, truncation)
        found = sum(bool(detector(picture, 1)) for picture in drawn) / max(1, len(drawn))
        record[f"samples_with_a_face_truncation_{truncation}"] = found
    write_record(options.out, record)
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
        tiles = [("", [a, b]) for a, b in zip(pictures[:25], outputs[:25], strict=True)]
        sheet = sheet_image(tiles, columns=5, tile=128)
        (options.sheets / "inversions.webp").write_bytes(encode_image(sheet, "webp", quality=90))
        sheet = sheet_image([("", [p]) for p in samples(engine, 36, 1, 0.8)], columns=9, tile=128)
        (options.sheets / "samples.webp").write_bytes(encode_image(sheet, "webp", quality=90))


if __name__ == "__main__":
    main()
