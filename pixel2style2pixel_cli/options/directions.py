"""What ``p2s2p edit import`` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pixel2style2pixel_cli.events import OnEvent, ignore_event
from pixel2style2pixel_cli.options.declare import MODEL, OUTPUT, REQUIRED, declare
from pixel2style2pixel_cli.options.shared import Existing, declare_existing


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class DirectionOptions:
    """A published file of directions, and the model whose codes it moves."""

    file: str | Path = declare(
        REQUIRED, metavar="FILE", path=True,
        help="A direction as it was published: .pt or .npy of InterFaceGAN's kind, or GANSpace's axes; or the name of "
        "a known one, which is fetched: age, pose, rotation, smile or ganspace.",
    )  # fmt: skip
    model: str = declare(
        "auto", "--model", metavar="NAME", section=MODEL, path=True,
        help="The model that inverts and whose generator it was made for.",
    )  # fmt: skip
    axes: int = declare(
        20, "--axes", metavar="N", minimum=1, maximum=10_000,
        help="How many of GANSpace's axes are taken, the widest first.",
    )  # fmt: skip
    out: str | Path | None = declare(
        None, "-o", "--out", metavar="OUT", section=OUTPUT, default_means="p2s2p-out/directions",
        help="Folder of the directions; for one direction also a file.",
    )  # fmt: skip
    existing: Existing = declare_existing()
    on_event: OnEvent = ignore_event
