"""Whether drawn faces are sharp, varied and recognisable: a generator and its inversion encoder on held-out renders.

    python benchmarks/generator.py --data shard_015.npz --model mini-invert --out benchmarks/records/generator.json
    python benchmarks/generator.py --data shard_015.npz --run runs/joint --steps 30 --out after.json --sheets sheets

Measures spectrum ratio, spread, Fréchet distance, precision and recall of random samples; squared error, spectrum and
identity of inversions, by the encoder alone and after so many steps; how wide the mapped codes are.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import torch
from command import record_head, write_record
from fidelity import code_spread, frechet, lite2_features, precision_recall, separability
from identity import Descriptor
from measures import mse
from numpy.typing import NDArray

from pixel2style2pixel_cli.device import keep_freed_memory
from pixel2style2pixel_cli.engine.loading import load_encoder_file, load_generator_file, load_model
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.files.pixels import to_float, to_uint8
from pixel2style2pixel_cli.files.sheet import sheet_image
from pixel2style2pixel_cli.fitting.embed import embed
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.losses.spectrum import CYCLES, spectrum_ratio
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.seeds import torch_generator
from pixel2style2pixel_cli.tasks.invert import RATE
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.zoo.choose import choose_model

Pixels = NDArray[np.uint8]
AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Network:
    """Encoder and generator, and what to call them."""

    encoder: Encoder
    generator: Generator
    label: str

    @property
    def size(self) -> int:
        """Side of the encoder's input."""
        return self.encoder.spec.input_size


def open_network(options: argparse.Namespace) -> Network:
    """A model of the zoo, or what a joint run exported."""
    cpu = torch.device("cpu")
    if options.run is None:
        model = load_model(choose_model("invert", options.model), cpu, torch.float32)
        return Network(model.encoder, model.generator, model.label)
    generator, digest = load_generator_file(options.run / "generator.safetensors", cpu, torch.float32)
    path = options.run / "encoder.safetensors"
    spec = read_weight_header(path).encoder_spec()
    return Network(load_encoder_file(path, spec, generator), generator, f"{options.run.name} {digest[:8]}")


def inversions(network: Network, pictures: list[Pixels], steps: int, features: bool = True) -> list[Pixels]:
    """What the encoder makes of aligned pictures, optimised by so many steps."""
    drawn: list[Pixels] = []
    for start in range(0, len(pictures), AT_ONCE):
        part = pictures[start : start + AT_ONCE]
        with torch.no_grad():
            codes = network.encoder(to_float([resize_photo(p, network.size) for p in part]))
        if steps:
            codes = embed(network.generator, to_float(part), codes, steps=steps, learning_rate=RATE, features=features)
        with torch.no_grad():
            drawn += to_uint8(network.generator(codes))
    return drawn


def samples(network: Network, count: int) -> list[Pixels]:
    """Random faces, not truncated."""
    generator = network.generator
    z = torch.randn(count, generator.spec.z_dim, generator=torch_generator(1))
    with torch.no_grad():
        return [picture for part in z.split(AT_ONCE) for picture in to_uint8(generator(generator.map(part)))]


def described(pairs: list[tuple[Pixels, Pixels]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """dlib's descriptors of both pictures, of the pairs in which it finds a face in both."""
    describe = Descriptor()
    found = [(describe(a), describe(b)) for a, b in pairs]
    both = [(a, b) for a, b in found if a is not None and b is not None]
    first, second = zip(*both, strict=True)
    return np.stack(first).astype(np.float64), np.stack(second).astype(np.float64)


def measure_inversion(pictures: list[Pixels], drawn: list[Pixels]) -> dict[str, Any]:
    """Error, spectrum and identity."""
    ratios = spectrum_ratio(to_float(drawn), to_float(pictures))
    inputs, outputs = described(list(zip(pictures, drawn, strict=True)))
    return {
        "mse": mse(drawn, pictures),
        "spectrum": {str(c): float(r) for c, r in zip(CYCLES, ratios, strict=True)},
        **separability(inputs, outputs),
    }


def measure_samples(pictures: list[Pixels], drawn: list[Pixels]) -> dict[str, Any]:
    """Sharpness and variety beside as many real pictures."""
    real, fake = to_float(pictures), to_float(drawn)
    ratios = spectrum_ratio(fake, real)
    detector = dlib.get_frontal_face_detector()
    record: dict[str, Any] = {
        "spectrum": {str(c): float(r) for c, r in zip(CYCLES, ratios, strict=True)},
        "spread": float(fake.std(dim=0).mean()),
        "spread_of_pictures": float(real.std(dim=0).mean()),
        "faces_found": sum(bool(detector(p, 1)) for p in drawn) / len(drawn),
    }
    judges = {"lite2": (lite2_features(pictures), lite2_features(drawn))}
    judges["dlib"] = described(list(zip(pictures, drawn, strict=True)))
    for name, (a, b) in judges.items():
        record[name] = {"frechet": frechet(a, b), **precision_recall(a, b)}
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a packed shard that no training saw")
    parser.add_argument("--model", default="mini-invert")
    parser.add_argument("--run", type=Path, help="the folder of a joint run, in place of --model")
    parser.add_argument("--pictures", type=int, default=120)
    parser.add_argument("--samples", type=int, default=480)
    parser.add_argument("--steps", type=int, default=0, help="of optimisation, beside the encoder alone")
    parser.add_argument("--pixels", action="store_true", help="optimise on pixels alone, without features")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sheets", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    network = open_network(options)
    source = PictureSource([options.data], network.generator.spec.resolution)
    count = min(max(options.pictures, options.samples), len(source))
    pictures = [source.pixels(i) for i in range(count)]
    some = pictures[: options.pictures]
    alone = inversions(network, some, 0)
    record: dict[str, Any] = record_head("python benchmarks/generator.py") | {
        "model": network.label, "data": Path(options.data).name, "encoder_alone": measure_inversion(some, alone),
    }  # fmt: skip
    best = inversions(network, some, options.steps, not options.pixels) if options.steps else alone
    if options.steps:
        record["optimised"] = {"steps": options.steps, "features": not options.pixels, **measure_inversion(some, best)}
    drawn = samples(network, min(options.samples, count))
    record["samples"] = {"count": len(drawn), **measure_samples(pictures[: len(drawn)], drawn)}
    record["codes"] = measure_codes(network, pictures)
    write_record(options.out, record)
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
        tiles = [("", [a, b]) for a, b in zip(some[:25], best[:25], strict=True)]
        (options.sheets / "inversions.png").write_bytes(encode_image(sheet_image(tiles, columns=5, tile=128), "png"))
        shown = sheet_image([("", [p]) for p in drawn[:48]], columns=8, tile=128)
        (options.sheets / "samples.png").write_bytes(encode_image(shown, "png"))


def measure_codes(network: Network, pictures: list[Pixels]) -> dict[str, Any]:
    """Mapped codes against encoded ones, in W."""
    generator = network.generator
    z = torch.randn(4000, generator.spec.z_dim, generator=torch_generator(2))
    with torch.no_grad():
        mapped = generator.mapping(z).double().numpy()
        inputs = [
            to_float([resize_photo(p, network.size) for p in pictures[i : i + 20]]) for i in range(0, len(pictures), 20)
        ]
        encoded = torch.cat([network.encoder(x).mean(dim=1) for x in inputs]).double().numpy()
    return code_spread(mapped, encoded)


if __name__ == "__main__":
    main()
