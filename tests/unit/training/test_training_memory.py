"""Memory is estimated before it is taken, and sizes follow the generator that an encoder is trained for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_runs import ADVERSARIAL, AUTOENCODER, CPU, INVERSION, SIDE, fresh, write_shard

from pixel2style2pixel_cli import device
from pixel2style2pixel_cli.errors import DeviceError, UsageError
from pixel2style2pixel_cli.events import Event, Notice
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training import memory
from pixel2style2pixel_cli.training.config import EncoderTraining
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.training.encoder import EncoderTrainer
from pixel2style2pixel_cli.training.fit import Asked, fit_to_generator
from pixel2style2pixel_cli.training.generator import GeneratorTrainer
from pixel2style2pixel_cli.training.joint_config import load_generator_training
from pixel2style2pixel_cli.training.loop import Trainer

TRAINERS: dict[str, Callable[[], Trainer]] = {
    "autoencoder": lambda: GeneratorTrainer(AUTOENCODER, CPU),
    "adversarial": lambda: GeneratorTrainer(ADVERSARIAL, CPU),
    "encoder": lambda: EncoderTrainer(INVERSION, fresh().generator, CPU),
}


@pytest.fixture
def source(tmp_path: Path) -> PictureSource:
    return PictureSource([write_shard(tmp_path / "discs.npz", 16)], SIDE)


@pytest.mark.parametrize("kind", TRAINERS)
def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(
    kind: str, source: PictureSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = TRAINERS[kind]()
    before = {name: {k: v.clone() for k, v in m.state_dict().items()} for name, m in trainer.modules().items()}
    run = dataclasses.replace(AUTOENCODER.run, batch=64)
    memory.require_memory(trainer, run, source)  # this machine has as much
    small, large = (memory._kept_by_steps(trainer, source, count) for count in (2, 4))
    assert 0 < small < large < 3 * small  # it grows with the batch
    free = memory._weight_bytes(trainer) + int(20 * memory.OVERHEAD * (large - small) / 2)
    monkeypatch.setattr(memory, "free_bytes", lambda device: free)
    with pytest.raises(DeviceError, match=r"a step with 64 pictures takes about .*, and .* are free") as caught:
        memory.require_memory(trainer, run, source)
    fitting = int(caught.value.hint.partition("run.batch=")[2].partition(",")[0])
    assert fitting % 4 == 0 and 8 <= fitting <= 20
    memory.require_memory(trainer, dataclasses.replace(run, batch=fitting), source)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    with pytest.raises(DeviceError) as caught:
        memory.require_memory(trainer, run, source)
    assert "smaller networks" in caught.value.hint
    for name, module in trainer.modules().items():  # the run begins as it would have
        assert all(torch.equal(value, before[name][key]) for key, value in module.state_dict().items())


def test_what_lives_is_counted_once_and_no_longer() -> None:
    meter = memory._Meter()
    tensor = torch.zeros(1000)
    first, second = memory._Kept(tensor, meter), memory._Kept(tensor[:10], meter)
    assert meter.now == 4000
    del first
    assert meter.now == 4000
    del second
    assert (meter.now, meter.most) == (0, 4000)


def test_what_is_free_is_known_here() -> None:
    found = device.free_bytes(CPU)
    assert found is None or found > 1_000_000


def test_an_encoder_takes_no_larger_pictures_than_are_drawn() -> None:
    drawn = GeneratorSpec(resolution=128, style_dim=8, z_dim=8, channel_multiplier=1 / 32, channel_max=8)
    generator, events = Generator(drawn), list[Event]()
    config = EncoderTraining(encoder=EncoderSpec(input_size=256))
    asked = Asked(task="invert", kind="photo", preset="psp-invert", overrides={})
    fitted = fit_to_generator(config, asked, generator, events.append)
    assert fitted == dataclasses.replace(config, encoder=EncoderSpec(input_size=128))
    assert any(isinstance(event, Notice) and "128 px" in event.message for event in events)
    set_so = dataclasses.replace(asked, overrides={"encoder.input_size": "256"})
    with pytest.raises(UsageError, match="the encoder takes 256 px, the generator draws 128 px"):
        fit_to_generator(config, set_so, generator, events.append)
    smaller = EncoderTraining(encoder=EncoderSpec(input_size=64))
    assert fit_to_generator(smaller, asked, generator, events.append) is smaller


def test_the_judge_of_a_preset_follows_the_size_of_its_generator() -> None:
    config = load_generator_training("stylegan2-128", {"generator.resolution": "64"})
    assert config.generator.resolution == 64
    assert getattr(config, "discriminator").resolution == 64  # noqa: B009 - a joint run has none
    joint = load_generator_training("mini-features", {"generator.resolution": "64"})
    assert joint.encoder is not None and joint.encoder.input_size == 64
    larger = load_generator_training("mini-features", {"generator.resolution": "256"})
    assert larger.encoder is not None and larger.encoder.input_size == 128, "it reads no more than it did"
    with pytest.raises(UsageError, match="draws 64 px, the discriminator takes 32 px"):
        load_generator_training("stylegan2-128", {"generator.resolution": "64", "discriminator.resolution": "32"})
