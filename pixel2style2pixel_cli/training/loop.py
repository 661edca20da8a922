"""The loop every training run shares: data, steps, log, samples, checkpoints, resume."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from pixel2style2pixel_cli.device import keep_freed_memory
from pixel2style2pixel_cli.errors import DivergedError, OutputError, UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent, Progress
from pixel2style2pixel_cli.training.board import Board
from pixel2style2pixel_cli.training.checkpoint import Stamp, load_checkpoint, read_stamp, save_checkpoint
from pixel2style2pixel_cli.training.config import RunConfig
from pixel2style2pixel_cli.training.data import (
    Batch,
    PictureSource,
    held_out_batches,
    preview_batch,
    training_batches,
)
from pixel2style2pixel_cli.training.log import Row, RunLog, sheet_of, write_sheet
from pixel2style2pixel_cli.training.runtime import Runtime
from pixel2style2pixel_cli.training.share import Share
from pixel2style2pixel_cli.training.tables import differing_keys

# Below the run folder: one folder per snapshot, named by its step.
SNAPSHOTS = "snapshots"


class Trainer(Protocol):
    """One kind of run: owns networks and optimisers, makes one step, draws samples, exports the result."""

    device: torch.device
    runtime: Runtime

    def compile(self) -> None: ...

    def modules(self) -> Mapping[str, nn.Module]: ...

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]: ...

    def extra(self) -> Mapping[str, Tensor]: ...

    def load_extra(self, extra: Mapping[str, Tensor]) -> None: ...

    def step(self, batch: Batch, step: int) -> dict[str, float]: ...

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]: ...

    def samples(self, batch: Batch) -> Sequence[Row]: ...

    def export(self, folder: Path) -> list[Path]: ...


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where a run ended."""

    step: int
    values: dict[str, float]
    files: tuple[Path, ...]


def run_training(
    trainer: Trainer,
    config: RunConfig,
    config_json: str,
    source: PictureSource,
    folder: Path,
    *,
    seed: int,
    resume: bool,
    on_event: OnEvent,
    minutes: float | None = None,
) -> RunResult:
    """Train until ``config.steps``, going on from the checkpoint in ``folder`` if it has the same configuration.

    After so many ``minutes`` it stops as at its end, and the same call again goes on from there. Every step draws its
    random numbers from the seed and its own number: a run that was killed and resumed computes what an uninterrupted
    one does.
    """
    keep_freed_memory()
    runtime = trainer.runtime
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be a run folder: {error.strerror}", "choose another --out") from error
    wanted = Stamp(step=0, config=config_json, seed=seed, pictures=len(source), content=source.fingerprint)
    start = _resume(trainer, wanted, folder, resume, on_event)
    batches = training_batches(
        source, batch=config.batch, seed=seed, start=start, held_out=config.held_out, flip=config.flip,
        share=Share(runtime.rank, runtime.processes),
    )  # fmt: skip
    records = _Records(trainer, config, source, folder, wanted, start, on_event) if runtime.main else None
    values: dict[str, float] = {}
    done = start
    until = math.inf if minutes is None else time.monotonic() + 60 * minutes
    for step, batch in zip(range(start, config.steps), batches, strict=False):
        torch.manual_seed(step_seed(seed, step))
        values = runtime.reduce(trainer.step(batch, step))
        done = step + 1
        report_news(source, on_event)
        require_finite(values, done)
        over = minutes is not None and runtime.decide(time.monotonic() >= until)
        last = done == config.steps or over
        if records is not None:
            records.write(done, values, last=last)
        if last:
            break
    # The others have nothing to write, and what they would write is what the main process does.
    files = tuple(trainer.export(folder)) if runtime.main else ()
    runtime.wait()
    return RunResult(done, values, files)


