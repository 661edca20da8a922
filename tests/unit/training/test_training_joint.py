"""A joint run: what moves and when, what is known of z, what it leaves, and that it resumes as if never stopped."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import pytest
import torch
from joint_runs import CPU, GENERATOR, JOINT, RUN, SIZE, TASTELESS, batches, fresh, run, snapshot
from tiny_runs import Z, write_shard
from torch import Tensor

from pixel2style2pixel_cli.engine.loading import load_generator_file
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.events import Event, Notice, ignore_event
from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk
from pixel2style2pixel_cli.training import memory, start
from pixel2style2pixel_cli.training.checkpoint import read_stamp
from pixel2style2pixel_cli.training.config import MappingFit, preset_names
from pixel2style2pixel_cli.training.controls import JudgeControl
from pixel2style2pixel_cli.training.data import PictureSource, held_out_batches
from pixel2style2pixel_cli.training.grow import begin_joint, networks_of
from pixel2style2pixel_cli.training.joint import JointTrainer
from pixel2style2pixel_cli.training.joint_config import (
    JointRates,
    JointTraining,
    Schedule,
    Shown,
    SpectrumRule,
    SpreadRule,
    load_generator_training,
)
from pixel2style2pixel_cli.training.joint_networks import set_joint_rates, slowed_parameters
from pixel2style2pixel_cli.training.loop import SNAPSHOTS
from pixel2style2pixel_cli.training.tables import from_table


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shard(tmp_path_factory.mktemp("joint") / "discs.npz", 16)


@pytest.fixture
def source(discs: Path) -> PictureSource:
    return PictureSource([discs], SIZE)


def moved(trainer: JointTrainer, before: dict[str, dict[str, Tensor]]) -> set[str]:
    found = set()
    for name, module in trainer.modules().items():
        for key, _ in module.named_parameters():
            if not torch.equal(module.state_dict()[key], before[name][key]):
                found.add("mapping" if name == "generator" and key.startswith("mapping.") else name)
    return found


NETWORKS = {"generator", "mapping", "encoder", "generator_average", "encoder_average", "generator_slow", "encoder_slow"}


def test_memory_is_estimated_for_what_comes_after_the_head_start(
    source: PictureSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its first step a joint run draws without gradients: it was let through, and grew to four times as much."""
    trainer = fresh()
    found = {}
    for steps in ((0,), (1000,), memory.STEPS):
        monkeypatch.setattr(memory, "STEPS", steps)
        found[steps] = memory._kept_by_steps(trainer, source, 4)
    assert found[memory.STEPS] >= found[(1000,)] > 4 * found[(0,)]


def test_the_judge_has_its_head_start_then_everything_moves(source: PictureSource) -> None:
    trainer = fresh()
    trunk = copy.deepcopy(trainer.trunk.state_dict())
    assert trainer.judge is not None
    names: list[set[str]] = []
    for step, batch in enumerate(batches(source, 3)):
        before = snapshot(trainer)
        values = trainer.step(batch, step)
        names.append(set(values))
        assert moved(trainer, before) == ({"judge"} if step < 2 else {*NETWORKS, "judge"})
    assert names[0] == names[1] == {"judge"}
    assert names[2] == {"features", "pyramid", "pair_features", "face", "adversarial", "judge"}
    assert trainer.judge.calibrated
    assert all(torch.equal(value, trunk[key]) for key, value in trainer.trunk.state_dict().items())


def test_without_a_judge_twenty_steps_lower_the_loss(source: PictureSource) -> None:
    trainer = fresh(dataclasses.replace(TASTELESS, rates=JointRates(generator=0.01, encoder=0.003, ema_images=8)))
    values = [trainer.step(batch, step) for step, batch in enumerate(batches(source, 20))]
    first, last = (sum(v["features"] + v["pyramid"] for v in part) for part in (values[:4], values[-4:]))
    assert last < 0.9 * first
    found = trainer.validate(held_out_batches(source, batch=4, held_out=4))
    assert {"mse", "mse_z", "power_samples_8", "power_reconstructions_32", "spread"} < found.keys()


def test_one_picture_that_is_held_out_has_no_spread(source: PictureSource) -> None:
    found = fresh(TASTELESS).validate(held_out_batches(source, batch=1, held_out=1))
    assert found["spread"] == found["spread_of_pictures"] == 0.0


