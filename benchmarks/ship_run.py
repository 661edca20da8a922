"""Puts a joint run's networks into the bundled models, and moves the other models along without training them.

    python benchmarks/ship_run.py --run runs/joint --models models

The run must have kept the coarse layers and the mapping network of the bundled generator (``rates.slowed = 0``): codes
then go on meaning the same, and the encoders of the other tasks, which borrow their heads from ``mini-invert``, need
only as many rows as the new generator has. The cartoon generator becomes the new generator plus what set the old
cartoon generator apart from the old one. Sizes, hashes and specs of the cards follow; directions have to be learned
again (``learn_directions.py``).
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from pixel2style2pixel_cli.weights.header import WeightHeader, read_weight_header
from pixel2style2pixel_cli.weights.write import save_halved

GENERATOR, CARTOON, ENCODER = "mini-generator", "mini-toon", "mini-invert"
# Of a cartoon generator these are the new generator's own.
KEPT = ("noise_", "mapping.", "latent_avg")


def moved_along(new: dict[str, Tensor], old: dict[str, Tensor], look: dict[str, Tensor]) -> dict[str, Tensor]:
    """The new generator with the look that was taught to the old one; a block that only the new one has is its own."""
    alike = {key for key in new if key in old and not key.startswith(KEPT)}
    return {key: value + look[key] - old[key] if key in alike else value for key, value in new.items()}


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file in single precision."""
    return {key: value.float() for key, value in load_file(path).items()}


def ship(run: Path, models: Path) -> list[Path]:
    """Write the weights over those of the bundled models; returns the files."""
    header = read_weight_header(run / "generator.safetensors")
    spec: dict[str, Any] = dataclasses.asdict(header.generator_spec())
    new, old = read(run / "generator.safetensors"), read(models / GENERATOR / "generator.safetensors")
    look = read(models / CARTOON / "generator.safetensors")
    written = [models / GENERATOR / "generator.safetensors", models / CARTOON / "generator.safetensors"]
    save_halved(written[0], "generator", new, spec, "mit")
    save_halved(written[1], "generator", moved_along(new, old, look), spec, "mit")
    digest = read_weight_header(written[0]).digest
    rows = header.generator_spec().n_styles
    lender = read(run / "encoder.safetensors")
    heads = _drop_copied_heads(lender)
    for path in sorted(models.glob("mini-*/encoder.safetensors")):
        state = lender if path.parent.name == ENCODER else read(path)
        # one average code, in as many places
        state["latent_avg"] = state["latent_avg"][:1].expand(rows, -1).contiguous()
        encoder = dataclasses.replace(read_weight_header(path).encoder_spec(), heads=heads if heads < rows else 0)
        save_halved(path, "encoder", state, dataclasses.asdict(encoder), "mit", digest)
        written.append(path)
    return written


def _drop_copied_heads(state: dict[str, Tensor]) -> int:
    """Leave out the last heads that are copies of the one before, as a generator that grew gave them; how many stay."""
    numbers = sorted({int(found[1]) for key in state if (found := re.match(r"heads\.(\d+)\.", key))})
    while len(numbers) > 1:
        last, before = (
            {key.removeprefix(name): state[key] for key in state if key.startswith(name)}
            for name in (f"heads.{numbers[-1]}.", f"heads.{numbers[-2]}.")
        )
        if last.keys() != before.keys() or any(not torch.equal(last[key], before[key]) for key in last):
            break
        for key in last:
            del state[f"heads.{numbers[-1]}.{key}"]
        numbers.pop()
    return len(numbers)


def update_card(card: Path, pixels: int, rows: int) -> None:
    """Pixels and rows of a card, and spec, size and hash of its weight files."""
    text = card.read_text()
    text = re.sub(r'(title = ".*), \d+ px"', rf'\1, {pixels} px"', text)
    text = re.sub(r'layers = "(\d+)-\d*"', rf'layers = "\1-{rows - 1}"', text)
    for path in card.parent.glob("*.safetensors"):
        header, content = read_weight_header(path), path.read_bytes()
        text = re.sub(rf"\[spec\.{header.kind}\]\n(?:.+\n)+", lambda _, found=header: _table(found), text)
        text = re.sub(r"(?m)^size = \d+", f"size = {len(content)}", text)
        text = re.sub(r'sha256 = "\w+"', f'sha256 = "{hashlib.sha256(content).hexdigest()}"', text)
    card.write_text(text)


def _table(header: WeightHeader) -> str:
    spec = header.generator_spec() if header.kind == "generator" else header.encoder_spec()
    values = {key: list(v) if isinstance(v, tuple) else v for key, v in dataclasses.asdict(spec).items()}
    for key, usual in (("stage", -1), ("heads", 0)):
        if values.get(key) == usual:
            del values[key]
    return f"[spec.{header.kind}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="with generator.safetensors and encoder.safetensors")
    parser.add_argument("--models", type=Path, required=True)
    options = parser.parse_args()
    files = ship(options.run, options.models)
    spec = read_weight_header(files[0]).generator_spec()
    for card in options.models.glob("mini-*/model.toml"):
        update_card(card, spec.resolution, spec.n_styles)
    for path in files:
        print(path, f"{path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
