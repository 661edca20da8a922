"""What ``p2s2p evaluate`` is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixel2style2pixel_cli.events import OnEvent, ignore_event
from pixel2style2pixel_cli.options.declare import MODEL, OUTPUT, REQUIRED, RUN, declare
from pixel2style2pixel_cli.options.shared import (
    Existing,
    declare_device,
    declare_existing,
    declare_recursive,
    declare_seed,
)
from pixel2style2pixel_cli.options.task import MAX_PIXELS

SMALLEST, LARGEST = 16, 4096


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class EvaluationOptions:
    """Results, or a model that makes them, and what they are compared with. ``on_event`` connects a run to its caller.

    In the place of results may stand a model: its name, the folder of a training run, or a file of ``p2s2p tune``.
    """

    results: str | Path = declare(
        REQUIRED, metavar="RESULTS", path=True,
        help="A picture, or a folder of pictures, to be judged; or a model, by name or by the folder of a training "
        "run, which is given the targets first.",
    )  # fmt: skip
    targets: str | Path = declare(
        REQUIRED, metavar="TARGETS", path=True,
        help="The picture, or the folder, to compare with: pictures of equal names, or the photographs that results "
        "of p2s2p were made from.",
    )  # fmt: skip
    inputs: str | Path | None = declare(
        None, "--inputs", metavar="PATH", path=True, default_means="the targets",
        help="What the results are made from, under the names of the targets: label maps, drawings, masked pictures.",
    )  # fmt: skip
    labels: str | None = declare(
        None, "--labels", metavar="SCHEMA", default_means="celebamask-19",
        help="What the numbers in label maps mean: celebamask-19 or bisenet-19. Without a model or a parser, RESULTS "
        "and TARGETS are label maps themselves.",
    )  # fmt: skip
    parser: str | Path | None = declare(
        None, "--parser", metavar="FILE", path=True,
        help="A face parser: measure whether results show the parts of the face where label maps or targets have them.",
    )  # fmt: skip
    recogniser: str | None = declare(
        None, "--recogniser", metavar="MODEL", path=True,
        help="Measure identity by a recogniser of your own too: the folder of p2s2p train recogniser, or its file.",
    )  # fmt: skip
    lines: bool = declare(
        False, "--lines", help="Measure whether results have the lines of the drawings or of the targets."
    )
    size: int | None = declare(
        None, "--size", metavar="N", minimum=SMALLEST, maximum=LARGEST, default_means="that of the smaller picture",
        help="Bring all pictures to this side before they are compared.",
    )  # fmt: skip
    task: str | None = declare(
        None, "--task", metavar="TASK", section=MODEL, default_means="the first that the model does",
        help="What a model is to do: invert, seg2face and so on.",
    )  # fmt: skip
    set: Mapping[str, str] | None = declare(
        None, "--set", metavar="NAME=VALUE", section=MODEL,
        help="One option of the task, as its command has it: factor=8, optimize=0, align=never; repeatable.",
    )  # fmt: skip
    edit: Sequence[str] | None = declare(
        None, "--edit", metavar="DIRECTION", section=MODEL,
        help="Measure the consistency of edits (LEC) of a model that inverts, along a direction: age=2; repeatable.",
    )  # fmt: skip
    keep: str | Path | None = declare(
        None, "--keep", metavar="FOLDER", path=True, section=MODEL, default_means="they are not kept",
        help="Where to keep the pictures that the model draws; with --skip-existing an earlier run goes on.",
    )  # fmt: skip
    device: str = declare_device()
    seed: int = declare_seed()
    out: str | Path | None = declare(
        None, "-o", "--out", metavar="FILE", section=OUTPUT, default_means="the terminal only",
        help="Write the report to this file too: .json, or .md for Markdown.",
    )  # fmt: skip
    plot: str | Path | None = declare(
        None, "--plot", metavar="FILE", path=True, section=OUTPUT,
        help="Draw how the figures of the pairs are spread: .png, .webp or .jpg.",
    )  # fmt: skip
    existing: Existing = declare_existing()
    recursive: bool = declare_recursive()
    max_pixels: int = declare(
        MAX_PIXELS, "--max-pixels", metavar="N", section=RUN, minimum=1, help="Refuse pictures with more pixels."
    )
    on_event: OnEvent = ignore_event
