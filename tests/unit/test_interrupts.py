"""What must be whole is not stopped in the middle, and what stops it is not lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from pixel2style2pixel_cli.interrupts import SIGNALS, uninterrupted


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list[int]]:
    """Handlers that remember what came; those of the test run are put back."""
    came: list[int] = []

    def stop(number: int, _: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    yield came
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_for_the_end_and_is_handled_once(number: int, handlers: list[int]) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(number)
        signal.raise_signal(number)
        done.append("whole")
    assert done == ["whole"] and handlers == [number]
    with pytest.raises(KeyboardInterrupt):  # as before
        signal.raise_signal(number)


def test_an_error_of_the_block_is_not_hidden(handlers: list[int]) -> None:
    with pytest.raises(KeyError), uninterrupted():
        raise KeyError
    with pytest.raises(KeyboardInterrupt) as caught, uninterrupted():
        signal.raise_signal(signal.SIGINT)
        raise KeyError
    assert isinstance(caught.value.__context__, KeyError)


@pytest.mark.skipif(os.name == "nt", reason="SIGHUP")
def test_what_is_ignored_stays_ignored(handlers: list[int]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with uninterrupted():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN and handlers == []


def test_elsewhere_nothing_is_held_back() -> None:
    found = []

    def work() -> None:
        with uninterrupted():
            found.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
