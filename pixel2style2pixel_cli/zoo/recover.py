"""What a process that was killed while it installed a model left behind: put back, or removed."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from pixel2style2pixel_cli.files.atomic import PART_SUFFIX, abandoned_in

OLD_SUFFIX = ".old"  # an installed model that was moved aside for its successor


def recover_models(folder: Path) -> None:
    """Give a model its name back where a kill came between two renames, and remove everything else half-done.

    Only what processes of this machine left that have ended; a folder that cannot be written stays as it is.
    """
    for aside, name in abandoned_in(folder, OLD_SUFFIX):
        with contextlib.suppress(OSError):
            if not (folder / name).exists():
                aside.rename(folder / name)
        remove_folder(aside)
    for part, _ in abandoned_in(folder, PART_SUFFIX):
        remove_folder(part)


def remove_folder(folder: Path) -> None:
    """Remove a folder as far as that is possible, also where Ctrl-C comes in between: it is too late to go back."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
