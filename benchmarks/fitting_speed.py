"""Steps a second of the optimisations, beside a plain eager loop that does the same in the published form.

    python benchmarks/fitting_speed.py --record benchmarks/records/fitting_speed.json
    python benchmarks/fitting_speed.py --random 1024 --steps 2 --rounds 2 --ways code

The plain loop is what one writes first, and what the published code does: filters modulated for each picture in each
step and run as a grouped convolution, a dense 4 x 4 blur over inserted zeros, the features of the targets computed
again in each step, and of both views by themselves (``PlainFeatures``). Weights that are not tuned want no gradient in
either. Both take the same steps of Adam from the same start, in turn, in one process; what counts is the processor time
of a step, the median over the rounds, and that both come to the same picture.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from command import record_head, write_record
from torch import Tensor

from pixel2style2pixel_cli.engine.loading import load_generator
from pixel2style2pixel_cli.fitting.embed import PIXEL_WEIGHT, descend
from pixel2style2pixel_cli.fitting.features import LARGEST_SIDE, load_features
from pixel2style2pixel_cli.fitting.objective import FeatureJudge, Objective
from pixel2style2pixel_cli.fitting.tuning import BETAS, EPSILON, Pivots, Rule, Tuning, tunable
from pixel2style2pixel_cli.losses.features import inner_face
from pixel2style2pixel_cli.losses.pixel import pyramid_l1_each
from pixel2style2pixel_cli.networks.layers import BLUR_TAPS, NEGATIVE_SLOPE, SQRT2, ModulatedConv2d, StyledConv, ToRGB
from pixel2style2pixel_cli.networks.specs import GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.zoo.choose import choose_model

RATE, TUNING_RATE = 0.05, 2e-3


def dense_filter(x_BCHW: Tensor, up: int, pad: tuple[int, int]) -> Tensor:
    """Zeros inserted, then the 4 x 4 filter [1, 3, 3, 1] with a gain of 4, on every channel as a picture of its own."""
    taps = torch.tensor(BLUR_TAPS).to(x_BCHW)
    kernel = torch.outer(taps, taps) / taps.sum() ** 2 * 4
    batch, channels, height, width = x_BCHW.shape
    x = F.pad(x_BCHW.reshape(-1, height, 1, width, 1), [0, up - 1, 0, 0, 0, up - 1])
    x = F.pad(x.view(-1, 1, height * up, width * up), [*pad, *pad])
    x = F.conv2d(x, kernel.flip(0, 1)[None, None])
    return x.view(batch, channels, *x.shape[2:])


def modulated(conv: ModulatedConv2d, x_BIHW: Tensor, style_BD: Tensor) -> Tensor:
    """StyleGAN2, eq. 1 and 3 as printed: filters of each picture, run as groups."""
    batch, channels, height, width = x_BIHW.shape
    style_BI = conv.to_style(style_BD)
    weight = conv.scale * conv.weight[None] * style_BI[:, None, :, None, None]
    if conv.demodulate:
        weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8)
    out, side = weight.shape[1], weight.shape[-1]
    x = x_BIHW.reshape(1, batch * channels, height, width)
    if conv.blur_up is None:
        y = F.conv2d(x, weight.reshape(batch * out, channels, side, side), padding=conv.padding, groups=batch)
        return y.view(batch, out, height, width)
    swapped = weight.transpose(1, 2).reshape(batch * channels, out, side, side)
    y = F.conv_transpose2d(x, swapped, stride=2, groups=batch)
    return dense_filter(y.view(batch, out, *y.shape[2:]), 1, (1, 1))


def styled(layer: StyledConv, x_BIHW: Tensor, style_BD: Tensor, noise_B1HW: Tensor) -> Tensor:
    """Convolution, noise, bias, activation."""
    y = modulated(layer.conv, x_BIHW, style_BD) + layer.noise_strength * noise_B1HW
    return F.leaky_relu(y + layer.activate.bias.view(1, -1, 1, 1), NEGATIVE_SLOPE) * SQRT2


def coloured(layer: ToRGB, x_BIHW: Tensor, style_BD: Tensor, skip_BCHW: Tensor | None) -> Tensor:
    """The step to RGB on the picture of half the size."""
    y = modulated(layer.conv, x_BIHW, style_BD) + layer.bias.view(1, -1, 1, 1)
    return y if skip_BCHW is None else y + dense_filter(skip_BCHW, 2, (2, 1))


def draw_plainly(generator: Generator, codes_BND: Tensor) -> Tensor:
    """Pictures (B, 3, R, R) of codes, as the published code draws them."""
    maps = [map_ for map_ in generator.noise_maps("fixed", codes_BND) if map_ is not None]
    x = styled(generator.conv_first, generator.constant.repeat(len(codes_BND), 1, 1, 1), codes_BND[:, 0], maps[0])
    rgb = coloured(generator.to_rgb_first, x, codes_BND[:, 1], None)
    for i, block in enumerate(generator.blocks):
        x = styled(block.conv_up, x, codes_BND[:, 2 * i + 1], maps[2 * i + 1])  # type: ignore[arg-type]
        x = styled(block.conv, x, codes_BND[:, 2 * i + 2], maps[2 * i + 2])  # type: ignore[arg-type]
        rgb = coloured(block.to_rgb, x, codes_BND[:, 2 * i + 3], rgb)  # type: ignore[arg-type]
    return rgb


class PlainFeatures:
    """The distance in features written as it is defined: two views one after the other, of target and picture anew."""

    def __init__(self, like: Tensor) -> None:
        self.features = load_features(like)

    def __call__(self, image_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
        """Distance (B,)."""
        pair = [image_BCHW, target_BCHW]
        if image_BCHW.shape[-1] > LARGEST_SIDE:
            pair = [F.interpolate(each, size=(LARGEST_SIDE, LARGEST_SIDE), mode="area") for each in pair]
        total_B = image_BCHW.new_zeros(len(image_BCHW))
        for ours, theirs in (pair, [inner_face(each) for each in pair]):
            maps = zip(self.features.trunk(ours), self.features.trunk(theirs), self.features.units, strict=True)
            for x, y, unit_C in maps:
                scale = unit_C[None, :, None, None]
                total_B = total_B + (x * scale - y * scale).abs().mean(dim=(1, 2, 3))
        return total_B / len(self.features.units)


class Case:
    """A generator, targets and a start: what both loops are given."""

    def __init__(self, generator: Generator, batch: int, steps: int) -> None:
        self.generator, self.steps = generator.requires_grad_(False), steps
        chance = torch.Generator().manual_seed(0)
        z = [torch.randn(batch, generator.spec.z_dim, generator=chance).to(generator.constant) for _ in range(2)]
        with torch.no_grad():
            self.start, wanted = (generator.map(each).clone() for each in z)
            self.targets = generator(wanted).clamp(-1, 1)
        self.plain_features = PlainFeatures(self.start)

    def code(self) -> Tensor:
        """The optimisation of ``invert``."""
        found, _ = descend(self.generator, self.targets, self.start, steps=self.steps, learning_rate=RATE)
        return found

    def plain_code(self) -> Tensor:
        """The same as a plain loop."""
        codes = self.start.clone().requires_grad_(True)
        optimiser = torch.optim.Adam([codes], lr=RATE, betas=BETAS, eps=EPSILON)
        for step in range(self.steps):
            if step == self.steps - self.steps // 10:
                optimiser.param_groups[0]["lr"] = RATE / 10
            image = draw_plainly(self.generator, codes)
            loss = self.plain_features(image, self.targets) + PIXEL_WEIGHT * pyramid_l1_each(image, self.targets, 5)
            optimiser.zero_grad()
            loss.sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return codes.detach()

    def tune(self) -> Tensor:
        """The tuning of ``tune``, without its locality term; gives pictures of the tuned generator."""
        rule = Rule(steps=10 * self.steps, rate=TUNING_RATE, locality=0.0, every=1, enough=0.0)
        judge = FeatureJudge(self.plain_features.features)
        tuning = Tuning(self.generator, Pivots(codes=self.start, targets=self.targets), judge, rule, 0)
        for _ in range(self.steps):
            tuning.advance()
        with torch.no_grad():
            return tuning.tuned(self.start)

    def plain_tune(self) -> Tensor:
        """The same as a plain loop."""
        tuned = copy.deepcopy(self.generator)
        free = [parameter.requires_grad_(True) for parameter in tunable(tuned).values()]
        optimiser = torch.optim.Adam(free, lr=TUNING_RATE, betas=BETAS, eps=EPSILON)
        for _ in range(self.steps):
            image = draw_plainly(tuned, self.start)
            squared = (image - self.targets).square().mean(dim=(1, 2, 3))
            loss = (self.plain_features(image, self.targets) + squared).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            return tuned(self.start)

    def loss(self, found: Tensor) -> float:
        """How far codes (B, N, D) or pictures (B, 3, R, R) are from the targets."""
        with torch.no_grad():
            image = self.generator(found) if found.ndim == 3 else found
            return float(Objective(self.targets, judge=FeatureJudge(self.plain_features.features))(image).mean())


def seconds_of(way: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Processor seconds, and what was found."""
    started = time.process_time()
    found = way()
    return time.process_time() - started, found


