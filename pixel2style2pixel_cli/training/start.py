"""From a command to a running training: configuration, data, networks, the check before the first step."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pixel2style2pixel_cli.device import resolve_device
from pixel2style2pixel_cli.engine.loading import (
    load_encoder,
    load_encoder_file,
    load_generator_file,
    load_model,
    locate_generator,
)
from pixel2style2pixel_cli.errors import P2S2PError, UsageError
from pixel2style2pixel_cli.events import Notice, OnEvent
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.training.auxiliary import find_lite_trunk, find_networks
from pixel2style2pixel_cli.training.card import write_encoder_card, write_generator_card
from pixel2style2pixel_cli.training.check import check_run
from pixel2style2pixel_cli.training.checkpoint import FILE, load_module, module_names, read_stamp
from pixel2style2pixel_cli.training.config import EncoderTraining, RunConfig
from pixel2style2pixel_cli.training.data import LabelUse, PictureSource
from pixel2style2pixel_cli.training.encoder import EncoderTrainer
from pixel2style2pixel_cli.training.fit import Asked, fit_to_data, fit_to_generator, fit_to_task, open_pictures
from pixel2style2pixel_cli.training.generator import GeneratorTrainer
from pixel2style2pixel_cli.training.grow import begin_joint, fill_trunk, networks_of
from pixel2style2pixel_cli.training.joint import JointTrainer
from pixel2style2pixel_cli.training.joint_config import JointTraining, load_generator_training
from pixel2style2pixel_cli.training.lock import hold_run
from pixel2style2pixel_cli.training.loop import Trainer, report_news, run_training
from pixel2style2pixel_cli.training.memory import require_memory
from pixel2style2pixel_cli.training.residual import ResidualTrainer
from pixel2style2pixel_cli.training.tables import to_json
from pixel2style2pixel_cli.weights.header import read_weight_header
from pixel2style2pixel_cli.zoo.find import find_card
from pixel2style2pixel_cli.zoo.resolve import resolve


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What both kinds of run share: pictures, the run folder, the seed, what to do with an earlier run."""

    source: PictureSource
    out: Path
    seed: int
    resume: bool
    check: bool
    minutes: float | None
    compiled: bool = False
    on_event: OnEvent


def start_generator(
    data: Sequence[str | Path],
    out: Path,
    *,
    preset: str,
    overrides: Mapping[str, str],
    start: Path | None,
    device: str,
    seed: int,
    resume: bool,
    check: bool,
    on_event: OnEvent,
    minutes: float | None = None,
    compiled: bool = False,
) -> dict[str, Any]:
    """Train a generator, or check that it can be trained; ``start``: a run or a model whose networks it begins with."""
    if compiled:
        raise UsageError(
            "a generator's training takes gradients of gradients, which compiled networks do not have",
            "leave out --compile",
        )
    config = load_generator_training(preset, dict(overrides))
    chosen = resolve_device(device)
    if isinstance(config, JointTraining):
        source = PictureSource(data, config.generator.resolution, out=out)
        config = fit_to_data(config, overrides, source, on_event)
        torch.manual_seed(seed)
        job = Job(source=source, out=out, seed=seed, resume=resume, check=check, minutes=minutes, on_event=on_event)
        result = run_job(_joint_trainer(config, chosen, job, start), config.run, to_json(config), job)
        if not check:
            read = EncoderTraining(encoder=config.encoder)
            write_encoder_card(out, read, out / "generator.safetensors", None)
        return result
    losses = config.losses
    labels: LabelUse = "required" if losses.detail else "found" if losses.cartoon else "unused"
    source = PictureSource(data, config.generator.resolution, labels=labels, out=out)
    config = fit_to_data(config, overrides, source, on_event)
    uses_pairs = bool(losses.pair_latent or losses.pair_image or config.mapping)
    if uses_pairs and source.z_dim != config.generator.z_dim:
        raise UsageError(
            f"the data hold vectors of length {source.z_dim}, the generator's z has {config.generator.z_dim}",
            "set generator.z_dim, or do without losses.pair_latent, losses.pair_image and [mapping]",
        )
    torch.manual_seed(seed)
    trainer = GeneratorTrainer(config, chosen)
    if start is not None:
        _start_modules(start, trainer, on_event)
        trainer.keep_original()
    elif config.encoder is not None and not config.rates.encoder and read_stamp(out) is None:
        on_event(Notice(message="the encoder stays as it was drawn at random: rates.encoder is 0", level="warning"))
    if config.mapping is not None and not check and read_stamp(out) is None:
        found = trainer.fit_mapping(source, config.mapping, on_event)
        on_event(Notice(message="mapping network fitted: " + ", ".join(f"{k} {v:.4g}" for k, v in found.items())))
    job = Job(source=source, out=out, seed=seed, resume=resume, check=check, minutes=minutes, on_event=on_event)
    result = run_job(trainer, config.run, to_json(config), job)
    if not check and trainer.runtime.main:
        write_generator_card(out, config.generator)
    return result


