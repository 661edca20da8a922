"""What ``p2s2p paste`` is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pixel2style2pixel_cli.events import OnEvent, ignore_event
from pixel2style2pixel_cli.options.declare import OUTPUT, REQUIRED, RUN, declare
from pixel2style2pixel_cli.options.shared import (
    declare_dry_run,
    declare_existing,
    declare_format,
    declare_keep_exif,
    declare_recursive,
)
from pixel2style2pixel_cli.options.task import MAX_PIXELS, Existing, ImageFormat, write_stdout


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class PasteOptions:
    """A result and its photograph, or a folder of each.

    ``stdout`` and ``on_event`` connect a run to its caller.
    """

    result: str | Path = declare(
        REQUIRED, metavar="RESULT", path=True,
        help="A picture made by p2s2p without --paste; or a folder, a quoted glob or an @list.txt of them.",
    )  # fmt: skip
    photo: str | Path = declare(
        REQUIRED, metavar="PHOTO", path=True, help="The photograph that it was made from, or a folder of photographs."
    )
    out: str | Path | None = declare(
        None, "-o", "--out", metavar="OUT", section=OUTPUT, default_means="p2s2p-out/paste",
        help="A folder; for one photograph also a file, or - for PNG bytes on standard output.",
    )  # fmt: skip
    recursive: bool = declare_recursive()
    existing: Existing = declare_existing()
    name: str = declare(
        "{stem}", "--name", metavar="TEMPLATE", section=OUTPUT,
        help="Names of the outputs, from {stem} (of the photograph) {command} {model} {seed} {index} {face}.",
    )  # fmt: skip
    format: ImageFormat = declare_format()
    keep_exif: bool = declare_keep_exif()
    metadata: bool = declare(
        True, "--metadata/--no-metadata", section=OUTPUT,
        help="Store the recipe in each output; the mark as synthetic is always stored.",
    )  # fmt: skip
    dry_run: bool = declare_dry_run()
    max_pixels: int = declare(
        MAX_PIXELS, "--max-pixels", metavar="N", section=RUN, minimum=1, help="Refuse larger photographs."
    )
    stdout: Callable[[bytes], object] = write_stdout
    on_event: OnEvent = ignore_event
