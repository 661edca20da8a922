"""Fits the last layers of an encoder's heads, which the encoders of other tasks borrow, to a new generator's codes.

    python benchmarks/refit_heads.py --data faces128 --run runs/joint --out refitted

Where a generator was trained on from another, old codes nearly fit it; what is left is linear enough for least squares.
Features are those of every task's encoder before the last layer of each head, targets the codes that the encoder of the
new run writes for what is to be drawn. Ridge of 1e-4. Written are ``encoder.safetensors`` of the inversion model, with
the new last layers, and ``cartoon/generator.safetensors``: the new generator plus what set the old cartoon generator
apart from the old one.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pixel2style2pixel_cli.device import keep_freed_memory
from pixel2style2pixel_cli.engine.loading import Model, load_encoder_file, load_generator_file, load_model
from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.layers import EqualLinear
from pixel2style2pixel_cli.training.config import Augmentation
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.training.inputs import make_inputs
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.weights.write import save_halved
from pixel2style2pixel_cli.zoo.choose import choose_model

CPU = torch.device("cpu")
CLEAN = Augmentation()
PHOTO = Augmentation(colour=0.8, blur=1.0, noise=0.6, jpeg=0.8, shift=0.5)
TURNED = Augmentation(colour=0.8, blur=0.5, noise=0.4, jpeg=0.6, shift=0.5)
SMALL = Augmentation(colour=0.5, noise=0.2, jpeg=0.3, shift=0.3)

# Task, input, faults of the input, weight, pictures. Drawings and maps leave colours open: with more weight they would
# pull everybody's towards the mean; without any, drawings, whose features lie apart, come out garish.
PARTS: tuple[tuple[str, InputKind, Augmentation, float, int], ...] = (
    ("invert", "photo", CLEAN, 1.0, 2400),
    ("invert", "photo", PHOTO, 0.3, 500),
    ("frontalize", "photo", TURNED, 0.2, 500),
    ("sketch2face", "sketch", CLEAN, 0.12, 700),
    ("seg2face", "labels", CLEAN, 0.02, 700),
    ("superres", "lowres", SMALL, 0.25, 500),
    ("inpaint", "masked", CLEAN, 0.2, 500),
)
RIDGE, AT_ONCE, HELD_OUT = 1e-4, 20, 1000


def last_layers(encoder: Encoder) -> dict[str, nn.Module]:
    """The last layer of each head, by its name in the encoder."""
    found: dict[str, nn.Module] = {}
    for i in range(encoder.n_styles):
        head = encoder.get_submodule(f"heads.{i}")
        name, layer = [(n, m) for n, m in head.named_modules() if isinstance(m, nn.Linear | EqualLinear)][-1]
        found[f"heads.{i}.{name}"] = layer
    return found


def features(model: Model, fed: Tensor) -> Tensor:
    """What the last layer of each head sees, (N, B, C)."""
    seen: list[Tensor] = []
    layers = last_layers(model.encoder).values()
    hooks = [layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone())) for layer in layers]
    model.encoder(fed)
    for hook in hooks:
        hook.remove()
    return torch.stack(seen)


def pairs(model: Model, teacher: Encoder, source: PictureSource, kind: InputKind, faults: Augmentation, count: int):  # type: ignore[no-untyped-def]
    """Features (N, M, C + 1) with a constant, and codes (M, N, D) of what is to be drawn."""
    chosen = np.random.default_rng(0).permutation(max(1, len(source) - HELD_OUT))[:count]
    found, codes = [], []
    for start in range(0, len(chosen), AT_ONCE):
        indices = [int(i) for i in chosen[start : start + AT_ONCE]]
        batch = source.batch(indices, [False] * len(indices))
        shown = batch.image if batch.frontal is None else batch.frontal
        codes.append(teacher(F.interpolate(shown, size=(teacher.spec.input_size,) * 2, mode="area")))
        found.append(features(model, make_inputs(kind, batch, model.encoder_spec.input_size, faults)))
    x = torch.cat(found, dim=1).double()
    return torch.cat([x, torch.ones_like(x[..., :1])], dim=2), torch.cat(codes).double()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="packed shards with label maps and frontal pictures")
    parser.add_argument("--run", type=Path, required=True, help="the joint run whose generator is the new one")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    generator, digest = load_generator_file(options.run / "generator.safetensors", CPU, torch.float32)
    path = options.run / "encoder.safetensors"
    teacher = load_encoder_file(path, read_weight_header(path).encoder_spec(), generator)
    sums: list[Tensor] = []
    for task, kind, faults, weight, count in PARTS:
        model = load_model(choose_model(task, "mini"), CPU, torch.float32)
        source = PictureSource(
            [options.data], generator.spec.resolution, labels="required", frontal=task == "frontalize"
        )
        x, codes = pairs(model, teacher, source, kind, faults, count)
        part = torch.stack([torch.cat([a.T @ a, a.T @ codes[:, i]], dim=1) for i, a in enumerate(x)]) * weight
        sums = [part] if not sums else [sums[0] + part]
    inside = sums[0].shape[1]
    gram, cross = sums[0][..., :inside], sums[0][..., inside:]
    ridge = RIDGE * gram.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None] * torch.eye(inside, dtype=torch.float64)
    solved = torch.linalg.solve(gram + ridge, cross).float()
    write(options.out, solved, digest, generator.state_dict())


def write(folder: Path, solved: Tensor, digest: str, new: dict[str, Tensor]) -> None:
    """The inversion encoder with its new last layers, and the cartoon generator moved along."""
    model = load_model(choose_model("invert", "mini"), CPU, torch.float32)
    state = model.encoder.state_dict()
    for i, (name, layer) in enumerate(last_layers(model.encoder).items()):
        state[f"{name}.weight"] = solved[i, :-1].T / (layer.scale if isinstance(layer, EqualLinear) else 1.0)
        state[f"{name}.bias"] = solved[i, -1] - state["latent_avg"][i]
    save_halved(folder / "encoder.safetensors", "encoder", state, dataclasses.asdict(model.encoder_spec), "mit", digest)
    cartoon = load_model(choose_model("toonify", "mini"), CPU, torch.float32)
    old, look = model.generator.state_dict(), cartoon.generator.state_dict()
    kept = ("noise_", "mapping.", "latent_avg")
    moved = {key: value if key.startswith(kept) else value + look[key] - old[key] for key, value in new.items()}
    spec = dataclasses.asdict(cartoon.generator_spec)
    save_halved(folder / "cartoon" / "generator.safetensors", "generator", moved, spec, "mit")


if __name__ == "__main__":
    main()
