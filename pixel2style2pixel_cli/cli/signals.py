"""Ctrl-C, SIGTERM and SIGHUP: each stops a command in the same way, and is seen in its exit code."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import time
from dataclasses import dataclass
from types import FrameType

from pixel2style2pixel_cli.interrupts import SIGNALS

# A terminal that closes sends several signals at once, and a nervous hand presses twice: they count once.
_TOGETHER = 0.5  # seconds


@dataclass(slots=True)
class _Received:
    number: int | None = None
    at: float = 0.0


_received = _Received()


def watch() -> None:
    """Raise KeyboardInterrupt at each of the signals, except for those that are ignored on purpose, as by nohup."""
    _handle(_interrupt)
    # When the interpreter takes itself apart, a signal would kill it, whatever the exit code.
    atexit.register(_handle, signal.SIG_IGN)


def let_go() -> None:
    """From here on, while what is being written is finished, the next signal ends the process on the spot."""
    _handle(_leave)
    # An interrupt that came while a text was executed, as dataclasses and named tuples are made, counts as one that
    # nobody caught until the next text is: after python -m the interpreter would end itself by SIGINT, not by our code.
    exec("")


def was_stopped() -> bool:
    """Whether a signal came, also where a library has turned its exception into another one."""
    return _received.number is not None


def exit_code() -> int:
    """What a command that was stopped ends with: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + (_received.number or signal.SIGINT)


def _handle(handler: object) -> None:
    for number in SIGNALS:
        # ValueError: not in the main thread, where whoever runs us sees to signals
        with contextlib.suppress(ValueError, OSError):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, handler)  # type: ignore[arg-type]


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _is_new(number):
        raise KeyboardInterrupt


def _leave(number: int, frame: FrameType | None) -> None:
    if _is_new(number):
        os._exit(exit_code())


def _is_new(number: int) -> bool:
    now = time.monotonic()
    new = _received.number is None or now - _received.at >= _TOGETHER
    _received.number = _received.number or number
    _received.at = now if new else _received.at
    return new
