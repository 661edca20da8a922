"""A run that dies and goes on computes what an uninterrupted one does; what is in a checkpoint; other runs refused."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_runs
import torch
from safetensors.torch import save_file
from tiny_runs import ADVERSARIAL, AUTOENCODER, CPU, INVERSION, RUN, SIDE, fresh, train, write_shard
from torch import Tensor

from pixel2style2pixel_cli.errors import DivergedError, IntegrityError, OutputError, UsageError
from pixel2style2pixel_cli.events import Event, Notice
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.checkpoint import (
    FILE,
    Stamp,
    load_checkpoint,
    load_module,
    module_names,
    read_stamp,
    save_checkpoint,
)
from pixel2style2pixel_cli.training.config import RunConfig
from pixel2style2pixel_cli.training.data import PictureSource
from pixel2style2pixel_cli.training.encoder import EncoderTrainer
from pixel2style2pixel_cli.training.generator import GeneratorTrainer
from pixel2style2pixel_cli.training.log import RunLog
from pixel2style2pixel_cli.training.loop import Trainer, falling_rate, step_seed
from pixel2style2pixel_cli.training.tables import to_json


def trace(folder: Path) -> list[dict[str, Any]]:
    """The log without its clock."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def tensors(trainer: Trainer) -> dict[str, Tensor]:
    state = {f"{n}/{k}": v for n, m in trainer.modules().items() for k, v in m.state_dict().items()}
    for name, optimiser in trainer.optimisers().items():
        for index, values in optimiser.state_dict()["state"].items():
            state |= {f"{name}/{index}/{k}": torch.as_tensor(v) for k, v in values.items()}
    return state | dict(trainer.extra())


def assert_same(ours: Trainer, theirs: Trainer) -> None:
    mine, other = tensors(ours), tensors(theirs)
    assert mine.keys() == other.keys()
    assert [key for key in mine if not torch.equal(mine[key], other[key])] == []


def test_a_killed_run_goes_on_as_if_nothing_had_happened(discs: Path, tmp_path: Path) -> None:
    whole = fresh()
    train(whole, AUTOENCODER, discs, tmp_path / "whole")
    root = Path(tiny_runs.__file__).parents[3]
    command = [sys.executable, tiny_runs.__file__, str(discs), str(tmp_path / "killed"), "5"]
    killed = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(root)}, check=False, timeout=600)
    assert killed.returncode == -signal.SIGKILL
    assert [line["step"] for line in trace(tmp_path / "killed")] == [1, 2, 3, 4, 5]
    found = read_stamp(tmp_path / "killed")
    assert found is not None and found.step == 4
    events: list[Event] = []
    torch.manual_seed(999)  # whatever else drew random numbers before
    resumed = GeneratorTrainer(AUTOENCODER, CPU)
    result = train(resumed, AUTOENCODER, discs, tmp_path / "killed", on_event=events.append)
    assert result.step == 6
    assert events[0] == Notice(message=f"resuming {tmp_path / 'killed'} at step 4")
    assert trace(tmp_path / "killed") == trace(tmp_path / "whole")
    assert_same(resumed, whole)
    ours, theirs = (tmp_path / name / "generator.safetensors" for name in ("killed", "whole"))
    assert ours.read_bytes() == theirs.read_bytes()


def adversarial_trainer(seed: int) -> Trainer:
    return fresh(ADVERSARIAL, seed)


def encoder_trainer(seed: int) -> Trainer:
    torch.manual_seed(0)
    generator = Generator(tiny_runs.GENERATOR)
    torch.manual_seed(seed)
    return EncoderTrainer(INVERSION, generator, CPU)


@pytest.mark.parametrize(("make", "config"), [(adversarial_trainer, ADVERSARIAL), (encoder_trainer, INVERSION)])
def test_every_kind_of_run_can_be_resumed(make: Any, config: Any, discs: Path, tmp_path: Path) -> None:
    whole = make(0)
    train(whole, config, discs, tmp_path / "whole")
    first = dataclasses.replace(config, run=dataclasses.replace(config.run, steps=4))
    stopped = make(0)
    step = stopped.step

    def interrupted(batch: Any, number: int) -> dict[str, float]:
        if number == first.run.steps:
            raise KeyboardInterrupt
        return step(batch, number)  # type: ignore[no-any-return]

    stopped.step = interrupted
    with pytest.raises(KeyboardInterrupt):
        train(stopped, config, discs, tmp_path / "stopped")
    resumed = make(5)  # other weights to begin with: all must come from the checkpoint
    train(resumed, config, discs, tmp_path / "stopped")
    assert_same(resumed, whole)
    assert trace(tmp_path / "stopped") == trace(tmp_path / "whole")


