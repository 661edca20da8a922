"""The program ``p2s2p``, also as ``python -m pixel2style2pixel_cli``: it can be stopped from its first moment on."""

from __future__ import annotations

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
    except KeyboardInterrupt:
        code = signals.exit_code()
    signals.let_go()
    sys.exit(code)


if __name__ == "__main__":
    main()
