"""What ``p2s2p tune`` is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pixel2style2pixel_cli.options.declare import OUTPUT, declare
from pixel2style2pixel_cli.options.pictures import PictureOptions
from pixel2style2pixel_cli.options.shared import Existing, declare_existing
from pixel2style2pixel_cli.options.task import INPUTS_HELP

# Fewer and larger than the published 350 steps at 3e-4. On the bundled generator 60 steps at 1e-3 halve the squared
# error of a photograph (0.033 to 0.016); at 4e-3 it is 0.011, and other faces change three times as much.
STEPS, RATE, LOCALITY = 80, 2e-3, 0.1
PIVOT_STEPS = 150


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class TuneOptions(PictureOptions):
    """How a generator is tuned to draw pictures of one person."""

    inputs_help: ClassVar[str] = "Photographs of one person" + INPUTS_HELP

    out: str | Path | None = declare(
        None, "-o", "--out", metavar="FILE", section=OUTPUT, default_means="p2s2p-out/tune/STEM.safetensors",
        help="The file of changes, such as anna.safetensors.",
    )  # fmt: skip
    existing: Existing = declare_existing()
    picture: bool = declare(
        True, "--picture/--no-picture", section=OUTPUT,
        help="Also save a comparison, FILE.png: input, inversion before and after.",
    )  # fmt: skip
    resume: bool = declare(
        True,
        "--resume/--no-resume",
        section=OUTPUT,
        help="Continue where an interrupted tuning of these inputs stopped.",
    )
    steps: int = declare(STEPS, "--steps", metavar="N", minimum=1, maximum=100_000, help="Most steps of the tuning.")
    rate: float = declare(RATE, "--rate", metavar="R", minimum=1e-7, maximum=1, help="Learning rate.")
    locality: float = declare(
        LOCALITY, "--locality", metavar="W", minimum=0, maximum=1000,
        help="How strongly other faces are kept as they were; 0 leaves them free.",
    )  # fmt: skip
    pivot: Sequence[str] = declare(
        ("encoder",), "--pivot", metavar="FROM",
        help="The codes to tune for: encoder (and the steps of invert), w (projection into W), or a saved code for "
        "each input; repeatable.",
    )  # fmt: skip
    pivot_steps: int | None = declare(
        None, "--pivot-steps", metavar="N", minimum=0, default_means=f"as invert, {PIVOT_STEPS} for w",
        help="Steps in which the pivot is found.",
    )  # fmt: skip
    tune_layers: str | None = declare(
        None, "--tune-layers", metavar="ROWS", default_means="all",
        help="Tune only the layers of these rows: 0-5, 0,3,7-9, coarse, middle or fine.",
    )  # fmt: skip
    perceptual: Literal["auto", "lpips", "features", "none"] = declare(
        "auto", "--perceptual", metavar="TERM",
        help="What sees likeness: lpips, features (bundled), none, or auto (lpips where its network is installed).",
    )  # fmt: skip
