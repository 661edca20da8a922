"""Checkpoints of a few kilobytes in the published layouts, made from our own networks with small sizes."""

from __future__ import annotations

import torch
from torch import Tensor

from pixel2style2pixel_cli.convert.names import publish
from pixel2style2pixel_cli.convert.psp import encoder_rows
from pixel2style2pixel_cli.convert.rosinality import generator_rows
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import EncoderKind, EncoderSpec, GeneratorSpec
from pixel2style2pixel_cli.networks.stylegan2 import Generator

GENERATOR = GeneratorSpec(resolution=32, style_dim=16, z_dim=16, channel_multiplier=2, channel_max=16, mapping_layers=2)
ENCODER = EncoderSpec(input_size=32, units=(1, 2, 1, 1), widths=(4, 8, 12, 16), head_width=16)


def spec_of(kind: EncoderKind, channels: int = 3) -> EncoderSpec:
    """A small spec; the ablations' input size cannot be read off their tensors, so it is the published one."""
    size = 256 if kind in ("psp_w", "psp_wplus") else 32
    return EncoderSpec(
        kind=kind,
        input_channels=channels,
        input_size=size,
        units=ENCODER.units,
        widths=ENCODER.widths,
        head_width=16 if kind != "psp_w" else 512,
    )


def generator_state() -> dict[str, Tensor]:
    """A generator under its published names, without an average latent."""
    torch.manual_seed(1)
    state = Generator(GENERATOR).state_dict()
    state.pop("latent_avg")
    return publish(state, *generator_rows(GENERATOR))


def encoder_state(kind: EncoderKind = "psp", channels: int = 3) -> dict[str, Tensor]:
    """An encoder under its published names."""
    torch.manual_seed(2)
    spec = spec_of(kind, channels)
    module = build_encoder(spec, GENERATOR.n_styles, GENERATOR.style_dim)
    state = module.state_dict()
    state.pop("latent_avg")
    return publish(state, encoder_rows(spec, GENERATOR.n_styles))


def psp_checkpoint(
    encoder_type: str | None = "GradualStyleEncoder",
    *,
    kind: EncoderKind = "psp",
    channels: int = 3,
    average: Tensor | None = None,
    **options: object,
) -> dict[str, object]:
    """The container of pSp and e4e."""
    state = {f"encoder.{key}": value for key, value in encoder_state(kind, channels).items()}
    state |= {f"decoder.{key}": value for key, value in generator_state().items()}
    named = {} if encoder_type is None else {"encoder_type": encoder_type}
    checkpoint: dict[str, object] = {
        "state_dict": state,
        "opts": {"start_from_latent_avg": True, "device": "cuda:0", "checkpoint_path": None, **named, **options},
    }
    if average is not None:
        checkpoint["latent_avg"] = average
    return checkpoint


def nvidia_state() -> dict[str, Tensor]:
    """The same generator under NVIDIA's names, with its average latent."""
    theirs = generator_state()
    state: dict[str, Tensor] = {"mapping.w_avg": torch.linspace(-1, 1, 16)}
    layers = {
        "conv.weight": "weight",
        "conv.modulation.weight": "affine.weight",
        "conv.modulation.bias": "affine.bias",
        "noise.weight": "noise_strength",
        "activate.bias": "bias",
        "bias": "bias",
    }
    for key, value in theirs.items():
        head, _, leaf = key.partition(".")
        if head == "style":
            index, _, leaf = leaf.partition(".")
            state[f"mapping.fc{int(index) - 1}.{leaf}"] = value
        elif head == "input":
            state["synthesis.b4.const"] = value[0]
        elif head == "noises":
            index = int(leaf.removeprefix("noise_"))
            name = "b4.conv1" if index == 0 else f"b{8 * 2 ** ((index - 1) // 2)}.conv{(index - 1) % 2}"
            state[f"synthesis.{name}.noise_const"] = value[0, 0]
        elif "kernel" in leaf:
            index = int(leaf.split(".")[0])
            name = f"b{8 * 2 ** (index // 2)}.conv0" if head == "convs" else f"b{8 * 2**index}"
            state[f"synthesis.{name}.resample_filter"] = value / 4
        else:
            index_text, _, rest = leaf.partition(".") if head in ("convs", "to_rgbs") else ("", "", leaf)
            index = int(index_text) if index_text else 0
            name = {
                "conv1": "b4.conv1",
                "to_rgb1": "b4.torgb",
                "convs": f"b{8 * 2 ** (index // 2)}.conv{index % 2}",
                "to_rgbs": f"b{8 * 2**index}.torgb",
            }[head]
            shaped = value[0] if rest == "conv.weight" else value.reshape(-1) if rest == "bias" else value
            state[f"synthesis.{name}.{layers[rest]}"] = shaped.reshape(()) if rest == "noise.weight" else shaped
    return state
