"""A run folder belongs to one process at a time: two that write checkpoints there would ruin both runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pixel2style2pixel_cli.errors import OutputError, UsageError

FILE = ".lock"  # which stays: to remove it would let two processes hold two files of one name


@contextlib.contextmanager
def hold_run(folder: Path) -> Iterator[None]:
    """Make a run folder and keep other processes out of it; UsageError while one trains there.

    The system lets go of it when the process ends, however it ends. A disk that knows no locks is used without.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be a run folder: {error.strerror}", "choose another --out") from error
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(FileLock(folder / FILE).acquire(timeout=0))
        except Timeout as error:
            raise UsageError(
                f"another p2s2p is training in {folder}", "wait until it has ended, or choose another --out"
            ) from error
        except (OSError, NotImplementedError):
            pass
        yield
