"""Encoder and generator of the published sizes: the published code and every backend here, in turns in one run.

    REF_ROOT=checkouts python benchmarks/speed.py --resolution 1024 256 --rounds 5 --out benchmarks/records/speed.json
    python benchmarks/speed.py --resolution 1024 --memory --photo astronaut.png --count 200 --out speed.json

Random weights, the same for all, batch 1, float32. REF_ROOT is a folder with the checkout `eladrich+pixel2style2pixel`;
without it the published code is left out. Nothing of it is copied or changed: its two compiled operators, which need a
GPU, are replaced by plain PyTorch while it runs. The largest product of matrices is timed in the same turns, so that
times can be read as shares of what the processor can do. `--memory` takes the peak of a process that draws three
pictures, `--photo` times whole commands. Figures of a machine that does other work are processor seconds at best.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from command import command_line, record_head, write_record
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pixel2style2pixel_cli.convert.names import publish
from pixel2style2pixel_cli.convert.psp import encoder_rows
from pixel2style2pixel_cli.convert.rosinality import publish_generator
from pixel2style2pixel_cli.device import describe_device, is_fast_in_bfloat16, keep_freed_memory, peak_bytes
from pixel2style2pixel_cli.engine.backend import TorchBackend
from pixel2style2pixel_cli.engine.backends import TOOLKITS, _is_installed, _toolkit
from pixel2style2pixel_cli.engine.codes import Codes
from pixel2style2pixel_cli.engine.graphs import encoder_graph, generator_graph
from pixel2style2pixel_cli.engine.loading import Model, load_encoder_file, load_generator_file
from pixel2style2pixel_cli.files.pixels import to_uint8
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.weights.write import save_weights

CPU = torch.device("cpu")
PUBLISHED = "eladrich+pixel2style2pixel"
GEMM_SIDE = 2048
Call = Callable[[], Tensor]


@dataclass(slots=True)
class Timed:
    """Wall and processor seconds of one call, by round."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def run(self, call: Callable[[], object]) -> None:
        """Once more."""
        wall, processor = time.perf_counter(), time.process_time()
        call()
        self.wall.append(time.perf_counter() - wall)
        self.processor.append(time.process_time() - processor)

    @property
    def told(self) -> dict[str, float]:
        """Medians and bests, in seconds."""
        return {
            "wall_median": round(statistics.median(self.wall), 4),
            "wall_best": round(min(self.wall), 4),
            "processor_median": round(statistics.median(self.processor), 4),
            "processor_best": round(min(self.processor), 4),
        }


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks of the published sizes with random weights, and what they are given."""

    encoder: Encoder
    generator: Generator
    picture: Tensor
    codes: Tensor

    @property
    def model(self) -> Model:
        """As a backend wants it: all it asks for are the two networks."""
        return cast("Model", SimpleNamespace(encoder=self.encoder, generator=self.generator))


def make_networks(resolution: int) -> Networks:
    """Random weights, spread such that pictures are none of one colour."""
    torch.manual_seed(0)
    generator = Generator(GeneratorSpec(resolution=resolution))
    encoder = build_encoder(EncoderSpec(), generator.spec.n_styles, generator.spec.style_dim)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.1)
    for network in (generator, encoder):
        network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    picture = (torch.rand(1, 3, 256, 256) * 2 - 1).contiguous(memory_format=torch.channels_last)
    return Networks(encoder, generator, picture, torch.randn(1, generator.spec.n_styles, generator.spec.style_dim))


# The published code


def _fused_leaky_relu(x: Tensor, bias: Tensor, slope: float = 0.2, scale: float = math.sqrt(2)) -> Tensor:
    return F.leaky_relu(x + bias.view(1, -1, *[1] * (x.ndim - 2)), slope) * scale


class _FusedLeakyReLU(nn.Module):
    def __init__(self, channel: int, negative_slope: float = 0.2, scale: float = math.sqrt(2)) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channel))
        self.slope, self.scale = negative_slope, scale

    def forward(self, x: Tensor) -> Tensor:
        return _fused_leaky_relu(x, self.bias, self.slope, self.scale)


def _upfirdn2d(x: Tensor, kernel: Tensor, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
    batch, channels, height, width = x.shape
    x = x.reshape(batch * channels, 1, height, width)
    if up > 1:
        spread = x.new_zeros(len(x), 1, height * up, width * up)
        spread[:, :, ::up, ::up] = x
        x = spread
    x = F.conv2d(F.pad(x, [*pad, *pad]), kernel.flip(0, 1)[None, None])[:, :, ::down, ::down]
    return x.reshape(batch, channels, *x.shape[2:])


@contextlib.contextmanager
def published_code(root: Path) -> Iterator[tuple[Any, Any]]:
    """The encoder and generator classes of the checkout, its compiled operators replaced while it is imported."""
    operators = types.ModuleType("models.stylegan2.op")
    operators.__dict__.update(
        FusedLeakyReLU=_FusedLeakyReLU, fused_leaky_relu=_fused_leaky_relu, upfirdn2d=_upfirdn2d, __path__=[]
    )
    before = set(sys.modules)
    sys.path.insert(0, str(root))
    sys.modules[operators.__name__] = operators
    try:
        from models.encoders import psp_encoders  # type: ignore[import-not-found]
        from models.stylegan2 import model  # type: ignore[import-not-found]

        yield psp_encoders.GradualStyleEncoder, model.Generator
    finally:
        sys.path.remove(str(root))
        for name in set(sys.modules) - before:
            if name.split(".")[0] == "models":
                del sys.modules[name]


def published_calls(networks: Networks) -> tuple[Call, Call] | None:
    """The published networks with our weights under their names; None without a checkout."""
    root = Path(os.environ.get("REF_ROOT", "")) / PUBLISHED
    if not os.environ.get("REF_ROOT") or not root.is_dir():
        return None
    spec = networks.generator.spec
    with published_code(root) as (encoder_class, generator_class):
        encoder = encoder_class(50, "ir_se", argparse.Namespace(input_nc=3, n_styles=spec.n_styles))
        generator = generator_class(spec.resolution, spec.style_dim, spec.mapping_layers)
    ours = {key: value for key, value in networks.encoder.state_dict().items() if key != "latent_avg"}
    encoder.load_state_dict(publish(ours, encoder_rows(networks.encoder.spec, spec.n_styles)))
    generator.load_state_dict(publish_generator(spec, networks.generator.state_dict())[0])
    for network in (encoder, generator):
        network.eval().requires_grad_(False)
    picture = networks.picture.contiguous()
    return (
        lambda: encoder(picture),
        lambda: generator([networks.codes], input_is_latent=True, randomize_noise=False)[0],
    )


# Ours


def backend_calls(networks: Networks, name: str) -> tuple[Call, Call]:
    """One backend; ``openvino-bf16`` computes in bfloat16."""
    if name == "torch":
        backend = TorchBackend(networks.model, CPU, torch.float32)
        return lambda: backend.encode(networks.picture), lambda: backend.draw(Codes(networks.codes), "fixed")
    base, _, half = name.partition("-")
    toolkit = _toolkit(base, CPU, torch.bfloat16 if half else torch.float32)
    encode, draw = (toolkit.build(graph(network))[1] for graph, network in (
        (encoder_graph, networks.encoder), (generator_graph, networks.generator),
    ))  # type: ignore[operator]  # fmt: skip
    picture = networks.picture.contiguous().numpy()
    start = networks.encoder.latent_avg[None].numpy()
    maps = [map_.numpy() for map_ in networks.generator.noise_maps("fixed", networks.codes) if map_ is not None]
    codes = networks.codes.numpy()
    return (
        lambda: torch.from_numpy(encode([picture, start])),
        lambda: torch.from_numpy(draw([codes, *maps])),
    )


def installed_backends() -> list[str]:
    """What can be timed on this machine."""
    found = ["torch", *(name for name in TOOLKITS if _is_installed(name))]
    if "openvino" in found and is_fast_in_bfloat16(CPU):
        found.append("openvino-bf16")
    return found


def flops(call: Call) -> int:
    """Multiplications and additions of a call of plain modules."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def _products() -> list[Callable[[], Tensor]]:
    """The same product of square matrices twice: by the library for matrices, and as a 1 x 1 convolution.

    The better of the two is what the processor can do that way. Convolutions of 3 x 3 may come out above it: Winograd's
    way of computing them needs two to four times fewer products.
    """
    square = torch.randn(GEMM_SIDE, GEMM_SIDE)
    picture = square.view(1, 32, GEMM_SIDE // 32, GEMM_SIDE).permute(0, 3, 1, 2)
    filters = square.view(GEMM_SIDE, GEMM_SIDE, 1, 1).contiguous(memory_format=torch.channels_last)
    return [lambda: square @ square, lambda: F.conv2d(picture, filters)]


@torch.inference_mode()
def measure(resolution: int, rounds: int, names: list[str]) -> dict[str, Any]:
    """Everything in turns, and how far the results are from those of the first."""
    networks = make_networks(resolution)
    candidates: dict[str, tuple[Call, Call]] = {}
    if (published := published_calls(networks)) is not None:
        candidates["published"] = published
    prepared = {}
    for name in names:
        started = time.process_time()
        candidates[name] = backend_calls(networks, name)
        prepared[name] = round(time.process_time() - started, 2)
    work = (
        flops(lambda: networks.encoder(networks.picture)), flops(lambda: networks.generator(networks.codes))
    )  # fmt: skip
    products = _products()
    gemm, times = [Timed() for _ in products], {name: (Timed(), Timed()) for name in candidates}
    wanted, differences = None, {}
    for name, (encode, draw) in candidates.items():  # also warms up
        found = encode(), draw()
        wanted = wanted or found
        (shown,), (shown_wanted,) = to_uint8(found[1]), to_uint8(wanted[1])
        levels = np.abs(shown.astype(int) - shown_wanted.astype(int))
        differences[name] = {
            "codes": float((found[0] - wanted[0]).abs().max()), "picture": float((found[1] - wanted[1]).abs().max()),
            "grey_levels": int(levels.max()), "grey_levels_mean": round(float(levels.mean()), 4),
        }  # fmt: skip
    for _ in range(rounds):
        for timed, product in zip(gemm, products, strict=True):
            timed.run(product)
        for name, calls in candidates.items():
            for timed, call in zip(times[name], calls, strict=True):
                timed.run(call)
    peak = 2 * GEMM_SIDE**3 / min(min(each.processor if alone() else each.wall) for each in gemm)
    rows = {}
    first = next(iter(candidates))
    for name, (encoder, generator) in times.items():
        best = [min(t.processor if alone() else t.wall) for t in (encoder, generator)]
        ratios = [
            sum(pair) / sum(mine)
            for pair, mine in zip(
                zip(*_clock(times[first]), strict=True), zip(*_clock(times[name]), strict=True), strict=True
            )
        ]
        rows[name] = {
            "encoder": encoder.told, "generator": generator.told,
            "share_of_gemm": [round(each / seconds / peak, 3) for each, seconds in zip(work, best, strict=True)],
            f"times_as_fast_as_{first}": round(statistics.median(ratios), 2),
            f"difference_from_{first}": differences[name], "preparing": prepared.get(name, 0.0),
        }  # fmt: skip
    return {"gemm_gflops": round(peak / 1e9, 1), "gflop": [round(each / 1e9, 1) for each in work], "rows": rows}


def alone() -> bool:
    """Whether processor seconds say what the wall clock would without other work."""
    return torch.get_num_threads() == 1


def _clock(pair: tuple[Timed, Timed]) -> tuple[list[float], list[float]]:
    """Processor seconds on one thread, else those of the wall: what several threads spend waiting is no work."""
    return tuple(t.processor if alone() else t.wall for t in pair)  # type: ignore[return-value]


# Memory and commands, each in a process of its own


def measure_memory(resolution: int) -> dict[str, int | None]:
    """Peak of a process that loads a model of these sizes and draws three pictures with PyTorch."""
    networks = make_networks(resolution)
    with tempfile.TemporaryDirectory() as folder:
        for kind, network in (("encoder", networks.encoder), ("generator", networks.generator)):
            state = {key: value.contiguous() for key, value in network.state_dict().items()}
            save_weights(Path(folder) / f"{kind}.safetensors", kind, state, asdict(network.spec), "mit", "")
        del networks
        command = [sys.executable, __file__, "--draw", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


@torch.inference_mode()
def draw_three(folder: Path) -> None:
    """What that process does."""
    keep_freed_memory()
    generator, _ = load_generator_file(folder / "generator.safetensors", CPU, torch.float32)
    encoder = load_encoder_file(folder / "encoder.safetensors", EncoderSpec(), generator)
    loaded = peak_bytes(CPU)
    backend = TorchBackend(cast("Model", SimpleNamespace(encoder=encoder, generator=generator)), CPU, torch.float32)
    for _ in range(3):
        backend.draw(Codes(backend.encode(torch.rand(1, 3, 256, 256) * 2 - 1)), "fixed")
    print(json.dumps({"loaded": loaded, "three_pictures": peak_bytes(CPU)}))


def measure_commands(photo: Path, count: int, rounds: int) -> dict[str, Any]:
    """`p2s2p --help`, one photograph and a folder of them through the bundled model, with and without optimisation."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        shown = Image.open(photo).convert("RGB")
        for index in range(count):
            shown.rotate((index % 41 - 20) / 2, Image.Resampling.BICUBIC).save(folder / "in" / f"{index:04d}.jpg")
        lines = {"help": command_line("--help", [])}
        for steps in ([], ["--optimize", "0"]):
            title = "default" if not steps else "encoder_alone"
            lines[f"one_{title}"] = command_line("invert", [str(photo), *steps, "-o", name, "--overwrite", "-q"])
            lines[f"{count}_{title}"] = command_line(
                "invert", [str(folder / "in"), *steps, "-o", f"{name}/out", "--overwrite", "-q"]
            )
        times = {title: Timed() for title in lines}
        for _ in range(rounds):
            for title, line in lines.items():
                before = os.times()
                started = time.perf_counter()
                subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
                after = os.times()
                times[title].wall.append(time.perf_counter() - started)
                spent = after.children_user + after.children_system - before.children_user - before.children_system
                times[title].processor.append(spent)
    return {title: timed.told for title, timed in times.items()}


def main() -> None:
    """Measure what was asked for, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--resolution", type=int, nargs="+", default=[1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--backends", nargs="+", default=installed_backends())
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--note", default="", help="what else the machine did")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--draw", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.draw is not None:
        return draw_three(options.draw)
    keep_freed_memory()
    places = {str(options.photo), str(options.out)}  # which are this machine's
    shown = " ".join(each for each in sys.argv[1:] if each not in places and each != "--out")
    record = record_head(f"python benchmarks/speed.py {shown}") | {
        "processor": describe_device(CPU), "load_before": [round(each, 1) for each in os.getloadavg()],
        "note": options.note,
    }  # fmt: skip
    record["networks"] = {str(r): measure(r, options.rounds, options.backends) for r in options.resolution}
    if options.memory:
        record["peak_bytes"] = {str(r): measure_memory(r) for r in options.resolution}
    if options.photo is not None:
        record["commands"] = measure_commands(options.photo, options.count, options.rounds)
    if options.out is None:
        print(json.dumps(record, indent=1))
        return None
    return write_record(options.out, record)


if __name__ == "__main__":
    main()
