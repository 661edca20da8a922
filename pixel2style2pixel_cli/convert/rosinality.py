"""StyleGAN2 as the PyTorch port publishes it: the names of its tensors, and the sizes read off their shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from pixel2style2pixel_cli.convert.names import Blur, Row, fit, publish, rename
from pixel2style2pixel_cli.errors import IntegrityError
from pixel2style2pixel_cli.events import Notice, OnEvent, ignore_event
from pixel2style2pixel_cli.networks.specs import GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator
from pixel2style2pixel_cli.seeds import torch_generator

AVERAGE_DRAWS = 10_000
AVERAGE_SEED = 0


def looks_like_generator(state: Mapping[str, object]) -> bool:
    """Whether the names are those of a generator in this layout."""
    return "input.input" in state and "conv1.conv.weight" in state


def generator_spec(state: Mapping[str, Tensor]) -> GeneratorSpec:
    """Sizes of a generator, read off its tensors; IntegrityError where they fit no StyleGAN2."""
    blocks = _count(state, r"to_rgbs\.(\d+)\.bias")
    layers = _count(state, r"style\.(\d+)\.weight")
    if not looks_like_generator(state) or not blocks or not layers:
        raise IntegrityError(
            "this is not a StyleGAN2 generator: input.input, to_rgbs or style is absent", "name another file"
        )
    channels = {
        4 * 2**i: state[f"{'conv1' if i == 0 else f'convs.{2 * i - 1}'}.activate.bias"].numel()
        for i in range(blocks + 1)
    }
    first = state["style.1.weight"]
    return spec_from_channels(channels, style_dim=first.shape[0], z_dim=first.shape[1], mapping_layers=layers)


def spec_from_channels(channels: dict[int, int], *, style_dim: int, z_dim: int, mapping_layers: int) -> GeneratorSpec:
    """The spec whose channel table is ``channels`` (resolution to width); 2 is the multiplier where none shows."""
    spec = GeneratorSpec(
        resolution=max(channels),
        style_dim=style_dim,
        z_dim=z_dim,
        channel_multiplier=table_multiplier(channels),
        channel_max=max(channels.values()),
        mapping_layers=mapping_layers,
    )
    if spec.channels != channels:
        raise IntegrityError(
            f"the widths {channels} are not those of a StyleGAN2", "this generator cannot be converted"
        )
    return spec


def table_multiplier(channels: dict[int, int]) -> float:
    """The multiplier of a channel table: what its narrowed entries say, or 2 where all are at the maximum."""
    widest = max(channels.values())
    narrowed = [width * r / 16384 for r, width in channels.items() if width < widest]
    multiplier = narrowed[0] if narrowed else max(2.0, widest * max(channels) / 16384)
    return int(multiplier) if multiplier.is_integer() else multiplier


def generator_rows(spec: GeneratorSpec) -> tuple[list[Row], list[Blur]]:
    """Published and our names of all tensors but the average latent, which is stored elsewhere in every layout."""
    rows = [
        Row(f"style.{i + 1}.{leaf}", f"mapping.layers.{i}.{leaf}")
        for i in range(spec.mapping_layers)
        for leaf in ("weight", "bias")
    ]
    rows += [Row("input.input", "constant"), *_styled("conv1", "conv_first"), *_to_rgb("to_rgb1", "to_rgb_first")]
    blurs = []
    for i in range(len(spec.resolutions) - 1):
        rows += _styled(f"convs.{2 * i}", f"blocks.{i}.conv_up")
        rows += _styled(f"convs.{2 * i + 1}", f"blocks.{i}.conv")
        rows += _to_rgb(f"to_rgbs.{i}", f"blocks.{i}.to_rgb")
        blurs += [Blur(f"convs.{2 * i}.conv.blur.kernel", 4.0), Blur(f"to_rgbs.{i}.upsample.kernel", 4.0)]
    rows += [Row(f"noises.noise_{i}", f"noise_{i}") for i in range(len(spec.noise_sizes))]
    return rows, blurs


def _modulated(theirs: str, ours: str) -> list[Row]:
    return [
        Row(f"{theirs}.conv.weight", f"{ours}.conv.weight", "drop_first"),
        Row(f"{theirs}.conv.modulation.weight", f"{ours}.conv.to_style.weight"),
        Row(f"{theirs}.conv.modulation.bias", f"{ours}.conv.to_style.bias"),
    ]


def _styled(theirs: str, ours: str) -> list[Row]:
    noise = Row(f"{theirs}.noise.weight", f"{ours}.noise_strength")
    return [*_modulated(theirs, ours), noise, Row(f"{theirs}.activate.bias", f"{ours}.activate.bias")]


def _to_rgb(theirs: str, ours: str) -> list[Row]:
    return [*_modulated(theirs, ours), Row(f"{theirs}.bias", f"{ours}.bias", "flatten")]


def convert_generator(
    state: Mapping[str, Tensor], latent_avg: Tensor | None, on_event: OnEvent = ignore_event
) -> tuple[GeneratorSpec, dict[str, Tensor]]:
    """A published generator as ours; the average latent is computed, and said to be, where the file has none."""
    spec = generator_spec(state)
    ours = rename(state, *generator_rows(spec), what="the generator")
    ours["latent_avg"] = torch.zeros(spec.style_dim)
    with torch.device("meta"):
        generator = Generator(spec)
    fit(generator, ours, "the generator")
    if latent_avg is None:
        on_event(
            Notice(
                message=f"the file holds no average latent; computed from {AVERAGE_DRAWS:,} draws (seed {AVERAGE_SEED})"
            )
        )
        latent_avg = generator.estimate_latent_avg(AVERAGE_DRAWS, torch_generator(AVERAGE_SEED))
    elif latent_avg.shape[-1] != spec.style_dim:
        raise IntegrityError(
            f"the average latent has shape {tuple(latent_avg.shape)}, expected width {spec.style_dim}",
            "name another file",
        )
    # Rows of a W+ average are copies of one row in every published file; their mean is that row.
    ours["latent_avg"] = latent_avg.reshape(-1, spec.style_dim).mean(dim=0)
    return spec, ours


def publish_generator(spec: GeneratorSpec, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
    """Our generator under the published names, and its average latent, which that layout stores apart."""
    rest = {key: tensor for key, tensor in state.items() if key != "latent_avg"}
    return publish(rest, *generator_rows(spec)), state["latent_avg"]


def _count(state: Mapping[str, object], pattern: str) -> int:
    """Number of distinct indices a name pattern occurs with."""
    return len({match[1] for key in state if (match := re.fullmatch(pattern, key))})
