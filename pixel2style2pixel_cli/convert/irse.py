"""Names of the IR-SE trunk and of the face recogniser on top of it, and the trunk's sizes read off the shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import cast

from torch import Tensor

from pixel2style2pixel_cli.convert.names import COUNTER, Row
from pixel2style2pixel_cli.errors import IntegrityError

BATCH_NORM = ("weight", "bias", "running_mean", "running_var", COUNTER)

FourSizes = tuple[int, int, int, int]


def trunk_sizes(state: Mapping[str, Tensor]) -> tuple[FourSizes, FourSizes]:
    """Units and widths of the four stages."""
    return four_stages(state, "res_layer.4.weight", "input_layer.0.weight", "an IR-SE")


def four_stages(state: Mapping[str, Tensor], last: str, input_layer: str, kind: str) -> tuple[FourSizes, FourSizes]:
    """Units and widths of a trunk whose units are counted through; ``last`` is a vector that each of them has."""
    indices = sorted({int(match[1]) for key in state if (match := re.match(r"body\.(\d+)\.", key))})
    per_unit = [state[key].numel() for i in indices if (key := f"body.{i}.{last}") in state]
    stages = [(width, len(list(group))) for width, group in groupby(per_unit)]
    if indices != list(range(len(per_unit))) or len(stages) != 4 or input_layer not in state:
        raise IntegrityError(
            f"the encoder has {len(stages)} stages of units, expected the four of {kind} trunk", "name another file"
        )
    units, widths = tuple(count for _, count in stages), tuple(width for width, _ in stages)
    return cast(FourSizes, units), cast(FourSizes, widths)


def trunk_rows(units: Sequence[int], widths: Sequence[int]) -> list[Row]:
    """Published and our names of the trunk; the published one counts its units through, ours by stage."""
    rows = [
        Row("input_layer.0.weight", "trunk.input_layer.0.weight"),
        *batch_norm_rows("input_layer.1", "trunk.input_layer.1"),
        Row("input_layer.2.weight", "trunk.input_layer.2.weight"),
    ]
    body, before = 0, widths[0]
    for stage, (count, width) in enumerate(zip(units, widths, strict=True)):
        for unit in range(count):
            rows += _unit_rows(f"body.{body}", f"trunk.stages.{stage}.{unit}", projected=before != width)
            body, before = body + 1, width
    return rows


def _unit_rows(theirs: str, ours: str, *, projected: bool) -> list[Row]:
    """One residual unit; ``projected`` where the shortcut changes the width."""
    rows = [
        *batch_norm_rows(f"{theirs}.res_layer.0", f"{ours}.residual.0"),
        *(Row(f"{theirs}.res_layer.{i}.weight", f"{ours}.residual.{i}.weight") for i in (1, 2, 3)),
        *batch_norm_rows(f"{theirs}.res_layer.4", f"{ours}.residual.4"),
        Row(f"{theirs}.res_layer.5.fc1.weight", f"{ours}.residual.5.gate.1.weight"),
        Row(f"{theirs}.res_layer.5.fc2.weight", f"{ours}.residual.5.gate.3.weight"),
    ]
    if projected:
        rows.append(Row(f"{theirs}.shortcut_layer.0.weight", f"{ours}.shortcut.0.weight"))
        rows += batch_norm_rows(f"{theirs}.shortcut_layer.1", f"{ours}.shortcut.1")
    return rows


def batch_norm_rows(theirs: str, ours: str) -> list[Row]:
    """The five tensors of a BatchNorm layer."""
    return [Row(f"{theirs}.{leaf}", f"{ours}.{leaf}") for leaf in BATCH_NORM]


def linear_rows(theirs: str, ours: str) -> list[Row]:
    """Weight and bias."""
    return [Row(f"{theirs}.{leaf}", f"{ours}.{leaf}") for leaf in ("weight", "bias")]