def test_pictures_of_unknown_or_mirrored_z_are_not_held_to_a_sample(source: PictureSource) -> None:
    trainer = fresh(TASTELESS)
    known = source.batch([0, 1, 2, 3], [False] * 4)
    image = known.image
    assert trainer._draw(known, image).weight.tolist() == [1.0] * 4 + [0.5] * 2
    mirrored = source.batch([0, 1, 2, 3], [True] * 4)
    assert trainer._draw(mirrored, image).weight.tolist() == [1.0] * 4 + [0.0] * 2
    assert trainer._draw(dataclasses.replace(known, z=None), image).weight.tolist() == [1.0] * 4 + [0.0] * 2


def test_weights_of_the_judge_follow_schedule_and_spectrum() -> None:
    trainer = fresh()
    assert trainer._adversarial_weights(0) == (1.0, 0.5)
    control = trainer.spectrum
    assert control is not None
    assert control.decide() is None and control.factors.tolist() == [1.0, 1.0]  # nothing was seen yet
    soft, hard = torch.randn(2, 3, SIZE, SIZE), torch.randn(2, 3, SIZE, SIZE)
    control.look(hard, hard * 0.5, hard * 2)
    ratios = control.decide()
    assert ratios == pytest.approx((0.25, 4.0), rel=1e-3)
    assert control.factors.tolist() == pytest.approx([1.15, 0.8])
    assert trainer._adversarial_weights(0) == pytest.approx((1.15, 0.4))
    control.look(soft, soft, soft)
    control.decide()
    assert control.factors.tolist() == pytest.approx([1.15, 0.8])  # 1.0 lies within both bounds


def test_a_judge_that_has_won_learns_at_half_its_rate() -> None:
    control = JudgeControl()
    for _ in range(299):
        control.saw(0.05)
    control.saw(0.5)  # not in a row
    for _ in range(299):
        control.saw(0.05)
    assert float(control.factor) == 1.0
    control.saw(0.05)
    assert float(control.factor) == 0.5
    again = JudgeControl()
    again.load_state(control.state())
    assert float(again.factor) == 0.5
    trainer = fresh()
    set_joint_rates(trainer._optimisers, JOINT.rates, 0, 100, judge=0.5)
    rates = {name: optimiser.param_groups[0]["lr"] for name, optimiser in trainer.optimisers().items()}
    assert rates["judge"] == pytest.approx(0.5 * JOINT.rates.judge)
    assert rates["generator"] == pytest.approx(JOINT.rates.generator)


def test_weights_do_not_follow_the_spectrum_of_pictures_that_are_blurred_for_the_judge(source: PictureSource) -> None:
    at_once = dataclasses.replace(JOINT.joint, head_start=0)
    blurred = dataclasses.replace(JOINT, joint=at_once, shown=Shown(blur=Schedule(start=2.0, end=0.0, images=8)))
    trainer = fresh(blurred)
    control = trainer.spectrum
    assert control is not None
    batch = source.batch([0, 1, 2, 3], [False] * 4)
    for step in range(2):  # 0 and 4 images: still blurred
        trainer.step(batch, step)
    assert not control._power.any() and control.factors.tolist() == [1.0, 1.0]
    trainer.step(batch, 2)
    assert control._power.any()


def test_a_schedule_goes_in_a_straight_line_and_stays() -> None:
    schedule = Schedule(start=1.0, end=3.0, images=100, after=50)
    assert [schedule.at(n) for n in (0, 50, 100, 150, 1000)] == [1.0, 1.0, 2.0, 3.0, 3.0]
    assert Schedule(start=0.5, end=2.0).at(0) == 2.0
    with pytest.raises(UsageError):
        Schedule(start=-1.0, end=0.0)


