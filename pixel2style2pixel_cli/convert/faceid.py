"""The published face recogniser (ArcFace on the IR-SE trunk), and its trunk alone as the start of an encoder."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pixel2style2pixel_cli.convert.irse import batch_norm_rows, linear_rows, trunk_rows, trunk_sizes
from pixel2style2pixel_cli.convert.names import Row, fit, rename
from pixel2style2pixel_cli.networks.faceid import FaceRecogniser
from pixel2style2pixel_cli.networks.specs import DEPTHS, WIDTHS


def looks_like_recogniser(state: Mapping[str, object]) -> bool:
    """Whether the names are those of a face recogniser."""
    return "input_layer.0.weight" in state and "output_layer.3.weight" in state


def convert_recogniser(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published 50-layer recogniser under our names."""
    ours = rename(state, recogniser_rows(), what="the face recogniser")
    with torch.device("meta"):
        module = FaceRecogniser()
    fit(module, ours, "the face recogniser")
    return ours


def convert_trunk(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The trunk of a recogniser or encoder, named as inside our encoders (``trunk.*``); the head is left out."""
    rows = trunk_rows(*trunk_sizes(state))
    wanted = {row.theirs for row in rows}
    return rename({key: tensor for key, tensor in state.items() if key in wanted}, rows, what="the trunk")


def recogniser_rows() -> list[Row]:
    """Published and our names of the whole recogniser."""
    return [
        *trunk_rows(DEPTHS[50], WIDTHS),
        *batch_norm_rows("output_layer.0", "head.0"),
        *linear_rows("output_layer.3", "head.2"),
        *batch_norm_rows("output_layer.4", "head.3"),
    ]