def start_encoder(
    data: Sequence[str | Path],
    out: Path,
    *,
    generator: str,
    asked: Asked,
    teacher: str | None,
    start: Path | None,
    device: str,
    seed: int,
    resume: bool,
    check: bool,
    on_event: OnEvent,
    minutes: float | None = None,
    compiled: bool = False,
) -> dict[str, Any]:
    """Train an encoder for a frozen generator, or check it; ``start`` is a run whose encoder it begins with."""
    config = fit_to_task(asked, on_event)
    chosen = resolve_device(device)
    path, lender = locate_generator(generator)
    expect = None if lender is None else lender.generator
    frozen, digest = load_generator_file(path, torch.device("cpu"), torch.float32, expect=expect)
    config = fit_to_generator(config, asked, frozen, on_event)
    if (teacher is None) == bool(config.losses.code):
        alone = "--teacher is given but losses.code is 0"
        what = "losses.code has a weight but --teacher is not given" if teacher is None else alone
        raise UsageError(what, "use both: --set losses.code=1 --teacher NAME, where NAME is an inversion model")
    source = open_pictures(data, asked, config, frozen.spec.resolution, out)
    config = fit_to_data(config, asked.overrides, source, on_event)
    networks, losses = find_networks(config.losses)
    config = replace(config, losses=losses)
    pretrained = find_lite_trunk() if config.encoder.kind.startswith("lite") and start is None else None
    torch.manual_seed(seed)
    taught = None if teacher is None else _find_teacher(teacher, frozen)
    kind_of = ResidualTrainer if config.encoder.residual else EncoderTrainer
    trainer = kind_of(config, frozen, chosen, networks=networks, teacher=taught, generator_digest=digest)
    if pretrained is not None:
        fill_trunk(trainer.encoder, pretrained)
    if start is None and config.task.heads == "kept":
        raise UsageError("task.heads are kept, but no run is named to keep them from", "add --start RUNDIR")
    if start is not None:
        _start_encoder(trainer, start, digest)
        on_event(Notice(message=f"encoder starts from {start}"))
    _announce_schedule(trainer, on_event)
    job = Job(
        source=source,
        out=out,
        seed=seed,
        resume=resume,
        check=check,
        minutes=minutes,
        on_event=on_event,
        compiled=compiled,
    )
    result = run_job(trainer, config.run, to_json(config), job)
    if not check and trainer.runtime.main:
        write_encoder_card(out, config, path, lender, task=asked.task)
    return result


def _announce_schedule(trainer: EncoderTrainer, on_event: OnEvent) -> None:
    """Say what comes when in a run whose offsets open and close, and whether the run is too short for it."""
    if trainer.offsets is None:
        return
    schedule, steps = trainer.offsets.schedule, trainer.config.run.steps
    end = schedule.stage(steps - 1)
    space = "W" if end == 0 else f"W+, {end} of {schedule.n_styles - 1} offsets open"
    late = schedule.settled >= steps
    more = f"; the schedule ends at step {schedule.settled}, the run at {steps}" if late else ""
    on_event(Notice(message=f"the run ends in {space}{more}", level="warning" if late else "info"))


def _start_encoder(trainer: EncoderTrainer, start: Path, digest: str) -> None:
    """Begin with the encoder of a run folder, or of a model by its name."""
    if (start / FILE).is_file() or not _is_model(start):
        trainer.take_over(checkpoint_of(start))
        return
    installed = resolve(find_card(str(start)))
    encoder = load_encoder(installed, trainer.generator)
    state = encoder.state_dict()
    if read_weight_header(installed.files["generator"]).digest != digest:
        state["latent_avg"] = trainer.encoder.latent_avg
    trainer.begin_with(state, encoder.spec.kind, start)


