"""Encoders on the pretrained trunk: other inputs, feature losses, shared parts that stay and are not exported again."""

from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path

import pytest
import torch
from joint_runs import CPU, GENERATOR, RUN, SIZE, TASTELESS, fresh, run
from safetensors.torch import load_file
from tiny_runs import write_shard

from pixel2style2pixel_cli.engine.loading import load_encoder_file
from pixel2style2pixel_cli.inputs.kinds import InputKind
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.config import EncoderLosses, EncoderRates, EncoderTraining, TaskData
from pixel2style2pixel_cli.training.data import PictureSource, training_batches
from pixel2style2pixel_cli.training.encoder import EncoderTrainer


def config(kind: InputKind, channels: int) -> EncoderTraining:
    return EncoderTraining(
        encoder=dataclasses.replace(TASTELESS.encoder, input_channels=channels),
        task=TaskData(kind=kind, heads="kept"),
        run=RUN,
        losses=EncoderLosses(l2=0.0, lpips=0.0, id=0.0, features=1.0, face=0.5, pyramid=1.0),
        rates=EncoderRates(encoder=0.003, ema_images=8.0),
    )


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shard(tmp_path_factory.mktemp("lite") / "discs.npz", 16)


@pytest.mark.parametrize(("kind", "channels"), [("photo", 3), ("sketch", 1), ("masked", 4)])
def test_an_encoder_of_other_inputs_goes_on_from_a_joint_run(
    kind: InputKind, channels: int, discs: Path, tmp_path: Path
) -> None:
    source = PictureSource([discs], SIZE)
    joint = fresh(TASTELESS)
    run(TASTELESS, source, tmp_path / "joint", joint)
    generator = Generator(GENERATOR)
    torch.manual_seed(0)
    trainer = EncoderTrainer(config(kind, channels), generator, CPU, networks={"trunk": LiteTrunk(LiteSpec())})
    trainer.take_over(tmp_path / "joint" / "checkpoint.safetensors")
    assert bool(joint.encoder.latent_avg.any()) and torch.equal(trainer.encoder.latent_avg, joint.encoder.latent_avg)
    before = {key: value.clone() for key, value in trainer.encoder.state_dict().items()}
    shared = trainer.config.encoder.shared
    assert all(
        torch.equal(before[key], value)
        for key, value in joint.averages["encoder_average"].state_dict().items()
        if key.startswith(shared)
    )
    batches = islice(training_batches(source, batch=4, seed=0, start=0, held_out=4, flip=True), 2)
    for step, batch in enumerate(batches):
        assert trainer.step(batch, step).keys() == {"pyramid", "features", "face"}
    after = trainer.encoder.state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert not [key for key in moved if key.startswith(shared)]
    assert {"lateral.0.weight", "smooth.2.weight", "trunk.blocks.9.project.conv.weight"} <= moved
    assert channels == 3 or "adapter.weight" in moved
    path, heads = trainer.export(tmp_path / kind)
    assert not [key for key in load_file(path) if key.startswith(shared)]
    assert set(load_file(heads)) == {key for key in before if key.startswith(shared)}
    for lender in (heads, joint.export(tmp_path / "joint")[1]):
        encoder = load_encoder_file(path, trainer.config.encoder, generator, heads=lender)
    assert encoder(torch.zeros(1, channels, SIZE, SIZE)).shape == (1, GENERATOR.n_styles, GENERATOR.style_dim)


def test_an_encoder_goes_on_from_one_with_fewer_heads(tmp_path: Path) -> None:
    generator = Generator(GENERATOR)
    trunk = {"trunk": LiteTrunk(LiteSpec())}
    few = config("photo", 3)
    few = dataclasses.replace(few, encoder=dataclasses.replace(few.encoder, heads=9))
    start = EncoderTrainer(few, generator, CPU, networks=trunk)
    trainer = EncoderTrainer(config("photo", 3), generator, CPU, networks=trunk)
    trainer.begin_with(start.encoder.state_dict(), "lite", tmp_path)
    rows = GENERATOR.n_styles
    assert rows == 10 and len(start.encoder.heads) == 9  # type: ignore[arg-type]
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(trainer.encoder(x), start.encoder(x))