def measure(case: Case, name: str, rounds: int) -> dict[str, Any]:
    """Both loops in turn; the first round warms up and does not count."""
    spent: dict[str, list[float]] = {"plain": [], "fast": []}
    losses: dict[str, float] = {}
    for _ in range(rounds + 1):
        for kind, way in (("plain", f"plain_{name}"), ("fast", name)):
            seconds, found = seconds_of(getattr(case, way))
            spent[kind].append(seconds / case.steps / len(case.start))
            losses[kind] = case.loss(found)
    plain, fast = (statistics.median(spent[kind][1:]) for kind in ("plain", "fast"))
    ratios = [a / b for a, b in zip(spent["plain"][1:], spent["fast"][1:], strict=True)]
    return {
        "optimised": name, "batch": len(case.start), "steps": case.steps, "rounds": rounds,
        "plain_ms_a_step_and_picture": round(1e3 * plain, 1), "fast_ms_a_step_and_picture": round(1e3 * fast, 1),
        "times_as_fast": round(statistics.median(ratios), 2),
        "loss_before": round(case.loss(case.start), 4),
        "loss_plain": round(losses["plain"], 4), "loss_fast": round(losses["fast"], 4),
    }  # fmt: skip


def read_generator(model: str, random: int) -> Generator:
    """The generator of a model, or one of random weights and the published widths at a resolution."""
    if not random:
        return load_generator(choose_model("invert", model), torch.device("cpu"), torch.float32)[0]
    torch.manual_seed(0)
    return Generator(GeneratorSpec(resolution=random)).eval()


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Measure and print; returns the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--random", type=int, default=0, help="a generator of random weights of this side instead")
    parser.add_argument("--ways", default="code,tune", help="what is optimised, with commas between")
    parser.add_argument("--batches", default="1,4", help="pictures at once, with commas between")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", type=Path, help="where the numbers go, as JSON")
    given = parser.parse_args(arguments)
    generator = read_generator(given.model, given.random)
    rows = []
    for batch in map(int, given.batches.split(",")):
        case = Case(generator, batch, given.steps)
        for name in given.ways.split(","):
            rows.append({"side": generator.spec.resolution, **measure(case, name, given.rounds)})
            print(rows[-1], flush=True)
    if given.record is not None:
        write_record(given.record, {**record_head("fitting_speed.py"), "rows": rows})
    return rows


if __name__ == "__main__":
    main()
