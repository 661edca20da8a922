"""Steps a second and memory of each training, beside a plain eager float32 loop that does the same.

    python benchmarks/training_speed.py --record benchmarks/records/training_speed.json

The plain loop is what one writes first, and what the published code does: pictures and weights in the usual memory
order, filters modulated for each picture and run as a grouped convolution, a dense 4 x 4 blur over inserted zeros
(``draw_plainly`` of ``fitting_speed.py``), averages of weights one parameter after the other. Both start from the same
weights, see the same pictures and random numbers, and take their steps in turn in one process and one thread; what
counts is the processor time of a step, the median over the rounds. That both come to the same losses is in the record.
Memory is what the backward pass keeps, at most, beside weights and optimiser: counted tensor by tensor, so that it does
not depend on the allocator. Noise has strength 0 in both, since one of them keeps its maps. ``--compile`` adds compiled
networks, which takes minutes.
"""

from __future__ import annotations

import argparse
import copy
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from command import record_head, write_record
from fitting_speed import draw_plainly
from torch import nn

from pixel2style2pixel_cli.engine.loading import load_generator_file, locate_generator
from pixel2style2pixel_cli.losses import adversarial, pictures
from pixel2style2pixel_cli.losses.features import feature_distance, inner_face
from pixel2style2pixel_cli.losses.identity import IdentityLoss, face_input
from pixel2style2pixel_cli.losses.margin import margin_loss
from pixel2style2pixel_cli.losses.pixel import pyramid_l1
from pixel2style2pixel_cli.networks.faceid import FaceRecogniser
from pixel2style2pixel_cli.networks.stylegan2 import Generator, mix_styles
from pixel2style2pixel_cli.training.auxiliary import find_lite_trunk
from pixel2style2pixel_cli.training.config import EncoderTraining, GeneratorTraining, load_training
from pixel2style2pixel_cli.training.data import Batch
from pixel2style2pixel_cli.training.encoder import EncoderTrainer
from pixel2style2pixel_cli.training.generator import GeneratorTrainer
from pixel2style2pixel_cli.training.inputs import resized
from pixel2style2pixel_cli.training.loop import step_seed
from pixel2style2pixel_cli.training.memory import _Kept, _Meter
from pixel2style2pixel_cli.training.ranger import Ranger
from pixel2style2pixel_cli.training.recogniser import RecogniserTrainer
from pixel2style2pixel_cli.training.recogniser_config import RecogniserTraining

CPU = torch.device("cpu")
Step = Callable[[int], dict[str, float]]
FLOAT = {"run.precision": "float32"}


def batch_of(count: int, side: int, persons: int = 0) -> Batch:
    """Smooth random pictures."""
    chance = torch.Generator().manual_seed(0)
    image = F.interpolate(torch.rand(count, 3, 16, 16, generator=chance), size=(side, side), mode="bilinear") * 2 - 1
    person = torch.randint(persons, (count,), generator=chance) if persons else None
    return Batch(image=image, z=None, paired=torch.ones(count, dtype=torch.bool), person=person)


def plain_average(average: nn.Module, module: nn.Module, decay: float) -> None:
    """One parameter after the other."""
    with torch.no_grad():
        for kept, now in zip(average.parameters(), module.parameters(), strict=True):
            kept.mul_(decay).add_(now, alpha=1 - decay)


def in_usual_order(module: nn.Module) -> nn.Module:
    """A copy with weights in the memory order that modules are made in."""
    return copy.deepcopy(module).to(memory_format=torch.contiguous_format)


