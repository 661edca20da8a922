"""What keeps a joint run from going wrong: back when samples become alike, an anchor for the small picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from joint_runs import JOINT, SIZE, TASTELESS, batches, fresh, snapshot
from tiny_runs import write_shard

from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.training.controls import SpreadControl
from pixel2style2pixel_cli.training.data import PictureSource, held_out_batches
from pixel2style2pixel_cli.training.joint_config import (
    JointLosses,
    JointRates,
    SpreadRule,
)


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shard(tmp_path_factory.mktemp("joint") / "discs.npz", 16)


@pytest.fixture
def source(discs: Path) -> PictureSource:
    return PictureSource([discs], SIZE)


def test_networks_go_back_when_samples_become_alike(source: PictureSource) -> None:
    trainer = fresh(dataclasses.replace(JOINT, spectrum=None))
    control, held_out = trainer.spread, list(held_out_batches(source, batch=4, held_out=4))
    assert control is not None and trainer.validate(held_out)["went_back"] == 0.0
    kept = snapshot(trainer)
    for step, batch in enumerate(batches(source, 4)):
        trainer.step(batch, step)
    moved = snapshot(trainer)
    assert not torch.equal(moved["generator"]["constant"], kept["generator"]["constant"])
    control._largest.fill_(100.0)
    assert trainer.validate(held_out)["went_back"] == 1.0
    for name in ("generator", "encoder", "generator_average", "encoder_slow"):
        for key, value in trainer.modules()[name].state_dict().items():
            assert torch.equal(value, kept[name][key]), (name, key)
    assert trainer._adversarial_weights(1000) == (0.5, 0.25)
    control._largest.zero_()
    assert trainer.validate(held_out)["went_back"] == 0.0 and trainer._adversarial_weights(1000) == (0.5, 0.25)


def test_an_anchor_holds_the_small_picture(source: PictureSource, tmp_path: Path) -> None:
    config = dataclasses.replace(JOINT, joint=dataclasses.replace(JOINT.joint, anchor=1.0, anchor_side=8))
    trainer, batch = fresh(config), batches(source, 1)[0]
    assert trainer.original is not None and "original" in trainer.modules()
    first = trainer.step(batch, 0)
    assert "anchor" not in first  # the judge's head start
    assert trainer.step(batch, 2)["anchor"] < 1e-2  # nothing but noise sets them apart
    with torch.no_grad():
        trainer.generator.constant.add_(1.0)
    assert trainer.step(batch, 3)["anchor"] > 2e-2
    # held fast, the small picture stays where it was
    held, free = (
        fresh(dataclasses.replace(TASTELESS, joint=JointLosses(anchor=a, anchor_side=8), rates=JointRates(warm_up=0)))
        for a in (1000.0, 1e-9)
    )
    for step, part in enumerate(batches(source, 12)):
        moved = [trainer.step(part, step)["anchor"] for trainer in (held, free)]
    assert moved[0] < 0.7 * moved[1]
    with pytest.raises(UsageError, match="does not divide"):
        dataclasses.replace(TASTELESS, joint=JointLosses(anchor_side=48))


def test_a_tenth_less_than_the_largest_spread_is_too_little() -> None:
    control = SpreadControl(SpreadRule(fall=0.1, weaker=0.25))
    assert [control.fell(spread) for spread in (0.3, 0.28, 0.4, 0.37, 0.35)] == [False, False, False, False, True]
    assert float(control.factor) == 0.25
