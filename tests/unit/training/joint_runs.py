"""Joint runs small enough for a test: a generator of 64 px with a few thousand weights, before a judge."""

from __future__ import annotations

import copy
import dataclasses
from itertools import islice
from pathlib import Path

import torch
from tiny_runs import Z
from torch import Tensor

from pixel2style2pixel_cli.events import ignore_event
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk
from pixel2style2pixel_cli.networks.lite import LITE_UNITS, LITE_WIDTHS
from pixel2style2pixel_cli.networks.projected import ProjectedSpec
from pixel2style2pixel_cli.networks.psp import EncoderSpec
from pixel2style2pixel_cli.networks.stylegan2 import GeneratorSpec
from pixel2style2pixel_cli.training.config import RunConfig
from pixel2style2pixel_cli.training.data import Batch, PictureSource, training_batches
from pixel2style2pixel_cli.training.joint import JointTrainer
from pixel2style2pixel_cli.training.joint_config import (
    JointLosses,
    JointRates,
    JointTraining,
    Schedule,
    SpectrumRule,
    SpreadRule,
)
from pixel2style2pixel_cli.training.loop import run_training
from pixel2style2pixel_cli.training.tables import to_json

SIZE = 64
CPU = torch.device("cpu")
RUN = RunConfig(
    steps=4, batch=4, log_every=1, sample_every=100, checkpoint_every=1, validate_every=100, held_out=4, flip=False
)
GENERATOR = GeneratorSpec(
    resolution=SIZE, style_dim=8, z_dim=Z, channel_multiplier=1 / 32, channel_max=8, mapping_layers=2
)
JOINT = JointTraining(
    generator=GENERATOR,
    encoder=EncoderSpec(kind="lite", input_size=64, units=LITE_UNITS, widths=LITE_WIDTHS, head_width=4),
    joint=JointLosses(reconstructions=Schedule(start=1.0, end=1.0), samples=Schedule(start=0.5, end=0.5), head_start=8),
    projected=ProjectedSpec(width=4),
    spectrum=SpectrumRule(look_every=1, decide_every=2),
    spread=SpreadRule(fall=0.1),
    rates=JointRates(warm_up=0, ema_images=8, ema_images_slow=100),
    run=RUN,
)
TASTELESS = dataclasses.replace(JOINT, joint=JointLosses(), projected=None, spectrum=None, spread=None)


def fresh(config: JointTraining = JOINT, seed: int = 0) -> JointTrainer:
    torch.manual_seed(7)
    trunk = LiteTrunk(LiteSpec())  # in a file of its own: the same for every run
    torch.manual_seed(seed)
    trainer = JointTrainer(config, trunk, CPU)
    trainer.copy_to_averages()
    return trainer


def batches(source: PictureSource, count: int) -> list[Batch]:
    return list(islice(training_batches(source, batch=4, seed=0, start=0, held_out=4, flip=False), count))


def snapshot(trainer: JointTrainer) -> dict[str, dict[str, Tensor]]:
    return {name: copy.deepcopy(module.state_dict()) for name, module in trainer.modules().items()}


def run(
    config: JointTraining, source: PictureSource, out: Path, trainer: JointTrainer, minutes: float | None = None
) -> int:
    return run_training(
        trainer, config.run, to_json(config), source, out, seed=0, resume=True, on_event=ignore_event, minutes=minutes
    ).step