def generator_steps(batch: int, side: int) -> dict[str, Step]:
    """StyleGAN2's game with R1 and path lengths, at the widths of the bundled generator."""
    config = load_training(GeneratorTraining, "generator", "stylegan2-128", {
        **FLOAT, "run.batch": str(batch), "generator.resolution": str(side), "discriminator.resolution": str(side),
        "generator.channel_max": "128", "discriminator.channel_max": "128",
    })  # fmt: skip
    torch.manual_seed(0)
    trainer, data = GeneratorTrainer(config, CPU), batch_of(batch, side)
    generator, judge = in_usual_order(trainer.generator), in_usual_order(trainer.discriminator)
    average, losses = copy.deepcopy(generator), config.losses
    rates, betas = config.rates, (config.rates.beta1, config.rates.beta2)
    moving = torch.optim.Adam(generator.parameters(), lr=rates.generator, betas=betas, eps=1e-8)
    judging = torch.optim.Adam(judge.parameters(), lr=rates.discriminator, betas=betas, eps=1e-8)
    path_mean = torch.zeros(())

    def plain(step: int) -> dict[str, float]:
        nonlocal path_mean
        judge.requires_grad_(False)
        z = torch.randn(2, batch, config.generator.z_dim)
        codes = generator.map(z[0])
        if float(torch.rand(())) < losses.style_mixing:
            codes = mix_styles(codes, generator.map(z[1]), int(torch.randint(1, config.generator.n_styles, ())))
        generator.noise_maps("random", codes)
        fake = draw_plainly(generator, codes)
        loss = adversarial.generator_loss(judge(fake))
        total = loss
        if step % losses.path_every == 0:
            some = generator.map(torch.randn(batch // 2, config.generator.z_dim))
            generator.noise_maps("random", some)
            lengths = adversarial.path_lengths(draw_plainly(generator, some), some)
            path_mean = path_mean + 0.01 * (lengths.mean().detach() - path_mean)
            total = total + losses.path_length * losses.path_every * (lengths - path_mean).square().mean()
        moving.zero_grad()
        total.backward()
        moving.step()
        judge.requires_grad_(True)
        total = adversarial.discriminator_loss(judge(data.image), judge(fake.detach()))
        if step % losses.r1_every == 0:
            leaf = data.image.clone().requires_grad_(True)
            total = total + losses.r1 / 2 * losses.r1_every * adversarial.r1_penalty(judge(leaf), leaf)
        judging.zero_grad()
        total.backward()
        judging.step()
        plain_average(average, generator, 0.5 ** (batch / rates.ema_images))
        return {"adversarial": float(loss.detach()), "discriminator": float(total.detach())}

    return {"plain": plain, "ours": lambda step: trainer.step(data, step)}


def encoder_steps(batch: int, generator: Generator, *, compiled: bool) -> dict[str, Step]:
    """An encoder of kind lite on the losses that the bundled ones learn by; and with less memory."""
    base = load_training(EncoderTraining, "encoder", "lite-invert", {
        **FLOAT, "run.batch": str(batch), "task.heads": "trained",
        "encoder.input_size": str(min(128, generator.spec.resolution)),
        **{f"augmentation.{name}": "0" for name in ("colour", "blur", "noise", "jpeg", "shift")},
    })  # fmt: skip
    kinds = {
        "ours": base,
        "ours, recompute": replace(base, run=replace(base.run, recompute=True)),
        "ours, accumulate 2": replace(base, run=replace(base.run, accumulate=2)),
        "ours, bfloat16": replace(base, run=replace(base.run, precision="bfloat16")),
    } | ({"ours, compiled": base} if compiled else {})
    data, steps = batch_of(batch, generator.spec.resolution), dict[str, Step]()

    def trainer_of(config: EncoderTraining) -> EncoderTrainer:
        torch.manual_seed(0)
        trainer = EncoderTrainer(config, copy.deepcopy(generator), CPU, networks={"trunk": find_lite_trunk()})
        trainer.encoder.trunk.load_state_dict(find_lite_trunk().state_dict())
        return trainer

    for name, config in kinds.items():
        trainer = trainer_of(config)
        if name == "ours, compiled":
            trainer.compile()
        steps[name] = lambda step, trainer=trainer: trainer.step(data, step)  # type: ignore[misc]
    encoder = in_usual_order(trainer_of(base).encoder)
    average, drawn_by, trunk = copy.deepcopy(encoder), in_usual_order(generator), find_lite_trunk()
    trunk.requires_grad_(False).eval()
    optimiser = Ranger(encoder.parameters(), lr=base.rates.encoder)
    losses, size = base.losses, base.encoder.input_size

    def plain(step: int) -> dict[str, float]:
        for group in optimiser.param_groups:
            group["lr"] = base.rates.encoder * min(1.0, (step + 1) / base.rates.warm_up)
        image = data.image
        small = resized(image, size)
        drawn = draw_plainly(drawn_by, encoder(small))
        found = {
            "features": feature_distance(trunk(drawn), trunk(image)).mean(),
            "face": feature_distance(trunk(inner_face(drawn)), trunk(inner_face(image))).mean(),
            "pyramid": pyramid_l1(drawn, image),
        }
        total = sum(getattr(losses, name) * value for name, value in found.items())
        optimiser.zero_grad()
        total.backward()  # type: ignore[union-attr]
        optimiser.step()
        plain_average(average, encoder, 0.5 ** (batch / base.rates.ema_images))
        return {name: float(value.detach()) for name, value in found.items()}

    return {"plain": plain, **steps}


def recogniser_steps(batch: int, persons: int = 500) -> dict[str, Step]:
    """A recogniser as preset lite-faces trains it."""
    config = load_training(RecogniserTraining, "recogniser", "lite-faces", {
        **FLOAT, "run.batch": str(batch),
        **{f"augmentation.{name}": "0" for name in ("colour", "blur", "noise", "jpeg", "shift")},
    })  # fmt: skip
    torch.manual_seed(0)
    trainer = RecogniserTrainer(config, persons, CPU)
    trainer.recogniser.trunk.load_state_dict(find_lite_trunk().state_dict())
    network, centres = in_usual_order(trainer.recogniser), in_usual_order(trainer.centres)
    average, data = copy.deepcopy(network), batch_of(batch, config.recogniser.picture_size, persons)
    rates = config.rates
    parts = {
        network.trunk: rates.recogniser * rates.trunk,
        network.head: rates.recogniser,
        centres: rates.centres,
    }
    optimisers = [
        torch.optim.AdamW(part.parameters(), lr=rate, weight_decay=rates.weight_decay, foreach=False)
        for part, rate in parts.items()
    ]
    highest = [optimiser.param_groups[0]["lr"] for optimiser in optimisers]

    def plain(step: int) -> dict[str, float]:
        for optimiser, rate in zip(optimisers, highest, strict=True):
            optimiser.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / rates.warm_up)
            optimiser.zero_grad()
        network.train()
        cosine = centres(network(face_input(data.image, config.recogniser)))
        loss = margin_loss(cosine, data.person, scale=config.margin.scale, margin=config.margin.margin)
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
        plain_average(average, network, 0.5 ** (batch / rates.ema_images))
        return {"margin": float(loss.detach())}

    return {"plain": plain, "ours": lambda step: trainer.step(data, step)}


def kept_bytes(step: Step, number: int) -> tuple[int, dict[str, float]]:
    """What the backward passes of one step keep at most, and the losses of the step."""
    meter = _Meter()
    torch.manual_seed(step_seed(0, number))
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: _Kept(tensor, meter), lambda kept: kept.tensor):
        found = step(number)
    return meter.most, found


