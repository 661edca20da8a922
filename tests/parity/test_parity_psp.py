"""Whole published checkpoints, encoder to picture, through the converter and our model."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from golden_numbers import (
    Golden,
    average,
    draw,
    encoder_layout,
    filled,
    generator_layout,
    golden,
    layout,
    loaded,
    picture,
)
from torch import Tensor

from pixel2style2pixel_cli.convert.layout import convert_checkpoint
from pixel2style2pixel_cli.engine.mixing import mix_rows
from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.registry import build_encoder
from pixel2style2pixel_cli.networks.specs import EncoderKind
from pixel2style2pixel_cli.networks.stylegan2 import Generator


def published(
    encoder: dict[str, tuple[int, ...]],
    resolution: int,
    name: str,
    average_shape: tuple[int, ...],
    salt: str = "golden",
    encoder_salt: str | None = None,
) -> dict[str, object]:
    """A checkpoint in the published container, with the values of the golden rule."""
    parts = {
        "encoder.": filled(encoder, "e", encoder_salt or f"{salt}.encoder"),
        "decoder.": filled(generator_layout(resolution), "g", f"{salt}.decoder"),
    }
    return {
        "state_dict": {prefix + key: value for prefix, state in parts.items() for key, value in state.items()},
        "opts": {"encoder_type": name, "start_from_latent_avg": True},
        "latent_avg": average(average_shape, salt),
    }


class Drawing(NamedTuple):
    """An encoder and the generator that draws its codes."""

    encoder: Encoder
    generator: Generator


def converted_model(checkpoint: dict[str, object], kind: EncoderKind) -> Drawing:
    converted = convert_checkpoint(checkpoint)
    assert converted.encoder is not None
    assert converted.encoder_spec is not None
    assert converted.encoder_spec.kind == kind
    generator = loaded(Generator(converted.generator_spec), converted.generator)
    with torch.device("meta"):
        encoder = build_encoder(converted.encoder_spec, generator.spec.n_styles, generator.spec.style_dim)
    return Drawing(loaded(encoder, converted.encoder).eval(), generator.eval())


def check_mixing(numbers: Golden, model: Drawing, codes: Tensor, style: Tensor, rows: list[int], alpha: float) -> None:
    """The rows of a mask blended with a style, replaced by it, and set to zero."""
    blended, replaced = (mix_rows(codes, style, rows, share) for share in (alpha, 1.0))
    zeroed = mix_rows(codes, torch.zeros_like(codes), rows, 1.0)
    for tag, mixed in (("alpha", blended), ("replace", replaced), ("zero", zeroed)):
        numbers.check(f"image_mix_{tag}", F.adaptive_avg_pool2d(model.generator(mixed), 256))
        if f"latents_mix_{tag}" in numbers.arrays or f"latents_mix_{tag}.slice" in numbers.arrays:
            numbers.check(f"latents_mix_{tag}", mixed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "resolution", "channels", "batch", "rows", "alpha"),
    [
        ("psp_forward_1024", 1024, 3, 1, list(range(8, 18)), 0.5),
        ("psp_forward_256", 256, 3, 2, [0, 3, 7, 12], 0.3),
        ("psp_forward_256_seg", 256, 19, 1, list(range(8, 14)), 0.5),
        ("psp_forward_256_sketch", 256, 1, 1, list(range(8, 14)), 0.5),
    ],
)
@torch.no_grad()
def test_psp_gives_the_published_pictures(
    case: str, resolution: int, channels: int, batch: int, rows: list[int], alpha: float
) -> None:
    numbers = golden(case)
    n_styles = 18 if resolution == 1024 else 14
    shapes = encoder_layout(n_styles, channels)
    model = converted_model(published(shapes, resolution, "GradualStyleEncoder", (n_styles, 512)), "psp")
    codes = model.encoder(picture("x", (batch, channels, 256, 256), onehot=channels == 19))
    numbers.check("latents", codes)
    image = model.generator(codes)
    numbers.check("image_full", image)
    numbers.check("image256", F.adaptive_avg_pool2d(image, 256))
    style = model.generator.map(draw("z", (batch, 512)))
    numbers.check("latents_from_z", style[:, 0])
    numbers.check("image_from_z", F.adaptive_avg_pool2d(model.generator(style), 256))
    check_mixing(numbers, model, codes, style, rows, alpha)


@pytest.mark.slow
@torch.no_grad()
def test_e4e_gives_the_published_pictures() -> None:
    numbers = golden("e4e_forward_256")
    model = converted_model(published(encoder_layout(14), 256, "Encoder4Editing", (14, 512)), "e4e")
    codes = model.encoder(picture("x", (2, 3, 256, 256)))
    numbers.check("latents", codes)
    numbers.check("image256", model.generator(codes))


@pytest.mark.slow
@torch.no_grad()
def test_encoder_into_w_and_an_average_of_one_row() -> None:
    numbers, image = golden("psp_into_w_256"), picture("x", (2, 3, 256, 256))
    checkpoint = published(layout("psp_into_w", "encoder."), 256, "BackboneEncoderUsingLastLayerIntoW", (1, 512))
    model = converted_model(checkpoint, "psp_w")
    codes = model.encoder(image)
    numbers.check("latents", codes)
    numbers.check("image256", model.generator(codes))
    checkpoint = published(encoder_layout(14), 256, "GradualStyleEncoder", (512,), "golden.b")
    model = converted_model(checkpoint, "psp")
    codes = model.encoder(image)
    numbers.check("avg1d.latents", codes)
    numbers.check("avg1d.image256", model.generator(codes))
