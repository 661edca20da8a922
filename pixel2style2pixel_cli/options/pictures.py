"""What commands are told that read pictures of faces, and give one result for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pixel2style2pixel_cli.events import OnEvent, ignore_event
from pixel2style2pixel_cli.options.declare import FACES, MODEL, RUN, declare
from pixel2style2pixel_cli.options.shared import declare_device, declare_seed
from pixel2style2pixel_cli.options.task import MAX_PIXELS, Align, read_stdin


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class PictureOptions:
    """Which face of each picture is taken, and which model reads it.

    ``stdin`` and ``on_event`` connect a run to its caller.
    """

    align: Align = declare(
        "auto", "--align", metavar="WHEN", section=FACES,
        help="Align faces: auto (unless they are aligned already), always or never.",
    )  # fmt: skip
    face: str = declare(
        "best", "--face", metavar="WHICH", section=FACES, choices=("best", "largest"),
        pattern=r"\d{1,9}", pattern_means="an index from 0",
        help="The face of each photograph: best (by score and size), largest, or an index from 0.",
    )  # fmt: skip
    detector: str = declare("dlib", "--detector", metavar="NAME", section=FACES, help="Name of the face detector.")
    detector_threshold: float = declare(
        0.0, "--detector-threshold", metavar="X", section=FACES, help="Minimum score of a face."
    )
    model: str = declare(
        "auto", "--model", metavar="NAME", section=MODEL, path=True,
        help="auto (the best installed one that inverts), or a name from p2s2p models list.",
    )  # fmt: skip
    device: str = declare_device()
    seed: int = declare_seed()
    max_pixels: int = declare(
        MAX_PIXELS, "--max-pixels", metavar="N", section=RUN, minimum=1, help="Refuse pictures with more pixels."
    )
    stdin: Callable[[], bytes] = read_stdin
    on_event: OnEvent = ignore_event
