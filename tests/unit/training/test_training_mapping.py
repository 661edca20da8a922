"""The mapping network learns known pairs of z and w, and a run that asks for it starts with a fitted one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from tiny_runs import AUTOENCODER, CPU, DISCRIMINATOR, GENERATOR, SIDE, write_shard

from pixel2style2pixel_cli import api
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import Event, Notice, ignore_event
from pixel2style2pixel_cli.networks.stylegan2 import MappingNetwork
from pixel2style2pixel_cli.training.config import MappingFit
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.training.generator import GeneratorTrainer
from pixel2style2pixel_cli.training.mapping import encode_pairs, fit_mapping


def test_fit_learns_a_function_of_z_and_says_how_well() -> None:
    torch.manual_seed(0)
    teacher, pupil = MappingNetwork(GENERATOR), MappingNetwork(GENERATOR)
    z = torch.randn(600, GENERATOR.z_dim)
    with torch.no_grad():
        w = teacher(z)
    found = fit_mapping(pupil, z, w, MappingFit(steps=400, batch=64, rate=1.0), ignore_event)
    assert found["error"] < 0.5 * found["error_of_the_mean"]
    with torch.no_grad():
        kept = float((pupil(z[-60:]) - w[-60:]).square().mean())
    assert kept == pytest.approx(found["error"], rel=1e-4), "the state kept is the one that was measured"


def test_pairs_are_in_the_order_of_the_pictures(tmp_path: Path) -> None:
    source = PictureSource([write_shard(tmp_path / "data.npz", 24)], SIDE)
    z, rows = encode_pairs(source, lambda batch: batch.image.mean(dim=(2, 3)), 7, ignore_event)
    whole = source.batch(list(range(7)), [False] * 7)
    assert whole.z is not None and torch.equal(z, whole.z)
    assert torch.equal(rows, whole.image.mean(dim=(2, 3)))


def test_trainer_fits_the_network_and_its_average(tmp_path: Path) -> None:
    source = PictureSource([write_shard(tmp_path / "data.npz", 24)], SIDE)
    torch.manual_seed(0)
    trainer = GeneratorTrainer(AUTOENCODER, CPU)
    before = [p.clone() for p in trainer.generator.mapping.parameters()]
    drawn = trainer.generator.constant.clone()
    trainer.fit_mapping(source, MappingFit(steps=20, batch=4, rate=1.0), ignore_event)
    after = list(trainer.generator.mapping.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(after, trainer.average.mapping.parameters(), strict=True))
    assert torch.equal(drawn, trainer.generator.constant), "only the mapping network moves"


def test_run_with_a_mapping_section_fits_first(tmp_path: Path) -> None:
    write_shard(tmp_path / "data.npz", 24)
    preset = tmp_path / "fit.toml"
    preset.write_text(
        f"""
[generator]
resolution = {SIDE}
style_dim = 8
z_dim = {GENERATOR.z_dim}
channel_multiplier = 0.03125
channel_max = 16
mapping_layers = 2
[encoder]
input_size = 32
units = [1, 1, 1, 1]
widths = [4, 8, 8, 16]
head_width = 8
[mapping]
steps = 3
batch = 4
[run]
steps = 1
batch = 4
held_out = 4
[losses]
autoencode = 1.0
""",
        encoding="utf-8",
    )
    events: list[Event] = []
    for _ in range(2):
        api.train_generator([tmp_path / "data.npz"], tmp_path / "run", preset=str(preset), on_event=events.append)
    fitted = [e for e in events if isinstance(e, Notice) and e.message.startswith("mapping network fitted")]
    assert len(fitted) == 1, "a resumed run does not fit again"


def test_mapping_without_an_encoder_is_refused() -> None:
    with pytest.raises(UsageError, match="no \\[encoder\\]"):
        dataclasses.replace(
            AUTOENCODER,
            encoder=None,
            mapping=MappingFit(),
            discriminator=DISCRIMINATOR,
            losses=dataclasses.replace(AUTOENCODER.losses, autoencode=0.0, pair_latent=0.0, adversarial=1.0),
        )
