"""Which class builds which kind of encoder: one row each."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from pixel2style2pixel_cli.networks.e4e import E4EEncoder
from pixel2style2pixel_cli.networks.psp import IntoWEncoder, NaiveWPlusEncoder, PSPEncoder
from pixel2style2pixel_cli.networks.specs import EncoderKind, EncoderSpec

ENCODERS: dict[EncoderKind, Callable[[EncoderSpec, int, int], nn.Module]] = {
    "psp": PSPEncoder,
    "psp_w": IntoWEncoder,
    "psp_wplus": NaiveWPlusEncoder,
    "e4e": E4EEncoder,
}


def build_encoder(spec: EncoderSpec, n_styles: int, style_dim: int) -> nn.Module:
    """An encoder with random weights for a generator of ``n_styles`` rows of ``style_dim``."""
    return ENCODERS[spec.kind](spec, n_styles, style_dim)
