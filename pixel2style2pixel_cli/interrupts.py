"""Interrupts that wait: what must be done whole or not at all is not stopped in the middle."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

# What stops a command. Break is Ctrl-Break and the closing of the window, on Windows.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """A signal that would stop the block is handled after its last line; for moments only, since the user waits.

    Python handles signals in the main thread alone, so elsewhere there is nothing to hold back; nor is there where a
    signal ends the process without asking it.
    """
    waiting: dict[int, Any] = {}

    def hold(number: int, _: FrameType | None) -> None:
        waiting[number] = handlers[number]

    def let_through() -> None:
        for number, handler in waiting.items():
            handler(number, None)

    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in SIGNALS if main}
    with contextlib.ExitStack() as stack:  # which undoes everything, also where a signal comes while it does so
        stack.callback(let_through)
        for number, handler in handlers.items():
            if callable(handler):
                stack.callback(signal.signal, number, handler)
                signal.signal(number, hold)
        yield
