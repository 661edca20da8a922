"""Our networks in the layout in which pSp, e4e, ReStyle and the PyTorch port of StyleGAN2 are published.

The opposite of ``convert/psp.py`` and ``convert/rosinality.py``: what this writes, those read.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pixel2style2pixel_cli.convert.names import publish
from pixel2style2pixel_cli.convert.psp import encoder_rows, spread_average
from pixel2style2pixel_cli.convert.rosinality import publish_generator
from pixel2style2pixel_cli.errors import UsageError
from pixel2style2pixel_cli.networks.families import ENCODER_FAMILIES
from pixel2style2pixel_cli.networks.specs import ALL_OPEN, EncoderSpec, GeneratorSpec

AVERAGE = "latent_avg"


def published_generator(spec: GeneratorSpec, state: Mapping[str, Tensor]) -> dict[str, object]:
    """A generator as the PyTorch port publishes it: ``g_ema`` and ``latent_avg``."""
    tensors, average = publish_generator(spec, state)
    return {"g_ema": tensors, AVERAGE: average}


def published_model(
    encoder_spec: EncoderSpec,
    encoder: Mapping[str, Tensor],
    generator_spec: GeneratorSpec,
    generator: Mapping[str, Tensor],
) -> dict[str, object]:
    """Encoder and generator in the container of pSp: ``state_dict``, ``opts`` and ``latent_avg``.

    UsageError for an encoder that the published programs do not have.
    """
    family = ENCODER_FAMILIES[encoder_spec.kind]
    if family.layout is None or not family.published:
        raise UsageError(
            f"{family.title} encoder has no published layout, so no other program reads it",
            "use --format onnx or safetensors, or --part generator",
        )
    if encoder_spec.stage != ALL_OPEN:
        raise UsageError(
            f"the encoder is used at stage {encoder_spec.stage}, which the published layout does not say",
            "use --format onnx or safetensors",
        )
    drawn, average_D = publish_generator(generator_spec, generator)
    tensors = {key: tensor for key, tensor in encoder.items() if key != AVERAGE}
    parts = {"encoder.": publish(tensors, encoder_rows(encoder_spec, generator_spec.n_styles)), "decoder.": drawn}
    average_ND = encoder[AVERAGE]
    starts = bool(average_ND.any())
    options = {
        "encoder_type": family.published[0],
        "input_nc": encoder_spec.input_channels,
        "label_nc": 0,
        "output_size": generator_spec.resolution,
        "stylegan_size": generator_spec.resolution,
        "n_styles": generator_spec.n_styles,
        "start_from_latent_avg": starts,
        "learn_in_w": family.layout == "into_w",
        "device": "cpu",
    }
    return {
        "state_dict": {prefix + key: tensor for prefix, part in parts.items() for key, tensor in part.items()},
        "opts": options,
        AVERAGE: (average_ND if starts else spread_average(average_D, generator_spec)).clone(),
    }


def same_tensors(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors have the same names and, to the bit, the same numbers."""
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