def test_a_resumed_run_equals_an_uninterrupted_one(source: PictureSource, tmp_path: Path) -> None:
    # Any smaller spread than the largest goes back.
    run_config = dataclasses.replace(RUN, validate_every=1, validate_pictures=4)
    config = dataclasses.replace(JOINT, run=run_config, spread=SpreadRule(fall=0.0))
    whole = fresh(config)
    run(config, source, tmp_path / "whole", whole)
    # Stopped by the clock after each step, and gone on with in a new process's place.
    parts = [run(config, source, tmp_path / "parts", fresh(config, 9 if i else 0), minutes=0.0) for i in range(3)]
    assert parts == [1, 2, 3]
    last = fresh(config, seed=5)
    assert run(config, source, tmp_path / "parts", last) == 4
    for name, module in whole.modules().items():
        other = last.modules()[name].state_dict()
        assert [key for key, value in module.state_dict().items() if not torch.equal(value, other[key])] == [], name
    for key, value in whole.extra().items():
        assert torch.equal(value, last.extra()[key]), key


def test_both_averages_and_snapshots_are_kept(source: PictureSource, tmp_path: Path) -> None:
    config = dataclasses.replace(JOINT, run=dataclasses.replace(RUN, snapshot_every=2))
    run(config, source, tmp_path, fresh(config))
    for folder in (tmp_path, tmp_path / "slow", tmp_path / SNAPSHOTS / "0000002", tmp_path / SNAPSHOTS / "0000004"):
        assert load_generator_file(folder / "generator.safetensors", CPU, torch.float32)[0].spec == GENERATOR
        assert (folder / "encoder.safetensors").is_file()
    written = (tmp_path / SNAPSHOTS / "0000002" / "generator.safetensors").stat().st_mtime_ns
    run(config, source, tmp_path, fresh(config))
    assert (tmp_path / SNAPSHOTS / "0000002" / "generator.safetensors").stat().st_mtime_ns == written


def test_a_generator_grows_by_a_block_that_changes_nothing_at_first(source: PictureSource, tmp_path: Path) -> None:
    small = fresh(TASTELESS)
    run(TASTELESS, source, tmp_path, small)
    states = networks_of(tmp_path / "checkpoint.safetensors")
    spec = dataclasses.replace(GENERATOR, resolution=2 * SIZE, channel_max=4)
    large = fresh(dataclasses.replace(TASTELESS, generator=spec), seed=3)
    with pytest.raises(UsageError, match="other sizes"):
        begin_joint(large, states, tmp_path, ignore_event)
    spec = dataclasses.replace(GENERATOR, resolution=2 * SIZE, channel_multiplier=1 / 32)
    config = dataclasses.replace(TASTELESS, generator=spec, rates=JointRates(slowed_to=64, slowed=0.1))
    large = fresh(config, seed=3)
    messages: list[Event] = []
    begin_joint(large, states, tmp_path, messages.append)
    assert isinstance(messages[0], Notice) and messages[0].message.endswith("generator, encoder")
    w = torch.randn(2, 8)
    with torch.no_grad():
        before = small.averages["generator_average"](small.generator.repeat(w), "off")
        after = large.generator(large.generator.repeat(w), "off")
        upsampled = large.generator.blocks[-1].to_rgb.upsample(before)  # type: ignore[union-attr, operator]
    torch.testing.assert_close(after, upsampled)
    picture = torch.rand(1, 3, SIZE, SIZE)
    torch.testing.assert_close(large.encoder(picture)[:, -1], small.averages["encoder_average"](picture)[:, -1])
    assert [group["base"] for group in large.optimisers()["generator"].param_groups] == pytest.approx([1e-3, 1e-4])


def test_what_has_no_rate_is_frozen_and_parts_are_shown(discs: Path) -> None:
    frozen = JointRates(
        warm_up=0, ema_images=8, slowed_to=32, slowed=0.0, mapping=0.0, trunk=0.0, generator=0.01, encoder=0.01
    )
    config = dataclasses.replace(
        JOINT, rates=frozen, generator=dataclasses.replace(GENERATOR, resolution=2 * SIZE), shown=Shown(crop=SIZE),
        joint=dataclasses.replace(JOINT.joint, head_start=0, rows_from=7),
    )  # fmt: skip
    trainer = fresh(config)
    before = snapshot(trainer)
    trainer.step(next(iter(batches(PictureSource([discs], 2 * SIZE), 1))), 0)
    changed = {
        f"{name}.{key}"
        for name in ("generator", "encoder")
        for key, value in trainer.modules()[name].state_dict().items()
        if not torch.equal(value, before[name][key])
    }
    slowed = {id(p) for p in slowed_parameters(trainer.generator, 32)}
    small = {f"generator.{name}" for name, p in trainer.generator.named_parameters() if id(p) in slowed}
    assert not changed & small
    assert not {key for key in changed if key.startswith(("generator.mapping.", "encoder.trunk."))}
    heads = {key.split(".")[2] for key in changed if key.startswith("encoder.heads.")}
    assert heads == {str(row) for row in range(7, config.generator.n_styles)}
    assert any(key.startswith("generator.blocks.4.") for key in changed)
    assert trainer.judge is not None and "encoder" in trainer.optimisers() and "mapping" not in trainer.optimisers()