class _Records:
    """What a run leaves in its folder: log, curves, sample sheets, checkpoints, snapshots."""

    def __init__(
        self,
        trainer: Trainer,
        config: RunConfig,
        source: PictureSource,
        folder: Path,
        stamp: Stamp,
        start: int,
        on_event: OnEvent,
    ) -> None:
        self.trainer, self.config, self.source, self.folder = trainer, config, source, folder
        self.stamp, self.log, self.on_event = stamp, RunLog(folder, step=start), on_event
        self.board = Board(folder, step=start, on_event=on_event)
        self.preview = preview_batch(source, config.held_out)
        self._told = (start, time.monotonic())

    def write(self, done: int, values: Mapping[str, float], *, last: bool) -> None:
        """Whatever is due after so many steps; all of it after the last one.

        OutputError where the disk is full or cannot be written to: the checkpoint before stays.
        """
        try:
            self._write(done, values, last=last)
        except OutputError as error:
            kept = read_stamp(self.folder)
            begin = "begins anew" if kept is None else f"goes on from step {kept.step}"
            hint = f"free some space, or mend the disk, then type the same command: the run {begin}"
            raise OutputError(error.message, hint) from error

    def _write(self, done: int, values: Mapping[str, float], *, last: bool) -> None:
        trainer, config = self.trainer, self.config
        if done % config.log_every == 0 or last:
            self._note(done, values)
            label = f"{self._rate(done):.3g} pictures/s, {_summarise(values)}"
            self.on_event(Progress(done=done, total=config.steps, label=label))
        if config.held_out and (done % config.validate_every == 0 or last):
            validation = trainer.validate(_held_out(self.source, config))
            if validation:  # the adversarial game alone has nothing to compare
                self._note(done, {f"held_out/{k}": v for k, v in validation.items()})
                self.on_event(Notice(message=f"step {done}, held out: {_summarise(validation)}"))
        if done % config.sample_every == 0 or last:
            sheet = sheet_of(trainer.samples(self.preview))
            write_sheet(self.folder, f"{done:07d}", sheet)
            self.board.show(done, sheet)
        self.log.draw(last=last)
        if config.snapshot_every and done % config.snapshot_every == 0:
            # Before the checkpoint, and whatever is there: a run that is killed meanwhile makes this step again.
            trainer.export(self.folder / SNAPSHOTS / f"{done:07d}")
        if done % config.checkpoint_every == 0 or last:
            modules, optimisers, extra = trainer.modules(), trainer.optimisers(), trainer.extra()
            require_finite(_spoilt(modules), done)
            stamp = replace(self.stamp, step=done)
            save_checkpoint(self.folder, stamp, modules=modules, optimisers=optimisers, extra=extra)
        if last:
            self.board.close()

    def _note(self, done: int, values: Mapping[str, float]) -> None:
        self.log.write(done, values)
        self.board.write(done, values)

    def _rate(self, done: int) -> float:
        """Pictures a second since this was asked last."""
        (before, then), now = self._told, time.monotonic()
        self._told = (done, now)
        return (done - before) * self.config.batch / max(now - then, 1e-9)


def require_finite(values: Mapping[str, float], step: int) -> None:
    """Raise DivergedError where what a step says of itself is no number; the last checkpoint is from before it."""
    lost = [name for name, value in values.items() if not math.isfinite(value)]
    if lost:
        verb = "is" if len(lost) == 1 else "are"
        raise DivergedError(
            f"the training has diverged at step {step}: {', '.join(lost)} {verb} no number",
            "lower its rates (--set rates.NAME=VALUE) and train into another --out; --start RUNDIR begins with what "
            "this run has saved",
        )


def _spoilt(modules: Mapping[str, nn.Module]) -> dict[str, float]:
    """The networks with weights that are no numbers: a step may spoil them after its losses were found."""
    sound = {n: all(bool(p.isfinite().all()) for p in module.parameters()) for n, module in modules.items()}
    return {f"the weights of {name}": math.nan for name, fine in sound.items() if not fine}


def _held_out(source: PictureSource, config: RunConfig) -> Iterable[Batch]:
    """The held-out pictures that are looked at on the way: the first of them."""
    batches = held_out_batches(source, batch=config.batch, held_out=config.held_out)
    return itertools.islice(batches, math.ceil(config.validate_pictures / config.batch))


def step_seed(seed: int, step: int) -> int:
    """Seed of one step: distinct for every pair in practice."""
    return (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9) % 2**63


def falling_rate(rate: float, step: int, steps: int, warm_up: int, fall_from: float) -> float:
    """Linear warm-up, then constant, then a cosine fall to zero from ``fall_from`` (share of steps) on."""
    factor = min(1.0, (step + 1) / warm_up) if warm_up else 1.0
    progress = step / steps
    if fall_from < 1.0 and progress > fall_from:
        factor *= 0.5 * (1 + math.cos(math.pi * (progress - fall_from) / (1 - fall_from)))
    return rate * factor


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of every group."""
    for group in optimiser.param_groups:
        group["lr"] = rate


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Exponential moving average of the parameters; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - decay)
    for kept, current in zip(average.buffers(), module.buffers(), strict=True):
        kept.copy_(current)


def _resume(trainer: Trainer, wanted: Stamp, folder: Path, resume: bool, on_event: OnEvent) -> int:
    found = read_stamp(folder)
    if found is None:
        return 0
    if not resume:
        raise UsageError(
            f"{folder} already holds a run at step {found.step}", "choose another --out, or leave out --no-resume"
        )
    differences = differing_keys(found.config, wanted.config)
    differences += ["seed"] if found.seed not in (None, wanted.seed) else []
    if not differences:
        _check_data(found, wanted, folder)
    if differences:
        raise UsageError(
            f"the run in {folder} has another {', '.join(differences)}", "choose another --out, or the same settings"
        )
    trainer.load_extra(load_checkpoint(folder, modules=trainer.modules(), optimisers=trainer.optimisers()))
    on_event(Notice(message=f"resuming {folder} at step {found.step}"))
    return found.step


def _check_data(found: Stamp, wanted: Stamp, folder: Path) -> None:
    """Raise UsageError where the data are others than those that a run began with."""
    if found.pictures not in (None, wanted.pictures):
        what = f"{found.pictures} pictures then, {wanted.pictures} now"
    elif found.content not in (None, wanted.content):
        what = "files have other names or lengths now"
    else:
        return
    raise UsageError(
        f"the data of the run in {folder} have changed: {what}",
        f"give the data it began with, or type --start {folder} with another --out to go on from its networks",
    )


def report_news(source: PictureSource, on_event: OnEvent) -> None:
    """Say which pictures were left out since the last time."""
    for sentence in source.take_news():
        on_event(Notice(message=sentence, level="warning"))


def _summarise(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
