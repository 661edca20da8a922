"""What ``p2s2p edit learn`` is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pixel2style2pixel_cli.options.declare import OUTPUT, REQUIRED, declare
from pixel2style2pixel_cli.options.pictures import PictureOptions
from pixel2style2pixel_cli.options.shared import Existing, declare_existing, declare_recursive
from pixel2style2pixel_cli.options.task import INPUTS_HELP


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class LearnOptions(PictureOptions):
    """Labelled pictures, and the directions that are learned from them."""

    inputs_help: ClassVar[str] = "Photographs, or their saved codes" + INPUTS_HELP

    labels: str | Path = declare(
        REQUIRED, "--labels", metavar="FILE", path=True,
        help="A table (CSV): first the name of each picture, then a column for each label, numbers or words.",
    )  # fmt: skip
    label: Sequence[str] | None = declare(
        None, "--label", metavar="NAME", default_means="every column",
        help="Learn the direction of this column only; repeatable.",
    )  # fmt: skip
    orthogonal_to: Sequence[str] | None = declare(
        None, "--orthogonal-to", metavar="NAME",
        help="Another label that is to stay as it is, or all for all others; repeatable.",
    )  # fmt: skip
    method: Literal["means", "regression"] = declare(
        "means", "--method", metavar="HOW",
        help="means (how the mean code changes with the label) or regression (what tells the label; InterFaceGAN).",
    )  # fmt: skip
    space: Literal["w", "w+"] = declare(
        "w+", "--space", metavar="SPACE", help="One step for each row of the codes (w+), or one for all of them (w)."
    )
    layers: str | None = declare(
        None, "--layers", metavar="ROWS", default_means="all",
        help="Rows that the direction moves unless edit says otherwise.",
    )  # fmt: skip
    optimize: int = declare(
        0, "--optimize", metavar="N", minimum=0, help="Steps that improve the code of each photograph."
    )
    out: str | Path | None = declare(
        None, "-o", "--out", metavar="OUT", section=OUTPUT, default_means="p2s2p-out/directions",
        help="Folder of the directions; for one label also a file.",
    )  # fmt: skip
    existing: Existing = declare_existing()
    recursive: bool = declare_recursive()
