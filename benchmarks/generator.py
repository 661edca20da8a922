"""Whether drawn faces are sharp, varied and recognisable: a generator and its inversion encoder on held-out renders.

    python benchmarks/generator.py --data shard_015.npz --model mini-invert --out benchmarks/records/generator.json
    python benchmarks/generator.py --data shard_015.npz --run runs/joint --steps 30 --out after.json --sheets sheets

Measures spectrum ratio, spread, Fréchet distance, precision and recall of random samples; squared error, spectrum and
identity of inversions, by the encoder alone and after so many steps; how wide the mapped codes are. Everything is
measured at 128 px; of a larger generator, also at its own side, if the renders are not smaller. Shards of any size do.
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
from measures import mse
from numpy.typing import NDArray
from sides import SIDE, all_reduced, own_side, spectrum

from pixel2style2pixel_cli.device import keep_freed_memory
from pixel2style2pixel_cli.engine.loading import load_encoder_file, load_generator_file, load_model
from pixel2style2pixel_cli.evaluation.judges import Descriptor, Lite2
from pixel2style2pixel_cli.evaluation.sets import Points, frechet, precision_recall, separability
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.files.pixels import to_float, to_uint8
from pixel2style2pixel_cli.files.sheet import sheet_image
from pixel2style2pixel_cli.fitting.embed import embed
from pixel2style2pixel_cli.inputs.photo import resize_photo
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.seeds import torch_generator
from pixel2style2pixel_cli.tasks.optimised import RATE
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
    optimize_size: int
    optimize_whole: int

    @property
    def size(self) -> int:
        """Side of the encoder's input."""
        return self.encoder.spec.input_size

    @property
    def resolution(self) -> int:
        """Side of what is drawn."""
        return self.generator.spec.resolution


def open_network(options: argparse.Namespace) -> Network:
    """A model of the zoo, or what a joint run exported."""
    cpu = torch.device("cpu")
    if options.run is None:
        model = load_model(choose_model("invert", options.model), cpu, torch.float32)
        size, whole = model.card.optimize_size, model.card.optimize_whole
        size = size if options.optimize_size is None else options.optimize_size
        whole = whole if options.optimize_whole is None else options.optimize_whole
        return Network(model.encoder, model.generator, model.label, size, whole)
    generator, digest = load_generator_file(options.run / "generator.safetensors", cpu, torch.float32)
    path = options.run / "encoder.safetensors"
    spec = read_weight_header(path).encoder_spec()
    label = f"{options.run.name} {digest[:8]}"
    encoder = load_encoder_file(path, spec, generator)
    return Network(encoder, generator, label, options.optimize_size or 0, options.optimize_whole or 0)


def inversions(network: Network, pictures: list[Pixels], steps: int, features: bool = True) -> list[Pixels]:
    """What the encoder makes of aligned pictures, optimised by so many steps."""
    drawn: list[Pixels] = []
    for start in range(0, len(pictures), AT_ONCE):
        part = pictures[start : start + AT_ONCE]
        with torch.no_grad():
            codes = network.encoder(to_float([resize_photo(p, network.size) for p in part]))
        if steps:
            codes = embed(
                network.generator, to_float(part), codes, steps=steps, size=network.optimize_size or None,
                whole_steps=network.optimize_whole, learning_rate=RATE, features=features,
            )  # fmt: skip
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
    inputs, outputs = described(list(zip(pictures, drawn, strict=True)))
    return {
        "mse": mse(drawn, pictures),
        "spectrum": spectrum(drawn, pictures),
        **separability(inputs, outputs),
    }


def measure_samples(pictures: list[Pixels], drawn: list[Pixels]) -> dict[str, Any]:
    """Sharpness and variety beside as many real pictures."""
    real, fake = to_float(pictures), to_float(drawn)
    detector = dlib.get_frontal_face_detector()
    record: dict[str, Any] = {
        "spectrum": spectrum(drawn, pictures),
        "spread": float(fake.std(dim=0).mean()),
        "spread_of_pictures": float(real.std(dim=0).mean()),
        "faces_found": sum(bool(detector(p, 1)) for p in drawn) / len(drawn),
    }
    lite2 = Lite2()
    judges = {"lite2": (lite2(pictures), lite2(drawn))}
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
    parser.add_argument(
        "--optimize-size", type=int, help="side of comparison meanwhile, 0 the whole; default: the card's"
    )
    parser.add_argument(
        "--optimize-whole", type=int, help="last steps that compare whole pictures; default: the card's"
    )
    parser.add_argument("--pixels", action="store_true", help="optimise on pixels alone, without features")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--tile", type=int, default=SIDE, help="side of a picture on the sheets")
    options = parser.parse_args()
    keep_freed_memory()
    network = open_network(options)
    source = PictureSource([options.data], network.resolution)
    count = min(max(options.pictures, options.samples), len(source))
    pictures = [source.pixels(i) for i in range(count)]
    some = pictures[: options.pictures]
    alone = inversions(network, some, 0)
    best = inversions(network, some, options.steps, not options.pixels) if options.steps else alone
    drawn = samples(network, min(options.samples, count))
    how = {
        "steps": options.steps, "features": not options.pixels, "optimize_size": network.optimize_size,
        "optimize_whole": network.optimize_whole,
    }  # fmt: skip

    def measured(side: int) -> dict[str, Any]:
        """Everything that is seen in pictures, of pictures at one side."""
        truth, made = all_reduced(pictures, side), all_reduced(drawn, side)
        found = {"side": side, "encoder_alone": measure_inversion(truth[: len(some)], all_reduced(alone, side))}
        if options.steps:
            found["optimised"] = how | measure_inversion(truth[: len(some)], all_reduced(best, side))
        return found | {"samples": {"count": len(made), **measure_samples(truth[: len(made)], made)}}

    record: dict[str, Any] = record_head("python benchmarks/generator.py") | {
        "model": network.label, "resolution": network.resolution, "data": Path(options.data).name, **measured(SIDE),
    }  # fmt: skip
    if SIDE < network.resolution <= own_side(source):
        record["at_full_size"] = measured(network.resolution)
    record["codes"] = measure_codes(network, pictures)
    write_record(options.out, record)
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
        pairs = [("", [a, b]) for a, b in zip(some[:25], best[:25], strict=True)]
        sheets = {"inversions": (pairs, 5), "samples": ([("", [p]) for p in drawn[:48]], 8)}
        for name, (tiles, columns) in sheets.items():
            sheet = sheet_image(tiles, columns=columns, tile=options.tile)
            (options.sheets / f"{name}.png").write_bytes(encode_image(sheet, "png"))


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


def code_spread(mapped: Points, encoded: Points) -> dict[str, Any]:
    """Variance of mapped codes along the main directions of encoded ones, as shares of these; rows are codes in W."""
    values, vectors = np.linalg.eigh(np.cov(encoded, rowvar=False))
    order = np.argsort(values)[::-1][:32]
    along = np.cov(mapped, rowvar=False)
    shares = [float(vectors[:, i] @ along @ vectors[:, i] / values[i]) for i in order]
    return {
        "variance_ratio": float(np.trace(along) / values.sum()),
        "first_8_directions": float(np.mean(shares[:8])),
        "directions_9_to_32": float(np.mean(shares[8:])),
    }


if __name__ == "__main__":
    main()
