"""From a spec to the network that it describes."""

from __future__ import annotations

import importlib

from pixel2style2pixel_cli.networks.encoder import Encoder
from pixel2style2pixel_cli.networks.families import ENCODER_FAMILIES
from pixel2style2pixel_cli.networks.specs import EncoderSpec


def build_encoder(spec: EncoderSpec, n_styles: int, style_dim: int) -> Encoder:
    """An encoder with random weights for a generator of ``n_styles`` rows of ``style_dim``."""
    module, name = ENCODER_FAMILIES[spec.kind].network
    build = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    encoder: Encoder = build(spec, n_styles, style_dim)
    return encoder