def test_a_finished_run_only_exports_again(discs: Path, tmp_path: Path) -> None:
    train(fresh(), AUTOENCODER, discs, tmp_path)
    before = (tmp_path / FILE).read_bytes(), (tmp_path / "generator.safetensors").read_bytes(), trace(tmp_path)
    (tmp_path / "generator.safetensors").unlink()
    result = train(fresh(seed=3), AUTOENCODER, discs, tmp_path)
    assert result.step == 6 and result.files == (tmp_path / "generator.safetensors",)
    assert before == (
        (tmp_path / FILE).read_bytes(),
        (tmp_path / "generator.safetensors").read_bytes(),
        trace(tmp_path),
    )


def test_a_checkpoint_of_another_run_is_refused(discs: Path, tmp_path: Path) -> None:
    train(fresh(), AUTOENCODER, discs, tmp_path)
    kept = (tmp_path / FILE).read_bytes()
    other = dataclasses.replace(AUTOENCODER, run=dataclasses.replace(AUTOENCODER.run, batch=8, steps=9))
    with pytest.raises(UsageError, match=r"has another run\.batch, run\.steps"):
        train(fresh(other), other, discs, tmp_path)
    with pytest.raises(UsageError, match="has another seed"):
        train(fresh(), AUTOENCODER, discs, tmp_path, seed=1)
    more = write_shard(tmp_path / "more.npz", 24)
    with pytest.raises(UsageError, match="have changed: 20 pictures then, 24 now") as caught:
        train(fresh(), AUTOENCODER, more, tmp_path)
    assert f"--start {tmp_path}" in caught.value.hint
    retouched = write_shard(tmp_path / "discs.npz", 20, seed=1)
    with pytest.raises(UsageError, match="have changed: files have other names or lengths now"):
        train(fresh(), AUTOENCODER, retouched, tmp_path)
    with pytest.raises(UsageError, match="already holds a run at step 6"):
        train(fresh(), AUTOENCODER, discs, tmp_path, resume=False)
    assert (tmp_path / FILE).read_bytes() == kept


def test_a_run_folder_that_cannot_be_made(discs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file cannot be a run folder"):
        train(fresh(), AUTOENCODER, discs, tmp_path / "file")


def test_a_loss_that_is_no_number_stops_the_run(discs: Path, tmp_path: Path) -> None:
    trainer = fresh()
    trainer.step = lambda _batch, step: {"loss": math.nan if step == 3 else 1.0}  # type: ignore[method-assign]
    with pytest.raises(DivergedError, match="the training has diverged at step 4: loss is no number") as caught:
        train(trainer, AUTOENCODER, discs, tmp_path)
    assert caught.value.exit_code == 3 and "--start" in caught.value.hint
    found = read_stamp(tmp_path)
    assert found is not None and found.step == 2


def test_weights_that_are_no_numbers_are_not_kept(discs: Path, tmp_path: Path) -> None:
    trainer = fresh()
    step = trainer.step

    def spoilt(batch: Any, number: int) -> dict[str, float]:
        values = step(batch, number)
        if number == 3:
            with torch.no_grad():
                next(iter(trainer.generator.parameters())).fill_(math.inf)
        return values

    trainer.step = spoilt  # type: ignore[method-assign]
    with pytest.raises(DivergedError, match="diverged at step 4: the weights of generator"):
        train(trainer, AUTOENCODER, discs, tmp_path)
    found = read_stamp(tmp_path)
    assert found is not None and found.step == 2


@pytest.mark.parametrize("full", ["checkpoint.safetensors", "log.jsonl"])
def test_a_full_disk_keeps_the_checkpoint_before(
    full: str, discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = fresh(), fresh()
    train(whole, AUTOENCODER, discs, tmp_path / "whole")
    step, write, is_full = stopped.step, os.write, False
    plain_open = Path.open

    def watched(batch: Any, number: int) -> dict[str, float]:
        nonlocal is_full
        is_full = number >= 3
        return step(batch, number)

    def write_little(handle: int, data: Any) -> int:
        if is_full and full.endswith(".safetensors"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data)

    def open_full(path: Path, mode: str = "r", **options: Any) -> Any:
        if is_full and path.name == full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain_open(path, mode, **options)

    stopped.step = watched  # type: ignore[method-assign]
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write_little)
        patched.setattr(Path, "open", open_full)
        with pytest.raises(OutputError, match=rf"(no space left|No space left).*|{full}") as caught:
            train(stopped, AUTOENCODER, discs, tmp_path / "run")
        assert full in caught.value.message and caught.value.hint.endswith("the run goes on from step 2")
    assert not list((tmp_path / "run").glob("*.part"))
    resumed = fresh(seed=5)
    train(resumed, AUTOENCODER, discs, tmp_path / "run")
    assert_same(resumed, whole)
    assert trace(tmp_path / "run") == trace(tmp_path / "whole")


def test_round_trip_of_weights_optimisers_and_stamp(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3)).to(
        memory_format=torch.channels_last
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
    network(torch.randn(2, 2, 5, 5)).square().sum().backward()
    optimiser.step()
    stamp = Stamp(step=7, config="{}", seed=3, pictures=11)
    parts: dict[str, Any] = {"modules": {"net": network}, "optimisers": {"adam": optimiser}}
    save_checkpoint(tmp_path, stamp, **parts, extra={"mean": torch.tensor(2.5)})
    assert read_stamp(tmp_path) == stamp
    expected = {k: v.clone() for k, v in network.state_dict().items()}
    moments = [{k: v.clone() for k, v in s.items()} for s in optimiser.state_dict()["state"].values()]
    for _ in range(3):
        network(torch.randn(2, 2, 5, 5)).square().sum().backward()
        optimiser.step()
    assert load_checkpoint(tmp_path, **parts)["mean"] == 2.5
    assert all(torch.equal(v, expected[k]) for k, v in network.state_dict().items())
    for found, wanted in zip(optimiser.state_dict()["state"].values(), moments, strict=True):
        assert found.keys() == wanted.keys() and all(torch.equal(found[k], wanted[k]) for k in wanted)
    average = optimiser.state[network[0].weight]["exp_avg"]
    assert average.stride() == network[0].weight.stride()
    assert read_stamp(tmp_path / "absent") is None


def test_one_network_of_another_run(discs: Path, tmp_path: Path) -> None:
    trainer = fresh()
    train(trainer, AUTOENCODER, discs, tmp_path)
    path = tmp_path / FILE
    assert module_names(path) == {"generator", "generator_average", "encoder", "encoder_average"}
    other = fresh(seed=4)
    load_module(path, "encoder", other.modules()["encoder"])
    ours, theirs = (t.modules()["encoder"].state_dict() for t in (other, trainer))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    with pytest.raises(UsageError, match="holds no network 'discriminator'"):
        load_module(path, "discriminator", other.modules()["encoder"])
    with pytest.raises(UsageError, match="has other sizes"):
        load_module(path, "generator", other.modules()["encoder"])


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / FILE)
    with pytest.raises(IntegrityError, match="is not a training checkpoint"):
        read_stamp(tmp_path)
    (tmp_path / FILE).write_bytes(b"short")
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_stamp(tmp_path)


