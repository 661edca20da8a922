"""The program ``p2s2p``, also as ``python -m pixel2style2pixel_cli``: it can be stopped from its first moment on."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit with its code; what is slow is imported once a signal is no traceback any more."""
    started = time.monotonic()
    from pixel2style2pixel_cli.cli import signals

    try:
        signals.watch()
        from pixel2style2pixel_cli.cli.app import run_program

        code = run_program(sys.argv[1:], started)
    except KeyboardInterrupt:  # before the program had begun
        signals.let_go()
        code = signals.exit_code()
        with contextlib.suppress(Exception):  # an import that was stopped may not be possible a second time
            from pixel2style2pixel_cli.cli.app import end_stopped

            code = end_stopped(sys.argv[1:])
    sys.exit(code)


if __name__ == "__main__":
    main()
