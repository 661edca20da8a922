"""What ``p2s2p evaluate`` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pixel2style2pixel_cli.events import OnEvent, ignore_event
from pixel2style2pixel_cli.options.declare import OUTPUT, REQUIRED, RUN, declare
from pixel2style2pixel_cli.options.shared import Existing, declare_existing, declare_recursive, declare_seed
from pixel2style2pixel_cli.options.task import MAX_PIXELS

SMALLEST, LARGEST = 16, 4096


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class EvaluationOptions:
    """Results and what they are compared with. ``on_event`` connects a run to its caller."""

    results: str | Path = declare(
        REQUIRED, metavar="RESULTS", path=True, help="A picture, or a folder of pictures, to be judged."
    )
    targets: str | Path = declare(
        REQUIRED, metavar="TARGETS", path=True,
        help="The picture, or the folder, to compare with: pictures of equal names, or the photographs that results "
        "of p2s2p were made from.",
    )  # fmt: skip
    out: str | Path | None = declare(
        None, "-o", "--out", metavar="FILE", section=OUTPUT, default_means="the terminal only",
        help="Write the report to this file too: .json, or .md for Markdown.",
    )  # fmt: skip
    existing: Existing = declare_existing()
    recursive: bool = declare_recursive()
    size: int | None = declare(
        None, "--size", metavar="N", minimum=SMALLEST, maximum=LARGEST, default_means="that of the smaller picture",
        help="Bring all pictures to this side before they are compared.",
    )  # fmt: skip
    seed: int = declare_seed()
    max_pixels: int = declare(
        MAX_PIXELS, "--max-pixels", metavar="N", section=RUN, minimum=1, help="Refuse pictures with more pixels."
    )
    on_event: OnEvent = ignore_event
