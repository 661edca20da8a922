"""What the commands about reports of runs are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pixel2style2pixel_cli.options.declare import OUTPUT, REQUIRED, declare


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class MergeOptions:
    """Reports that become one."""

    files: Sequence[str] = declare(REQUIRED, metavar="FILE", path=True, help="What runs with --json printed.")
    out: str | Path | None = declare(
        None, "-o", "--out", metavar="FILE", section=OUTPUT, help="Also write the joined lines to this file."
    )
    overwrite: bool = declare(False, "--overwrite", section=OUTPUT, help="Replace a file that exists.")
