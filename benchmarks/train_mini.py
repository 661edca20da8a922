"""The bundled models on one graphics card in minutes: generator and encoder together, then each task's encoder.

    python benchmarks/train_mini.py --renders renders --start RUN --out out --seconds 340 --encoders 170

``renders`` is a folder that ``renders.py`` fills, which may still be at it. Everything lies on the card; lengths are
given in seconds, and the falling of the rates follows the clock. The presets are ``mini-joint``, ``lite-*`` and
``mini-toon``; what differs here is in ``JOINT`` and in the options. The judge, the losses and the steps are the
trainer's own.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from renders import FRONTAL_EVERY, Renders
from torch import Tensor

from pixel2style2pixel_cli.networks.efficientnet_lite import LiteSpec, LiteTrunk
from pixel2style2pixel_cli.networks.families import ENCODER_FAMILIES
from pixel2style2pixel_cli.networks.lite import LiteEncoder
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.seeds import torch_generator
from pixel2style2pixel_cli.training.config import Augmentation, EncoderTraining, GeneratorTraining, load_training
from pixel2style2pixel_cli.training.data import Batch
from pixel2style2pixel_cli.training.encoder import EncoderTrainer
from pixel2style2pixel_cli.training.generator import AVERAGE_DRAWS, AVERAGE_SEED, GeneratorTrainer
from pixel2style2pixel_cli.training.grow import grow_generator, grow_heads
from pixel2style2pixel_cli.training.joint import JointTrainer
from pixel2style2pixel_cli.training.joint_config import load_generator_training
from pixel2style2pixel_cli.training.log import sheet_of, write_sheet

# What differs from the preset: the size, and lengths for a card that sees a hundred times as many pictures.
JOINT = {
    "generator.resolution": "256", "joint.head_start": "3000",
    "joint.reconstructions": "{start=0.0, end=1.0, images=20000, after=3000}",
    "joint.samples": "{start=0.0, end=0.8, images=20000, after=3000}",
    "shown.blur": "{start=1.5, end=0.0, images=15000}", "rates.ema_images": "10000", "rates.ema_images_slow": "30000",
    "rates.judge": "0.0015", "spectrum.look_every": "10", "spectrum.decide_every": "60", "spectrum.most": "1.2",
}  # fmt: skip
TASKS = {
    "invert": "photo", "frontalize": "photo", "seg2face": "labels", "sketch2face": "sketch", "superres": "lowres",
    "inpaint": "masked",
}  # fmt: skip
# The first renders are only measured with.
HELD_OUT = 256
SHARED = ENCODER_FAMILIES["lite"].shared


class OnCard:
    """Renders as bytes on the device, as far as they are drawn; random batches of them."""

    def __init__(self, renders: Renders, names: Sequence[str], device: torch.device, first: int, count: int) -> None:
        self.renders, self.device, self.first, self.count = renders, device, first, count
        self._disk = {name: renders.array(name) for name in ("done", "z", *names)}
        self._card = {name: torch.empty((count, *self._disk[name].shape[1:]), dtype=torch.uint8, device=device)
                      for name in names if name != "frontal"}  # fmt: skip
        if "frontal" in names:
            shape = self._disk["frontal"].shape[1:]
            self._card["frontal"] = torch.empty((count // FRONTAL_EVERY + 1, *shape), dtype=torch.uint8, device=device)
        self.z = torch.zeros(count, self._disk["z"].shape[1])
        self.there = torch.zeros(count, dtype=torch.bool)
        self.refresh()

    def refresh(self, most: int = 100_000) -> int:
        """Take over what has been drawn since; returns how many pictures there are."""
        done = torch.from_numpy(np.array(self._disk["done"][self.first : self.first + self.count])) == 1
        fresh = (done & ~self.there).nonzero()[:, 0][:most]
        for part in fresh.split(256):
            rows = part.numpy() + self.first
            self.z[part] = torch.from_numpy(self._disk["z"][rows])
            for name, kept in self._card.items():
                if name == "frontal":
                    rows_with = rows[rows % FRONTAL_EVERY == 0]
                    found = torch.from_numpy(self._disk[name][rows_with // FRONTAL_EVERY])
                    kept[torch.from_numpy(rows_with - self.first).to(self.device) // FRONTAL_EVERY] = found.to(
                        self.device
                    )
                else:
                    kept[part.to(self.device)] = torch.from_numpy(self._disk[name][rows]).to(self.device)
        self.there[fresh] = True
        self.trained = self.there.nonzero()[:, 0]
        self.trained = self.trained[self.trained + self.first >= HELD_OUT]
        self.turned = self.trained[(self.trained + self.first) % FRONTAL_EVERY == 0]
        return int(self.there.sum())

    def floats(self, name: str, chosen: Tensor) -> Tensor:
        """Some of the rows (B, C, H, W) in [-1, 1]."""
        kept = self._card[name]
        if name == "frontal":
            chosen = (chosen + self.first) // FRONTAL_EVERY - -(-self.first // FRONTAL_EVERY)
        return kept[chosen.to(self.device)].permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    def raw(self, name: str, chosen: Tensor) -> Tensor:
        """Some of the rows as they are."""
        return self._card[name][chosen.to(self.device)]

    def draw(self, count: int, among: Tensor | None = None) -> Tensor:
        """Numbers of random pictures."""
        among = self.trained if among is None else among
        return among[torch.randint(len(among), (count,))]

    def batch(self, chosen: Tensor, *, mask: bool = False) -> Batch:
        """Pictures with their vectors, and with label maps where asked."""
        labels = self.raw("mask", chosen) if mask else None
        return Batch(self.floats("image", chosen), self.z[chosen], torch.ones(len(chosen), dtype=torch.bool), labels)


class OnCardEncoderTrainer(EncoderTrainer):
    """The trainer of encoders, whose inputs were made beside the renders."""

    data: OnCard
    chosen: Tensor

    def _encoder_batch(self, batch: Batch, strength: Augmentation) -> Tensor:
        kind = TASKS[self.task]
        if kind == "labels":
            return F.one_hot(self.data.raw("labels", self.chosen).long(), 19).permute(0, 3, 1, 2).float()
        x = self.data.floats(kind, self.chosen)
        if kind == "sketch":
            return (x + 1) / 2
        return torch.cat([x[:, :3], (x[:, 3:] > 0).float()], dim=1) if kind == "masked" else x

    def _target(self, batch: Batch) -> Tensor:
        name = "frontal" if self.task == "frontalize" else "image"
        return self.runtime.place(self.data.floats(name, self.chosen))

    task: str


def read_trunk(path: Path) -> LiteTrunk:
    """The pretrained trunk from a file of its tensors."""
    trunk = LiteTrunk(LiteSpec())
    trunk.load_state_dict({key: value.float() for key, value in torch.load(path, weights_only=True).items()})
    return trunk.to(memory_format=torch.channels_last)


def train_joint(args: argparse.Namespace, device: torch.device) -> None:
    """Generator, mapping network and encoder for so many seconds; their averages go to ``joint.pt``."""
    config: Any = load_generator_training(
        "mini-joint", {**JOINT, "run.precision": args.precision, **dict(pair.split("=", 1) for pair in args.set)}
    )
    data = OnCard(Renders.open(args.renders), ["image"], device, 0, args.count)
    trainer = JointTrainer(config, read_trunk(args.trunk), device)
    start = torch.load(args.start, weights_only=True)
    grow_generator(start["generator"], trainer.generator, args.start)
    trainer.encoder.load_state_dict(grow_heads(start["encoder"], trainer.encoder))
    trainer.copy_to_averages()
    began, step, said = time.monotonic(), 0, 0.0
    log: list[dict[str, float]] = []
    while (passed := time.monotonic() - began) < args.seconds and step < args.steps:
        if step % 40 == 0:
            there = data.refresh(1500)
            # The length of the run follows the clock: so many steps there will have been at its end.
            steps = args.steps if passed < 5 else max(step + 1, round(step * args.seconds / passed))
            trainer.config = dataclasses.replace(config, run=dataclasses.replace(config.run, steps=steps))
        torch.manual_seed(step)
        values = trainer.step(data.batch(data.draw(args.batch)), step)
        step += 1
        if passed - said > 10 or step in (1, 2):
            said = passed
            log.append(
                {"seconds": round(passed, 1), "step": step, "images": step * args.batch, "there": there, **values}
            )
            print(json.dumps({k: round(v, 4) for k, v in log[-1].items()}), flush=True)
    with torch.no_grad():
        held = torch.arange(min(HELD_OUT, args.count))
        found = trainer.validate(data.batch(part) for part in held.split(32))
        write_sheet(args.out, "joint", sheet_of(trainer.samples(data.batch(held[:12]))))
    print(json.dumps({"held out": {k: round(v, 4) for k, v in found.items()}, "peak": peak(device)}), flush=True)
    (args.out / "joint.json").write_text(json.dumps({"log": log, "held_out": found, "args": vars(args)}, default=str))
    state = {name: module.state_dict() for name, module in trainer.modules().items()}
    torch.save(state, args.out / "joint.pt")


def peak(device: torch.device) -> float:
    """GiB of the device taken at most."""
    return round(torch.cuda.max_memory_allocated(device) / 2**30, 2) if device.type == "cuda" else 0.0


def networks_of(args: argparse.Namespace, device: torch.device) -> tuple[Generator, LiteEncoder]:
    """The averages of the joint run."""
    config: Any = load_generator_training("mini-joint", dict(JOINT))
    state = torch.load(args.out / "joint.pt", map_location="cpu", weights_only=True)
    generator = Generator(config.generator)
    generator.load_state_dict(state["generator_average"])
    generator.latent_avg.copy_(generator.estimate_latent_avg(AVERAGE_DRAWS, torch_generator(AVERAGE_SEED)))
    encoder = build_encoder(config.encoder, config.generator.n_styles, config.generator.style_dim)
    assert isinstance(encoder, LiteEncoder)
    encoder.load_state_dict(state["encoder_average"])
    return generator.to(device), encoder.to(device)


def train_encoder(args: argparse.Namespace, device: torch.device) -> None:
    """One task's encoder for so many seconds, against the generator of the joint run."""
    task, kind = args.task, TASKS[args.task]
    config = load_training(EncoderTraining, "encoder", f"lite-{task}", {
        "run.precision": args.precision, "losses.draw_every": "1", "rates.ema_images": "4000", "rates.encoder": "8e-4",
        "losses.code": "0" if kind in ("labels", "sketch") or task == "invert" else "0.3",
    })  # fmt: skip
    generator, teacher = networks_of(args, device)
    renders = Renders.open(args.renders)
    drawn = min(args.count, int(renders.array("done").sum()))
    # Another part of the renders for each task, as far as there are so many.
    first = list(TASKS).index(task) * args.each % max(1, drawn - args.each + 1)
    first -= first % FRONTAL_EVERY
    names = ["image", kind] + (["frontal"] if task == "frontalize" else [])
    data = OnCard(renders, names, device, first, min(args.each, drawn))
    trainer = OnCardEncoderTrainer(config, generator, device, networks={"trunk": read_trunk(args.trunk)},
                                   teacher=teacher if config.losses.code else None)  # fmt: skip
    trainer.data, trainer.task = data, task
    own = trainer.encoder.state_dict()
    state = {key: value for key, value in own.items() if key.startswith("adapter.")} | teacher.state_dict()
    trainer.encoder.load_state_dict(state)
    assert trainer.average is not None
    trainer.average.load_state_dict(state)
    began, step, said = time.monotonic(), 0, 0.0
    among = data.turned if task == "frontalize" else data.trained
    while (passed := time.monotonic() - began) < args.encoders and step < args.steps:
        if step % 20 == 0:
            steps = args.steps if passed < 5 else max(step + 1, round(step * args.encoders / passed))
            trainer.config = dataclasses.replace(config, run=dataclasses.replace(config.run, steps=steps))
        torch.manual_seed(step)
        trainer.chosen = data.draw(args.encoder_batch, among)
        values = trainer.step(data.batch(trainer.chosen), step)
        step += 1
        if passed - said > 30 or step == 1:
            said = passed
            print(task, step, {k: round(v, 4) for k, v in values.items()}, flush=True)
    held = among[-8:]
    trainer.chosen = held
    print(task, "steps", step, trainer.validate([data.batch(held)]), "pictures", len(among), flush=True)
    write_sheet(args.out, task, sheet_of(trainer.samples(data.batch(held))))
    torch.save(trainer.average.state_dict(), args.out / f"{task}.pt")