def test_slowed_layers_are_those_of_the_small_picture() -> None:
    generator = fresh(TASTELESS).generator
    names = {id(p): name for name, p in generator.named_parameters()}
    slowed = {
        names[id(p)].split(".")[0] + "." + names[id(p)].split(".")[1][:1] for p in slowed_parameters(generator, 16)[1:]
    }
    assert slowed == {
        "conv_first.c",
        "conv_first.n",
        "conv_first.a",
        "to_rgb_first.c",
        "to_rgb_first.b",
        "blocks.0",
        "blocks.1",
    }
    assert slowed_parameters(generator, 0) == []


def test_the_command_runs_a_joint_preset(discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "find_lite_trunk", lambda: LiteTrunk(LiteSpec()))
    preset = tmp_path / "tiny.toml"
    preset.write_text(
        "[generator]\nresolution = 64\nstyle_dim = 8\nz_dim = 5\nchannel_multiplier = 0.03125\nchannel_max = 8\n"
        "mapping_layers = 2\n[encoder]\nkind = 'lite'\ninput_size = 64\nunits = [3, 2, 6, 5]\n"
        "widths = [24, 40, 112, 320]\nhead_width = 4\n[joint]\nface = 0.0\n[mapping]\nsteps = 20\nsliced = 1.0\n"
        "[run]\nsteps = 2\nbatch = 4\nheld_out = 4\nflip = false\n"
    )
    said: list[Event] = []
    result = start.start_generator(
        [discs], tmp_path / "run", preset=str(preset), overrides={}, start=None, device="cpu", seed=0, resume=True,
        check=False, on_event=said.append,
    )  # fmt: skip
    assert result["step"] == 2
    stamp = read_stamp(tmp_path / "run")
    assert stamp is not None and json.loads(stamp.config)["mapping"]["sliced"] == 1.0
    assert any(isinstance(event, Notice) and "variance_ratio" in event.message for event in said)


def test_pictures_of_unknown_z_teach_the_mapping_network_their_spread(tmp_path: Path) -> None:
    source = PictureSource([write_shard(tmp_path / "discs.npz", 16, with_z=False)], SIZE)
    trainer = fresh(TASTELESS)
    with torch.no_grad():
        trainer.encoder.latent_avg.add_(2.0)
    z = torch.randn(100, Z)
    before = float(trainer.generator.mapping(z).mean().detach())
    trainer.fit_mapping(source, MappingFit(steps=600, batch=8, rate=1.0, sliced=1.0), ignore_event)
    after = float(trainer.generator.mapping(z).mean().detach())
    wanted = float(trainer.encoder.latent_avg.mean())
    assert abs(after - wanted) < 0.5 * abs(before - wanted)
    with pytest.raises(UsageError, match=r"sliced"):
        trainer.fit_mapping(source, MappingFit(steps=1), ignore_event)


def test_joint_presets_load_and_half_a_judge_is_refused() -> None:
    names = ("mini-features", "mini-joint", "mini-256")
    assert set(names) <= set(preset_names("generator"))
    for name in names:
        assert isinstance(load_generator_training(name, {}), JointTraining)
    table = {"generator": {"resolution": 64}, "encoder": {}, "joint": {}, "projected": {}}
    with pytest.raises(UsageError, match="a judge and its weights"):
        from_table(JointTraining, table)
    table = {"generator": {"resolution": 64}, "encoder": {}, "joint": {}, "spread": {}, "run": {"held_out": 0}}
    with pytest.raises(UsageError, match="none are held out"):
        from_table(JointTraining, table)
    with pytest.raises(UsageError, match=r"expected a lower and an upper bound"):
        SpectrumRule(samples=(1.1, 0.9))
