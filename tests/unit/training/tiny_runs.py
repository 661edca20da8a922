"""Pictures and networks small enough to train within a test: discs on plain grounds, 32 px, a few thousand weights.

Run as a program it trains and kills itself: ``python tiny_runs.py DATA OUT KILL_AT``.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pixel2style2pixel_cli.events import OnEvent, ignore_event
from pixel2style2pixel_cli.files.image import encode_image
from pixel2style2pixel_cli.networks.specs import DiscriminatorSpec, EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.training.config import (
    EncoderLosses,
    EncoderRates,
    EncoderTraining,
    GeneratorLosses,
    GeneratorTraining,
    Rates,
    RunConfig,
)
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.training.generator import GeneratorTrainer
from pixel2style2pixel_cli.training.loop import RunResult, Trainer, run_training
from pixel2style2pixel_cli.training.tables import to_json

SIDE, Z = 32, 5
CPU = torch.device("cpu")
GENERATOR = GeneratorSpec(
    resolution=SIDE, style_dim=8, z_dim=Z, channel_multiplier=1 / 32, channel_max=16, mapping_layers=2
)
# Widths in eights: some builds of torch write beyond a weight's gradient where 1x1 convolutions have fewer channels.
ENCODER = EncoderSpec(input_size=SIDE, units=(1, 1, 1, 1), widths=(8, 8, 8, 16), head_width=8)
DISCRIMINATOR = DiscriminatorSpec(resolution=SIDE, channel_multiplier=1 / 32, channel_max=16)
RUN = RunConfig(
    steps=6, batch=4, log_every=1, sample_every=100, checkpoint_every=2, validate_every=100, held_out=4, flip=True
)
AUTOENCODER = GeneratorTraining(
    generator=GENERATOR,
    encoder=ENCODER,
    run=RUN,
    losses=GeneratorLosses(autoencode=1.0, pair_latent=0.1),
    rates=Rates(generator=0.01, mapping=0.01, encoder=0.003, beta1=0.9, ema_images=20.0),
)
ADVERSARIAL = GeneratorTraining(
    generator=GENERATOR,
    discriminator=DISCRIMINATOR,
    run=RUN,
    losses=GeneratorLosses(adversarial=1.0, r1_every=2, path_every=2),
)
INVERSION = EncoderTraining(
    encoder=ENCODER,
    run=RUN,
    losses=EncoderLosses(lpips=0.0, id=0.0, pyramid=1.0, gradient=1.0),
    rates=EncoderRates(encoder=0.003, ema_images=8.0),
)


def disc(z: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The picture of a vector: place, size and colours of a disc."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    place = np.tanh(z[:2]) * 0.3
    inside = (rows - place[0]) ** 2 + (columns - place[1]) ** 2 < (0.2 + 0.1 * np.tanh(z[2])) ** 2
    colour = 128 + 100 * np.tanh(z[3:5])
    picture = np.where(inside[..., None], [colour[0], 200, 40], [30, colour[1], 120])
    return picture.astype(np.uint8)


def write_shard(path: Path, count: int, *, seed: int = 0, with_z: bool = True) -> Path:
    """A packed shard of ``count`` discs."""
    z = np.random.default_rng(seed).standard_normal((count, Z)).astype(np.float32)
    encoded = [encode_image(disc(vector), "png") for vector in z]
    offsets = np.cumsum([0, *map(len, encoded)])
    arrays = {"image_blob": np.frombuffer(b"".join(encoded), np.uint8), "image_off": offsets}
    np.savez(path, **(arrays | {"z": z} if with_z else arrays))
    return path


def train(
    trainer: Trainer, config: GeneratorTraining | EncoderTraining, data: Path, out: Path, *, seed: int = 0,
    resume: bool = True, on_event: OnEvent = ignore_event,
) -> RunResult:  # fmt: skip
    """A whole run, or what is left of it."""
    source = PictureSource([data], SIDE)
    return run_training(trainer, config.run, to_json(config), source, out, seed=seed, resume=resume, on_event=on_event)


def fresh(config: GeneratorTraining = AUTOENCODER, seed: int = 0) -> GeneratorTrainer:
    """A trainer with weights from the seed."""
    torch.manual_seed(seed)
    return GeneratorTrainer(config, CPU)


def main(data: str, out: str, kill_at: str) -> None:
    """Train the autoencoder and die without warning in the middle of a step."""
    torch.set_num_threads(1)
    trainer = fresh()
    step = trainer.step

    def fatal(batch: object, number: int) -> dict[str, float]:
        if number == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(batch, number)  # type: ignore[arg-type]

    trainer.step = fatal  # type: ignore[method-assign, assignment]
    train(trainer, AUTOENCODER, Path(data), Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