def _is_model(name: Path) -> bool:
    try:
        return bool(find_card(str(name)))
    except P2S2PError:
        return False


def _joint_trainer(config: JointTraining, device: torch.device, job: Job, start: Path | None) -> JointTrainer:
    """Networks of a joint run before its first step; where the run is resumed, the checkpoint replaces them."""
    trainer = JointTrainer(config, find_lite_trunk(), device)
    if read_stamp(job.out) is not None:
        return trainer
    fill_trunk(trainer.encoder, trainer.trunk)
    if start is not None:
        begin_joint(trainer, _networks(start), start, job.on_event)
    if config.mapping is not None and not job.check:
        found = trainer.fit_mapping(job.source, config.mapping, job.on_event)
        report = ", ".join(f"{k} {v:.4g}" for k, v in found.items())
        job.on_event(Notice(message="mapping network fitted: " + report))
    trainer.copy_to_averages()
    return trainer


def _networks(start: Path) -> Mapping[str, Mapping[str, Tensor]]:
    """The networks of a run folder, or generator and encoder of a model by its name."""
    if (start / FILE).is_file() or not _is_model(start):
        return networks_of(checkpoint_of(start))
    model = load_model(resolve(find_card(str(start))), torch.device("cpu"), torch.float32)
    return {"generator": model.generator.state_dict(), "encoder": model.encoder.state_dict()}


def run_job(trainer: Trainer, run: RunConfig, config: str, job: Job) -> dict[str, Any]:
    if job.check and trainer.runtime.processes > 1:
        raise UsageError("--check tries out one process", "start it without torchrun or accelerate launch")
    if job.check:
        return check_run(trainer, run, job.source, job.out, seed=job.seed, on_event=job.on_event)
    report_news(job.source, job.on_event)
    require_memory(trainer, run, job.source)
    if job.compiled:
        trainer.compile()
    # Of several processes that train together the first one holds the folder for all.
    with hold_run(job.out) if trainer.runtime.main else contextlib.nullcontext():
        result = run_training(
            trainer, run, config, job.source, job.out, seed=job.seed, resume=job.resume, on_event=job.on_event,
            minutes=job.minutes,
        )  # fmt: skip
    job.source.learn_of_broken(trainer.runtime.collect(job.source.broken))
    report_news(job.source, job.on_event)
    left_out = {"left_out": job.source.left_out} if job.source.left_out else {}
    return {"step": result.step, **result.values, **left_out, "files": [str(path) for path in result.files]}


def _find_teacher(name: str, generator: Generator) -> Encoder:
    """The encoder of an inversion model, or of a run folder, for this generator."""
    path = Path(name) / "encoder.safetensors"
    if path.is_file() and not (Path(name) / "model.toml").is_file():
        spec = read_weight_header(path).encoder_spec()
        if spec.input_channels == 3:
            return load_encoder_file(path, spec, generator)
        raise UsageError(f"the encoder in {name} reads {spec.input_channels} channels", "name an inversion model")
    card = find_card(name)
    installed = resolve(card)
    if card.input.kind != "photo" or installed.encoder is None or installed.encoder.residual:
        raise UsageError(
            f"the encoder of {name} does not read photographs alone", "name an inversion model that is no ReStyle"
        )
    return load_encoder(installed, generator)


def _start_modules(start: Path, trainer: Trainer, on_event: OnEvent) -> None:
    """Every network that the other run, or the model, has too begins where that one is: at its average, if any."""
    modules = trainer.modules()
    if not (start / FILE).is_file() and _is_model(start):
        states = _networks(start)
        shared = [name for name in modules if name.removesuffix("_average") in states]
        for name in shared:
            load_module(start, name, modules[name], states[name.removesuffix("_average")])
    else:
        path = checkpoint_of(start)
        found = module_names(path)
        shared = [name for name in modules if name in found]
        if not shared:
            raise UsageError(f"the run {start} holds none of {', '.join(modules)}", "start from the run of a generator")
        for name in shared:
            average = f"{name}_average"
            load_module(path, average if average in found else name, modules[name])
    on_event(Notice(message=f"from {start}: {', '.join(shared)}"))


def checkpoint_of(run: Path) -> Path:
    path = run / FILE
    if not path.is_file():
        raise UsageError(f"no checkpoint in {run}", "name the folder of another run, or a model that is installed")
    return path
