"""The StyleGAN2 discriminator as the PyTorch port publishes it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from pixel2style2pixel_cli.convert.irse import linear_rows
from pixel2style2pixel_cli.convert.names import Blur, Row, fit, rename
from pixel2style2pixel_cli.convert.rosinality import table_multiplier
from pixel2style2pixel_cli.errors import IntegrityError
from pixel2style2pixel_cli.networks.discriminator import Discriminator
from pixel2style2pixel_cli.networks.specs import DiscriminatorSpec


def convert_discriminator(state: Mapping[str, Tensor]) -> tuple[DiscriminatorSpec, dict[str, Tensor]]:
    """A published discriminator as ours."""
    spec = discriminator_spec(state)
    ours = rename(state, *discriminator_rows(spec), what="the discriminator")
    with torch.device("meta"):
        module = Discriminator(spec)
    fit(module, ours, "the discriminator")
    return spec, ours


def discriminator_spec(state: Mapping[str, Tensor]) -> DiscriminatorSpec:
    """Sizes of a discriminator, read off its tensors."""
    blocks = len({match[1] for key in state if (match := re.fullmatch(r"convs\.(\d+)\.conv1\.0\.weight", key))})
    widths = [state[key].shape[0] for i in range(1, blocks + 1) if (key := f"convs.{i}.conv2.1.weight") in state]
    if not blocks or len(widths) != blocks or "convs.0.0.weight" not in state:
        raise IntegrityError("this is not a StyleGAN2 discriminator: convs.0.0 is absent", "name another file")
    resolution = 4 * 2**blocks
    channels = {resolution // 2**i: width for i, width in enumerate([state["convs.0.0.weight"].shape[0], *widths])}
    spec = DiscriminatorSpec(
        resolution=resolution, channel_multiplier=table_multiplier(channels), channel_max=max(channels.values())
    )
    if spec.channels != channels:
        raise IntegrityError(f"the widths {channels} are not those of a StyleGAN2", "this network cannot be converted")
    return spec


def discriminator_rows(spec: DiscriminatorSpec) -> tuple[list[Row], list[Blur]]:
    """Published and our names of all tensors."""
    rows = [Row("convs.0.0.weight", "from_rgb.conv.weight"), Row("convs.0.1.bias", "from_rgb.activate.bias")]
    blurs = []
    for i in range(len(spec.resolutions) - 1):
        theirs, ours = f"convs.{i + 1}", f"blocks.{i}"
        rows += [
            Row(f"{theirs}.conv1.0.weight", f"{ours}.conv_first.conv.weight"),
            Row(f"{theirs}.conv1.1.bias", f"{ours}.conv_first.activate.bias"),
            Row(f"{theirs}.conv2.1.weight", f"{ours}.conv_down.conv.weight"),
            Row(f"{theirs}.conv2.2.bias", f"{ours}.conv_down.activate.bias"),
            Row(f"{theirs}.skip.1.weight", f"{ours}.shortcut.weight"),
        ]
        blurs += [Blur(f"{theirs}.conv2.0.kernel", 1.0), Blur(f"{theirs}.skip.0.kernel", 1.0)]
    rows += [Row("final_conv.0.weight", "conv_last.conv.weight"), Row("final_conv.1.bias", "conv_last.activate.bias")]
    rows += linear_rows("final_linear.0", "linear_hidden") + linear_rows("final_linear.1", "linear_score")
    return rows, blurs
