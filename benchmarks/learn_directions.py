"""Directions for edits of a bundled generator, learned from renders whose vectors say what is in them.

python benchmarks/learn_directions.py SHARDS --model mini-invert --out models/mini-generator/directions

SHARDS are packed shards with ``z``, or a folder with ``image.npy`` and ``z.npy``. Codes are those that the encoder
finds; labels come from the numbers of ``z``. Each direction is measured on renders that it was not learned from: how
far two standard deviations change what a judge reads in the drawn picture, and the most that any other label changes.
The judge is a ridge regression from the encoder's codes of renders to the labels.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from pixel2style2pixel_cli.engine.engine import Engine
from pixel2style2pixel_cli.engine.learning import Label, Learner
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.files.pixels import to_float, to_uint8
from pixel2style2pixel_cli.files.sheet import sheet_image
from pixel2style2pixel_cli.options.task import TaskOptions
from pixel2style2pixel_cli.session import load
from pixel2style2pixel_cli.tasks.invert import InvertOptions
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.weights.directions import DirectionFile, save_direction

Numbers = NDArray[np.float64]

# How the names of labels are read from z (M, 64); the numbers are those of the renderer's table.
SMILE, LIDS, YAW, PITCH, MELANIN, AGE, GENDER = 24, 28, 32, 33, 35, 38, 39
BEARD, STYLE_B, LIGHTNESS, LENGTH, GLASSES = 45, 48, 49, 51, 53
WORN = 1.05  # glasses are worn above this

LABELS: dict[str, tuple[Callable[[Numbers], Numbers], bool]] = {
    "smile": (lambda z: z[:, SMILE], False),
    "yaw": (lambda z: z[:, YAW], False),
    "pitch": (lambda z: z[:, PITCH], False),
    "age": (lambda z: z[:, AGE], False),
    "glasses": (lambda z: (z[:, GLASSES] > WORN).astype(float), True),
    "skin-tone": (lambda z: z[:, MELANIN], False),
    "hair-darkness": (lambda z: -z[:, LIGHTNESS], False),  # the renderer draws lighter hair where it is above 0
    # long styles are those of the other side of this sum; within a style the length counts less
    "hair-length": (lambda z: 0.5 * z[:, LENGTH] - np.sign(z[:, GENDER] + 0.25 * z[:, STYLE_B]), False),
    # only masculine-like faces have a beard
    "beard": (lambda z: np.maximum(z[:, BEARD], 0) * (z[:, GENDER] > 0), False),
    "masculine": (lambda z: z[:, GENDER], False),
    "eyes-open": (lambda z: z[:, LIDS], False),
}
# Long hair and masculine styling are nearly one label in the renders: neither is held fixed for the other.
TOGETHER = {"hair-length": {"masculine", "beard"}, "masculine": {"hair-length", "beard"}, "beard": {"hair-length"}}

# A direction that changes its own label by less in a drawn picture is not written: the generator cannot draw it.
LEAST_EFFECT = 0.3
STRENGTH, SHOWN = 2.0, (-3.0, -1.5, 0.0, 1.5, 3.0)
JUDGE_RIDGE = 1e-3


def main() -> None:
    """Learn, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("renders", nargs="+", type=Path)
    parser.add_argument("--model", default="mini-invert")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2000, help="renders to read")
    parser.add_argument("--probes", type=int, default=32, help="faces on which edits are measured")
    parser.add_argument("--sheet", type=Path, help="a picture of every direction on three faces")
    options = parser.parse_args()
    started = time.perf_counter()
    session = load(options.model)
    chosen = session.choose(_options(options.model))
    engine = session._engine(chosen)
    codes, z = encode_renders(engine, options.renders, options.count)
    print(f"{len(codes)} codes after {time.perf_counter() - started:.0f} s", flush=True)
    labels = [Label(name=name, values=read(z), is_class=kind) for name, (read, kind) in LABELS.items()]
    learned = len(codes) - max(options.probes, len(codes) // 10)
    learner = Learner(codes[:learned].reshape(learned, -1), [cut(label, learned) for label in labels])
    judge = Judge(codes[:learned], labels, engine)
    probes = codes[learned : learned + options.probes]
    rows, steps = [], {}
    for label in labels:
        others = [each.name for each in labels if each is not label and each.name not in TOGETHER.get(label.name, ())]
        found = learner.learn(label.name, others)
        step = found.step.reshape(codes.shape[1:])
        effect = judge.effect(probes, step)
        most = max((name for name in effect if name != label.name), key=lambda name: abs(effect[name]))
        made = {
            "method": "means of the encoder's codes of renders, all other labels held fixed", "renders": learned,
            "correlation": round(found.correlation, 3), "effect": round(effect[label.name], 3), "leaks_most_to": most,
            "leakage": round(effect[most], 3), "encoder": engine.model.label,
        }  # fmt: skip
        if effect[label.name] >= LEAST_EFFECT:
            save_direction(options.out / f"{label.name}.safetensors", DirectionFile(
                name=label.name, step=step.astype(np.float32), space="W+", generators=(engine.model.generator_digest,),
                made=made,
            ))  # fmt: skip
        rows.append({"direction": label.name, "written": effect[label.name] >= LEAST_EFFECT, **made})
        steps[label.name] = step
        print(json.dumps(rows[-1]), flush=True)
    if options.sheet is not None:
        options.sheet.write_bytes(encode_image(draw_sheet(engine, probes[:3], steps), "webp"))
    print(f"{len(rows)} directions in {time.perf_counter() - started:.0f} s")


def _options(model: str) -> TaskOptions:
    return InvertOptions(model=model, optimize=0, dtype="float32")


def cut(label: Label, count: int) -> Label:
    """The label of the first pictures."""
    return Label(name=label.name, values=label.values[:count], is_class=label.is_class)


def encode_renders(engine: Engine, paths: Sequence[Path], count: int) -> tuple[Numbers, Numbers]:
    """The encoder's codes (M, N, D) of renders, and their vectors (M, 64)."""
    codes: list[Numbers] = []
    vectors: list[Numbers] = []
    side = engine.model.encoder_spec.input_size
    for batch, z in batches(paths, side, count):
        codes.append(engine.encode(batch).w_plus.double().cpu().numpy())
        vectors.append(z)
    return np.concatenate(codes), np.concatenate(vectors).astype(np.float64)


def batches(paths: Sequence[Path], side: int, count: int, size: int = 16) -> Iterator[tuple[torch.Tensor, Numbers]]:
    """Pictures (b, 3, S, S) in [-1, 1] at the encoder's side, with their vectors, of shards or of folders of arrays."""
    left = count
    for path in paths:
        if path.is_dir() and (path / "image.npy").is_file():
            pictures, z = np.load(path / "image.npy", mmap_mode="r"), np.load(path / "z.npy")

            def read(numbers: range, pictures: NDArray[np.uint8] = pictures) -> torch.Tensor:
                found = to_float(list(np.ascontiguousarray(pictures[numbers.start : numbers.stop])))
                return F.interpolate(found, size=(side, side), mode="area") if found.shape[-1] > side else found

        else:
            source = PictureSource([path], side)
            with np.load(path, allow_pickle=False) as arrays:
                z = arrays["z"]

            def read(numbers: range, source: PictureSource = source) -> torch.Tensor:  # type: ignore[misc]
                return to_float([source.pixels(number) for number in numbers])

        for start in range(0, min(len(z), left), size):
            numbers = range(start, min(start + size, len(z), left))
            yield read(numbers), z[start : numbers.stop]
        left -= min(len(z), left)
        if left <= 0:
            return


class Judge:
    """Reads labels in pictures: a ridge regression on the encoder's codes, in standard deviations of each label."""

    def __init__(self, codes: Numbers, labels: Sequence[Label], engine: Engine) -> None:
        self.engine, self.names = engine, [label.name for label in labels]
        told = np.stack([label.values[: len(codes)] for label in labels], axis=1)
        told = (told - told.mean(axis=0)) / told.std(axis=0)
        flat = codes.reshape(len(codes), -1)
        u, s, v = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
        self.weights = (v.T * (s / (s**2 + JUDGE_RIDGE * s[0] ** 2))) @ (u.T @ told)

    def read(self, codes: Numbers) -> Numbers:
        """Labels (M, L) of the pictures that are drawn from codes (M, N, D), up to a constant."""
        from pixel2style2pixel_cli.engine.codes import Codes

        side = self.engine.model.encoder_spec.input_size
        drawn = self.engine.draw(Codes(torch.from_numpy(codes).float()))
        seen = self.engine.encode(F.interpolate(drawn, size=(side, side), mode="area")).w_plus
        return np.asarray(seen.double().cpu().numpy().reshape(len(codes), -1) @ self.weights)

    def effect(self, codes: Numbers, step: Numbers) -> dict[str, float]:
        """The mean change of every label for a step of two standard deviations."""
        change = (self.read(codes + STRENGTH * step) - self.read(codes)).mean(axis=0)
        return dict(zip(self.names, change.tolist(), strict=True))


def draw_sheet(engine: Engine, codes: Numbers, steps: dict[str, Numbers]) -> NDArray[np.uint8]:
    """Every direction on a few faces, from strength -3 to 3."""
    from pixel2style2pixel_cli.engine.codes import Codes

    tiles = []
    for name, step in steps.items():
        moved = np.concatenate([code + np.array(SHOWN)[:, None, None] * step for code in codes])
        tiles.append((name, list(to_uint8(engine.draw(Codes(torch.from_numpy(moved).float()))))))
    return sheet_image(tiles, columns=1, tile=96)


if __name__ == "__main__":
    main()
