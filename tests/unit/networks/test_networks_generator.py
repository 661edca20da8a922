"""The generator: which row reaches which layer, noise, truncation, mixing, the cost of a batch, nonsense refused."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest
import torch
from torch import Tensor

from pixel2style2pixel_cli.errors import ShapeError, UsageError
from pixel2style2pixel_cli.networks.layers import StyledConv, ToRGB
from pixel2style2pixel_cli.networks.specs import GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator, NoiseMode, mix_styles

SPEC = GeneratorSpec(resolution=32, style_dim=8, z_dim=6, channel_multiplier=1 / 16, channel_max=8, mapping_layers=2)


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    network = Generator(SPEC)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.2)
    return network.requires_grad_(False)


def styled_layers(network: Generator) -> list[tuple[torch.nn.Module, list[int]]]:
    """Convolutions and steps to RGB in order, with the row each reads (methods.md 1.2)."""
    layers: list[tuple[torch.nn.Module, list[int]]] = [(network.conv_first, [0]), (network.to_rgb_first, [1])]
    for i, block in enumerate(network.blocks):
        first = 2 * i + 1
        layers += [(block.conv_up, [first]), (block.conv, [first + 1]), (block.to_rgb, [first + 2])]
    return layers


def test_each_layer_reads_the_row_of_the_table(generator: Generator) -> None:
    seen: dict[torch.nn.Module, Tensor] = {}

    def remember(module: torch.nn.Module, arguments: Any) -> None:
        seen[module] = arguments[1]

    for layer, _ in styled_layers(generator):
        assert isinstance(layer, (StyledConv, ToRGB))
        layer.register_forward_pre_hook(remember)
    rows = torch.arange(float(SPEC.n_styles))[None, :, None].expand(1, -1, SPEC.style_dim)
    generator(rows)
    assert SPEC.n_styles == 8
    for layer, (row,) in styled_layers(generator):
        assert seen[layer].unique().tolist() == [row]


def test_a_row_changes_only_what_comes_after_it(generator: Generator) -> None:
    """Row i leaves the features of every resolution before its first layer as they are."""
    codes = torch.randn(1, SPEC.n_styles, SPEC.style_dim)
    outputs: list[Tensor] = []
    for block in generator.blocks:
        block.register_forward_hook(lambda _module, _arguments, out: outputs.append(out[0].clone()))

    def features(changed: int | None) -> list[Tensor]:
        outputs.clear()
        moved = codes.clone()
        if changed is not None:
            moved[:, changed] += 1
        generator(moved)
        return [*outputs]

    before = features(None)
    for row in range(SPEC.n_styles):
        # Block b (8 px is 0) convolves with rows 2b+1 and 2b+2; row 0 belongs to the layer before all blocks.
        same = [torch.equal(a, b) for a, b in zip(before, features(row), strict=True)]
        assert same == [row > 2 * b + 2 for b in range(len(generator.blocks))]


def test_the_last_row_moves_colour_alone(generator: Generator) -> None:
    codes = torch.randn(1, SPEC.n_styles, SPEC.style_dim)
    image, features = generator.synthesise(codes)
    codes[:, -1] += 1
    moved, same = generator.synthesise(codes)
    assert torch.equal(features, same) and not torch.equal(image, moved)


def test_noise_modes(generator: Generator) -> None:
    codes = generator.map(torch.randn(2, SPEC.z_dim))
    assert torch.equal(generator(codes), generator(codes, "fixed"))
    stored = [generator.get_buffer(f"noise_{i}") for i in range(len(SPEC.noise_sizes))]
    assert torch.equal(generator(codes), generator(codes, stored))
    off = generator(codes, "off")
    torch.testing.assert_close(off, generator(codes, [torch.zeros_like(m) for m in stored]))
    assert not torch.equal(off, generator(codes))
    assert not torch.equal(generator(codes, "random"), generator(codes, "random"))
    with pytest.raises(ShapeError, match="3 noise maps given, this generator takes 7"):
        generator(codes, stored[:3])


def test_truncation_pulls_towards_the_average(generator: Generator) -> None:
    generator.latent_avg.copy_(torch.randn(SPEC.style_dim))
    z = torch.randn(2, SPEC.z_dim)
    w, average = generator.map(z)[:, 0], generator.latent_avg
    torch.testing.assert_close(generator.map(z, 0.7)[:, 3], average + 0.7 * (w - average))
    torch.testing.assert_close(generator.map(z, 0.0)[1, 0], average)


def test_average_latent_is_the_mean_of_the_mapping(generator: Generator) -> None:
    found = generator.estimate_latent_avg(2500, torch.Generator().manual_seed(3))
    again = torch.Generator().manual_seed(3)
    z = torch.cat([torch.randn(count, SPEC.z_dim, generator=again) for count in (1000, 1000, 500)])
    torch.testing.assert_close(found, generator.mapping(z).mean(dim=0), rtol=1e-4, atol=1e-5)


def test_mapping_ignores_the_length_of_z(generator: Generator) -> None:
    z = torch.randn(2, SPEC.z_dim)
    torch.testing.assert_close(generator.map(z), generator.map(z * 30))


@pytest.mark.parametrize("crossover", [0, 1, 5, 8])
def test_mixing_replaces_rows_from_the_crossover_on(crossover: int) -> None:
    first, second = torch.zeros(2, 8, 3), torch.ones(2, 8, 3)
    mixed = mix_styles(first, second, crossover)
    assert mixed[0, :, 0].tolist() == [0.0] * crossover + [1.0] * (8 - crossover)


def test_nothing_mixed_is_the_first_code_itself(generator: Generator) -> None:
    a, b = generator.map(torch.randn(1, SPEC.z_dim)), generator.map(torch.randn(1, SPEC.z_dim))
    assert torch.equal(generator(mix_styles(a, b, SPEC.n_styles)), generator(a))
    assert torch.equal(generator(mix_styles(a, b, 0)), generator(b))


def test_a_batch_gives_what_its_pictures_give_alone(generator: Generator) -> None:
    generator.double()
    codes = torch.randn(3, SPEC.n_styles, SPEC.style_dim).double()
    together = generator(codes)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], generator(codes[i : i + 1]), rtol=1e-12, atol=1e-12)


def test_a_batch_costs_at_most_its_pictures() -> None:
    spec = GeneratorSpec(resolution=64, style_dim=16, channel_multiplier=1 / 8, channel_max=32, mapping_layers=1)
    network = Generator(spec).requires_grad_(False)

    def seconds(batch: int) -> float:
        codes = torch.randn(batch, spec.n_styles, spec.style_dim)
        times = []
        for _ in range(7):
            started = time.process_time()
            network(codes)
            times.append(time.process_time() - started)
        return min(times)

    seconds(1)
    assert seconds(4) < 4 * seconds(1) * 1.25  # a quarter for the clock of a busy machine


def test_a_channels_last_generator_draws_the_same(generator: Generator) -> None:
    codes = torch.randn(1, SPEC.n_styles, SPEC.style_dim)
    before = generator(codes)
    torch.testing.assert_close(generator.to(memory_format=torch.channels_last)(codes), before, rtol=1e-4, atol=1e-5)


def test_shapes_are_named_in_the_error(generator: Generator) -> None:
    with pytest.raises(ShapeError, match="W\\+ code has shape 1x7x8, expected anyx8x8"):
        generator(torch.zeros(1, 7, 8))
    with pytest.raises(ShapeError, match="z has shape 2x8, expected anyx6"):
        generator.map(torch.zeros(2, 8))


def test_derived_sizes() -> None:
    for resolution, styles in ((64, 10), (128, 12), (256, 14), (512, 16), (1024, 18)):
        assert GeneratorSpec(resolution=resolution).n_styles == styles
    assert SPEC.noise_sizes == (4, 8, 8, 16, 16, 32, 32)
    assert SPEC.resolutions == (4, 8, 16, 32)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"resolution": 100}, "generator resolution is 100, expected a power of two from 8 to 4096"),
        ({"resolution": 4}, "expected a power of two"),
        ({"resolution": -16}, "expected a power of two"),
        ({"resolution": 64, "style_dim": 0}, "generator widths of 0, expected 1 to 4096"),
        ({"resolution": 64, "z_dim": 40_000}, "generator widths of 40000, expected 1 to 4096"),
        ({"resolution": 64, "mapping_layers": 0}, "generator mapping layers of 0, expected 1 to 64"),
        ({"resolution": 64, "channel_multiplier": float("nan")}, "channel multiplier is nan"),
        ({"resolution": 1024, "channel_multiplier": 1 / 32}, "no channels left"),
    ],
)
def test_nonsense_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        GeneratorSpec(**values)


@pytest.mark.parametrize("noise", ["fixed", "off"])
def test_generator_in_half_precision_stays_close(generator: Generator, noise: NoiseMode) -> None:
    codes = torch.randn(1, SPEC.n_styles, SPEC.style_dim)
    expected = generator(codes, noise)
    close = generator.bfloat16()(codes.bfloat16(), noise).float()
    assert float((close - expected).abs().mean() / expected.std()) < 0.05


def test_building_for_loading_imports_no_compiler() -> None:
    """On the meta device torch computes in Python, and random numbers there cost every run two seconds of imports."""
    code = (
        "import sys, torch\n"
        "from pixel2style2pixel_cli.networks.families import ENCODER_FAMILIES\n"
        "from pixel2style2pixel_cli.networks.registry import build_encoder\n"
        "from pixel2style2pixel_cli.networks.specs import EncoderSpec, GeneratorSpec\n"
        "from pixel2style2pixel_cli.networks.stylegan2 import Generator\n"
        "spec = GeneratorSpec(resolution=32, channel_max=16)\n"
        "with torch.device('meta'):\n"
        "    Generator(spec)\n"
        "    for kind in ENCODER_FAMILIES:\n"
        "        sizes = {'units': (3, 2, 6, 5), 'widths': (24, 40, 112, 320)} if kind.startswith('lite') else {}\n"
        "        build_encoder(EncoderSpec(kind=kind, **sizes), spec.n_styles, spec.style_dim)\n"
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
