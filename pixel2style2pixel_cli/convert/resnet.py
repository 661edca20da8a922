"""Names of the ResNet34 trunk as ReStyle's checkpoints have them, and the trunk's sizes read off the shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from pixel2style2pixel_cli.convert.irse import FourSizes, batch_norm_rows, four_stages
from pixel2style2pixel_cli.convert.names import Row

INPUT_LAYER = "conv1.weight"


def resnet_sizes(state: Mapping[str, Tensor]) -> tuple[FourSizes, FourSizes]:
    """Units and widths of the four stages."""
    return four_stages(state, "bn2.weight", INPUT_LAYER, "a ResNet")


def resnet_rows(units: Sequence[int], widths: Sequence[int]) -> list[Row]:
    """Published and our names of the trunk; the published one counts its units through, ours by stage."""
    rows = [
        Row(INPUT_LAYER, "trunk.input_layer.0.weight"),
        *batch_norm_rows("bn1", "trunk.input_layer.1"),
        Row("relu.weight", "trunk.input_layer.2.weight"),
    ]
    body = 0
    for stage, count in enumerate(units):
        for unit in range(count):
            theirs, ours = f"body.{body}", f"trunk.stages.{stage}.{unit}"
            for number, place in ((1, 0), (2, 3)):
                rows.append(Row(f"{theirs}.conv{number}.weight", f"{ours}.residual.{place}.weight"))
                rows += batch_norm_rows(f"{theirs}.bn{number}", f"{ours}.residual.{place + 1}")
            if unit == 0 and stage > 0:
                rows.append(Row(f"{theirs}.downsample.0.weight", f"{ours}.shortcut.0.weight"))
                rows += batch_norm_rows(f"{theirs}.downsample.1", f"{ours}.shortcut.1")
            body += 1
    return rows