def test_the_log_keeps_its_clock_and_drops_what_will_be_done_again(tmp_path: Path) -> None:
    lines = [{"step": s, "seconds": 10.0 * s, "loss": 1.0} for s in (1, 2, 3)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 4, "sec')
    log = RunLog(tmp_path, step=2)
    log.write(3, {"loss": 0.5})
    found = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert found[:2] == lines[:2] and (found[2]["step"], found[2]["loss"]) == (3, 0.5)
    assert 20 <= found[2]["seconds"] < 25


def test_rates_rise_stay_and_fall() -> None:
    rates = [falling_rate(2.0, step, 100, 10, 0.6) for step in range(100)]
    assert rates[0] == pytest.approx(0.2) and rates[9:61] == pytest.approx([2.0] * 52)
    assert rates[80] == pytest.approx(1.0) and rates[99] < 0.01
    assert all(a > b for a, b in itertools.pairwise(rates[60:]))
    assert [falling_rate(2.0, step, 10, 0, 1.0) for step in range(10)] == [2.0] * 10


def test_every_step_of_every_run_has_a_seed_of_its_own() -> None:
    seeds = {step_seed(seed, step) for seed in range(20) for step in range(2000)}
    assert len(seeds) == 40_000 and all(0 <= s < 2**63 for s in seeds)


def test_what_is_written_when(discs: Path, tmp_path: Path) -> None:
    run = RunConfig(steps=5, batch=4, log_every=2, sample_every=3, checkpoint_every=4, validate_every=3, held_out=6)
    config = dataclasses.replace(AUTOENCODER, run=run)
    result = train(fresh(config), config, discs, tmp_path)
    assert [line["step"] for line in trace(tmp_path)] == [2, 3, 4, 5, 5]
    assert trace(tmp_path)[1].keys() == {"step", "held_out/mse_w", "held_out/mse_w_plus", "held_out/mse_z"}
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == ["0000003.png", "0000005.png"]
    stamp = read_stamp(tmp_path)
    content = PictureSource([discs], SIDE).fingerprint
    assert stamp == Stamp(step=5, config=to_json(config), seed=0, pictures=20, content=content)
    assert result.values.keys() == {"autoencode", "pair_latent"}


def test_a_snapshot_that_a_kill_cut_off_is_made_again(
    discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(AUTOENCODER, run=dataclasses.replace(RUN, steps=4, snapshot_every=2))
    train(fresh(config), config, discs, tmp_path / "whole")
    trainer = fresh(config)
    export = trainer.export

    def half(folder: Path) -> list[Path]:
        for path in export(folder)[1:]:
            path.unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "export", half)
    with pytest.raises(KeyboardInterrupt):
        train(trainer, config, discs, tmp_path / "cut")
    train(fresh(config), config, discs, tmp_path / "cut")
    whole, cut = ({p.relative_to(f): p.read_bytes() for p in (f / "snapshots").rglob("*.safetensors")} for f in
                  (tmp_path / "whole", tmp_path / "cut"))  # fmt: skip
    assert len(whole) >= 2 and cut == whole