def measure(steps: dict[str, Step], rounds: int, block: int) -> dict[str, Any]:
    """All ways in turn, blocks of steps each; the step that counts memory warms up and comes first."""
    rows: dict[str, dict[str, Any]] = {}
    for name, step in steps.items():
        kept, losses = kept_bytes(step, 0)
        rows[name] = {"megabytes_kept": round(kept / 1e6, 1), "losses_of_the_first_step": losses}
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds):
        for name, step in steps.items():
            started = time.process_time()
            for number in range(1 + turn * block, 1 + (turn + 1) * block):
                torch.manual_seed(step_seed(0, number))
                step(number)
            spent[name].append((time.process_time() - started) / block)
    for name, seconds in spent.items():
        ratios = [plain / ours for plain, ours in zip(spent["plain"], seconds, strict=True)]
        rows[name] |= {
            "processor_seconds_a_step": round(statistics.median(seconds), 4),
            "steps_a_processor_second": round(1 / statistics.median(seconds), 3),
            "times_as_fast_as_plain": round(statistics.median(ratios), 2),
            "least_and_most": [round(min(ratios), 2), round(max(ratios), 2)],
        }
        first = {key: value for key, value in rows[name]["losses_of_the_first_step"].items() if key in
                 rows["plain"]["losses_of_the_first_step"]}  # fmt: skip
        apart = [abs(value - rows["plain"]["losses_of_the_first_step"][key]) for key, value in first.items()]
        rows[name]["first_losses_apart"] = float(f"{max(apart):.1e}")
        assert math.isfinite(max(apart))
    return rows


def loss_seconds(batch: int, side: int, rounds: int) -> dict[str, float]:
    """Processor milliseconds a picture of each loss of drawn pictures, with its gradient."""
    chance = torch.Generator().manual_seed(0)
    drawn = torch.randn(batch, 3, side, side, generator=chance).contiguous(memory_format=torch.channels_last)
    target = drawn + 0.1
    spec = load_training(RecogniserTraining, "recogniser", "lite-faces", {}).recogniser
    networks = {
        name: network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        for name, network in (("trunk", find_lite_trunk()), ("identity", IdentityLoss(FaceRecogniser(spec))))
    }
    spent: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        for name in ("l2", "pyramid", "gradient", "features", "face", "identity"):
            image = drawn.clone().requires_grad_(True)
            seen = pictures.Compared(
                drawn=image, target=target, emphasis=None, networks=networks,
                autocast=lambda: torch.autocast("cpu", enabled=False),
            )  # fmt: skip
            started = time.process_time()
            getattr(pictures, name)(seen).backward()
            if turn:
                spent.setdefault(name, []).append(1000 * (time.process_time() - started) / batch)
    return {name: round(statistics.median(values), 2) for name, values in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--side", type=int, default=64, help="of the pictures of the generator's training")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--block", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--record", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    path, _ = locate_generator("mini-generator")
    bundled, _ = load_generator_file(path, CPU, torch.float32)
    with torch.no_grad():
        for name, value in bundled.named_parameters():
            if name.endswith("noise_strength"):
                value.zero_()
    record = {
        **record_head("python " + " ".join(["benchmarks/training_speed.py", *sys.argv[1:]])),
        "batch": options.batch, "rounds": options.rounds, "steps_a_round": options.block, "threads": 1,
        "generator": {"side": options.side, **measure(generator_steps(options.batch, options.side), options.rounds, 4)},
        "encoder": {
            "side": bundled.spec.resolution,
            **measure(encoder_steps(options.batch, bundled, compiled=options.compile), options.rounds, options.block),
        },
        "recogniser": {"side": 128, **measure(recogniser_steps(options.batch), options.rounds, options.block)},
        "losses_milliseconds_a_picture": loss_seconds(options.batch, bundled.spec.resolution, options.rounds),
        "peak_megabytes_of_the_process": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
    }  # fmt: skip
    write_record(options.record, record)


if __name__ == "__main__":
    main()