def train_toon(args: argparse.Namespace, device: torch.device) -> None:
    """The generator taught to draw cartoons of what it drew."""
    config = load_training(GeneratorTraining, "generator", "mini-toon", {
        "generator.resolution": "256", "run.precision": args.precision, "rates.ema_images": "4000",
        "encoder.kind": "lite", "encoder.input_size": "128", "encoder.units": "[3, 2, 6, 5]",
        "encoder.widths": "[24, 40, 112, 320]", "encoder.head_width": "48",
    })  # fmt: skip
    generator, encoder = networks_of(args, device)
    trainer = GeneratorTrainer(config, device)
    for module in (trainer.generator, trainer.average):
        module.load_state_dict(generator.state_dict())
    assert trainer.encoder is not None and trainer.encoder_average is not None
    for reader in (trainer.encoder, trainer.encoder_average):
        reader.load_state_dict(encoder.state_dict())
    trainer.keep_original()
    data = OnCard(Renders.open(args.renders), ["image", "mask"], device, 0, min(args.each, args.count))
    began, step = time.monotonic(), 0
    while (passed := time.monotonic() - began) < args.encoders and step < args.steps:
        if step % 20 == 0:
            steps = args.steps if passed < 5 else max(step + 1, round(step * args.encoders / passed))
            trainer.config = dataclasses.replace(config, run=dataclasses.replace(config.run, steps=steps))
        torch.manual_seed(step)
        values = trainer.step(data.batch(data.draw(args.encoder_batch // 2), mask=True), step)
        step += 1
        if step % 200 == 1:
            print("toon", step, {k: round(v, 4) for k, v in values.items()}, flush=True)
    print("toon steps", step, flush=True)
    with torch.no_grad():
        write_sheet(args.out, "toon", sheet_of(trainer.samples(data.batch(torch.arange(8), mask=True))))
    torch.save(trainer.average.state_dict(), args.out / "toon.pt")


# Archives of at most 16 MiB; of the tasks' encoders only what they do not share with that of the joint run.
ARCHIVES = {
    "generator": ("generator_average",), "encoder": ("encoder_average",), "toon": ("toon", "invert"),
    "drawn": ("frontalize", "seg2face", "sketch2face"), "photo": ("superres", "inpaint"),
}  # fmt: skip


def pack(out: Path, archives: dict[str, tuple[str, ...]]) -> None:
    """Weights in half precision, with logs and sheets, in a few archives."""
    joint = torch.load(out / "joint.pt", map_location="cpu", weights_only=True)
    for name, parts in archives.items():
        with tarfile.open(out / f"{name}.tar", "w") as archive:
            for part in parts:
                state = joint.get(part)
                if state is None:
                    found = torch.load(out / f"{part}.pt", map_location="cpu", weights_only=True)
                    state = {k: v for k, v in found.items() if part == "toon" or not k.startswith(SHARED)}
                content = io.BytesIO()
                torch.save({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, content)
                entry = tarfile.TarInfo(f"{part}.pt")
                entry.size = content.tell()
                content.seek(0)
                archive.addfile(entry, content)
    with tarfile.open(out / "sheets.tar", "w") as archive:
        for sheet in sorted((out / "samples").glob("*.png")):
            Image.open(sheet).convert("RGB").save(sheet.with_suffix(".webp"), quality=80)
            archive.add(sheet.with_suffix(".webp"), f"{sheet.stem}.webp")
        for log in out.glob("*.json"):
            archive.add(log, log.name)


def main() -> None:
    """The whole timetable, or one part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renders", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True, help="generator and encoder of 128 px, in one file")
    parser.add_argument("--trunk", type=Path, required=True, help="the tensors of EfficientNet-Lite0")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", choices=["all", "joint", "encoders", "encoder", "toon"], default="all")
    parser.add_argument("--task", choices=list(TASKS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=340.0)
    parser.add_argument("--encoders", type=float, default=170.0, help="seconds for all of them, side by side")
    parser.add_argument("--steps", type=int, default=10**6, help="at most so many of each kind")
    parser.add_argument("--count", type=int, default=40_000, help="renders on the card at most")
    parser.add_argument("--each", type=int, default=8000, help="renders that one task learns from")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--encoder-batch", type=int, default=48)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    device = torch.device(args.device)
    # Not cudnn.benchmark: trying the ways of every convolution took 80 of 325 seconds.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    if args.part == "encoder":
        train_encoder(args, device)
    elif args.part == "toon":
        train_toon(args, device)
    if args.part in ("all", "joint"):
        train_joint(args, device)
        torch.cuda.empty_cache()
    if args.part in ("all", "encoders"):
        command = [sys.executable, __file__, *sys.argv[1:]]
        parts = [["--part", "encoder", "--task", task] for task in TASKS] + [["--part", "toon"]]
        running = [subprocess.Popen([*command, *part]) for part in parts]
        for process in running:
            process.wait()
        pack(args.out, ARCHIVES)


if __name__ == "__main__":
    main()
