"""How good the bundled inversion model is: on rendered faces it never saw, beside the alternatives.

    python benchmarks/quality.py --data shard_015.npz --out benchmarks/records/quality.json --sheets docs/pictures

Measures mean squared error on [-1, 1] of `invert`, of the average face and of optimised codes; the share of
reconstructions whose dlib face descriptor is near the input's; the share of random samples in which dlib finds a face.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import torch
from numpy.typing import NDArray

from pixel2style2pixel_cli.device import keep_freed_memory
from pixel2style2pixel_cli.engine.batching import BatchSize
from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.engine.loading import load_model
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.files.pixels import to_float, to_uint8
from pixel2style2pixel_cli.files.sheet import sheet_image
from pixel2style2pixel_cli.fitting.embed import embed
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.seeds import torch_generator
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.zoo.find import choose_model
from pixel2style2pixel_cli.zoo.landmarks import find_landmarks

Pixels = NDArray[np.uint8]
SAME_PERSON = 0.6  # the distance under which dlib's descriptor calls two faces one person
DESCRIPTOR = "dlib_face_recognition_resnet_model_v1.dat"


class Descriptor:
    """dlib's 128 numbers of the best face in a picture, or None where it finds none."""

    def __init__(self) -> None:
        files = importlib.metadata.files("face_recognition_models") or []
        weights = next(str(f.locate()) for f in files if f.name == DESCRIPTOR)
        self.detector = dlib.get_frontal_face_detector()
        self.points = dlib.shape_predictor(str(find_landmarks()))
        self.network = dlib.face_recognition_model_v1(weights)

    def __call__(self, picture: Pixels) -> NDArray[np.float64] | None:
        boxes, scores, _ = self.detector.run(picture, 1, 0.0)
        if not boxes:
            return None
        best = boxes[int(np.argmax(scores))]
        return np.array(self.network.compute_face_descriptor(picture, self.points(picture, best)))


def mse(a: list[Pixels], b: list[Pixels]) -> float:
    """Mean squared error on [-1, 1], averaged over pictures."""
    return float(torch.stack([(x - y).square().mean() for x, y in zip(to_float(a), to_float(b), strict=True)]).mean())


def invert(engine: Engine, pictures: list[Pixels]) -> tuple[list[Pixels], torch.Tensor]:
    """Reconstructions and codes of aligned pictures, as `p2s2p invert --align never` makes them."""
    size = engine.model.encoder_spec.input_size
    done = engine.invert(to_float([resize_photo(p, size) for p in pictures]))
    return to_uint8(done.images), done.codes


def optimised(engine: Engine, pictures: list[Pixels], steps: int) -> list[Pixels]:
    """Reconstructions by optimising W+ from the average code (Image2StyleGAN)."""
    network = engine.model.network
    results = []
    for start in range(0, len(pictures), 8):
        part = to_float(pictures[start : start + 8])
        begin = network.generator.latent_avg.expand(len(part), engine.model.generator_spec.n_styles, -1)
        with torch.no_grad():
            results += to_uint8(network.generator(embed(network.generator, part, begin, steps=steps)))
    return results


def shares(inputs: list[Pixels], outputs: list[Pixels]) -> dict[str, Any]:
    """How often input and output are one person for dlib, beside pairs of different inputs and outputs."""
    describe = Descriptor()
    pairs = [(describe(a), describe(b)) for a, b in zip(inputs, outputs, strict=True)]
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    own = np.array([np.linalg.norm(a - b) for a, b in both])
    other = np.array([np.linalg.norm(both[i][0] - both[(i + 1) % len(both)][1]) for i in range(len(both))])
    return {
        "pairs": len(pairs),
        "face_found_in_input": sum(a is not None for a, _ in pairs) / len(pairs),
        "face_found_in_output": sum(b is not None for _, b in pairs) / len(pairs),
        "under_0.6_of_all_pairs": float((own < SAME_PERSON).sum() / len(pairs)),
        "under_0.6_of_described_pairs": float((own < SAME_PERSON).mean()),
        "distance_median": float(np.median(own)),
        "random_pairs_under_0.6": float((other < SAME_PERSON).mean()),
        "random_distance_median": float(np.median(other)),
        "nearer_than_random_partner": float((own < other).mean()),
    }


def samples(engine: Engine, count: int, seed: int, truncation: float) -> list[Pixels]:
    """Random faces of the generator."""
    generator = engine.model.network.generator
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
    parser.add_argument("--optimised", type=int, default=16, help="how many pictures are also optimised")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sheets", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    device = torch.device("cpu")
    engine = Engine(
        load_model(choose_model("invert", options.model), device, torch.float32), device, torch.float32, BatchSize(8)
    )
    resolution = engine.model.generator_spec.resolution
    source = PictureSource([options.data], resolution)
    pictures = [source.pixels(i) for i in range(min(options.pictures, len(source)))]
    started = time.perf_counter()
    outputs, _ = invert(engine, pictures)
    seconds = time.perf_counter() - started
    with torch.no_grad():
        average = to_uint8(engine.model.network.generator(engine.model.network.latent_avg[None]))[0]
    few = pictures[: options.optimised]
    record: dict[str, Any] = {
        "command": "python benchmarks/quality.py",
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        ).stdout.strip(),
        "device": f"{platform.machine()} CPU, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "model": engine.model.label,
        "data": Path(options.data).name,
        "pictures": len(pictures),
        "seconds_per_picture": seconds / len(pictures),
        "mse_invert": mse(outputs, pictures),
        "mse_average_face": mse([average] * len(pictures), pictures),
    }
    if few:
        best = optimised(engine, few, options.steps)
        record |= {
            "optimised_pictures": len(few),
            "optimised_steps": options.steps,
            "mse_invert_same_pictures": mse(outputs[: len(few)], few),
            "mse_optimised": mse(best, few),
        }
        record["ratio_to_optimised"] = record["mse_invert_same_pictures"] / record["mse_optimised"]
    record["descriptor"] = shares(pictures, outputs)
    detector = dlib.get_frontal_face_detector()
    for truncation in (1.0, 0.7):
        drawn = samples(engine, options.samples, 1, truncation)
        found = sum(bool(detector(picture, 1)) for picture in drawn) / max(1, len(drawn))
        record[f"samples_with_a_face_truncation_{truncation}"] = found
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
        tiles = [("", [a, b]) for a, b in zip(pictures[:25], outputs[:25], strict=True)]
        sheet = sheet_image(tiles, columns=5, tile=128)
        (options.sheets / "inversions.webp").write_bytes(encode_image(sheet, "webp", quality=90))
        sheet = sheet_image([("", [p]) for p in samples(engine, 36, 1, 0.8)], columns=9, tile=128)
        (options.sheets / "samples.webp").write_bytes(encode_image(sheet, "webp", quality=90))


if __name__ == "__main__":
    main()
